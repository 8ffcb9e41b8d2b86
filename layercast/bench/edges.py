"""`layercast bench edges`: our lines and what a receiver gets of them, and Canny's, beside what people drew (BSDS500).

DATA is a folder with `bsds500/images/test` and `bsds500/boundaries/test` (the mean of the annotators' maps). A found
pixel is right if somebody drew a boundary within 0.0075 of the picture's diagonal; a boundary counts by how many drew
it, and is found if a found pixel lies as near. ODS: the best F-score of one threshold over all pictures. Nothing
is assigned one to one, so these figures compare with each other, and are a little above those of BSDS500's own program.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean

import click
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from layercast.bench import work
from layercast.bench.report import Report, Table

NEAR = 0.0075  # of the diagonal
STRENGTHS = (8, 16, 24, 32, 48, 64, 80, 96, 128, 160)
CANNY = (20, 40, 60, 80, 100, 130, 160, 200, 250, 320)  # upper thresholds; the lower ones are 0.4 of them
BLURS = (1.0, 2.0, 3.0, 4.0, 5.0)

Grey = NDArray[np.uint8]
Lines = NDArray[np.bool_]


def counts(found: Lines, drawn: Grey) -> NDArray[np.float64]:
    """(right, found, recalled, drawn): pixels, and annotators' pixels; drawn uint8[h,w] is their mean times 255."""
    near = NEAR * np.hypot(*drawn.shape)
    right = (distance_to(drawn > 0) <= near) & found
    recalled = drawn[distance_to(found) <= near]
    return np.array([right.sum(), found.sum(), recalled.sum(), drawn.sum()], float)


def distance_to(lines: Lines) -> NDArray[np.float32]:
    """Pixels from each pixel to the nearest of `lines` bool[h,w]; infinite where there is none."""
    import cv2

    if not lines.any():
        return np.full(lines.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def f_score(total: NDArray[np.float64]) -> float:
    """Of `counts` added up over pictures."""
    right, found, recalled, drawn = total
    precision, recall = right / max(found, 1), recalled / max(drawn, 1)
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def thinned(strength: Grey, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A map of lines at 1/4 as thin lines at full size: float32[h,w], strength on ridges, 0 elsewhere."""
    import cv2

    from codec.structure.ridges import ridge

    size = 4 * strength.shape[1], 4 * strength.shape[0]
    large = np.asarray(cv2.resize(strength.astype(np.float32), size), np.float32)[: shape[0], : shape[1]]
    return large * ridge(large)


def canny(picture: Grey, blur: float) -> Callable[[int], Lines]:
    """OpenCV's Canny of the blurred picture uint8[h,w,3], by its upper threshold."""
    import cv2

    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), blur)
    return lambda upper: cv2.Canny(grey, 0.4 * upper, upper, L2gradient=True) > 0


def measure(photo: Path, drawn: Path) -> tuple[dict[str, list[NDArray[np.float64]]], tuple[int, int]]:
    """(`counts` of each way at each threshold, bytes of the coarse and the fine chunk)."""
    from PIL import Image

    from codec.stream import Header
    from codec.structure.edges import EdgeDecoder, encode, extract

    picture = np.asarray(Image.open(photo).convert("RGB"))
    people = np.asarray(Image.open(drawn))
    strength = extract(picture)
    header = Header(picture.shape[1], picture.shape[0])
    payloads = encode(strength, header)
    decoder, maps = EdgeDecoder(header), {"network": strength}
    for index, name in enumerate(("coarse", "coarse + fine")):
        decoder.push(index, payloads[index])
        maps[name] = decoder.map()
    found = {}
    for name, sent in maps.items():
        lines = thinned(sent, people.shape)
        found[name] = [counts(lines >= least, people) for least in STRENGTHS]
    for blur in BLURS:
        by = canny(picture, blur)
        found[f"Canny, blur {blur}"] = [counts(by(upper), people) for upper in CANNY]
    return found, (len(payloads[0]), len(payloads[1]))


@click.command("edges", short_help="Lines beside what people drew, and beside Canny's.")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path), envvar="LAYERCAST_DATA")
@click.option("--images", type=click.IntRange(1), default=None, help="Only the first N pictures.")
@work.options
def command(data: Path, images: int | None, workers: int, as_json: bool, strict: bool) -> None:
    """ODS F-score of the edge network, of the map as decoded and of Canny on the test pictures of BSDS500."""
    photos = sorted((data / "bsds500" / "images" / "test").glob("*.jpg"))[:images]
    if not photos:
        raise click.ClickException(f"{data / 'bsds500/images/test'}: no pictures; give the folder of the data sets")
    if find_spec("cv2") is None:
        raise click.ClickException("Canny comes from OpenCV: pip install 'layercast[find]'")
    people = data / "bsds500" / "boundaries" / "test"
    total: dict[str, list[NDArray[np.float64]]] = {}
    sizes = []
    for photo in tqdm(photos, desc="pictures", disable=None):
        found, size = measure(photo, people / f"{photo.stem}.png")
        sizes.append(size)
        for name, at in found.items():
            total[name] = [a + b for a, b in zip(total.get(name, [np.zeros(4)] * len(at)), at, strict=True)]
    best = {name: max(map(f_score, at)) for name, at in total.items()}
    coarse, fine = (fmean(size[i] for size in sizes) for i in range(2))
    sent = {"coarse": coarse, "coarse + fine": coarse + fine}
    table = Table(("lines of", "pictures", "bytes", "ODS F"))
    table.rows = [(name, len(photos), sent.get(name), score) for name, score in best.items()]
    ours, theirs = best["network"], max(score for name, score in best.items() if name.startswith("Canny"))
    report = Report("edges")
    report.tables.append(table)
    report.check("network above Canny", f"{ours:.3f} and {theirs:.3f}", "more", ours > theirs)
    report.check("largest coarse chunk", f"{max(a for a, _ in sizes)} B", "<= 150 B", max(a for a, _ in sizes) <= 150)
    report.check("largest fine chunk", f"{max(b for _, b in sizes)} B", "<= 450 B", max(b for _, b in sizes) <= 450)
    report.show(as_json, strict)
