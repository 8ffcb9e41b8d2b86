"""Points of rate and quality: one codec on one picture at one budget, measured once and remembered.

What was measured is kept as figures alone, a small file a point, under a name made of everything that could change it.
So a run that was interrupted goes on where it was, and a new version of our codec measures no other codec again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from layercast.bench import work
from layercast.bench.budgets import THUMBNAIL, Budget

if TYPE_CHECKING:
    from sim.metrics import Picture

OURS = "layercast"
FULL = "full"  # stands for the budget of a whole stream
_RULES = 1  # counts up when a measure changes, so that no kept figure is taken for a new one

Shown = tuple[int, "Picture"]  # bytes, and the picture that they give


class Point(NamedTuple):
    """One codec on one picture at one budget: the bytes it used and its measures by name."""

    picture: str
    budget: str
    codec: str
    size: int
    values: dict[str, float]


def measure(path: Path, codec: str, budgets: Sequence[Budget]) -> list[Point]:
    """The points of one picture by one codec, wherever it fits; ours also in full."""
    photo = work.load(path)
    make, version, labels = _maker(path, photo, codec, budgets)
    digest = hashlib.sha256(repr(photo.shape).encode() + photo.tobytes()).hexdigest()
    found = []
    for label in labels:
        held = _remembered(f"{_RULES} {digest} {version} {label}", photo, label, make)
        if held is not None:
            found.append(Point(path.name, label.split("/")[0], codec, held[0], held[1]))
    return found


def _maker(
    path: Path, photo: Picture, codec: str, budgets: Sequence[Budget]
) -> tuple[Callable[[str], Shown | None], str, list[str]]:
    """How to make a picture for a label, what decides what comes out, and the labels: budget/bytes."""
    pixels = photo.shape[0] * photo.shape[1]
    sized = [f"{budget.label}/{budget.bytes(pixels)}" for budget in budgets]
    thumbnails = [label for label in sized if label.startswith(THUMBNAIL)]
    others = [label for label in sized if not label.startswith(THUMBNAIL)]
    if codec == OURS:
        from sim.subject import codec_digest

        return _ours(path), f"{OURS} {codec_digest()}", [*thumbnails, *others, f"{FULL}/"]
    from sim.peers import THUMBNAILS, Fitting, versions

    if codec in THUMBNAILS:
        return lambda label: _coded(THUMBNAILS[codec](photo)), f"{codec} {versions()}", thumbnails
    fitting = Fitting(codec, photo)
    return lambda label: _coded(fitting.best(int(label.split("/")[1]))), f"{codec} {versions()}", others


def _ours(path: Path) -> Callable[[str], Shown]:
    def make(label: str) -> Shown:
        from layercast.bench.streams import picture_of, stream_of, thumbnail_end

        data = stream_of(path)
        name, _, size = label.partition("/")
        end = len(data) if name == FULL else thumbnail_end(data) if name == THUMBNAIL else int(size)
        part = data[:end]
        return len(part), picture_of(part)

    return make


def _coded(coded: object) -> Shown | None:
    from sim.peers import Coded

    return (len(coded.data), coded.picture) if isinstance(coded, Coded) else None


def _remembered(
    key: str, photo: Picture, label: str, make: Callable[[str], Shown | None]
) -> tuple[int, dict[str, float]] | None:
    """Size and measures, from the disk if they were taken before; None where the codec does not fit."""
    from layercast.bench.measures import judged, measures
    from sim.peers import default_cache, keep_file

    name = hashlib.sha256(f"{key} {sorted(measures())}".encode()).hexdigest()
    kept = default_cache() / "figures" / name[:2] / name
    if kept.is_file():
        held = json.loads(kept.read_bytes())
    else:
        shown = make(label)
        held = None if shown is None else [shown[0], judged(photo, shown[1])]
        keep_file(kept, json.dumps(held).encode())
    return None if held is None else (held[0], held[1])
