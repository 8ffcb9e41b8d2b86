"""`layercast bench caption`: what one sentence costs, as a file and under other coders, other languages, the time.

DATA is a folder with `captions/NAME.tsv.xz` (image name, tab, caption) and, for the sizes in the headers and for the
thumbnails, `coco_mini/eval/` with the photos of coco_eval. Captions of photos that are not there are given the header
of a common size. The other coders get their dictionary from `captions/coco_val2017_train.tsv.xz`, if that is there;
`--model` sets another caption model beside the default one, as `codec.train.caption train --set research --output FILE`
makes it.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import click

from layercast.bench import caption_coders, work
from layercast.bench.caption_coders import Row
from layercast.bench.report import Report, Table

SETS = ("coco_eval", "flickr8k_test200")
PHOTOS = {"coco_eval": "coco_mini/eval"}
COMMON = (480, 360)  # pixels, of photos whose size is not known
GOALS = {"coco_eval": 17.0}  # bytes
GOAL_WITH_THUMBNAIL = 40.0
SLICE = 50  # captions a task
TRAINING = "coco_val2017_train"
GOAL_PAYLOAD, GOAL_HIGH, GOAL_MS = 9.2, 16.0, 5.0  # bytes: mean, 95th percentile, on coco_eval; each way


class Sentence(NamedTuple):
    """One caption: bytes of its UTF-8, of zlib, of header and caption as a file, and whether it came back."""

    text: int
    zlib: int
    file: int
    same: bool


class Pictured(NamedTuple):
    """One photo: mean bytes of header, caption and thumbnail over its captions; of the thumbnail with its framing."""

    file: float
    thumbnail: int


def read_captions(path: Path, images: int | None) -> list[tuple[str, str]]:
    """Image name and caption of every line, of the first `images` images."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        pairs = [(name, text) for name, _, text in (line.rstrip("\n").partition("\t") for line in lines)]
    chosen = set(list(dict.fromkeys(name for name, _ in pairs))[:images])
    return [pair for pair in pairs if pair[0] in chosen]


def _size(folder: Path | None, name: str) -> tuple[int, int]:
    """Width and height of the photo, if it is there."""
    from PIL import Image

    if folder is None or not (folder / name).is_file():
        return COMMON
    with Image.open(folder / name) as image:
        return int(image.width), int(image.height)


def measure(pairs: Sequence[tuple[str, str]], folder: Path | None) -> list[Sentence]:
    """Writes header and caption of each pair (image name, text) as a file and reads it back."""
    from codec import caption, stream

    found = []
    for name, text in pairs:
        header = stream.Header(*_size(folder, name))
        data = stream.write(header, [stream.Chunk(stream.Kind.CAPTION, 0, caption.encode(text))])
        back = caption.decode(stream.read(data, strict=True)[1][0].payload)
        found.append(Sentence(len(text.encode()), len(zlib.compress(text.encode(), 9)), len(data), back.text == text))
    return found


def measure_pictured(path: Path, texts: Sequence[str]) -> Pictured:
    """Header, caption and thumbnail of one photo as a file, for each of its captions."""
    from codec import caption, stream
    from codec.latent.encoder import encode as encode_latents

    photo = work.load(path)
    header = stream.Header(photo.shape[1], photo.shape[0])
    thumbnail = stream.Chunk(stream.Kind.LATENT, 0, encode_latents(photo, replace(header, base=1)).payloads[0])
    sizes = [
        len(stream.write(header, [stream.Chunk(stream.Kind.CAPTION, 0, caption.encode(text)), thumbnail]))
        for text in texts
    ]
    return Pictured(fmean(sizes), len(stream.write(header, [thumbnail])) - len(header.encode()))


