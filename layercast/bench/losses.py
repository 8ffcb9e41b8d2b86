"""`layercast bench losses FOLDER`: what remains of a picture when chunks are lost at random.

Three proofs and a figure. With the base kept, a tenth or a third of the chunks lost must leave at least the picture of
a small gap-free prefix. With latents lost too, the residual must never do harm: its picture is compared with that of
the same latents alone. One latent chunk lost must change no pixel outside the areas of the chunks that need it. And the
share of the bytes that one lost chunk makes useless, by layer.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from codec.stream import Chunk, Header, Key

CASES = ((0.10, 0.05), (0.30, 0.015))  # share of chunks lost; share of bytes of the gap-free prefix to match


class Kept(NamedTuple):
    """Mean PSNR (dB) over the seeds with the base kept, and that of the prefix it has to match."""

    picture: str
    lost: float
    psnr: float
    prefix: float


class Harm(NamedTuple):
    """Any chunk lost, latents too: mean PSNR (dB), that without the residual, and the smallest gain over the seeds."""

    picture: str
    lost: float
    psnr: float
    latents: float
    smallest_gain: float


class Spread(NamedTuple):
    """One latent chunk removed at a time: how many were tried, which of them changed pixels outside their area."""

    picture: str
    tried: int
    escaped: tuple[int, ...]


class Useless(NamedTuple):
    """For each lost chunk its layer and the share of the stream's bytes, less its own, that can no longer be used."""

    picture: str
    layers: tuple[str, ...]
    shares: tuple[float, ...]


def _read(path: Path) -> tuple[bytes, Header, list[Chunk]]:
    from codec import stream
    from layercast.bench.streams import stream_of

    data = stream_of(path)
    return data, *stream.read(data)


def _without(header: Header, chunks: Sequence[Chunk], lost: set[Key]) -> bytes:
    """The file of the chunks that are not lost."""
    from codec import stream

    return stream.write(header, [chunk for chunk in chunks if chunk.key not in lost])


def _in_base(header: Header, key: Key) -> bool:
    """Whether a chunk is the thumbnail or a latent of the base."""
    from codec.stream import Kind

    return key[0] == Kind.LATENT and key[1] < max(header.base, 1)


def _draw(keys: Sequence[Key], share: float, seed: int) -> set[Key]:
    return set(random.Random(seed).sample(list(keys), round(len(keys) * share)))


def measure_kept(path: Path, lost: float, prefix: float, seeds: int) -> Kept:
    """A share of the chunks lost at random, header, thumbnail and the base's latents kept."""
    from layercast.bench.streams import picture_of
    from sim.metrics import psnr

    data, header, chunks = _read(path)
    photo = work.load(path)
    free = [chunk.key for chunk in chunks if not _in_base(header, chunk.key)]
    found = [psnr(photo, picture_of(_without(header, chunks, _draw(free, lost, seed)))) for seed in range(seeds)]
    return Kept(path.name, lost, fmean(found), psnr(photo, picture_of(data[: round(len(data) * prefix)])))


def measure_harm(path: Path, lost: float, seeds: int) -> Harm:
    """A share of all chunks lost at random, with what is left of the residual and without."""
    from codec.stream import Kind
    from layercast.bench.streams import picture_of
    from sim.metrics import psnr

    _, header, chunks = _read(path)
    photo = work.load(path)
    residual = {chunk.key for chunk in chunks if chunk.kind == Kind.RESIDUAL}
    found, bare = [], []
    for seed in range(seeds):
        gone = _draw([chunk.key for chunk in chunks], lost, seed)
        found.append(psnr(photo, picture_of(_without(header, chunks, gone))))
        bare.append(psnr(photo, picture_of(_without(header, chunks, gone | residual))))
    smallest = min(0.0 if a == b else a - b for a, b in zip(found, bare, strict=True))
    return Harm(path.name, lost, fmean(found), fmean(bare), smallest)


def dependents(header: Header, chunks: Sequence[Chunk]) -> dict[Key, set[Key]]:
    """For every chunk, the chunks of the stream that need it, directly or through others."""
    from codec.plan import needs_of

    direct: dict[Key, set[Key]] = {chunk.key: set() for chunk in chunks}
    for chunk in chunks:
        for need in needs_of(header, chunk.key):
            direct.setdefault(need, set()).add(chunk.key)
    return {key: _reach(direct, key) for key in direct}


def _reach(direct: dict[Key, set[Key]], start: Key) -> set[Key]:
    """All keys that can be reached from `start`, without it."""
    found: set[Key] = set()
    waiting = list(direct.get(start, ()))
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += direct.get(key, ())
    return found - {start}


def measure_useless(path: Path) -> Useless:
    """Share of bytes (framing included) that one lost chunk makes useless, for every chunk."""
    from codec import stream
    from codec.plan import layer_of
    from layercast.bench.streams import stream_of

    data = stream_of(path)
    header, at = stream.parse_header(data)
    frames = list(stream.frames(data, at))
    size = {frame.chunk.key: frame.end - frame.start for frame in frames}
    needing = dependents(header, [frame.chunk for frame in frames])
    return Useless(
        path.name,
        tuple(layer_of(kind) for kind, _ in size),
        tuple(sum(size.get(other, 0) for other in needing[key]) / len(data) for key in size),
    )


