"""Rate-quality curves of all codecs, one figure a measure: bytes at the left, bits per pixel at the right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from layercast.bench.budgets import BITS, Budget
from layercast.bench.measures import sign
from layercast.bench.points import OURS, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (12.0, 4.8)  # inches


def draw(points: Sequence[Point], budgets: Sequence[Budget], peers: Sequence[str], folder: Path) -> list[Path]:
    """Writes NAME.png of each measure into `folder` (made if missing); returns the files."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in points[0].values:
        figure, (left, right) = pyplot.subplots(1, 2, figsize=SIZE, layout="constrained")
        for axes, unit in ((left, "bytes"), (right, "bits per pixel")):
            labels = [budget for budget in budgets if budget.range and (budget.range == BITS) == (axes is right)]
            for codec in (OURS, *peers):
                _curve(axes, points, codec, labels, name)
            axes.set(xscale="log", xlabel=unit, ylabel=name if sign(name) > 0 else f"{name} (lower is better)")
            if labels:
                axes.set_xticks([b.amount for b in labels], [f"{b.amount:g}" for b in labels])
                axes.minorticks_off()
            axes.grid(alpha=0.3)
        right.legend(fontsize="small")
        written.append(folder / f"{name.lower().replace(' ', '-')}.png")
        figure.savefig(written[-1], dpi=110)
        pyplot.close(figure)
    return written


def _curve(axes: Axes, points: Sequence[Point], codec: str, budgets: Sequence[Budget], name: str) -> None:
    """Means over the pictures, where the codec managed all of them."""
    pictures, xs, ys = len({point.picture for point in points}), [], []
    for budget in budgets:
        found = [p.values[name] for p in points if p.codec == codec and p.budget == budget.label]
        if len(found) == pictures and all(map(math.isfinite, found)):
            xs.append(budget.amount)
            ys.append(fmean(found))
    ours = codec == OURS
    axes.plot(xs, ys, label=codec, marker="o", markersize=3, linewidth=2.2 if ours else 1.2, zorder=3 if ours else 2)