def report(sentences: dict[str, list[Sentence]], pictured: Sequence[Pictured]) -> Report:
    """Means of each set, and the goals."""
    columns = ("set", "captions", "text B", "zlib B", "header + caption as a file B", "longest B", "came back")
    found, table = Report("caption"), Table(columns)
    for name, runs in sentences.items():
        file, same = fmean(run.file for run in runs), sum(run.same for run in runs)
        table.rows.append((name, len(runs), fmean(run.text for run in runs), fmean(run.zlib for run in runs), file,
                           max(run.file for run in runs), same))  # fmt: skip
        if name in GOALS:
            found.check(f"{name}: header + caption", f"{file:.2f} B", f"<= {GOALS[name]} B", file <= GOALS[name])
        found.check(f"{name}: every caption comes back", f"{same} of {len(runs)}", "all", same == len(runs))
    found.tables.append(table)
    if pictured:
        file, thumbnail = fmean(run.file for run in pictured), max(run.thumbnail for run in pictured)
        goal = GOAL_WITH_THUMBNAIL
        found.check("coco_eval: with the thumbnail", f"{file:.2f} B", f"<= {goal} B", file <= goal)
        found.check("longest thumbnail with its framing", f"{thumbnail} B", "<= 21 B", thumbnail <= 21)
    return found


def add_coders(found: Report, coders: dict[str, list[Row]], above: dict[str, int]) -> None:
    """Payloads under each coder, other languages, the time, and the goals."""
    for name, rows in coders.items():
        table = Table(("coder", "mean B", "95th percentile B", "encode ms", "decode ms"), title=name)
        table.rows += [(row.coder, row.mean, row.high, row.encode_ms, row.decode_ms) for row in rows]
        found.tables.append(table)
        base = rows[0]
        if name in GOALS:
            goal = f"<= {GOAL_PAYLOAD} B, 95% <= {GOAL_HIGH:g} B"
            found.check(f"{name}: payload", f"{base.mean:.2f} B, 95% {base.high:g} B", goal,
                        base.mean <= GOAL_PAYLOAD and base.high <= GOAL_HIGH)  # fmt: skip
        slowest = max(base.encode_ms or 0.0, base.decode_ms or 0.0)
        found.check(f"{name}: each way", f"{slowest:.1f} ms", f"<= {GOAL_MS:g} ms", slowest <= GOAL_MS)
    figures = ", ".join(f"{name} {more:+d}" for name, more in above.items())
    found.check("bytes above UTF-8", figures, "<= 1", max(above.values()) <= 1)


@click.command("caption", short_help="One sentence as a file, beside zlib; with the thumbnail.")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path), envvar="LAYERCAST_DATA")
@click.option("--images", type=click.IntRange(1), default=None, help="Only the captions of the first N images.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Another one, beside ours.")
@work.options
def command(data: Path, images: int | None, model: Path | None, workers: int, as_json: bool, strict: bool) -> None:
    """Bytes of header and caption on the caption sets in DATA/captions."""
    from codec.models import FOLDER

    sentences, pictured = {}, []
    coders: dict[str, list[Row]] = {}
    models = {"layercast (base)": FOLDER / "base" / "caption.safetensors"}
    if model is not None:
        models[f"layercast ({model.name})"] = model
    training = data / "captions" / f"{TRAINING}.tsv.xz"
    taught = [text for _, text in read_captions(training, None)] if training.is_file() else []
    for name in SETS:
        source = data / "captions" / f"{name}.tsv.xz"
        if not source.is_file():
            raise click.ClickException(f"{source}: not there; give the folder that holds captions/")
        pairs, folder = read_captions(source, images), data / PHOTOS[name] if name in PHOTOS else None
        if taught:
            coders[name] = caption_coders.compare([text for _, text in pairs], taught, models)
        tasks = [(pairs[at : at + SLICE], folder) for at in range(0, len(pairs), SLICE)]
        sentences[name] = [run for runs in work.each(measure, tasks, workers, name) for run in runs]
        if folder is not None:
            texts: dict[str, list[str]] = {}
            for image, text in pairs:
                texts.setdefault(image, []).append(text)
            there = [(folder / image, held) for image, held in texts.items() if (folder / image).is_file()]
            pictured += work.each(measure_pictured, there, workers, "thumbnails")
    found = report(sentences, pictured)
    add_coders(found, coders, caption_coders.above_raw())
    found.show(as_json, strict)