def measure_spread(path: Path, most: int) -> Spread:
    """Removes up to `most` latent chunks, one at a time, from the full stream and looks where pixels change."""
    import numpy as np

    from codec.plan import area_of
    from codec.stream import Kind
    from layercast.bench.streams import picture_of

    data, header, chunks = _read(path)
    full, needing = picture_of(data), dependents(header, chunks)
    latents = [chunk.key for chunk in chunks if chunk.kind == Kind.LATENT]
    latents = latents[:: max(1, -(-len(latents) // most))]
    escaped = []
    for key in latents:
        changed = (picture_of(_without(header, chunks, {key})) != full).any(axis=2)
        for other in {key} | needing[key]:
            x0, y0, x1, y1 = area_of(header, other)
            changed[y0:y1, x0:x1] = False
        if np.any(changed):
            escaped.append(key[1])
    return Spread(path.name, len(latents), tuple(escaped))


def _kept_checks(found: Report, kept: Sequence[Kept]) -> None:
    table = Table(("chunks lost %", "prefix % of bytes", "PSNR dB", "PSNR dB of the prefix"), title="The base kept")
    for lost, prefix in CASES:
        runs = [run for run in kept if run.lost == lost]
        ours, goal = fmean(run.psnr for run in runs), fmean(run.prefix for run in runs)
        table.rows.append((100 * lost, 100 * prefix, ours, goal))
        found.check(
            f"{lost:.0%} of the chunks lost, base kept", f"{ours:.2f} dB", f">= {goal:.2f} dB, the prefix", ours >= goal
        )
    found.tables.append(table)


def _harm_checks(found: Report, harms: Sequence[Harm]) -> None:
    columns = ("chunks lost %", "PSNR dB", "PSNR dB without residual", "smallest gain dB")
    table = Table(columns, title="Latents lost too")
    for lost, _ in CASES:
        runs = [run for run in harms if run.lost == lost]
        worst = min(runs, key=lambda run: run.smallest_gain)
        table.rows.append(
            (100 * lost, fmean(r.psnr for r in runs), fmean(r.latents for r in runs), worst.smallest_gain)
        )
        figure = f"smallest gain {worst.smallest_gain:.3f} dB ({worst.picture})"
        found.check(
            f"{lost:.0%} lost, latents too: the residual never harms", figure, ">= 0 dB", worst.smallest_gain >= 0
        )
    found.tables.append(table)


def _useless_table(useless: Sequence[Useless]) -> Table:
    by_layer: dict[str, list[float]] = {}
    for run in useless:
        for layer, share in zip(run.layers, run.shares, strict=True):
            by_layer.setdefault(layer, []).append(share)
    table = Table(
        ("layer of the lost chunk", "mean %", "worst %", "chunks"), title="Bytes made useless by one lost chunk"
    )
    table.rows += [(name, 100 * fmean(held), 100 * max(held), len(held)) for name, held in by_layer.items()]
    return table


def report(
    kept: Sequence[Kept], harms: Sequence[Harm], spreads: Sequence[Spread], useless: Sequence[Useless]
) -> Report:
    """Every proof and figure of this module."""
    found = Report("losses")
    _kept_checks(found, kept)
    _harm_checks(found, harms)
    escaped = [f"{run.picture} {index}" for run in spreads for index in run.escaped]
    tried = sum(run.tried for run in spreads)
    figure = f"{tried - len(escaped)} of {tried} chunks stayed inside" + "".join(
        f"; not {name}" for name in escaped[:5]
    )
    found.check("one latent chunk removed changes no pixel elsewhere", figure, "all", not escaped)
    found.tables.append(_useless_table(useless))
    return found


@click.command("losses", short_help="What remains when chunks are lost at random.")
@click.option("--seeds", type=click.IntRange(1), default=20, help="Random losses a picture.")
@click.option("--latents", type=click.IntRange(1), default=12, help="Latent chunks removed one at a time, a picture.")
@work.picture_options
def command(
    folder: Path, seeds: int, latents: int, images: int | None, match: str, workers: int, as_json: bool, strict: bool
) -> None:
    """Removes chunks at random from the streams of the pictures in FOLDER."""
    paths = work.pictures(folder, images, match)
    kept = [(path, lost, prefix, seeds) for path in paths for lost, prefix in CASES]
    harms = [(path, lost, seeds) for path in paths for lost, _ in CASES]
    found = report(
        work.each(measure_kept, kept, workers, "base kept"),
        work.each(measure_harm, harms, workers, "latents lost too"),
        work.each(measure_spread, [(path, latents) for path in paths], workers, "one latent"),
        work.each(measure_useless, [(path,) for path in paths], workers, "useless bytes"),
    )
    found.notes.append(f"{len(paths)} pictures, {seeds} seeds.")
    found.show(as_json, strict)
