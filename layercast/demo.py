"""`layercast demo`: one photo over three thin links, and what a person sees at each moment, beside a progressive
JPEG."""

from __future__ import annotations

import io
import json
import math
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.report import Failure, Progress, failing, save, warn

if TYPE_CHECKING:
    from codec.extract.photo import Photo
    from sim.link import LinkSpec
    from sim.metrics import Picture
    from sim.watch import View

    Bands = list[tuple[LinkSpec, list[View], list[View]]]

TIMES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
LINKS = ((2_000, 1.0, 0.0), (10_000, 0.1, 0.05), (100_000, 0.05, 0.0))
"""bit/s, seconds of one-way delay, share of packets lost."""
JPEG_QUALITY = 75
LONG_SIDE = 768
"""Pixels; a larger photo is scaled down, so that the demo stays a matter of seconds."""
BUNDLED = "rocket.webp"
BUNDLED_CAPTION = "A rocket stands on its launch pad at dusk."


@click.command()
@click.argument("image", required=False, metavar="[IMAGE]")
@click.option("-o", "--output", default="demo", metavar="FOLDER", show_default=True, help="Where to put timeline.png.")
@click.option("--caption", metavar="TEXT", help="The caption of IMAGE; guessed otherwise.")
@click.option("--seed", default=0, show_default=True, help="Chooses which packets are lost.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a moment instead of tables.")
def demo(image: str | None, output: str, caption: str | None, seed: int, as_json: bool) -> None:
    """See a photo arrive over three thin links: 2 kbit/s, 10 kbit/s with loss, 100 kbit/s.

    Encodes IMAGE (or the bundled photo of a rocket), sends it over three simulated links, and shows what there is to be
    seen after 1, 2, 5, 10, 30 and 60 seconds: as tables, and as pictures in timeline.png. Beside each the same photo as
    a progressive JPEG of quality 75 on an ideal reliable stream over the same link.
    """
    import codec
    from codec.extract.photo import read_photo

    folder = _folder(output)
    path = Path(image) if image is not None else Path(str(files("layercast") / "assets" / BUNDLED))
    name = image or "the bundled photo"
    with failing(path):
        photo = read_photo(path)
    for note in photo.notes:
        warn(path, note)
    picture = _shrunk(path, photo)
    guessed = image is not None and caption is None
    caption = _guess(name, picture) if guessed else BUNDLED_CAPTION if caption is None else caption or None
    progress = Progress(name)
    try:
        stream = codec.encode(
            picture, caption=caption, guessed=guessed, progress=lambda stage, share: progress(stage, share * 0.4)
        )
        bands = _watch(picture, stream, seed, progress)
    finally:
        progress.close()
    _save_sheet(folder / "timeline.png", picture, stream, guessed, bands)
    if as_json:
        _print_json(bands)
    else:
        _print_tables(name, picture, stream, caption, bands)
        click.echo(f"{folder / 'timeline.png'}: what there was to be seen")


def _folder(output: str) -> Path:
    """The folder, made if need be: before the work, so that a bad name costs no time."""
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(output, f"cannot be made a folder ({error.strerror}); choose another with -o") from None
    return Path(output)


def _guess(name: str, picture: Picture) -> str | None:
    """What the photo may show, marked as a guess; None with a warning if nothing here can guess."""
    from codec.extract.caption import guess_caption

    try:
        caption = guess_caption(picture)
    except RuntimeError as error:
        warn(name, f"{error}; sent without a caption")
        return None
    warn(name, f'caption guessed, likely wrong: "{caption}" (--caption TEXT gives one)')
    return caption


def _shrunk(path: Path, photo: Photo) -> Picture:
    import numpy as np
    from PIL import Image

    height, width = photo.picture.shape[:2]
    if max(height, width) <= LONG_SIDE:
        return photo.picture
    scale = LONG_SIDE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    warn(path, f"is {width}x{height}; the demo sends it as {size[0]}x{size[1]}")
    planes = [photo.picture[:, :, channel] for channel in range(photo.picture.shape[2])]
    small = [Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS) for plane in planes]
    return np.stack([np.asarray(plane, np.uint8) for plane in small], axis=2)


