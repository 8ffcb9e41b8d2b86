"""BD-rate: how many per cent of bytes we need more (+) or fewer (-) than another codec for the same quality.

Bjontegaard (VCEG-M33, 2001) with Akima interpolation (Herglotz et al. 2022), by the package bjontegaard, over mean
curves of quality by bytes in each of three ranges of budgets, where their qualities overlap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from layercast.bench.budgets import BITS, BYTES, MORE_BYTES, Budget
from layercast.bench.intervals import interval
from layercast.bench.measures import MAIN, sign
from layercast.bench.points import OURS, Point
from layercast.bench.report import Cell, Table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Curve = npt.NDArray[np.float64]  # [2, pictures, budgets]: bytes, quality

_SAMPLES = 200
_LEAST = 3  # points of a curve


def bd_rate(theirs: Sequence[tuple[float, float]], ours: Sequence[tuple[float, float]]) -> float:
    """Per cent of bytes, from points (bytes, quality) of two curves; NaN where their qualities do not overlap.

    A point that is no better than a cheaper one is left out.
    """
    from bjontegaard import bd_rate as computed

    curves = [_rising(points) for points in (theirs, ours)]
    if min(map(len, curves)) < _LEAST:
        return math.nan
    (rate, quality), (our_rate, our_quality) = (tuple(zip(*curve, strict=True)) for curve in curves)
    if min(quality[-1], our_quality[-1]) <= max(quality[0], our_quality[0]):
        return math.nan
    found = computed(rate, quality, our_rate, our_quality, "akima", require_matching_points=False, min_overlap=0)
    return float(found)


def _rising(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    kept: list[tuple[float, float]] = []
    for rate, quality in sorted(points):
        if math.isfinite(quality) and (not kept or (rate > kept[-1][0] and quality > kept[-1][1])):
            kept.append((rate, quality))
    return kept


def _curve(points: Sequence[Point], codec: str, labels: Sequence[str], pictures: Sequence[str], name: str) -> Curve:
    """Bytes and quality (more is better) of each picture at the budgets at which the codec managed all of them."""
    import numpy as np

    found = {(p.picture, p.budget): p for p in points if p.codec == codec}
    whole = [label for label in labels if all((picture, label) in found for picture in pictures)]
    rows = [[found[picture, label] for label in whole] for picture in pictures]
    return np.array(
        [[[p.size for p in row] for row in rows], [[sign(name) * p.values[name] for p in row] for row in rows]], float
    )


def bd_rates(points: Sequence[Point], budgets: Sequence[Budget], peers: Sequence[str]) -> Table:
    """Our BD-rate against each peer, in each range, for each main measure, with its interval over pictures."""

    table = Table(("range", "against", *(f"{name} %" for name in MAIN)), title="BD-rate: our bytes at equal quality")
    pictures = sorted({point.picture for point in points})
    for span in (BYTES, MORE_BYTES, BITS):
        labels = [budget.label for budget in budgets if budget.range == span]
        for codec in peers if len(labels) >= _LEAST else ():
            cells: list[Cell] = []
            for name in MAIN:
                theirs, ours = (_curve(points, each, labels, pictures, name) for each in (codec, OURS))

                def figure(chosen: npt.NDArray[np.int64], theirs: Curve = theirs, ours: Curve = ours) -> float:
                    means = (curve[:, chosen].mean(1).T.tolist() for curve in (theirs, ours))
                    return bd_rate(*([(rate, quality) for rate, quality in mean] for mean in means))

                cells.append(interval(len(pictures), figure, _SAMPLES))
            table.rows.append((span, codec, *cells))
    return table
