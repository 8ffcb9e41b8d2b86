"""The figures of how fast virtual time goes: of small work here, but of the same work."""

import numpy as np
import pytest

import codec
from layercast.bench import virtual_speed
from layercast.bench.report import Report
from sim.subject import Subject


def test_every_figure_is_of_work_that_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_speed, "PACKETS", 2000)
    monkeypatch.setattr(virtual_speed, "HOUR", 20.0)
    assert 1950 < virtual_speed._packets() < 2000, "1% is lost"
    assert 80_000 < virtual_speed._hour() < 125_000, "what 50 kbit/s carry in 20 s"
    picture = np.full((40, 56, 3), 90, np.uint8)
    subject = Subject("small", picture, codec.encode(picture, caption="grey", weights=0))
    found = Report("sim")
    virtual_speed.measure(found, subject, 2)
    assert len(found.tables[0].rows) == 3 and len(found.checks) == 3
    assert all(float(spent) > 0 for _, spent, _ in found.tables[0].rows)
