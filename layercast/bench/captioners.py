"""`layercast bench captioners`: what programs say of photos, beside what people said, in bytes and seconds.

DATA is a folder with `captions/flickr8k_test200.tsv.xz` and the photos `flickr8k/test200.tar`. CIDEr-D (Vedantam et
al., 2015; here 0 to 10, its rarities from these photos) and BLEU-4 against the sentences of people, in lower case.
Programs: the sentence of a similar photo by each index, the embedded captioner with several efforts and the likeliest
sentence of its widest beam; or one that is named. Beside them one person's first sentence, held against the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import click
from tqdm import tqdm

from layercast.bench.captions import read_captions
from layercast.bench.report import Report, Table
from layercast.bench.search import CAPTIONS, PHOTOS, photos_of
from layercast.bench.work import one_thread
from layercast.commands.describing import Describer, parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Says = Callable[[NDArray[np.uint8]], str | None]

GOAL_CIDER, GOAL_BYTES = 0.50, 6.0  # of the embedded captioner as `encode` has it
EFFORTS = (0, 5, 9)
PERSON, EMBEDDED = "a person", "embedded, effort 5"


class Said(NamedTuple):
    """What one program says: a sentence for each photo, seconds a photo."""

    sentences: dict[str, str]
    seconds: float


def programs(named: Describer | None) -> dict[str, Says]:
    """The one that is named, or all that come with layercast and can be had here."""
    from codec.extract.caption import guess_caption
    from codec.extract.captioner import load
    from codec.extract.describe import Extractor

    if named is not None:
        return {named.name: Extractor(named.name, named.folder).caption}
    found: dict[str, Says] = {
        "index": guess_caption,
        "index (research)": lambda photo: guess_caption(photo, "research"),
    }
    try:
        load()
    except RuntimeError:
        return found
    found |= {f"embedded, effort {effort}": Extractor("embedded", effort=effort).caption for effort in EFFORTS}
    return found | {"embedded, the likeliest": likeliest}


def likeliest(photo: NDArray[np.uint8]) -> str:
    """The first sentence of the embedded captioner's widest beam."""
    from codec.extract.caption import grid_features
    from codec.extract.captioner import WIDTHS, load, search, sentence

    vocabulary = load()[1]
    return sentence([vocabulary[word] for word in search(grid_features(photo), WIDTHS[-1])[0][1]])


def report(said: dict[str, Said], people: dict[str, list[str]]) -> Report:
    """Agreement with people, bytes, seconds, and the goals of the embedded captioner."""
    from codec import caption
    from codec.extract.agreement import spoken
    from codec.train.cider import Cider, bleu

    words = {name: [spoken(text) for text in texts] for name, texts in people.items()}
    others = {name: texts[1:] for name, texts in words.items()}
    judges = {True: (Cider(others), others), False: (Cider(words), words)}
    found = Report("captioners")
    table = Table(("program", "photos", "CIDEr-D", "BLEU-4", "caption B", "different %", "s a photo"))
    for program, (sentences, seconds) in said.items():
        cider, theirs = judges[program == PERSON]
        told = {name: spoken(text) for name, text in sentences.items()}
        score = fmean(cider(name, each) for name, each in told.items())
        size = fmean(len(caption.encode(text, guessed=True)) for text in sentences.values())
        different = 100 * len(set(sentences.values())) / len(sentences)
        table.rows.append((program, len(told), score, bleu(told, theirs), size, different, seconds or None))
        if program == EMBEDDED:
            found.check("embedded: CIDEr-D", f"{score:.3f}", f">= {GOAL_CIDER}", score >= GOAL_CIDER)
            found.check("embedded: caption", f"{size:.2f} B", f"<= {GOAL_BYTES} B", size <= GOAL_BYTES)
    found.tables.append(table)
    return found


def ask(says: Says, photos: Sequence[tuple[str, NDArray[np.uint8]]], label: str) -> Said:
    """A sentence for each photo; what is loaded once is loaded before the clock starts."""
    says(photos[0][1])
    start = time.perf_counter()
    sentences = {name: says(photo) or "" for name, photo in tqdm(photos, desc=label, disable=None, leave=False)}
    return Said(sentences, (time.perf_counter() - start) / len(photos))


@click.command("captioners", short_help="What programs say of photos, beside what people said.")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path), envvar="LAYERCAST_DATA")
@click.option("--captioner", metavar="NAME[=FOLDER]", callback=parse, help="Only this one.")
@click.option("--images", type=click.IntRange(2), default=None, help="Only the first N photos.")
@click.option("--show", type=click.IntRange(0), default=0, help="Print what was said of the first N photos as well.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of Markdown.")
@click.option("--strict", is_flag=True, help="Exit with status 1 if a goal is missed.")
def command(data: Path, captioner: Describer, images: int | None, show: int, as_json: bool, strict: bool) -> None:
    """CIDEr-D, BLEU-4, bytes and seconds of captioners on the held-out Flickr8k photos."""
    for needed in (PHOTOS, CAPTIONS):
        if not (data / needed).is_file():
            raise click.ClickException(f"{data / needed}: not there; give the folder of the data sets")
    people: dict[str, list[str]] = {}
    for image, text in read_captions(data / CAPTIONS, None):
        people.setdefault(Path(image).stem, []).append(text)
    photos = [(name, pixels) for name, pixels in photos_of(data / PHOTOS) if name in people][:images]
    people = {name: people[name] for name, _ in photos}
    one_thread()
    said = {PERSON: Said({name: texts[0] for name, texts in people.items()}, 0.0)}
    try:
        for program, says in programs(captioner if captioner.named else None).items():
            said[program] = ask(says, photos, program)
    except RuntimeError as problem:
        raise click.ClickException(str(problem)) from None
    found = report(said, people)
    for name, _ in photos[:show]:
        found.notes.append(f"{name}\n" + "\n".join(f"- {program}: {said[program].sentences[name]}" for program in said))
    found.show(as_json, strict)
