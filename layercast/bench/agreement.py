"""`layercast bench agreement`: does the score of caption and picture tell the right pair from a wrong one?

DATA is a folder with `captions/flickr8k_test200.tsv.xz` and the photos `flickr8k/test200.tar`. Each photo is shown as
it is and as it decodes at some budgets; beside it stand the sentences that people wrote of it and those of other
photos. AUC: the share of (right, wrong) pairs in which the right one scores higher. Scores: the agreement that `info`
shows; the evidence of the embedded captioner, where its weights are, in bits a word; their sum, the evidence by 0.15.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from layercast.bench import work
from layercast.bench.captions import read_captions
from layercast.bench.report import Report, Table
from layercast.bench.search import CAPTIONS, PHOTOS, photos_of

GOAL = 0.95
SHIFTS = (1, 7, 13, 29)  # to the photos whose sentences are the wrong ones
WEIGHT = 0.15  # of evidence beside agreement; chosen on the dev photos

Scores = list[float]


class Shown(NamedTuple):
    """A photo at one budget (None: as it is): scores of its own sentences and of others', by kind of score."""

    budget: int | None
    right: dict[str, Scores]
    wrong: dict[str, Scores]


def auc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """How often a right one scores higher; a draw counts half."""
    order = np.sort(np.array(wrong))
    below, upto = (np.searchsorted(order, right, side) for side in ("left", "right"))
    return float(np.mean(below + upto) / 2 / len(order))


def measure(
    photo: np.ndarray, own: list[str], others: list[str], budgets: Sequence[int], evidence: bool
) -> list[Shown]:
    """The scores of one photo, as it is and at each budget."""
    import codec
    from codec.extract.agreement import scores
    from codec.extract.caption import grid_features

    shown: list[tuple[int | None, np.ndarray]] = [(None, photo)]
    if budgets:
        whole = codec.encode(photo, max_bytes=max(budgets))
        shown += [(budget, codec.decode(whole[:budget]).picture) for budget in budgets]
    found = []
    for budget, picture in shown:
        cells = grid_features(picture)
        right, wrong = ({"agreement": scores(cells.mean(0), texts).tolist()} for texts in (own, others))
        if evidence:
            for told, texts in ((right, own), (wrong, others)):
                told["evidence"] = bits(cells, texts)
                told["both"] = [a + WEIGHT * e for a, e in zip(told["agreement"], told["evidence"], strict=True)]
        found.append(Shown(budget, right, wrong))
    return found


def bits(cells: np.ndarray, texts: list[str]) -> Scores:
    """Evidence of the embedded captioner for each text, in bits a word."""
    import torch

    from codec.extract.agreement import spoken
    from codec.extract.captioner import load
    from codec.extract.captioner_network import LONGEST, UNKNOWN, evidence

    model, vocabulary = load()
    number = {word: i for i, word in enumerate(vocabulary)}
    told = [[number.get(word, UNKNOWN) for word in spoken(text)][: LONGEST - 1] for text in texts]
    return evidence(model, torch.from_numpy(cells), told)


def report(shown: Sequence[Shown]) -> Report:
    """AUC of each score at each budget; how many right and wrong pairs count as contradictions."""
    from codec.extract.agreement import CONTRADICTS

    found = Report("agreement")
    table = Table(
        ("picture", "photos", "score", "AUC", "right: median", "wrong: median", "right below %", "wrong below %")
    )
    for budget in dict.fromkeys(each.budget for each in shown):
        here = [each for each in shown if each.budget == budget]
        name = "as it is" if budget is None else f"{budget} B"
        for kind in here[0].right:
            right = [score for each in here for score in each.right[kind]]
            wrong = [score for each in here for score in each.wrong[kind]]
            area = auc(right, wrong)
            below = [100 * float(np.mean(np.array(some) < CONTRADICTS)) for some in (right, wrong)]
            table.rows.append((name, len(here), kind, area, float(np.median(right)), float(np.median(wrong)),
                               *(below if kind == "agreement" else (None, None))))  # fmt: skip
            if kind == "agreement":
                found.check(f"agreement, {name}", f"AUC {area:.3f}", f">= {GOAL}", area >= GOAL)
    found.tables.append(table)
    return found


@click.command("agreement", short_help="Does the score tell right captions from wrong ones?")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path), envvar="LAYERCAST_DATA")
@click.option("--budgets", default="600,3000", show_default=True, help="Bytes of the streams; '' for none.")
@click.option("--images", type=click.IntRange(2), default=None, help="Only the first N photos.")
@work.options
def command(data: Path, budgets: str, images: int | None, workers: int, as_json: bool, strict: bool) -> None:
    """AUC of right against swapped pairs of the held-out Flickr8k photos, as they are and as they decode."""
    from codec.extract.captioner import load

    for needed in (PHOTOS, CAPTIONS):
        if not (data / needed).is_file():
            raise click.ClickException(f"{data / needed}: not there; give the folder of the data sets")
    if not all(part.strip().isdecimal() for part in budgets.split(",") if budgets):
        raise click.BadParameter(f"{budgets!r} is not a list of bytes", param_hint="--budgets")
    sizes = sorted({int(part) for part in budgets.split(",")} if budgets else set())
    said: dict[str, list[str]] = {}
    for image, text in read_captions(data / CAPTIONS, None):
        said.setdefault(Path(image).stem, []).append(text)
    photos = [(name, pixels) for name, pixels in photos_of(data / PHOTOS) if name in said][:images]
    try:
        evidence = bool(load())
    except RuntimeError:
        evidence = False
    names = [name for name, _ in photos]
    tasks = []
    for i, (name, pixels) in enumerate(photos):
        away = [said[names[(i + shift) % len(names)]] for shift in SHIFTS]
        others = [theirs[k % len(theirs)] for k, theirs in enumerate(away)]
        tasks.append((pixels, said[name], [text for text in others if text not in said[name]], sizes, evidence))
    try:
        shown = [each for several in work.each(measure, tasks, workers, "photos") for each in several]
    except RuntimeError as problem:
        raise click.ClickException(str(problem)) from None
    report(shown).show(as_json, strict)
