"""Where something stands in a picture: boxes on the grid of REGIONS, the likeliest objects first. No names yet.

    photo ─► 512x512 ─► EfficientNet-Lite1 ─► 16x16 cells of 1,280 ─► 16 axes ─┐
    every box of a grid of sizes and places ─► means inside, means around ──────┴─► expected overlap with an object

A linear estimate of the largest overlap (intersection over union) that a box has with any object, learned by
codec/train/boxes.py from the boxes of 80 COCO photos. Most of what it knows is where and how large objects tend to be;
what the cells look like adds a third to that.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from codec import models
from codec.extract.caption import grid_features
from codec.stream import FormatError
from codec.structure.regions import GRID, Box

Floats = NDArray[np.float32]

SIDE = 32 * GRID  # pixels: a cell of the network for each cell of the grid
APART = 0.5  # overlap from which a box says the same as a likelier one
_SIDES = (2, 3, 4, 5, 6, 8, 10, 12, 14, 16)  # cells
_LONGEST = 4  # the ratio of a box's sides


@cache
def grid() -> NDArray[np.int64]:
    """int64[n,4]: x0, y0, x1, y1 in cells, ends excluded, of all boxes that are looked at."""
    found = []
    for width in _SIDES:
        for height in _SIDES:
            if max(width, height) <= _LONGEST * min(width, height):
                found += [(x, y, x + width, y + height) for x in _places(width) for y in _places(height)]
    return np.array(found)


def _places(side: int) -> list[int]:
    return sorted({*range(0, GRID + 1 - side, max(1, side // 4)), GRID - side})


@cache
def _geometry() -> Floats:
    """float32[n,20]: what is known of each box without a picture."""
    boxes = grid() / GRID
    x0, y0, x1, y1 = boxes.T
    width, height, x, y = x1 - x0, y1 - y0, (x0 + x1) / 2, (y0 + y1) / 2
    area, shape, one = np.log(width * height), np.log(width / height), np.ones_like(x0)
    terms = [one, area, area**2, area**3, shape, shape**2, x, x**2, y, y**2, shape * area, area * y, area * x**2]
    terms += [area * y**2, width, height, x0 == 0, x1 == 1, y0 == 0, y1 == 1]
    return np.stack(terms, 1).astype(np.float32)


def described(cells: Floats) -> Floats:
    """float32[n,20+4k] about each box of grid(): geometry, and what k numbers a cell, float32[16,16,k], are in it."""
    boxes = grid()
    size = boxes[:, 2:] - boxes[:, :2]
    wider = np.concatenate([boxes[:, :2] - np.maximum(1, size // 3), boxes[:, 2:] + np.maximum(1, size // 3)], 1)
    sums = np.zeros((GRID + 1, GRID + 1, cells.shape[2]))
    sums[1:, 1:] = cells.cumsum(0).cumsum(1)
    inside, area = _sums(sums, boxes)
    around, wide = _sums(sums, wider.clip(0, GRID))
    mean = inside / area
    contrast = mean - (around - inside) / np.maximum(wide - area, 1)
    log_area = _geometry()[:, 1:2]
    parts = [_geometry(), mean, contrast, mean * log_area, contrast * log_area]
    return np.concatenate(parts, 1).astype(np.float32)


def _sums(sums: NDArray[np.float64], boxes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sums over the cells of boxes from running sums, and how many cells those are, [n,1]."""
    x0, y0, x1, y1 = boxes.T
    return sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0], ((x1 - x0) * (y1 - y0))[:, None]


def overlaps(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n,m]: intersection over union of boxes [n,4] and [m,4] (x0, y0, x1, y1, in any one unit)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod((high - low).clip(0), axis=2)
    one, other = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (boxes, others))
    found: NDArray[np.float64] = shared / np.maximum(one[:, None] + other[None] - shared, 1e-12)
    return found


def apart(scores: Floats, count: int, most: float = APART) -> list[int]:
    """Numbers of the `count` best boxes of grid() of which no two overlap by `most`, the best first."""
    order = np.argsort(-scores, kind="stable")[: 100 * count]
    boxes = grid()[order].astype(np.float64)
    alike = overlaps(boxes, boxes) >= most
    kept: list[int] = []
    for i in range(len(order)):
        if not alike[i, kept].any():
            kept.append(i)
        if len(kept) == count:
            break
    return [int(order[i]) for i in kept]


def find(picture: NDArray[np.uint8], count: int, weights: str = "research") -> list[tuple[Box, float]]:
    """The `count` likeliest boxes of objects in a picture uint8[H,W,C], each with the overlap to be expected.

    Raises RuntimeError, one line, where the weights or the packages for the picture's features are missing.
    """
    try:
        stored = models.load(weights, "boxes")
    except (FileNotFoundError, FormatError):
        raise RuntimeError(f"no boxes in the set {weights!r} here; give regions with `layercast edit --add`") from None
    scores = described(on_axes(grid_features(picture, SIDE), stored)) @ stored["estimate"]
    found = []
    for i in apart(scores, count):
        x0, y0, x1, y1 = (int(n) for n in grid()[i])
        found.append((Box(x0, y0, x1 - 1, y1 - 1), float(scores[i])))
    return found


def on_axes(cells: Floats, stored: dict[str, np.ndarray]) -> Floats:
    """float32[16,16,k] of the network's cells float32[256,1280]."""
    found: Floats = ((cells - stored["mean"]) @ stored["axes"].astype(np.float32)).reshape(GRID, GRID, -1)
    return found
