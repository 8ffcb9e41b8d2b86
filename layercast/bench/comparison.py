"""Tables of rate and quality: means at equal bytes, and ours against each other codec, picture by picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from layercast.bench.budgets import THUMBNAIL, Budget
from layercast.bench.intervals import interval_of
from layercast.bench.measures import MAIN, sign
from layercast.bench.points import FULL, OURS, Point
from layercast.bench.report import Cell, Table

HASHES = ("thumbhash", "blurhash")


def _of(points: Sequence[Point], budget: str, codec: str) -> list[Point]:
    return [point for point in points if point.budget == budget and point.codec == codec]


def _rivals(budget: str, peers: Sequence[str]) -> Sequence[str]:
    return HASHES if budget == THUMBNAIL else peers


def _names(points: Sequence[Point]) -> list[str]:
    """The measures taken, in their order."""
    return list(points[0].values) if points else list(MAIN)


def _mean(values: Sequence[float]) -> float:
    """Over what is finite; an infinite PSNR means no difference."""
    finite = [value for value in values if math.isfinite(value)]
    return fmean(finite) if finite else max(values, default=math.nan)


def means(points: Sequence[Point], budgets: Sequence[Budget], peers: Sequence[str], pictures: int) -> Table:
    """Budget and codec by bytes and measures, means over as many pictures as the codec managed."""
    names = _names(points)
    table = Table(("budget", "codec", "bytes", *names), title="Means at equal bytes")
    wanted = [(budget.label, codec) for budget in budgets for codec in (OURS, *_rivals(budget.label, peers))]
    for budget, codec in [*wanted, (FULL, OURS)]:
        found = _of(points, budget, codec)
        label = codec if len(found) == pictures else f"{codec} ({len(found)} of {pictures})"
        cells: list[Cell] = [None] * (len(names) + 1)
        if found:
            cells = [fmean(p.size for p in found), *(_mean([p.values[name] for p in found]) for name in names)]
        table.rows.append([budget, label, *cells])
    return table


def duels(points: Sequence[Point], budgets: Sequence[Budget], peers: Sequence[str]) -> Table:
    """Ours against each peer on the pictures that both managed: mean differences, their intervals, pictures won."""
    columns = [column for name in MAIN for column in (name, f"won by {name}")]
    table = Table(("budget", "against", *columns, "of"), title="Ours minus theirs, with 95% intervals over pictures")
    for budget in budgets:
        ours = {point.picture: point for point in _of(points, budget.label, OURS)}
        for codec in _rivals(budget.label, peers):
            pairs = [(ours[their.picture], their) for their in _of(points, budget.label, codec)]
            if pairs:
                table.rows.append([budget.label, codec, *_duel(pairs), len(pairs)])
    return table


def _duel(pairs: Sequence[tuple[Point, Point]]) -> list[Cell]:
    """Mean difference and wins for each measure; equal infinite PSNR counts as no difference."""
    cells: list[Cell] = []
    for name in MAIN:
        both = [(ours.values[name], theirs.values[name]) for ours, theirs in pairs]
        gaps = [0.0 if ours == theirs else ours - theirs for ours, theirs in both]
        cells += [interval_of([gap for gap in gaps if math.isfinite(gap)]), sum(gap * sign(name) > 0 for gap in gaps)]
    return cells
