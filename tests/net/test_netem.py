"""The model beside the kernel's netem. Marked: `make netem`, where user-mode Linux is installed."""

import shutil
from dataclasses import astuple
from pathlib import Path
from statistics import mean, median, stdev

import pytest

from layercast.bench.netem import stages
from sim import netem
from sim.evidence import FIGURES, Losses, losses_of, quantiles
from sim.link import LinkSpec
from sim.truth import ETHERNET, probe_netem, probe_virtual

RATED = [(0.11 * number, (60, 200, 600, 1100)[number % 4]) for number in range(40)]
STEADY = [(0.001 * number, 100) for number in range(3000)]
DEVIATIONS = 5.5
"""From the model's mean; chance alone gets so far once in millions of runs."""


@pytest.mark.netem
@pytest.mark.skipif(netem.why_no_netem() is not None, reason=f"not shown: netem; {netem.why_no_netem()}")
def test_netem_delays_and_loses_as_the_model_does() -> None:
    losing = stages()
    cases = [("rate 50kbit delay 50ms limit 1000", RATED), *((f"{words} limit 1000", STEADY) for words in losing)]
    rated, *lossy = probe_netem(cases)
    model = LinkSpec(50_000, 0.05, queue=10**9, overhead=28 + ETHERNET)
    told = probe_virtual(model, RATED, rated.sent, "1")
    assert set(rated.arrived) == set(told.arrived)
    assert min(rated.arrived[n] - told.arrived[n] for n in told.arrived) > -0.002, "never before its time"
    assert median(rated.late()) == pytest.approx(median(told.late()), rel=0.05)
    for (words, stage), probe in zip(losing.items(), lossy, strict=True):
        real = astuple(Losses.of([number not in probe.arrived for number in range(len(STEADY))]))
        drawn = [astuple(Losses.of(losses_of(stage(), len(STEADY), seed))) for seed in range(200)]
        for name, figure, column in zip(FIGURES, real, zip(*drawn, strict=True), strict=True):
            assert abs(figure - mean(column)) < DEVIATIONS * stdev(column), f"{words}: {name}"


def test_where_there_is_no_netem_one_line_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(netem, "MODULES", tmp_path)
    reason = netem.why_no_netem()
    assert reason == "netem needs user-mode Linux (install user-mode-linux)"
    with pytest.raises(netem.NetemUnavailable, match="install user-mode-linux"):
        netem.run_netem([("loss 1%", [(0.0, 100)])])
    (tmp_path / "6.1" / "kernel").mkdir(parents=True)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: "/usr/bin/linux.uml" if name == "linux.uml" else None)
    assert netem.why_no_netem() == "netem in user-mode Linux needs `insmod` (install kmod, iproute2)"


def test_quantiles_lie_straight_in_between() -> None:
    assert quantiles([4.0, 0.0, 2.0], (0.0, 0.25, 0.5, 1.0)) == [0.0, 1.0, 2.0, 4.0]
    assert quantiles([7.0]) == [7.0] * 5
