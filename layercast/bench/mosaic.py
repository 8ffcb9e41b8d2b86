"""A large picture made of small photos, side by side, for figures of speed and memory at a camera's size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.metrics import Picture

SIDES = 4, 3


def parse_pixels(text: str) -> int:
    """`12MP` or `12000000` as a number of pixels. ValueError for anything else, or less than 1."""
    number = float(text.upper().removesuffix("MP")) * (1e6 if text.upper().endswith("MP") else 1)
    if not 1 <= number <= 1e9:
        raise ValueError(f"no number of pixels: {text}")
    return round(number)


def size_of(pixels: int) -> tuple[int, int]:
    """Width and height of a 4:3 picture of about so many pixels; 4000x3000 for 12 million."""
    side = math.sqrt(pixels / (SIDES[0] * SIDES[1]))
    return max(1, round(SIDES[0] * side)), max(1, round(SIDES[1] * side))


def mosaic(photos: Sequence[Picture], pixels: int) -> Picture:
    """Photos uint8[H, W, 3] in rows, again from the first when they are used up: uint8[height, width, 3].

    Tall ones are turned; tiles have the size of the smallest.
    """
    import numpy as np

    width, height = size_of(pixels)
    lying = [photo if photo.shape[1] >= photo.shape[0] else photo.swapaxes(0, 1) for photo in photos]
    down, across = (min(photo.shape[axis] for photo in lying) for axis in (0, 1))
    made = np.empty((height, width, 3), np.uint8)
    places = [(y, x) for y in range(0, height, down) for x in range(0, width, across)]
    for number, (y, x) in enumerate(places):
        room = made[y : y + down, x : x + across]
        room[:] = lying[number % len(lying)][: room.shape[0], : room.shape[1]]
    return made
