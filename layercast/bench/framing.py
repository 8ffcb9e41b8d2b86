"""`layercast bench framing FOLDER`: what the container takes for itself, at every prefix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

GOALS = ((2000, 1.5), (10_000, 1.0))  # from this many bytes on, at most this share in per cent
SHORT = 63  # bytes of payload up to which two bytes must do


class Framed(NamedTuple):
    """One stream: bytes of header and framing, chunks, dearest framing of a short and a long chunk, and the largest
    share (per cent) of framing over all prefixes of at least the bytes of each goal (None if the stream is shorter)."""

    picture: str
    size: int
    header: int
    framing: int
    chunks: int
    short: int
    long: int
    shares: tuple[float | None, ...]


def measure(path: Path) -> Framed:
    """Walks the frames of one stream."""
    from layercast.bench.streams import stream_of

    return measure_stream(path.name, stream_of(path))


def measure_stream(name: str, data: bytes) -> Framed:
    """As `measure`, of a stream's bytes."""
    from codec import stream

    _, at = stream.parse_header(data)
    frames = list(stream.frames(data, at))
    spent, ends = 0, []
    for frame in frames:
        spent += frame.body - frame.start
        ends.append((spent, frame.body))  # a prefix is dearest right behind a chunk's framing
    long = [frame.body - frame.start for frame in frames if frame.chunk.length > SHORT]
    short = [frame.body - frame.start for frame in frames if frame.chunk.length <= SHORT]
    shares = tuple(
        max((100 * taken / size for taken, size in ends if size >= least), default=None) for least, _ in GOALS
    )
    return Framed(name, len(data), at, spent, len(frames), max(short, default=0), max(long, default=0), shares)


def report(runs: Sequence[Framed]) -> Report:
    """Framing of each stream, and the goals."""
    columns = ("picture", "bytes", "header B", "framing B", "chunks", "framing %",
               *(f"largest % of a prefix from {least} B" for least, _ in GOALS))  # fmt: skip
    found, table = Report("framing"), Table(columns)
    for run in runs:
        table.rows.append((run.picture, run.size, run.header, run.framing, run.chunks, 100 * run.framing / run.size,
                           *run.shares))  # fmt: skip
    means = [fmean(getattr(run, name) for run in runs) for name in ("size", "header", "framing", "chunks")]
    share = fmean(100 * run.framing / run.size for run in runs)
    table.rows.append(("mean", *means, share, *([None] * len(GOALS))))
    found.tables.append(table)
    for at, (least, goal) in enumerate(GOALS):
        worst = max((run.shares[at] or 0.0 for run in runs), default=0.0)
        found.check(f"framing from {least} B on", f"at most {worst:.2f}%", f"<= {goal}%", worst <= goal)
    header, short, long = (max(getattr(run, name) for run in runs) for name in ("header", "short", "long"))
    found.check("header", f"at most {header} B", "<= 8 B, 4 B for common sizes", header <= 8)
    found.check(f"framing of a chunk up to {SHORT} B", f"at most {short} B", "<= 2 B", short <= 2)
    found.check("framing of a longer chunk", f"at most {long} B", "<= 3 B", long <= 3)
    return found


@click.command("framing", short_help="What header and framing take of a stream.")
@work.picture_options
def command(folder: Path, images: int | None, match: str, workers: int, as_json: bool, strict: bool) -> None:
    """Bytes of header and framing in the streams of the pictures in FOLDER."""
    paths = work.pictures(folder, images, match)
    report(work.each(measure, [(path,) for path in paths], workers, "framing")).show(as_json, strict)
