"""Plots of rows: quality over time, figures against what a sweep varies, how often what was there by when."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sim.measure import RECOGNISABLE, Quality, Row
from sim.scenario import PEERS, said
from sim.summary import Summary, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS = "layercast"
SHOWN = ("caption", "colour", "recognisable", "latent")
"""Marks whose times are drawn."""
WORST_SCORE, WORST_FEATURES = -50.0, 2.0
"""What stands for a picture that is not there, and the edge of the plot."""
WIDE = 20.0
"""From the smallest to the largest value: from here on an axis is logarithmic."""


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _style(codec: str) -> dict[str, Any]:
    """The same in every plot: a colour a codec, dashes for its smallest file, ours thick and black."""
    if codec == OURS:
        return {"color": "black", "linewidth": 2.4, "zorder": 4}
    families = list(dict.fromkeys(name.removesuffix("-small").removesuffix("-75") for name in PEERS))
    family = codec.removesuffix("-small").removesuffix("-75")
    colour = f"C{families.index(family)}" if family in families else None
    small = codec.endswith("-small") or f"{codec}-75" in PEERS
    return {"color": colour, "linewidth": 1.3, "linestyle": "--" if small else "-"}


def _in_plain_numbers(*all_axes: Axes) -> None:
    """Logarithmic axes with 0.2, 0.5, 1, 2, ... in place of powers, as many as there is room for."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axes in all_axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                low, high = axis.get_view_interval()
                axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / max(low, 1e-9) < 1000 else (1,)))
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
                axis.set_minor_formatter(NullFormatter())


def draw_all(rows: Sequence[Row], folder: Path) -> list[Path]:
    """All plots that the rows allow, as PNG in `folder`; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    points = list({repr(row.point): row.point for row in rows}.values())
    seen = any(look.quality is not None for row in rows for look in row.looks)
    written = []
    for number, point in enumerate(points):
        own, end = [row for row in rows if row.point == point], "" if len(points) == 1 else f"-{number}"
        if seen:
            written.append(folder / f"quality{end}.png")
            quality_over_time(own, written[-1])
        if sum(row.codec == OURS for row in own) > 1:
            written.append(folder / f"arrival{end}.png")
            arrival(own, written[-1])
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
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    for codec in dict.fromkeys(row.codec for row in rows):
        of = [row for row in rows if row.codec == codec]
        _curve(left, of, lambda quality: quality.ssimulacra2, WORST_SCORE)
        _curve(right, of, lambda quality: quality.features, WORST_FEATURES)
    times = [look.time for row in rows for look in row.looks if look.quality is not None]
    span = (min(times) / 1.1, max(times) * 1.1)
    left.set(xscale="log", xlabel="seconds", ylabel="SSIMULACRA2", ylim=(WORST_SCORE, 100), xlim=span)
    right.set(
        xscale="log", xlabel="seconds", ylabel="feature distance (lower is better)", ylim=(WORST_FEATURES, 0), xlim=span
    )
    right.axhline(RECOGNISABLE, color="grey", linewidth=0.8, linestyle=":")
    right.text(
        0.99, RECOGNISABLE - 0.02, "recognisable", color="grey", ha="right", transform=right.get_yaxis_transform()
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
    _in_plain_numbers(left, right)
    _legend_beside(figure, left)
    figure.suptitle(_title(rows), fontsize="medium")
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def _legend_beside(figure: Any, axes: Axes) -> None:
    """One legend for all, to the right of the plots, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside right upper", fontsize="small", frameon=False)


def _title(rows: Sequence[Row]) -> str:
    images, seeds = {row.image for row in rows}, {row.seed for row in rows}
    changes = f", {said(rows[0].point)}" if rows[0].point else ""
    counts = f"{len(images)} image{'s' * (len(images) > 1)}, {len(seeds)} seed{'s' * (len(seeds) > 1)}"
    return f"{rows[0].scenario}{changes}: {rows[0].channel}, {counts}"


def _curve(axes: Axes, rows: Sequence[Row], of: Callable[[Quality], float], worst: float) -> None:
    """The mean over the rows at each look, from the first look at which all show something; `worst` at the least."""
    xs, ys = [], []
    for place, look in enumerate(rows[0].looks):
        found = [row.looks[place].quality for row in rows]
        values = [of(quality) for quality in found if quality is not None]
        if len(values) == len(rows) and all(map(math.isfinite, values)):
            xs.append(look.time)
            ys.append(fmean(max(value, worst) if worst < 0 else min(value, worst) for value in values))
    style = _style(rows[0].codec)
    axes.plot(xs, ys, label=rows[0].codec, marker="o", markersize=3, drawstyle="steps-post", **style)


