"""`layercast bench speed FOLDER`: seconds of encoding and decoding, beside JPEG XL in the same run.

Processor seconds of one thread decide, since they hold on a busy machine too; the clock stands beside them. Process
start, the loading of weights and the guess of a caption are left out. What one chunk more costs is measured the way a
receiver meets it: the picture so far was shown, the chunk comes, the picture is shown again. `--pixels` measures one
large picture made of those in FOLDER instead, each step in a process of its own for its memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from layercast.bench import work
from layercast.bench.clock import Cost, peak_memory, timed
from layercast.bench.mosaic import mosaic, parse_pixels
from layercast.bench.report import Cell, Report, Table
from layercast.cluster import cluster_option

if TYPE_CHECKING:
    from codec.stream import Chunk, Header
    from sim.metrics import Picture

PREVIEW = 3000  # bytes
WARM_UP = 64  # pixels: the side of the crop that is coded first, untimed, so that weights are loaded
RESIDUALS = 8  # chunks tried, evenly spread
LOCAL = 0.25  # of the picture: a chunk that touches no more is a local one
ENCODE, DECODE, EARLY = "encode", "decode", f"decode {PREVIEW} B"
RESIDUAL, LATENT, WIDE = "a residual chunk more", "a local latent chunk more", "a wide latent chunk more"
STEPS = (ENCODE, DECODE, EARLY, RESIDUAL, LATENT, WIDE)
JXL = ("JPEG XL e7 encode", "JPEG XL e7 decode")
GOALS = {ENCODE: 3.0, DECODE: 1.5, EARLY: 0.3, RESIDUAL: 0.05, LATENT: 0.05, WIDE: 0.3}  # processor seconds, 768x512
GOAL_PIXELS = 768 * 512
LARGE_GOALS = {ENCODE: 95.0, DECODE: 50.0}  # seconds, 12 MP
LARGE_PIXELS = 12_000_000
GOAL_MEMORY = 3_000_000_000  # bytes


class Run(NamedTuple):
    """One picture: its pixels, the costs of each step by name (several for chunks), peak bytes of memory by step."""

    picture: str
    pixels: int
    costs: dict[str, list[Cost]]
    memory: dict[str, int]


def measure(path: Path) -> Run:
    """All steps on one picture, then JPEG XL's."""
    import codec
    from codec.stream import read
    from layercast.bench.streams import encode, guess

    photo = work.load(path)
    caption = guess(photo)
    _warm_up(photo)
    data, encoded = timed(lambda: encode(photo, caption))
    costs = {ENCODE: [encoded], DECODE: [timed(lambda: codec.decode(data))[1]]}
    costs[EARLY] = [timed(lambda: codec.decode(data[:PREVIEW]))[1]]
    costs |= chunk_costs(*read(data))
    costs |= _peer_costs(photo)
    return Run(path.name, photo.shape[0] * photo.shape[1], costs, {})


def _warm_up(photo: Picture) -> None:
    import numpy as np

    import codec
    from layercast.bench.streams import encode

    codec.decode(encode(np.ascontiguousarray(photo[:WARM_UP, :WARM_UP])))