def _watch(picture: Picture, stream: bytes, seed: int, progress: Progress) -> Bands:
    from sim import progressive
    from sim.link import LinkSpec
    from sim.watch import measured, watch_jpeg, watch_stream

    jpeg, links, rows = progressive.encode(picture, JPEG_QUALITY), [LinkSpec(*figures) for figures in LINKS], []
    for place, link in enumerate(links):
        progress(str(link), 0.4 + 0.1 * place)
        rows += [watch_stream(stream, link, TIMES, seed), watch_jpeg(jpeg, link, TIMES, seed)]
    rows = measured(rows, picture, lambda share: progress("quality", 0.7 + 0.3 * share))
    return list(zip(links, rows[::2], rows[1::2], strict=True))


def _save_sheet(target: Path, picture: Picture, stream: bytes, guessed: bool, bands: Bands) -> None:
    from layercast.sheet import Row, draw, size_text

    height, width = picture.shape[:2]
    notes = (
        f"{width}x{height}, a lossless stream of {size_text(len(stream))}. What there is to be seen, seconds after the"
        " start: bytes held, layers, quality, caption"
        f"{' (guessed)' if guessed else ''}.",
        f"Beside it the same photo as a progressive JPEG of quality {JPEG_QUALITY}"
        " on an ideal reliable stream over the same link.",
    )
    rows = [
        (str(link), [Row("layercast", ours, True), Row("progressive JPEG", theirs, False)])
        for link, ours, theirs in bands
    ]
    held = io.BytesIO()
    draw(picture, "One photo over three thin links", notes, rows).save(held, "PNG")
    save(target, held.getvalue())


def _print_json(bands: Bands) -> None:
    for link, ours, theirs in bands:
        for codec_name, views in (("layercast", ours), ("progressive jpeg", theirs)):
            for view in views:
                click.echo(json.dumps(_fields(link, codec_name, view), ensure_ascii=False))


def _fields(link: LinkSpec, codec_name: str, view: View) -> dict[str, Any]:
    exact = view.psnr is not None and math.isinf(view.psnr)
    return {
        "rate": link.rate,
        "delay": link.delay,
        "loss": link.loss,
        "codec": codec_name,
        "time": view.time,
        "bytes": view.bytes,
        "wire_bytes": view.wire,
        "layers": list(view.layers),
        "caption": view.caption,
        "exact": exact,
        "psnr": None if exact or view.psnr is None else round(view.psnr, 3),
        "ssimulacra2": None if view.ssimulacra2 is None or math.isnan(view.ssimulacra2) else round(view.ssimulacra2, 3),
    }


def _print_tables(name: str, picture: Picture, stream: bytes, caption: str | None, bands: Bands) -> None:
    height, width = picture.shape[:2]
    click.echo(f"{name}: {width}x{height}, lossless in {len(stream):,} bytes" + (f', "{caption}"' if caption else ""))
    for link, ours, theirs in bands:
        click.echo(f"\n{link}")
        click.echo(f"{'':>6}  {'layercast':<62}  progressive JPEG, quality {JPEG_QUALITY}")
        head = f"{'PSNR':>6} {'SSIMULACRA2':>11}"
        click.echo(f"{'time':>6}  {'bytes':>8}  {'layers':<33} {head}  {'bytes':>8} {head}")
        for mine, peer in zip(ours, theirs, strict=True):
            layers = "+".join(mine.layers) or "-"
            left = f"{mine.time:>4g} s  {mine.bytes:>8,}  {layers:<33} {_figures(mine)}"
            click.echo(f"{left}  {peer.bytes:>8,} {_figures(peer)}")
    click.echo()


def _figures(view: View) -> str:
    if view.psnr is None or view.ssimulacra2 is None:
        return f"{'-':>6} {'-':>11}"
    psnr = "exact" if math.isinf(view.psnr) else f"{view.psnr:.2f}"
    score = "-" if math.isnan(view.ssimulacra2) else f"{view.ssimulacra2:.1f}"
    return f"{psnr:>6} {score:>11}"
