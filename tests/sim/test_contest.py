"""The contest: when links are looked at, what is run, who was first."""

import math
from pathlib import Path

import pytest

from sim.contest import LOSSES, PAYLOADS, Entry, Standing, entries, looks, standings, tasks
from sim.measure import Row
from sim.presets import parse, presets


def test_every_preset_takes_part_and_two_lose_more() -> None:
    found = entries()
    assert {entry.preset.name for entry in found} == set(presets())
    lossy = [entry for entry in found if not entry.areas]
    assert len(lossy) == 2 * len(LOSSES) and {entry.preset.loss for entry in lossy} == set(LOSSES)
    assert {entry.preset.feedback for entry in lossy} == {True, False}
    thin = {entry.name for entry in found if entry.thin}
    assert {"gprs", "lora-sf12", "wenet", "satellite-64k"} <= thin and not thin & {
        "lte",
        "wifi-congested",
        "3g-driving",
    }
    with pytest.raises(KeyError):
        entries(["no-such-link"])


def test_a_link_is_looked_at_when_it_could_have_carried_so_much() -> None:
    preset = parse("plain", {"rate": 8000, "packet": 100, "overhead": 0, "rtt": 2.0, "loss": 0.5, "drop": [0]})
    assert looks(preset) == pytest.approx([payload / 1000 + 1.0 for payload in PAYLOADS])
    large = parse("large", {"rate": 8000, "packet": 1000, "overhead": 0})
    assert looks(large) == pytest.approx([1.0, 3.0, 10.0, 30.0]), "300 B and 1,000 B come in one packet"


def test_tasks_go_picture_by_picture_and_chance_alone_has_seeds() -> None:
    links = [Entry("a", {"preset": "thin-10k"}, presets()["thin-10k"]), *entries(["wenet"])]
    found = tasks(links, [Path("x.png"), Path("y.png")], ["one", "two"], 3, ["avif"])
    assert [(task.values["name"], task.image, task.seed) for task in found] == [
        *[("a", 0, 0), *(("wenet", 0, seed) for seed in range(3))],
        *[("a", 1, 0), *(("wenet", 1, seed) for seed in range(3))],
    ]
    assert found[0].values["peers"] == ["avif"] and found[0].values["until"] == looks(presets()["thin-10k"])[-1]
    assert len({task.name for task in found}) == len(found)


def test_where_nobody_answers_the_sender_is_told_of_the_loss() -> None:
    links = entries(["hf-75-fading", "gprs", "lora-sf7"], [0.3])
    policies = {task.values["name"]: task.values.get("policy") for task in tasks(links, [Path("x.png")], ["one"], 1)}
    told = {"loss": 0.1, "burst": 3}
    assert policies == {"hf-75-fading": told, "gprs": None, "gprs, 30% lost": None, "lora-sf7": None}


def row(codec: str, image: str, time: float | None, area: float) -> Row:
    times = {} if time is None else {"recognisable": time}
    return Row("link", image, 0, codec, "udp", times=times, area=area)


def test_standings_leave_the_delay_out_and_count_runs() -> None:
    link = Entry("link", {}, parse("link", {"rate": 8000, "rtt": 2.0}))
    rows = [
        row("layercast", "a", 1.5, 20.0), row("avif", "a", 2.0, 10.0), row("ssdv", "a", None, 0.0),
        row("layercast", "b", 3.0, 5.0), row("avif", "b", 2.0, 6.0), row("ssdv", "b", 9.0, 0.0),
    ]  # fmt: skip
    avif, ssdv = standings(rows, [link])
    assert avif == Standing("link", "avif", 2.25, 2.0, 1.25, 0.5, 1, 2, 12.5, 8.0, 1)
    assert ssdv.won == 2 and math.isinf(ssdv.sooner) and ssdv.worst == 4.0 and math.isinf(ssdv.theirs)
