"""Ours beside every peer on every link: the tasks, and the figures of who was first.

    presets ─► entries: a link, perhaps with more loss ─► tasks ─► sim.experiment.run_all ─► Row ─► standings

Every link is looked at when it could have carried the same numbers of bytes, so that fast and slow ones compare and
share what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from sim.experiment import OURS, Task
from sim.measure import Row
from sim.presets import Preset, presets
from sim.run import IdealStream
from sim.scenario import PEERS

PAYLOADS = (300, 1_000, 3_000, 10_000, 30_000)
"""A link is looked at when so many bytes could have come, headers beside, and nothing lost."""
LOSSES = (0.02, 0.1, 0.3)
LOSSY = ("gprs", "packet-radio-9600")
"""Links that are tried with each of LOSSES, too: one with an answer, one without."""
THIN = 100_000.0
"""bit/s below which a link is thin."""


@dataclass(frozen=True)
class Entry:
    """A link of the contest. `link`: its table in a scenario; `preset`: what that gives; `areas`: whether areas are
    measured, too."""

    name: str
    link: Mapping[str, Any]
    preset: Preset
    areas: bool = True

    @property
    def thin(self) -> bool:
        """Whether it carries less than THIN on average."""
        return self.preset.link.sustained(self.preset.packet_size) < THIN


def entries(names: Sequence[str] = (), losses: Sequence[float] = LOSSES) -> list[Entry]:
    """Every preset, or those of these names, and LOSSY ones among them with more loss. KeyError for an unknown name."""
    found = []
    for name in names or presets():
        preset = presets()[name]
        found.append(Entry(name, {"preset": name}, preset))
        for loss in losses if name in LOSSY else ():
            table = {"preset": name, "loss": loss}
            found.append(Entry(f"{name}, {loss:.0%} lost", table, replace(preset, loss=loss), areas=False))
    return found


def looks(preset: Preset, seed: int = 0) -> list[float]:
    """Seconds until the link could have carried each of PAYLOADS, nothing lost, nobody beside."""
    clean = replace(
        preset.link,
        delay=0.0,
        delays=None,
        jitter=0.0,
        loss=0.0,
        burst=None,
        states=None,
        drops=(),
        outages=(),
        cross=0,
    )
    stream = IdealStream(bytes(PAYLOADS[-1]), clean, preset.packet_size, seed)
    stream.run(math.inf)
    times = [next(time for time, held in stream.timeline if held >= payload) for payload in PAYLOADS]
    delay = preset.link.delay
    return [round(time + delay, 6) for time in sorted(set(times))]


def tasks(
    links: Sequence[Entry], images: Sequence[Path], captions: Sequence[str], seeds: int, peers: Sequence[str] = PEERS
) -> list[Task]:
    """All runs, picture by picture. A link that loses nothing and is always the same is run with one seed."""
    found = []
    for image in range(len(images)):
        for entry in links:
            times = looks(entry.preset)
            values = {
                "name": entry.name,
                "images": [str(path.resolve()) for path in images],
                "captions": list(captions),
                "link": dict(entry.link),
                "until": times[-1],
                "looks": times,
                "peers": list(peers),
                **_told(entry.preset),
            }
            for seed in range(seeds if _is_random(entry.preset) else 1):
                found.append(Task(values, ".", {}, image, seed, areas=entry.areas))
    return found


def _told(preset: Preset) -> dict[str, Any]:
    """Where nobody answers a sender is told of the loss to expect, as it is of the rate; if there is any."""
    if preset.feedback or not preset.loss:
        return {}
    return {"policy": {"loss": preset.loss, **({"burst": preset.burst} if preset.burst is not None else {})}}


def _is_random(preset: Preset) -> bool:
    model = preset.link
    chances = (model.loss, model.jitter, model.corrupt, model.duplicate, model.fading, model.states, model.cross)
    return any(chances)


@dataclass(frozen=True)
class Standing:
    """Ours against one peer on one link, over all pictures and seeds.

    Attributes:
        ours, theirs: median seconds until recognisable; infinite if most never were.
        sooner: median over the runs of how many times sooner ours was, delay left out; below 1 is a loss.
        worst: the smallest of these.
        won, runs: in how many of them ours was first, or both were at the same time.
        area_ours, area_theirs: means of the area under SSIMULACRA2, and in how many runs ours was not the smaller; None
            where areas were not measured.
    """

    link: str
    peer: str
    ours: float
    theirs: float
    sooner: float
    worst: float
    won: int
    runs: int
    area_ours: float | None
    area_theirs: float | None
    area_won: int | None


def standings(rows: Iterable[Row], links: Sequence[Entry]) -> list[Standing]:
    """Of every link and peer for which there are rows, in their order."""
    delays = {entry.name: entry.preset.link.delay for entry in links}
    ours: dict[tuple[str, str, int], Row] = {}
    pairs: dict[tuple[str, str], list[tuple[Row, Row]]] = {}
    for row in rows:
        run = row.scenario, row.image, row.seed
        if row.codec == OURS:
            ours[run] = row
        else:
            pairs.setdefault((row.scenario, row.codec), []).append((ours[run], row))
    return [_standing(link, peer, found, delays[link]) for (link, peer), found in pairs.items()]


def _standing(link: str, peer: str, pairs: Sequence[tuple[Row, Row]], delay: float) -> Standing:
    times = [(recognisable(a), recognisable(b)) for a, b in pairs]
    ratios = [_ratio(a - delay, b - delay) for a, b in times]
    areas = [(a.area, b.area) for a, b in pairs if a.area is not None and b.area is not None]
    return Standing(
        link,
        peer,
        ours=median(a for a, _ in times),
        theirs=median(b for _, b in times),
        sooner=median(ratios),
        worst=min(ratios),
        won=sum(ratio >= 1 for ratio in ratios),
        runs=len(pairs),
        area_ours=fmean(a for a, _ in areas) if areas else None,
        area_theirs=fmean(b for _, b in areas) if areas else None,
        area_won=sum(a >= b for a, b in areas) if areas else None,
    )


def recognisable(row: Row) -> float:
    """Seconds until then; infinite for never."""
    return row.times.get("recognisable", math.inf)


def _ratio(ours: float, theirs: float) -> float:
    """Theirs over ours; neither ever counts as 1."""
    if math.isinf(ours) or math.isinf(theirs):
        return 1.0 if ours == theirs else (0.0 if math.isinf(ours) else math.inf)
    return theirs / ours
