"""The thumbnail's tables: learned from photos by quantising them, recounting what was coded, and quantising again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from codec.latent import thumbnail


def thumbnails(pictures: Iterable[NDArray[np.uint8]], weights: int = 1) -> list[NDArray[np.int32]]:
    """decode(encode(x)) of base pictures uint8 or float [H, W, 3] (longer side <= 1024): int32 [3, gh, gw], 1/16 levels."""
    found = []
    for picture in pictures:
        h, w = picture.shape[:2]
        padded = np.pad(picture, ((0, -h % 32), (0, -w % 32), (0, 0)), mode="edge")
        gh, gw = padded.shape[0] // 32, padded.shape[1] // 32
        boxes = padded.reshape(gh, 32, gw, 32, 3).mean((1, 3), dtype=np.float64).transpose(2, 0, 1)
        found.append(thumbnail.decode(thumbnail.encode(boxes, 3, weights), gh, gw, 3, weights))
    return found
