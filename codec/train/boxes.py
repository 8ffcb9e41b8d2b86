"""Learns where objects stand, from 80 photos with their boxes -> codec/weights/research/boxes.safetensors.

    python -m codec.train.boxes --data FOLDER --work FOLDER

The training photos of coco_mini. Cells of EfficientNet-Lite1 on 16 axes, whitened; a ridge regression of each box's
largest overlap with an object. Says what share of five boxes overlap an object by half, on photos left out in turn (a
quarter at a time), beside what the places of boxes alone reach. Features are kept in --work. Nothing is drawn, so there
is no seed.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from tqdm import tqdm

from codec import models
from codec.extract.boxes import SIDE, apart, described, grid, on_axes, overlaps
from codec.extract.caption import grid_features
from codec.structure.regions import GRID

AXES = 16
RIDGE = 1000.0
PARTS = 4  # photos left out in turn
COUNT = 5
Objects = dict[str, list[tuple[float, float, float, float]]]


def objects_of(path: Path, sizes: dict[str, tuple[int, int]]) -> Objects:
    """x0, y0, x1, y1 of all objects of each photo, in cells of the grid. sizes: (width, height) of the photos."""
    found: Objects = {name: [] for name in sizes}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        name, _, *numbers = line.split("\t")
        if name in sizes:
            x, y, width, height = (float(number) for number in numbers)
            across, down = (GRID / side for side in sizes[name])
            found[name].append((x * across, y * down, (x + width) * across, (y + height) * down))
    return found


def cells_of(folder: Path, work: Path) -> tuple[dict[str, tuple[int, int]], np.ndarray]:
    """Sizes of the photos of a folder and their cells, float16[n,256,1280]; the cells are kept in `work`."""
    paths, kept = sorted(folder.glob("*.jpg")), work / "boxes_cells.npz"
    sizes = {path.name: Image.open(path).size for path in paths}
    if not kept.exists():
        photos = (np.asarray(Image.open(path).convert("RGB")) for path in paths)
        cells = [grid_features(photo, SIDE) for photo in tqdm(photos, total=len(paths), disable=None)]
        np.savez(kept, cells=np.stack(cells).astype(np.float16))
    return sizes, np.load(kept)["cells"]


def axes_of(cells: np.ndarray) -> dict[str, np.ndarray]:
    """Mean and axes of all cells; on the axes they have a variance of one."""
    flat = cells.reshape(-1, cells.shape[-1]).astype(np.float32)
    mean = flat.mean(0)
    _, spread, axes = np.linalg.svd((flat - mean)[::4], full_matrices=False)
    scale = np.sqrt(len(flat[::4])) / spread[:AXES]
    return {"mean": mean, "axes": (axes[:AXES].T * scale).astype(np.float16)}


def estimate(rows: list[np.ndarray], wanted: list[np.ndarray]) -> np.ndarray:
    """Weights of what is known of a box, for the overlap to be expected; photos at a time."""
    squares = sum(row.T.astype(np.float64) @ row for row in rows)
    products = sum(row.T.astype(np.float64) @ want for row, want in zip(rows, wanted, strict=True))
    return np.linalg.solve(squares + RIDGE * np.eye(len(products)), products).astype(np.float32)


def hits(rows: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """Share of COUNT boxes a photo that overlap an object by half, each photo estimated from the other parts."""
    shares = []
    for part in range(PARTS):
        others = [i for i in range(len(rows)) if i % PARTS != part]
        weights = estimate([rows[i] for i in others], [wanted[i] for i in others])
        shares += [np.mean(wanted[i][apart(rows[i] @ weights, COUNT)] >= 0.5) for i in range(part, len(rows), PARTS)]
    return float(np.mean(shares))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("LAYERCAST_DATA")
    parser.add_argument("--data", type=Path, default=default, required=not default, help="folder of data sets")
    parser.add_argument("--work", type=Path, default=Path("runs"), help="keeps the features")
    a = parser.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    sizes, cells = cells_of(a.data / "coco_mini" / "train", a.work)
    objects = objects_of(a.data / "coco_mini" / "boxes_train.tsv", sizes)
    everywhere = grid().astype(np.float64)
    wanted = [overlaps(everywhere, np.array(objects[name]).reshape(-1, 4)).max(1, initial=0.0) for name in sizes]
    stored = axes_of(cells)
    rows = [described(on_axes(each.astype(np.float32), stored)) for each in cells]
    places = rows[0].shape[1] - 4 * AXES
    print(f"any box: {np.mean([np.mean(want >= 0.5) for want in wanted]):.3f} overlap an object by half")
    print(f"{COUNT} boxes by place and size alone: {hits([row[:, :places] for row in rows], wanted):.3f}")
    print(f"{COUNT} boxes: {hits(rows, wanted):.3f}")
    stored["estimate"] = estimate(rows, wanted)
    path = models.FOLDER / "research" / "boxes.safetensors"
    save_file(stored, path)
    path.chmod(0o644)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
