"""`layercast bench search`: does a sentence find its photo among others, by captions alone, and how soon among many?

DATA is a folder with `captions/flickr8k_test200.tsv.xz` and the photos `flickr8k/test200.tar`. Each photo is stored as
a stream of header and caption; the other sentences that people wrote of it are what is searched for. Stored are: a
person's sentence (the ceiling), and what a program guessed. For the time, as many streams as wanted are written into an
index under the captions of `captions/flickr30k_multi30k.tsv.xz`; their directions are those of a thousand of them, over
and over, which takes the time of different ones.
"""

from __future__ import annotations

import io
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median

import click
import numpy as np
from tqdm import tqdm

from layercast.bench import work
from layercast.bench.captions import read_captions
from layercast.bench.report import Report, Table

RANKS = (1, 5, 10)
PHOTOS, CAPTIONS, MANY = (
    "flickr8k/test200.tar",
    "captions/flickr8k_test200.tsv.xz",
    "captions/flickr30k_multi30k.tsv.xz",
)
GOAL = 0.2  # seconds, among a hundred thousand
QUERIES = 20


def photos_of(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name without ending and pixels of each photo in a tar."""
    from PIL import Image

    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                yield Path(member.name).stem, np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))


def store(folder: Path, captions: dict[str, str]) -> None:
    """A stream of header and caption for each."""
    from codec import caption, stream

    for name, text in captions.items():
        chunk = stream.Chunk(stream.Kind.CAPTION, 0, caption.encode(text))
        (folder / f"{name}.lcast").write_bytes(stream.write(stream.Header(500, 375), [chunk]))


def ranks(captions: dict[str, str], queries: list[tuple[str, str]], by_meaning: bool) -> tuple[list[int], int]:
    """(for each query the place of its photo, from 1; 0: not found; bytes read of all streams)."""
    from layercast.library import Library

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        store(folder, captions)
        with Library(folder, by_meaning=by_meaning) as library:
            read = library.update().read
            found = []
            for name, text in tqdm(queries, desc="queries", disable=None, leave=False):
                names = [hit.path.stem for hit in library.find(text, max(RANKS))]
                found.append(names.index(name) + 1 if name in names else 0)
    return found, read


def times(texts: list[str], by_meaning: bool) -> list[float]:
    """Seconds of each of QUERIES searches among so many captions; loading the model is not counted."""
    from layercast import meaning
    from layercast.library import Library

    with tempfile.TemporaryDirectory() as place:
        index = Path(place) / "index"
        with Library(Path(place), index, by_meaning=by_meaning) as library:
            vectors = meaning.directions(texts[:1000]) if by_meaning else None
            with sqlite3.connect(index) as base:
                base.executemany(
                    "INSERT INTO files (path, changed, size, caption, vector) VALUES (?, 1, 1, ?, ?)",
                    (
                        (f"{i}.lcast", text, None if vectors is None else vectors[i % len(vectors)].tobytes())
                        for i, text in enumerate(texts)
                    ),
                )
                base.execute("INSERT INTO words (rowid, caption) SELECT id, caption FROM files")
            library.find("warm")
            taken = []
            for text in texts[:: max(1, len(texts) // QUERIES)][:QUERIES]:
                start = time.perf_counter()
                library.find(text)
                taken.append(time.perf_counter() - start)
    return taken


@click.command("search", short_help="Does a sentence find its photo, by captions alone?")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path), envvar="LAYERCAST_DATA")
@click.option("--many", type=click.IntRange(1), default=100_000, show_default=True, help="Captions for the time.")
@work.options
def command(data: Path, many: int, workers: int, as_json: bool, strict: bool) -> None:
    """Recall of people's sentences against stored captions, bytes read, and the time among many."""
    from codec.extract.caption import guess_caption
    from codec.extract.describe import Extractor
    from layercast import meaning

    for needed in (PHOTOS, CAPTIONS, MANY):
        if not (data / needed).is_file():
            raise click.ClickException(f"{data / needed}: not there; give the folder of the data sets")
    said: dict[str, list[str]] = {}
    for image, text in read_captions(data / CAPTIONS, None):
        said.setdefault(Path(image).stem, []).append(text)
    pictures = {name: pixels for name, pixels in photos_of(data / PHOTOS) if name in said}
    stored = {"a person's": {name: said[name][0] for name in pictures}}
    for index in ("base", "research"):
        guesses = tqdm(pictures.items(), desc=f"guesses of {index}", disable=None, leave=False)
        stored[f"guessed ({index})"] = {name: guess_caption(pixels, index) for name, pixels in guesses}
    extractor = Extractor("embedded")
    try:
        written = tqdm(pictures.items(), desc="embedded", disable=None, leave=False)
        stored["embedded"] = {name: extractor.caption(pixels) or "" for name, pixels in written}
    except RuntimeError as problem:
        click.echo(f"layercast: without the embedded captioner: {problem}", err=True)
    queries = [(name, text) for name in pictures for text in said[name][1:]]
    ways = (True, False) if meaning.available() else (False,)
    found = Report("search")
    recall = Table(
        ("stored", "searched by", "photos", "queries", *(f"recall@{n} %" for n in RANKS), "bytes read a file")
    )
    for name, captions in stored.items():
        for way in ways:
            places, read = ranks(captions, queries, way)
            shares = [100 * fmean(0 < place <= n for place in places) for n in RANKS]
            recall.rows.append(
                (name, "meaning" if way else "words", len(captions), len(queries), *shares, read / len(captions))
            )
    clock = Table(("searched by", "captions", "median s", "worst s"))
    texts = [text for _, text in read_captions(data / MANY, None)][:many]
    for way in ways:
        taken, by = times(texts, way), "meaning" if way else "words"
        clock.rows.append((by, len(texts), median(taken), max(taken)))
        found.check(f"by {by} among {len(texts)}", f"{median(taken):.3f} s", f"<= {GOAL} s", median(taken) <= GOAL)
    found.tables += [recall, clock]
    found.show(as_json, strict)
