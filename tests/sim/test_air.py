"""One sender, many receivers: each loses on its own, and together they lack less than any."""

from pathlib import Path

import numpy as np
import pytest

import codec
from sim.air import over_air
from sim.experiment import run_all, tasks_of
from sim.journey import Journey, Load
from sim.presets import parse
from sim.scenario import Scenario, SendPolicy
from sim.subject import Subject
from sim.tables import WrongTable
from sim.timeline import load_of
from transport import ItemReceived

RADIO = {"rate": 9600, "packet": 120, "overhead": 20, "rtt": 0.1, "feedback": False}
TEXT = """
name = "air"
images = ["photo.lcast"]
until = 30
receivers = [{ loss = 0.0 }, { loss = 0.5, delay = 3 }]
[link]
rate = 9600
packet = 120
feedback = false
"""


@pytest.fixture(scope="module")
def stream() -> bytes:
    y, x = np.mgrid[:40, :56]
    picture = np.stack([x * 4, y * 6, 128 + 100 * np.sin(x / 9)], 2).astype(np.uint8)
    return codec.encode(picture, caption="waves", weights=0)


@pytest.fixture(scope="module")
def load(stream: bytes) -> Load:
    return load_of(Subject("waves", np.zeros((40, 56, 3), np.uint8), stream))


def held(journey: Journey) -> set[int]:
    return {a.event.key[2] for a in journey.arrivals if isinstance(a.event, ItemReceived) and a.event.complete}


def test_receivers_lose_apart_and_have_more_together(load: Load) -> None:
    link = parse("radio", {**RADIO, "loss": 0.4})
    first, second, together = over_air(load, link, (link, link), SendPolicy(), 3, 60.0)
    assert held(first) != held(second), "each has a chance of its own"
    assert held(together) >= held(first) | held(second) and len(held(together)) > max(len(held(first)), 1)
    sent = sum(event.what == "sent" for event in first.there)
    lost = [event.number for event in first.there if event.what == "dropped"]
    assert 0.2 < len(lost) / sent < 0.6 and len(first.there) == 2 * sent


def test_the_same_seed_gives_the_same_log(load: Load) -> None:
    link = parse("radio", {**RADIO, "loss": 0.4, "jitter": 0.1})
    digests = [[j.digest for j in over_air(load, link, (link, link), SendPolicy(), seed, 60.0)] for seed in (1, 1, 2)]
    assert digests[0] == digests[1] and not set(digests[0]) & set(digests[2])


def test_one_receiver_is_that_of_the_plain_link(load: Load) -> None:
    link = parse("radio", RADIO)
    (alone,) = over_air(load, link, (link,), SendPolicy(), 1, 60.0)
    assert held(alone) == {item.index for item in load.items}


def test_a_table_of_each_receiver(stream: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.lcast").write_bytes(stream)
    scenario = Scenario.parse(TEXT, "air.toml", tmp_path)
    rows = {row.point["receiver"]: row for row in run_all(tasks_of(scenario, pictures=False))}
    assert list(rows) == [1, 2, "together"]
    assert rows[1].times["caption"] == rows["together"].times["caption"] < 3 < rows[2].times["caption"]
    assert rows[2].held < rows[1].held == rows["together"].held
    assert len(scenario.changed({"receivers": 5}).receivers) == 5
    with pytest.raises(WrongTable, match="packets are not kept"):
        run_all(tasks_of(scenario, pictures=False, logs=tmp_path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"receivers": 0}, "receivers is 0; give how many"),
        ({"receivers": [{"los": 1}]}, "receivers 1.los is not known here; did you mean 'loss'"),
        ({"link.feedback": True}, "receivers of a broadcast do not answer"),
    ],
)
def test_what_cannot_be_is_one_line(changes: dict[str, object], said: str, stream: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.lcast").write_bytes(stream)
    with pytest.raises(WrongTable, match=said):
        Scenario.parse(TEXT, "air.toml", tmp_path).changed(changes)
