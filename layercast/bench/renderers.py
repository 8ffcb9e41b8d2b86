"""`layercast bench renderers FOLDER`: what `tiny` adds to the exact picture, and whether it knows its errors.

At the thumbnail, with the edges beside it, and at prefixes of the stream. Every byte is charged. Lite0 judges, which no
renderer learnt from: the feature distance, and whether the class that it sees in the photo is among the five that it
sees in the picture. Confidence is compared with the true errors of 4x4 pixels of all pictures together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from layercast.bench import work
from layercast.bench.budgets import parse
from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from codec.decoder import Decoder

SIZES = (120, 300, 600, 1000, 2000, 3000)
STOPS = ("thumbnail", "and edges", *map(str, SIZES))
RENDERERS = ("exact", "tiny")
PEERS = ("webp", "avif")
CELL = 4  # pixels, of the errors
BINS = 10
SAMPLE = 997  # every so many cells count in the rank correlation
GOAL_RANK = 0.7


class Made(NamedTuple):
    """One picture at one stop by one renderer. errors float32[n,2]: mean absolute error and confidence of its cells."""

    stop: str
    renderer: str
    size: int
    values: dict[str, float]
    errors: NDArray[np.float32]


def decoder_at(data: bytes, stop: str) -> tuple[int, Decoder]:
    """(bytes, a decoder that holds what a stop tells); edges and their framing count where they are told."""
    from codec.decoder import Decoder, fed
    from codec.stream import Kind, read, write
    from layercast.bench.streams import thumbnail_end

    if stop == "thumbnail":
        return (end := thumbnail_end(data)), fed(data[:end])
    if stop != "and edges":
        return int(stop), fed(data[: int(stop)])
    header, chunks = read(data)
    _, first = read(data[: thumbnail_end(data)])
    told = [*first, *(chunk for chunk in chunks if chunk.kind == Kind.EDGES)]
    decoder = Decoder(header)
    for chunk in told:
        decoder.push(chunk)
    return len(write(header, told)), decoder


def cells_of(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over CELL x CELL of float32[h,w], flat; what is left at the right and below is left out."""
    height, width = (side // CELL * CELL for side in plane.shape)
    cells = plane[:height, :width].reshape(height // CELL, CELL, width // CELL, CELL)
    return np.asarray(cells.mean((1, 3)).ravel(), np.float32)


def measure(path: Path) -> list[Made]:
    """All stops and renderers of one picture."""
    from layercast.bench.measures import MAIN, measures
    from layercast.bench.streams import stream_of
    from player.renderers import render
    from sim.judge import five_classes

    photo, data, judges = work.load(path), stream_of(path), measures()
    seen = five_classes(photo)[0]
    found = []
    for stop in STOPS:
        size, decoder = decoder_at(data, stop)
        for name in RENDERERS:
            picture, sure = render(decoder, name)
            values = {measure: judges[measure](photo, picture) for measure in MAIN}
            values["class kept %"] = 100.0 * (seen in five_classes(picture))
            error = np.abs(picture.astype(np.float32) - photo).mean(2)
            found.append(Made(stop, name, size, values, np.stack([cells_of(error), cells_of(sure)], 1)))
    return found


def calibration(made: Sequence[Made]) -> tuple[Table, float]:
    """(errors by tenths of confidence, Spearman's rank correlation of confidence with smallness of error)."""
    every = np.concatenate([one.errors for one in made])
    table = Table(("confidence", "share of the area %", "mean error, levels"))
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = every[(every[:, 1] >= low) & ((every[:, 1] < high) | (number == BINS - 1))]
        mean = float(inside[:, 0].mean()) if len(inside) else None
        table.rows.append((f"{low:.1f} to {high:.1f}", 100 * len(inside) / len(every), mean))
    some = every[::SAMPLE]
    ranks = [column.argsort().argsort().astype(float) for column in (-some[:, 0], some[:, 1])]
    return table, float(np.corrcoef(ranks)[0, 1])


def compared(made: Sequence[Made], peers: Sequence[tuple[str, str, int, dict[str, float]]]) -> Table:
    """Means by stop of the renderers, and of the peers where they have a file so small."""
    names = list(made[0].values)
    table = Table(("stop", "by", "bytes", "pictures", *names))
    for stop in STOPS:
        for name in (*RENDERERS, *PEERS):
            rows = [(one.size, one.values) for one in made if (one.stop, one.renderer) == (stop, name)]
            rows += [(size, values) for at, codec, size, values in peers if (at, codec) == (stop, name)]
            if rows:
                means = [fmean(values[key] for _, values in rows) if key in rows[0][1] else None for key in names]
                table.rows.append((stop, name, fmean(size for size, _ in rows), len(rows), *means))
    return table


def wins(report: Report, made: Sequence[Made]) -> None:
    """Feature distance of tiny beside that of exact, stop by stop."""
    for stop in STOPS:
        far = [
            [one.values["feature distance"] for one in made if (one.stop, one.renderer) == (stop, name)]
            for name in RENDERERS
        ]
        better = sum(tiny < exact for exact, tiny in zip(*far, strict=True))
        exact, tiny = map(fmean, far)
        figure = f"{tiny:.3f} and {exact:.3f}, better on {better} of {len(far[0])}"
        report.check(f"{stop}: tiny nearer than exact", figure, "nearer", tiny < exact)


@click.command("renderers", short_help="What the generated picture adds, and whether it knows its errors.")
@work.picture_options
def command(folder: Path, images: int | None, match: str, workers: int, as_json: bool, strict: bool) -> None:
    """The renderer `tiny` beside the exact picture and downscaled WebP and AVIF; confidence beside true errors."""
    from layercast.bench.points import measure as points_of

    paths = work.pictures(folder, images, match)
    made = [one for some in work.each(measure, [(path,) for path in paths], workers, "renderers") for one in some]
    tasks = [(path, codec, parse(",".join(map(str, SIZES)))) for path in paths for codec in PEERS]
    peers = [
        (point.budget, point.codec, point.size, point.values)
        for some in work.each(points_of, tasks, workers, "peers")
        for point in some
    ]
    report = Report("renderers", [f"{len(paths)} pictures; every byte counted."])
    table, rank = calibration([one for one in made if one.renderer == "tiny"])
    report.tables += [compared(made, peers), table]
    wins(report, made)
    report.check("confidence ranks errors (Spearman)", f"{rank:.2f}", f">= {GOAL_RANK}", rank >= GOAL_RANK)
    report.show(as_json, strict)
