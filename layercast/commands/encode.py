"""`layercast encode`: photos to streams."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.cluster import cluster_option
from layercast.commands import describing
from layercast.commands.describing import Describer
from layercast.commands.report import Failure, Progress, failing, save, warn

if TYPE_CHECKING:
    from codec.extract.photo import Photo
    from codec.region import Region

FACES, TEXT = FOUND = ("faces", "text")  # regions that detectors find


@dataclass(frozen=True)
class Wishes:
    """What was asked for, for every photo of one call; nothing in particular, if left out."""

    caption: str | None = None
    guess: bool = True
    describer: Describer = field(default_factory=Describer)
    max_bytes: int | None = None
    bpp: float | None = None
    quality: float | None = None
    lossless: bool = False
    prefer: str | None = None
    roi: tuple[Region | str, ...] = ()
    meta: dict[str, str] = field(default_factory=dict)
    keep_location: bool = False
    limit: int = 64_000_000


def _parse_meta(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    facts = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE")
        facts[key] = text
    return facts


def _parse_regions(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[Region | str, ...]:
    from layercast.commands.network import parse_region

    regions = (value if value in FOUND else parse_region(ctx, param, value) for value in values)
    return tuple(region for region in regions if region is not None)


def _check_caption(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        _ = (value or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter("is not valid UTF-8") from None
    return value


@click.command()
@click.argument("photos", metavar="PHOTO...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", help="The stream's name, or a folder.  [default: PHOTO.lcast beside it]")
@click.option("--caption", metavar="TEXT", callback=_check_caption, help="One sentence that says what it shows.")
@click.option("--no-caption", is_flag=True, help="Send none; without --caption one is guessed, and marked as such.")
@describing.options
@click.option("--max-bytes", type=click.IntRange(min=4), metavar="N", help="Stop at N bytes.")
@click.option("--bpp", type=click.FloatRange(min=0, min_open=True), metavar="B", help="Stop at B bits per pixel.")
@click.option("--quality", type=click.FloatRange(max=100), metavar="Q", help="Stop where SSIMULACRA2 reaches Q.")
@click.option("--lossless", is_flag=True, help="Keep every bit. The default for PNG, TIFF and lossless WebP.")
@click.option("--prefer", type=click.Choice(["structure"]), help="Send outlines before finer colours.")
@click.option(
    "--roi",
    metavar="X,Y,W,H",
    multiple=True,
    callback=_parse_regions,
    help="Send these pixels first; or 'faces', or 'text', where the extra `find` finds any.",
)
@click.option("--meta", metavar="KEY=VALUE", multiple=True, callback=_parse_meta, help="A fact to travel along.")
@click.option("--keep-location", is_flag=True, help="Send the place that the camera noted; it is left out otherwise.")
@click.option("--limit", type=click.FloatRange(min=0, min_open=True), metavar="MP", default=64.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a photo.")
@cluster_option
def encode(
    photos: tuple[str, ...],
    output: str | None,
    caption: str | None,
    no_caption: bool,
    captioner: Describer,
    regions: int,
    effort: int,
    device: str | None,
    max_bytes: int | None,
    bpp: float | None,
    quality: float | None,
    lossless: bool,
    prefer: str | None,
    roi: tuple[Region | str, ...],
    meta: dict[str, str],
    keep_location: bool,
    limit: float,
    as_json: bool,
    cluster: str | None,
) -> None:
    """Make streams of photos.

    Lossless for a source that is; for a lossy one the stream stops at that source's own size, unless --lossless or a
    size or a quality is asked for. --quality is SSIMULACRA2 of the exact picture: 90 is not told apart, 70 high, 30
    low; it takes seconds more, since the picture is measured at about twenty cuts.
    """
    if sum((max_bytes is not None, bpp is not None, quality is not None, lossless)) > 1:
        raise click.UsageError("--max-bytes, --bpp, --quality and --lossless exclude one another")
    if caption is not None and no_caption:
        raise click.UsageError("--caption and --no-caption exclude one another")
    if output is not None and len(photos) > 1 and not Path(output).is_dir():
        raise click.UsageError(f"-o {output} is no folder; several photos need one")
    guess = caption is None and not no_caption and captioner.name != "none"
    by = captioner._replace(regions=regions, effort=effort, device=device)
    wishes = Wishes(
        caption, guess, by, max_bytes, bpp, quality, lossless, prefer, roi, meta, keep_location, round(limit * 1e6)
    )
    tasks = [(name, _target(name, output), wishes, as_json) for name in photos]
    good = _on_cluster(tasks, cluster) if cluster is not None else [_encode_one(*task) for task in tasks]
    if not all(good):
        click.get_current_context().exit(1)


def _on_cluster(tasks: Sequence[tuple[str, Path, Wishes, bool]], address: str) -> list[bool]:
    """The photos on a Ray cluster; what each said is said here, in their order."""
    from layercast.cluster import spread

    progress, done = Progress("encode"), count(1)
    found = spread(_quietly, tasks, address, None, lambda: progress("photos", next(done) / len(tasks)))
    progress.close()
    for out, err, _ in found:
        click.echo(err, err=True, nl=False)
        click.echo(out, nl=False)
    return [good for _, _, good in found]


def _quietly(*task: Any) -> tuple[str, str, bool]:
    """On another machine: what would have been printed, and whether it went well."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        good = _encode_one(*task)
    return out.getvalue(), err.getvalue(), good