def chunk_costs(header: Header, chunks: Sequence[Chunk]) -> dict[str, list[Cost]]:
    """What one chunk more costs to show: every latent, and RESIDUALS residual chunks."""
    import codec
    from codec.stream import Kind

    residuals = [chunk.key for chunk in chunks if chunk.kind == Kind.RESIDUAL]
    tried = set(residuals[:: max(1, len(residuals) // RESIDUALS)])
    tried |= {chunk.key for chunk in chunks if chunk.kind == Kind.LATENT}
    decoder = codec.Decoder(header, limit=header.pixels)
    costs: dict[str, list[Cost]] = {}
    for chunk in chunks:
        if chunk.key not in tried:
            decoder.push(chunk)
            continue
        decoder.picture()
        _, cost = timed(lambda chunk=chunk: _shown(decoder, chunk))  # type: ignore[misc]
        costs.setdefault(_step(header, chunk), []).append(cost)
    return costs


def _shown(decoder: Any, chunk: Chunk) -> None:
    decoder.push(chunk)
    decoder.picture()


def _step(header: Header, chunk: Chunk) -> str:
    from codec.plan import area_of
    from codec.stream import Kind

    if chunk.kind == Kind.RESIDUAL:
        return RESIDUAL
    x0, y0, x1, y1 = area_of(header, chunk.key)
    return LATENT if (x1 - x0) * (y1 - y0) <= LOCAL * header.pixels else WIDE


def _peer_costs(photo: Picture) -> dict[str, list[Cost]]:
    """JPEG XL at effort 7, lossless, one thread."""
    from PIL import Image

    from sim.peers import PEERS

    peer = PEERS["jxl"]
    assert peer.lossless is not None
    make, image = peer.lossless, Image.fromarray(photo)
    data, encoded = timed(lambda: make(image))
    return {JXL[0]: [encoded], JXL[1]: [timed(lambda: peer.decode(data))[1]]}


def measure_large(photos: Sequence[Path], pixels: int) -> Run:
    """Encoding and decoding of one large picture, each in a process of its own."""
    data, encoded, most = _alone(encode_large, photos, pixels)
    decoded, memory = _alone(decode_large, data)
    costs = {ENCODE: [encoded], DECODE: [decoded]} | _alone(peer_large, photos, pixels)
    return Run(f"{pixels / 1e6:g} MP of {len(photos)} photos", pixels, costs, {ENCODE: most, DECODE: memory})


def _alone(function: Any, *words: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=work.one_thread) as pool:
        return pool.submit(function, *words).result()


def encode_large(photos: Sequence[Path], pixels: int) -> tuple[bytes, Cost, int]:
    """The stream of the mosaic, its cost, the peak of memory."""
    from layercast.bench.streams import encode

    picture = mosaic([work.load(path) for path in photos], pixels)
    _warm_up(picture)
    data, cost = timed(lambda: encode(picture))
    return data, cost, peak_memory()


def decode_large(data: bytes) -> tuple[Cost, int]:
    """The cost of decoding, the peak of memory. ValueError if the pixels are not those encoded."""
    import codec

    decoded, cost = timed(lambda: codec.decode(data))
    if not decoded.verified:
        raise ValueError("the large picture did not come back to the last bit")
    return cost, peak_memory()


def peer_large(photos: Sequence[Path], pixels: int) -> dict[str, list[Cost]]:
    """JPEG XL on the same mosaic."""
    return _peer_costs(mosaic([work.load(path) for path in photos], pixels))


def report(runs: Sequence[Run]) -> Report:
    """Means and worst of each step, as ratios to JPEG XL where it has the step, and the goals."""
    found = Report("speed", [f"{len(runs)} pictures, one thread, without process start and loading."])
    columns = ("step", "processor s", "worst", "clock s", "of JPEG XL e7", "peak MB")
    table, theirs = Table(columns), dict(zip((ENCODE, DECODE), JXL, strict=True))
    for step in (*STEPS, *JXL):
        costs = [cost for run in runs for cost in run.costs.get(step, ())]
        if not costs:
            continue
        mean = fmean(cost.processor for cost in costs)
        peer = [cost.processor for run in runs for cost in run.costs.get(theirs.get(step, ""), ())]
        ratio: Cell = f"x{mean / fmean(peer):.1f}" if peer else None
        memory = max((run.memory[step] for run in runs if step in run.memory), default=None)
        table.rows.append((step, mean, max(cost.processor for cost in costs), fmean(c.wall for c in costs), ratio,
                           None if memory is None else memory // 1_000_000))  # fmt: skip
        _check(found, step, mean, runs)
    found.tables.append(table)
    memory = max((most for run in runs for most in run.memory.values()), default=0)
    if memory and runs[0].pixels == LARGE_PIXELS:
        goal = f"<= {GOAL_MEMORY // 1_000_000} MB"
        found.check("peak of memory", f"{memory // 1_000_000} MB", goal, memory <= GOAL_MEMORY)
    return found


def _check(found: Report, step: str, mean: float, runs: Sequence[Run]) -> None:
    """The goal of a step, for pictures of the size that it was set for."""
    sizes = {run.pixels for run in runs}
    goals = {GOAL_PIXELS: GOALS, LARGE_PIXELS: LARGE_GOALS}
    if len(sizes) == 1 and step in (held := goals.get(sizes.pop(), {})):
        found.check(f"{step}, mean", f"{mean:.3f} s", f"<= {held[step]:g} s", mean <= held[step])


def _pixels(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_pixels(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no number of pixels like 12MP") from None


@click.command("speed", short_help="Seconds of encoding, decoding and one chunk more, beside JPEG XL.")
@click.option("--pixels", metavar="N", callback=_pixels, help="One picture of so many (12MP), made of FOLDER's.")
@cluster_option
@work.picture_options
def command(
    folder: Path, pixels: int | None, images: int | None, match: str, cluster: str | None, workers: int, as_json: bool,
    strict: bool,
) -> None:  # fmt: skip
    """Seconds of processor and clock for each step on the pictures in FOLDER, beside JPEG XL effort 7."""
    paths = work.pictures(folder, images, match)
    if pixels is None:
        runs = work.each(measure, [(path,) for path in paths], workers, "speed", cluster)
    else:
        runs = work.each(measure_large, [(paths, pixels)], 1, "speed", cluster)
    report(runs).show(as_json, strict)
