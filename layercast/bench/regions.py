"""`layercast bench regions`: what regions with phrases cost, and whether something stands where they say.

DATA is a folder with photos in `coco_mini/eval/` and the boxes of their objects, as people drew them, in
`coco_mini/boxes_eval.tsv`. A region *overlaps* if intersection over union with some object reaches a half, *points* if
its middle lies in the box of some object, and *names* if that object's category is a word of its phrase (for a person:
man, woman, boy, ...). Beside it boxes that know less: drawn evenly over all boxes of the grid, and those that were
found in the next photo.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import click
import numpy as np

from layercast.bench import work
from layercast.bench.report import Report, Table
from layercast.commands.describing import Describer, parse

PHOTOS, OBJECTS = "coco_mini/eval", "coco_mini/boxes_eval.tsv"
GOAL = 60.0  # bytes of five regions
HALF = 0.5
DRAWN = 200  # random boxes a photo
FRAMING = 2  # bytes of the chunk that holds the regions
_PERSON = frozenset("man men woman women boy boys girl girls child children people person player crowd group".split())

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 as shares of the picture's sides


class Thing(NamedTuple):
    """An object that people marked."""

    category: str
    box: Box


class Photo(NamedTuple):
    """What was found in one photo: boxes with phrases, bytes of their chunk, seconds; what truly is there."""

    boxes: tuple[Box, ...]
    phrases: tuple[str, ...]
    size: int
    seconds: float
    things: tuple[Thing, ...]


class Score(NamedTuple):
    """Shares, 0 to 1, of boxes that overlap an object by half and of boxes whose middle lies in one."""

    overlap: float
    point: float


def read_things(path: Path, sizes: dict[str, tuple[int, int]]) -> dict[str, tuple[Thing, ...]]:
    """The objects of each photo whose (width, height) is given."""
    found: dict[str, list[Thing]] = {name: [] for name in sizes}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        name, category, *numbers = line.split("\t")
        if name in sizes:
            x, y, w, h = (float(number) for number in numbers)
            width, height = sizes[name]
            found[name].append(Thing(category, (x / width, y / height, (x + w) / width, (y + h) / height)))
    return {name: tuple(things) for name, things in found.items()}


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def pointed_at(box: Box, things: Sequence[Thing]) -> list[Thing]:
    """The objects in whose boxes the middle of a box lies."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return [each for each in things if each.box[0] <= x <= each.box[2] and each.box[1] <= y <= each.box[3]]


def score(boxes: Sequence[tuple[Sequence[Box], Sequence[Thing]]]) -> Score:
    """Over the boxes of all photos, each beside the objects of a photo."""
    pairs = [(box, things) for found, things in boxes for box in found]
    hits = [max((overlap(box, each.box) for each in things), default=0.0) >= HALF for box, things in pairs]
    return Score(fmean(hits), fmean(bool(pointed_at(box, things)) for box, things in pairs))


def named(photos: Sequence[Photo]) -> float:
    """Share of regions whose phrase names the category of an object that they point at."""
    told = [
        any(names(phrase, each.category) for each in pointed_at(box, photo.things))
        for photo in photos
        for box, phrase in zip(photo.boxes, photo.phrases, strict=True)
    ]
    return fmean(told)


def names(phrase: str, category: str) -> bool:
    """Whether a phrase has the last word of a category in it, in the plural as well."""
    words, wanted = set(phrase.lower().split()), category.split()[-1]
    return bool(words & (_PERSON if category == "person" else {wanted, f"{wanted}s"}))


def random_boxes(seed: int) -> list[Box]:
    """Drawn evenly over all boxes of the grid of REGIONS."""
    from codec.structure.regions import GRID

    rng = np.random.default_rng(seed)
    ends = np.sort(rng.integers(0, GRID, (DRAWN, 2, 2)), axis=2)  # photos, axes, first and last cell
    return [(x0 / GRID, y0 / GRID, (x1 + 1) / GRID, (y1 + 1) / GRID) for (x0, x1), (y0, y1) in ends.tolist()]


