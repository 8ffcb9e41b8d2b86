"""Links as nobody would build them: nothing crashes, and one packet of the base is a picture."""

import numpy as np
import pytest

import codec
from sim import random_links
from sim.journey import Journey, Load
from sim.random_links import draw, trial
from sim.subject import Subject
from sim.timeline import load_of

LINKS = 150


@pytest.fixture(scope="module")
def load() -> Load:
    y, x = np.mgrid[:24, :32]
    picture = np.stack([x * 7, y * 9, 128 + 100 * np.sin(x / 5)], 2).astype(np.uint8)
    return load_of(Subject("waves", picture, codec.encode(picture, caption="Waves at dusk.", weights=0)))


def test_no_crash_and_no_picture_lost_once_a_packet_of_the_base_is_in(load: Load) -> None:
    trials = [trial(load, seed) for seed in range(LINKS)]
    assert [each for each in trials if each.crash or each.wrong] == []
    assert sum(each.base for each in trials) > 0.8 * LINKS and 0.3 * LINKS < sum(each.whole for each in trials) < LINKS


def test_every_impairment_is_drawn() -> None:
    links = [draw(seed, 1000).preset for seed in range(LINKS)]
    for what in ("loss", "burst", "states", "drops", "duplicate", "corrupt", "outages", "windows", "queue", "jitter",
                 "reorder", "fading", "gap", "cross"):  # fmt: skip
        count = sum(bool(getattr(link, what)) for link in links)
        assert 0 < count < LINKS, what
    assert {link.feedback for link in links} == {True, False}
    assert {link.queue.discipline for link in links if link.queue is not None} == {"drop-tail", "drop-head", "codel"}


def test_the_same_seed_is_the_same_link() -> None:
    assert draw(7, 1000) == draw(7, 1000) != draw(8, 1000)


def test_a_crash_and_a_false_item_are_told(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    over_udp = random_links.over_udp

    def fails(*given: object, **options: object) -> Journey:
        raise IndexError("somewhere")

    monkeypatch.setattr(random_links, "over_udp", fails)
    assert "IndexError: somewhere" in trial(load, 1).crash
    other = Load(load.group, load.preamble, [*load.items[:1], *load.items[2:]])
    monkeypatch.setattr(random_links, "over_udp", lambda _, *given, **options: over_udp(load, *given, **options))
    clean = next(seed for seed in range(100) if not draw(seed, 500).preset.corrupt and trial(load, seed).whole)
    assert "not what was sent" in trial(other, clean).wrong
