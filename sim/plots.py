"""Plots of rows: quality over time, figures against what a sweep varies, how often what was there by when."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sim.measure import RECOGNISABLE, Quality, Row
from sim.scenario import said
from sim.summary import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS = "layercast"
SHOWN = ("caption", "colour", "recognisable", "latent")
"""Marks whose times are drawn."""
WORST_SCORE, WORST_FEATURES = -50.0, 2.0
"""What stands for a picture that is not there, and the edge of the plot."""


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw_all(rows: Sequence[Row], folder: Path) -> list[Path]:
    """All plots that the rows allow, as PNG in `folder`; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    points = list({repr(row.point): row.point for row in rows}.values())
    written = []
    if any(look.quality is not None for row in rows for look in row.looks):
        for number, point in enumerate(points):
            name = "quality.png" if len(points) == 1 else f"quality-{number}.png"
            written.append(folder / name)
            quality_over_time([row for row in rows if row.point == point], folder / name)
    if len(points) == 1 and sum(row.codec == OURS for row in rows) > 1:
        written.append(folder / "arrival.png")
        arrival(rows, folder / "arrival.png")
    for key in _numeric_keys(points):
        written.append(folder / f"against-{key.replace('.', '-')}.png")
        against(rows, key, written[-1])
    return written


def _numeric_keys(points: Sequence[dict[str, Any]]) -> list[str]:
    """What a sweep varies in numbers."""
    keys = list({key: None for point in points for key in point})
    values = {key: {point.get(key) for point in points} for key in keys}
    return [key for key in keys if len(values[key]) > 1 and all(isinstance(v, (int, float)) for v in values[key])]


def quality_over_time(rows: Sequence[Row], target: Path) -> None:
    """SSIMULACRA2 and feature distance at the looks, means over images and seeds, one line a contender."""
    pyplot = _pyplot()
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
    for codec in dict.fromkeys(row.codec for row in rows):
        of = [row for row in rows if row.codec == codec]
        _curve(left, of, lambda quality: quality.ssimulacra2, WORST_SCORE)
        _curve(right, of, lambda quality: quality.features, WORST_FEATURES)
    left.set(xscale="log", xlabel="seconds", ylabel="SSIMULACRA2", ylim=(WORST_SCORE, 100))
    right.set(xscale="log", xlabel="seconds", ylabel="feature distance (lower is better)", ylim=(WORST_FEATURES, 0))
    right.axhline(RECOGNISABLE, color="grey", linewidth=0.8, linestyle="--")
    right.text(
        0.99, RECOGNISABLE - 0.02, "recognisable", color="grey", ha="right", transform=right.get_yaxis_transform()
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.legend(fontsize="small")
    figure.suptitle(_title(rows), fontsize="medium")
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def _title(rows: Sequence[Row]) -> str:
    images, seeds = {row.image for row in rows}, {row.seed for row in rows}
    changes = f", {said(rows[0].point)}" if rows[0].point else ""
    counts = f"{len(images)} image{'s' * (len(images) > 1)}, {len(seeds)} seed{'s' * (len(seeds) > 1)}"
    return f"{rows[0].scenario}{changes}: {rows[0].channel}, {counts}"


def _curve(axes: Axes, rows: Sequence[Row], of: Callable[[Quality], float], worst: float) -> None:
    """The mean over the rows at each look, from the first look at which all show something."""
    xs, ys = [], []
    for place, look in enumerate(rows[0].looks):
        found = [row.looks[place].quality for row in rows]
        values = [of(quality) for quality in found if quality is not None]
        if len(values) == len(rows) and all(map(math.isfinite, values)):
            xs.append(look.time)
            ys.append(fmean(values))
    ours = rows[0].codec == OURS
    axes.plot(
        xs, ys, label=rows[0].codec, marker="o", markersize=3, drawstyle="steps-post", zorder=3 if ours else 2,
        linewidth=2.2 if ours else 1.2,
    )  # fmt: skip


def arrival(rows: Sequence[Row], target: Path) -> None:
    """The share of our runs in which each mark was there by when; a line a mark."""
    pyplot = _pyplot()
    ours = [row for row in rows if row.codec == OURS]
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for mark in SHOWN:
        times = sorted(row.times[mark] for row in ours if mark in row.times)
        if times:
            last = max(look.time for row in ours for look in row.looks)
            xs, shares = [times[0], *times, last], [0.0, *(n / len(ours) for n in range(1, len(times) + 1))]
            axes.plot(xs, [*shares, shares[-1]], drawstyle="steps-post", label=mark)
    axes.set(xscale="log", xlabel="seconds", ylabel="share of the runs", ylim=(0, 1.02))
    axes.set_title(f"{rows[0].scenario}: what is there by when, {len(ours)} runs", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def against(rows: Sequence[Row], key: str, target: Path) -> None:
    """Median times of ours, and everybody's mean area (bytes of use, without pictures), against what a sweep varies."""
    pyplot = _pyplot()
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    found = summarise([_only(row, key) for row in rows])
    seen = any(each.area is not None for each in found)
    for mark in SHOWN:
        _line(left, [each for each in found if each.codec == OURS], key, partial(_time, mark), mark)
    for codec in dict.fromkeys(each.codec for each in found):
        _line(right, [each for each in found if each.codec == codec], key, _area if seen else _held, codec)
    left.set(xlabel=key, ylabel="seconds (median)", yscale="log")
    right.set(xlabel=key, ylabel="mean SSIMULACRA2 over log time" if seen else "bytes of use at the end")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(fontsize="small")
    left.set_title(f"{OURS}: until it is there", fontsize="medium")
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def _time(mark: str, found: Summary) -> float:
    return found.times[mark]


def _area(found: Summary) -> float | None:
    return found.area


def _held(found: Summary) -> float | None:
    return found.held


def _only(row: Row, key: str) -> Row:
    from dataclasses import replace

    return replace(row, point={key: row.point[key]})


def _line(axes: Axes, found: Sequence[Summary], key: str, of: Callable[[Summary], float | None], label: str) -> None:
    ordered = sorted(found, key=lambda each: each.point[key])
    pairs = [(each.point[key], value) for each in ordered if (value := of(each)) is not None and math.isfinite(value)]
    if pairs:
        axes.plot(*zip(*pairs, strict=True), marker="o", markersize=3, label=label)
