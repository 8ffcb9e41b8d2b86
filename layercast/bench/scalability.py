"""`layercast bench scalability FOLDER`: what it costs to cut one long stream instead of encoding for a size.

`--max-bytes N` gives the first N bytes of the full stream, so comparing with that would say nothing. Each cut is
compared with the best of several encodes made for N bytes alone: each base mark that ends a step of the latents, with
and without what shows no pixel (caption, structure). The rate cost is how many per cent more bytes of the full stream
reach the PSNR of that best one; a positive figure is a loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import click

from layercast.bench import work
from layercast.bench.budgets import Budget, parse
from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from sim.metrics import Picture

BUDGETS = "600,1000,2000,3000,0.1bpp,0.25bpp,0.5bpp,1bpp,2bpp"
GOAL_COST = 8.0  # per cent


class Cost(NamedTuple):
    """One picture at one budget: PSNR of the cut and of the best encode for that size, which one that is, the bytes of
    the full stream that reach it, and whether --max-bytes gives the cut itself."""

    picture: str
    budget: str
    size: int
    cut: float
    tuned: float
    how: str
    reached: int
    same: bool

    @property
    def percent(self) -> float:
        """More bytes than the encode made for the size, in per cent; 0 where the cut is as good."""
        return 100 * (self.reached / self.size - 1)


def measure(path: Path, budgets: Sequence[Budget]) -> list[Cost]:
    """The rate cost of cutting one picture's stream at each budget below its size."""
    from layercast.bench.streams import picture_of, stream_of
    from layercast.encoding import shortest
    from sim.metrics import psnr

    photo, data = work.load(path), stream_of(path)
    rivals = tuned(photo)
    found = []
    for budget in budgets:
        size = budget.bytes(photo.shape[0] * photo.shape[1])
        if size >= len(data):
            continue
        cut = psnr(photo, picture_of(data[:size]))
        scores = {how: psnr(photo, picture_of(other[:size])) for how, other in rivals.items()}
        how, best = max(scores.items(), key=lambda each: each[1])
        if best <= cut:
            how, best, reached = "the cut", cut, size
        else:
            reached = len(shortest(data, photo, best, psnr))
        found.append(Cost(path.name, budget.label, size, cut, best, how, reached, _same(photo, data, size)))
    return found


def _same(photo: Picture, data: bytes, size: int) -> bool:
    """Whether an encode told to stop at `size` bytes gives the cut of the full stream."""
    from layercast.bench.streams import encode
    from layercast.stream import Stream

    return encode(photo, Stream(data).caption, max_bytes=size) == data[:size]


def tuned(photo: Picture) -> dict[str, bytes]:
    """Streams to cut at any size, by how they were made."""
    from codec.latent.layout import tiles
    from codec.stream import parse_header
    from layercast.bench.streams import encode

    whole = encode(photo)
    header, _ = parse_header(whole)
    steps = [tile.step for tile in tiles(header.width, header.height, header.weights)]
    ends = sorted({steps.index(step) + steps.count(step) for step in steps})
    made = {"all latents, with structure": whole}
    for end in ends:
        made[f"base of {end} latents alone"] = bare(encode(photo, base=end))
    return made


def bare(data: bytes) -> bytes:
    """A stream without what shows no pixel."""
    from codec.stream import Kind, read, write

    header, chunks = read(data)
    return write(header, [chunk for chunk in chunks if chunk.kind in (Kind.LATENT, Kind.RESIDUAL, Kind.CHECK)])


def report(costs: Sequence[Cost], budgets: Sequence[Budget]) -> Report:
    """Means by budget, and the goal."""
    same = sum(cost.same for cost in costs)
    note = f"`--max-bytes N` gives the first N bytes of the full stream: {same} of {len(costs)} are equal byte by byte."
    found = Report("scalability", [note])
    columns = ("budget", "pictures", "PSNR of the cut", "PSNR of the best", "rate cost %", "worst %", "the best")
    table = Table(columns)
    for budget in budgets:
        some = [cost for cost in costs if cost.budget == budget.label]
        if not some:
            continue
        ways = [cost.how for cost in some]
        common = max(sorted(set(ways)), key=ways.count)
        mean = fmean(cost.percent for cost in some)
        table.rows.append((budget.label, len(some), fmean(c.cut for c in some), fmean(c.tuned for c in some), mean,
                           max(cost.percent for cost in some), f"{common} ({ways.count(common)})"))  # fmt: skip
        found.check(f"rate cost at {budget.label}", f"{mean:.1f}%", f"<= {GOAL_COST:g}%", mean <= GOAL_COST)
    found.tables.append(table)
    return found


@click.command("scalability", short_help="What cutting a long stream costs beside encoding for a size.")
@click.option("--budgets", default=BUDGETS, help="Bytes or bits per pixel, by commas.")
@work.picture_options
def command(
    folder: Path, budgets: str, images: int | None, match: str, workers: int, as_json: bool, strict: bool
) -> None:
    """Cuts of full streams of pictures in FOLDER (four, evenly spread, if not told) beside encodes for the size."""
    try:
        sizes = [budget for budget in parse(budgets) if budget.amount]
    except ValueError:
        raise click.BadParameter("bytes (600) or bits per pixel (0.25bpp) by commas", param_hint="--budgets") from None
    paths = work.spread_pictures(folder, images, match)
    found = work.each(measure, [(path, sizes) for path in paths], workers, "scalability")
    report([cost for some in found for cost in some], sizes).show(as_json, strict)