def _target(name: str, output: str | None) -> Path:
    beside = Path(name).with_suffix(".lcast")
    if output is None:
        return beside
    return Path(output) / beside.name if Path(output).is_dir() else Path(output)


def _encode_one(name: str, target: Path, wishes: Wishes, as_json: bool) -> bool:
    """Whether it went well; says what was made, or why not."""
    start = time.perf_counter()
    try:
        photo, data = make_stream(name, wishes)
        save(target, data)
    except Failure as failure:
        failure.show()
        return False
    _tell(name, target, photo, data, time.perf_counter() - start, as_json)
    return True


def make_stream(name: str, wishes: Wishes) -> tuple[Photo, bytes]:
    """A photo and its stream; says what had to be changed. Raises Failure."""
    from codec.extract.photo import read_photo
    from layercast.encoding import MissingMetric, encode

    with failing(name):
        photo = read_photo(name, wishes.limit)
    for note in photo.notes:
        warn(name, note)
    budget = _budget(name, photo, wishes)
    caption = describing.caption(name, photo, wishes.describer) if wishes.guess else wishes.caption
    found = describing.regions(name, photo, wishes.describer)
    progress = Progress(name)
    try:
        data = encode(
            photo.picture,
            caption=caption,
            guessed=wishes.guess,
            regions=found,
            max_bytes=budget,
            quality=wishes.quality,
            prefer=wishes.prefer,
            roi=_regions(name, photo, wishes.roi),
            meta_data=_facts(name, photo, wishes),
            progress=progress,
        )
    except MissingMetric as error:
        raise Failure(name, str(error)) from None
    except ValueError as error:
        raise Failure(name, f"{error}; change that") from None
    finally:
        progress.close()
    return photo, data


def _regions(name: str, photo: Photo, wanted: Sequence[Region | str]) -> list[Region]:
    """The regions that are to go first; says what was looked for and not found. Raises Failure."""
    from codec.extract.find import NoDetector, faces, words

    regions: list[Region] = []
    for region in wanted:
        if not isinstance(region, str):
            regions.append(region)
            continue
        try:
            found = faces(photo.picture) if region == FACES else [line.region for line in words(photo.picture)]
        except NoDetector as problem:
            raise Failure(name, f"--roi {region}: {problem}") from None
        if not found:
            warn(name, f"no {region} found; nothing goes first for it")
        regions += found
    return regions


def _budget(name: str, photo: Photo, wishes: Wishes) -> int | None:
    """Bytes at which the stream stops; None for the last bit, or where a quality decides."""
    from layercast.encoding import bytes_of

    if wishes.max_bytes is not None:
        return wishes.max_bytes
    if wishes.bpp is not None:
        return bytes_of(wishes.bpp, photo.picture)
    if photo.lossless or wishes.lossless or wishes.quality is not None:
        return None
    warn(name, f"is lossy {photo.format}; the stream stops at its size, {photo.size} bytes (--lossless keeps all)")
    return photo.size


def _facts(name: str, photo: Photo, wishes: Wishes) -> dict[str, str]:
    if not wishes.keep_location:
        return wishes.meta
    if photo.location is None:
        warn(name, "has no place to keep")
        return wishes.meta
    return {"place": photo.location, **wishes.meta}


def _tell(name: str, target: Path, photo: Photo, data: bytes, seconds: float, as_json: bool) -> None:
    height, width, _ = photo.picture.shape
    bpp = 8 * len(data) / (width * height)
    if as_json:
        fields = {"file": name, "output": str(target), "width": width, "height": height, "source_bytes": photo.size}
        click.echo(json.dumps({**fields, "bytes": len(data), "bpp": round(bpp, 4), "seconds": round(seconds, 2)}))
    else:
        click.echo(f"{target}: {width}x{height}, {len(data):,} bytes, {bpp:.3f} bpp, {seconds:.1f} s")
