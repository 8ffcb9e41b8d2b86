"""`layercast bench lossless FOLDER`: every pixel comes back, for how many bits and seconds, beside JPEG XL.

The picture is compared after it went through the bytes of a PNG file, as a user gets it. JPEG XL (effort 7) codes the
same picture in the same process right after ours, so that both meet the same machine. Seconds are processor time of
one thread, which on an idle machine is time on the clock; they exclude process start, the first loading of weights
and the guessing of a caption.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from sim.metrics import Picture

GOAL_BPP = 9.9
WARM_UP = 64  # pixels: the side of the crop that is coded first, untimed, so that weights are loaded


class Run(NamedTuple):
    """One picture, ours and JPEG XL's."""

    picture: str
    pixels: int
    size: int
    identical: bool
    verified: bool
    encode_s: float
    decode_s: float
    jxl_size: int
    jxl_encode_s: float
    jxl_decode_s: float


def _through_png(picture: Picture) -> Picture:
    """The pixels that a PNG of the picture holds."""
    import numpy as np
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(picture).save(held, "PNG", compress_level=1)
    with Image.open(io.BytesIO(held.getvalue())) as image:
        return np.asarray(image)


def measure(path: Path) -> Run:
    """Encodes and decodes one picture, and has JPEG XL do the same."""
    import numpy as np

    import codec
    from layercast.bench.streams import encode, guess
    from sim.peers import encode_lossless

    photo = work.load(path)
    caption = guess(photo)
    codec.decode(encode(np.ascontiguousarray(photo[:WARM_UP, :WARM_UP])))
    start = time.process_time()
    data = encode(photo, caption)
    middle = time.process_time()
    decoded = codec.decode(data)
    end = time.process_time()
    peer = encode_lossless("jxl", photo)
    same = np.array_equal(_through_png(decoded.picture), photo)
    pixels = photo.shape[0] * photo.shape[1]
    return Run(
        path.name, pixels, len(data), same, bool(decoded.verified), middle - start, end - middle,
        peer.size, peer.encode_s, peer.decode_s,
    )  # fmt: skip


def report(runs: Sequence[Run]) -> Report:
    """The table of all pictures, their means, and the goals."""
    found = Report(
        "lossless", [f"{len(runs)} pictures; seconds of processor time, one thread, without process start and loading."]
    )
    columns = ("picture", "bytes", "bpp", "identical", "verified", "encode s", "decode s", "JPEG XL e7 bpp",
               "JPEG XL encode s", "JPEG XL decode s")  # fmt: skip
    table = Table(columns)
    bpp, theirs = [8 * run.size / run.pixels for run in runs], [8 * run.jxl_size / run.pixels for run in runs]
    for run, ours, other in zip(runs, bpp, theirs, strict=True):
        table.rows.append((run.picture, run.size, ours, run.identical, run.verified, run.encode_s, run.decode_s, other,
                           run.jxl_encode_s, run.jxl_decode_s))  # fmt: skip
    times = [fmean(getattr(run, name) for run in runs) for name in ("encode_s", "decode_s")]
    peers = [fmean(getattr(run, name) for run in runs) for name in ("jxl_encode_s", "jxl_decode_s")]
    same, verified = sum(run.identical for run in runs), sum(run.verified for run in runs)
    table.rows.append(("mean", fmean(run.size for run in runs), fmean(bpp), same == len(runs), verified == len(runs),
                       *times, fmean(theirs), *peers))  # fmt: skip
    found.tables.append(table)
    found.check("pixel-identical through PNG", f"{same} of {len(runs)}", "all", same == len(runs))
    found.check("verified", f"{verified} of {len(runs)}", "all", verified == len(runs))
    found.check("mean size", f"{fmean(bpp):.3f} bpp (JPEG XL e7 {fmean(theirs):.3f})", f"<= {GOAL_BPP}",
                fmean(bpp) <= GOAL_BPP)  # fmt: skip
    return found


@click.command("lossless", short_help="Every pixel comes back: bits and seconds beside JPEG XL.")
@work.picture_options
def command(folder: Path, images: int | None, match: str, workers: int, as_json: bool, strict: bool) -> None:
    """Lossless size and speed on the pictures in FOLDER beside JPEG XL effort 7 in the same run."""
    paths = work.pictures(folder, images, match)
    report(work.each(measure, [(path,) for path in paths], workers, "lossless")).show(as_json, strict)