def arrival(rows: Sequence[Row], target: Path) -> None:
    """Over the runs, the share in which what was there by when: our marks; and everybody's recognisable picture."""
    pyplot = _pyplot()
    last = max(look.time for row in rows for look in row.looks)
    ours = [row for row in rows if row.codec == OURS]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.6), layout="constrained", sharey=True)
    for place, mark in enumerate(SHOWN):  # what comes at the same time lies on wider lines
        _cumulative(left, ours, mark, last, mark, linewidth=2 * (len(SHOWN) - place))
    for codec in dict.fromkeys(row.codec for row in rows):
        _cumulative(right, [row for row in rows if row.codec == codec], "recognisable", last, codec, **_style(codec))
    left.set(ylabel=f"share of {len(ours)} runs", ylim=(0, 1.02))
    left.set_title(f"{OURS}: what is there by when", fontsize="medium")
    right.set_title("a recognisable picture by when", fontsize="medium")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="seconds")
        axes.grid(alpha=0.3)
    if left.has_data():
        left.legend(fontsize="small", loc="lower right")
    _in_plain_numbers(left, right)
    _legend_beside(figure, right)
    figure.suptitle(_title(rows), fontsize="medium")
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def _cumulative(axes: Axes, rows: Sequence[Row], mark: str, last: float, label: str, **style: Any) -> None:
    """The share of the rows that had reached a mark by each time; nothing if none did."""
    times = sorted(row.times[mark] for row in rows if mark in row.times)
    if times:
        xs, shares = [times[0], *times, last], [0.0, *(n / len(rows) for n in range(1, len(times) + 1))]
        axes.plot(xs, [*shares, shares[-1]], drawstyle="steps-post", label=label, **style)


def against(rows: Sequence[Row], key: str, target: Path) -> None:
    """Against what a sweep varies: our marks, everybody's time until recognisable, and everybody's mean area (without
    pictures: bytes of use)."""
    pyplot = _pyplot()
    found = summarise([_only(row, key) for row in rows])
    seen = any(each.area is not None for each in found)
    figure, panels = pyplot.subplots(1, 3 if seen else 2, figsize=(16 if seen else 11, 4.6), layout="constrained")
    own = [each for each in found if each.codec == OURS]
    for place, mark in enumerate(SHOWN):  # what comes at the same time lies on wider lines
        _line(panels[0], own, key, partial(_time, mark), mark, linewidth=2 * (len(SHOWN) - place))
    for codec in dict.fromkeys(each.codec for each in found):
        own = [each for each in found if each.codec == codec]
        if seen:
            _line(panels[1], own, key, partial(_time, "recognisable"), codec, **_style(codec))
        _line(panels[-1], own, key, _area if seen else _held, codec, **_style(codec))
    for axes in panels[: len(panels) - 1]:
        axes.set(ylabel="seconds (median)", yscale="log")
    panels[0].set_title(f"{OURS}: until it is there", fontsize="medium")
    panels[1].set_title("until recognisable", fontsize="medium")
    panels[-1].set_title("mean SSIMULACRA2 over log time" if seen else "bytes of use at the end", fontsize="medium")
    values = [each.point[key] for each in found]
    wide = min(values) > 0 and max(values) / min(values) >= WIDE
    for axes in panels:
        axes.set(xlabel=key, **({"xscale": "log"} if wide else {}))
        axes.grid(alpha=0.3)
    panels[-1].set_ylim(bottom=0)
    if panels[0].has_data():
        panels[0].legend(fontsize="small")
    _in_plain_numbers(*panels)
    _legend_beside(figure, panels[-1])
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


def _line(
    axes: Axes,
    found: Sequence[Summary],
    key: str,
    of: Callable[[Summary], float | None],
    label: str,
    **style: Any,
) -> None:
    ordered = sorted(found, key=lambda each: each.point[key])
    pairs = [(each.point[key], value) for each in ordered if (value := of(each)) is not None and math.isfinite(value)]
    if pairs:
        axes.plot(*zip(*pairs, strict=True), marker="o", markersize=3, label=label, **style)