def measure(path: Path, things: tuple[Thing, ...], by: Describer) -> Photo:
    """The regions that `by` finds in a photo."""
    from codec.extract.describe import Extractor
    from codec.structure import regions

    picture = work.load(path)
    start = time.perf_counter()
    found = Extractor(by.name, by.folder, by.device, by.effort).regions(picture, by.regions)
    seconds = time.perf_counter() - start
    grid = regions.GRID
    boxes = ((b.x0 / grid, b.y0 / grid, (b.x1 + 1) / grid, (b.y1 + 1) / grid) for b in (each.box for each in found))
    size = FRAMING + len(regions.encode(found)) if found else 0
    return Photo(tuple(boxes), tuple(each.phrase for each in found), size, seconds, things)


def report(photos: Sequence[Photo], by: Describer) -> Report:
    """Shares beside those of random boxes, bytes, seconds, and what was said of the first photos."""
    found, said = Report("regions"), [photo for photo in photos if photo.boxes]
    if not said:
        found.notes.append("no region was found in any photo")
        return found
    things = [(each.box[2] - each.box[0]) * (each.box[3] - each.box[1]) for photo in photos for each in photo.things]
    found.notes.append(
        f"{len(things)} objects; half of them cover less than {np.median(things or [0]):.1%} of a photo."
    )
    next_ones = [(photo.boxes, said[(i + 1) % len(said)].things) for i, photo in enumerate(said)]
    drawn = [(random_boxes(i), photo.things) for i, photo in enumerate(said)]
    own = score([(photo.boxes, photo.things) for photo in said])
    shares = Table(("boxes", "photos", "a photo", "overlap an object by half %", "point at an object %", "name it %"))
    count = fmean(len(photo.boxes) for photo in photos)
    shares.rows.append((by.name, len(photos), count, 100 * own.overlap, 100 * own.point, 100 * named(said)))
    for name, boxes, many in (("found in the next photo", next_ones, count), ("drawn", drawn, float(DRAWN))):
        theirs = score(boxes)
        shares.rows.append((name, len(said), many, 100 * theirs.overlap, 100 * theirs.point, None))
    full = [photo.size for photo in said if len(photo.boxes) == by.regions]
    cost = Table((f"photos with {by.regions} regions", "mean bytes", "most bytes", "mean s a photo"))
    cost.rows.append((len(full), fmean(full or [0]), max(full, default=0), fmean(photo.seconds for photo in photos)))
    found.tables += [shares, cost]
    found.check(f"{by.regions} regions, chunk and framing", f"{fmean(full or [0]):.1f} B", f"<= {GOAL:g} B",
                bool(full) and fmean(full) <= GOAL)  # fmt: skip
    return found


@click.command("regions", short_help="Boxes with phrases: bytes, and whether something stands there.")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path), envvar="LAYERCAST_DATA")
@click.option("--captioner", metavar="NAME[=FOLDER]", default="embedded", callback=parse, show_default=True)
@click.option("--regions", type=click.IntRange(1, 8), default=5, show_default=True, help="The most in a photo.")
@click.option("--effort", type=click.IntRange(0, 9), default=5, show_default=True, help="As of `encode`.")
@click.option("--images", type=click.IntRange(1), default=None, help="Only the first N photos.")
@work.options
def command(
    data: Path, captioner: Describer, regions: int, effort: int, images: int | None, workers: int, as_json: bool,
    strict: bool,
) -> None:  # fmt: skip
    """What a program finds in the photos of DATA/coco_mini/eval, beside what is there."""
    from PIL import Image

    for needed in (PHOTOS, OBJECTS):
        if not (data / needed).exists():
            raise click.ClickException(f"{data / needed}: not there; give the folder of the data sets")
    paths = work.pictures(data / PHOTOS, images, "*")
    sizes = {}
    for path in paths:
        with Image.open(path) as image:
            sizes[path.name] = (image.width, image.height)
    things = read_things(data / OBJECTS, sizes)
    by = captioner._replace(regions=regions, effort=effort)
    tasks = [(path, things[path.name], by) for path in paths]
    try:
        photos = work.each(measure, tasks, workers, "photos")
    except RuntimeError as problem:
        raise click.ClickException(str(problem)) from None
    report(photos, by).show(as_json, strict)
