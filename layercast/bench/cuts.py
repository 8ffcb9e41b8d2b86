"""`layercast bench cuts FOLDER`: a picture at every cut, and one that does not get worse as bytes arrive."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

EVERY_BELOW = 200  # bytes: each cut below this is tried
GRID = 50  # steps of 2% of the bytes
SHOWN = 10  # of them in the table
GOAL_FALLS = {"PSNR": (0.3, " dB"), "SSIMULACRA2": (0.5, "")}
SLICE = 25  # cuts a task, so that two processes share one picture


class Tried(NamedTuple):
    """What some cuts of one stream gave: how many, which of them failed (a line each)."""

    picture: str
    cuts: int
    failures: tuple[str, ...]


class Grid(NamedTuple):
    """PSNR (dB) and SSIMULACRA2 of one stream at every step of the grid, in order."""

    picture: str
    values: dict[str, tuple[float, ...]]

    def fall(self, name: str) -> float:
        """The largest fall of a measure below a value reached earlier."""
        highest, worst = -math.inf, 0.0
        for value in self.values[name]:
            worst = max(worst, 0.0 if highest == value else highest - value)
            highest = max(highest, value)
        return worst


def chosen_cuts(data: bytes, amount: int, seed: int) -> list[int]:
    """`amount` random cuts and every cut below EVERY_BELOW bytes, from 0 on."""
    draw = random.Random(seed)
    return [*range(min(EVERY_BELOW, len(data))), *(draw.randrange(len(data)) for _ in range(amount))]


def try_cuts(path: Path, cuts: Sequence[int]) -> Tried:
    """Decodes the stream cut at each of `cuts` bytes. Before the header's end there must be one clear FormatError."""
    from codec.stream import parse_header
    from layercast.bench.streams import stream_of

    data, shape = stream_of(path), work.load(path).shape
    _, header_end = parse_header(data)
    failures = tuple(
        f"{path.name} at {cut} B: {wrong}" for cut in cuts if (wrong := _wrong(data[:cut], cut < header_end, shape))
    )
    return Tried(path.name, len(cuts), failures)


def _wrong(part: bytes, in_header: bool, shape: tuple[int, ...]) -> str:
    """What is wrong with the decoding of a cut stream; nothing is the good case."""
    from codec.stream import FormatError
    from layercast.bench.streams import picture_of

    try:
        shown = picture_of(part)
    except FormatError as error:
        return "" if in_header else f"FormatError: {error}"
    except Exception as error:  # any other exception is exactly what this looks for
        return f"{type(error).__name__}: {error}"
    if in_header:
        return "a picture before the header's end"
    return "" if shown.shape == shape and shown.dtype == "uint8" else f"a picture of {shown.shape} {shown.dtype}"


def measure_grid(path: Path) -> Grid:
    """Quality of the exact picture at every 2% of the bytes."""
    from layercast.bench.streams import picture_of, stream_of
    from sim.metrics import psnr, ssimulacra2

    data, photo = stream_of(path), work.load(path)
    shown = [picture_of(data[: round(len(data) * step / GRID)]) for step in range(1, GRID + 1)]
    judges = {"PSNR": psnr, "SSIMULACRA2": ssimulacra2}
    return Grid(path.name, {name: tuple(judge(photo, each) for each in shown) for name, judge in judges.items()})


def report(tried: Sequence[Tried], grids: Sequence[Grid]) -> Report:
    """Quality over the grid, how many cuts gave a picture, the largest falls."""
    found = Report("cuts")
    names = [grid.picture for grid in grids]
    each = max(1, GRID // SHOWN)
    for name in GOAL_FALLS:
        table = Table(("% of the bytes", *names), title=f"{name} of the exact picture")
        for step in range(each - 1, GRID, each):
            table.rows.append((100 * (step + 1) // GRID, *(grid.values[name][step] for grid in grids)))
        found.tables.append(table)
    failures = [line for some in tried for line in some.failures]
    total = sum(some.cuts for some in tried)
    found.notes += failures[:20]
    found.check("a picture at every cut", f"{total - len(failures)} of {total}", "all", not failures)
    for name, (goal, unit) in GOAL_FALLS.items():
        fall, picture = max((grid.fall(name), grid.picture) for grid in grids)
        title = f"largest fall of {name} on a grid of {100 / GRID:g}%"
        found.check(title, f"{fall:.3f}{unit} ({picture})", f"<= {goal}{unit}", fall <= goal)
    return found


@click.command("cuts", short_help="A picture at every cut, and no worse with more bytes.")
@click.option("--cuts", type=click.IntRange(0), default=200, help="Random cuts a stream.")
@click.option("--seed", type=int, default=1, help="Of the random cuts.")
@work.picture_options
def command(
    folder: Path, cuts: int, seed: int, images: int | None, match: str, workers: int, as_json: bool, strict: bool
) -> None:
    """Cuts streams of pictures in FOLDER (four, evenly spread, if not told) at random and at every early byte."""
    from layercast.bench.streams import stream_of

    paths = work.spread_pictures(folder, images, match)
    tasks = []
    for number, path in enumerate(paths):
        all_cuts = chosen_cuts(stream_of(path), cuts, seed + number)
        tasks += [(path, all_cuts[at : at + SLICE]) for at in range(0, len(all_cuts), SLICE)]
    tried = work.each(try_cuts, tasks, workers, "cuts")
    report(tried, work.each(measure_grid, [(path,) for path in paths], workers, "grid")).show(as_json, strict)
