"""The thumbnail: the latent layer's first chunk, at most 19 bytes of colour and light for a whole picture.

    box means [3,gh,gw] ─► opponent colours ─► cosine coefficients ─► thumbnail_search ─► thumbnail_model ─► 152 bits
                                                                                                              │
    uint8[h,w,3] ◄─ upsample ◄─ int32[3,gh,gw] ◄─ RGB ◄─ inverse cosine ◄─ coefficients ◄─ thumbnail_model ◄──┘

The way back is integer arithmetic, or float64 that holds whole numbers below 2^53: the same on every machine.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.latent.thumbnail_model import MAX_BYTES, PAD, Grid, Ints, Weights, grid, load, read

__all__ = ["MAX_BYTES", "UNIT", "decode", "encode", "upsample"]

CELL = 32  # pixels of the base picture along each side of a thumbnail's pixel
UNIT = 16  # decoded values are in 1/16 of a grey level
_COSINE_BITS = 14
_COLOUR_BITS = 12
# Opponent colours (orthonormal) to RGB, times 2^12: columns light, red-blue, magenta-green.
_TO_RGB = np.array([[2365, 2896, 1672], [2365, 0, -3344], [2365, -2896, 1672]], dtype=np.int64)


def encode(target: NDArray[Any], channels: int, weights: int = 1) -> bytes:
    """The payload (at most MAX_BYTES) of RGB box means [3, gh, gw], grey levels 0..255 of any real or integer dtype.

    channels as in the header: 1 or 2 code light alone. Bytes may differ between machines; what they decode to may not.
    """
    from codec.latent import thumbnail_search  # decoders do without it

    return thumbnail_search.encode(np.asarray(target), channels, weights)


@lru_cache(maxsize=32)
def cosines(cells: int) -> Ints:
    """Waves of one axis: [order, place], 2^14 sqrt(2) cos(pi u (2x + 1) / (2 cells)), 2^14 for u = 0."""
    order, at = np.arange(cells)[:, None], 2 * np.arange(cells) + 1
    waves = np.sqrt(2.0) * np.cos(np.pi * order * at / (2 * cells))
    waves[0] = 1
    found: Ints = np.rint(waves * (1 << _COSINE_BITS)).astype(np.int64)
    return found


def picture(on: Grid, scale: int, values: Ints, planes: int, weights: Weights) -> NDArray[np.int32]:
    """RGB of coefficients: int32 [3, gh, gw] in 1/UNIT grey levels, 0..255 * UNIT."""
    step = int(weights["steps"][scale])
    waves = np.zeros(values.shape, dtype=np.int64)
    for plane in range(planes):
        waves[on.means[plane]] = values[on.means[plane]] * step * 64 + int(weights["centres"][plane]) * 64
    for one in on.passes:
        some = values[one.places]
        if one.plane < planes and some.any():
            waves[one.places] = np.sign(some) * weights["levels"][one.plane][np.abs(some)] * step
    cut = slice(PAD, -PAD)
    waves = waves.reshape(3, *on.side)[:, cut, cut]  # units of 2^-12 grey levels
    light = (cosines(on.gh).T @ waves @ cosines(on.gw) + (1 << 23)) >> 24  # 2^-40 to 2^-16
    rgb = (_TO_RGB @ light.reshape(3, -1)).reshape(3, on.gh, on.gw)  # 2^-28
    shift = 16 + _COLOUR_BITS - 4
    found: NDArray[np.int32] = np.clip((rgb + (1 << shift - 1)) >> shift, 0, 255 * UNIT).astype(np.int32)
    return found


def decode(payload: bytes, gh: int, gw: int, channels: int, weights: int = 1, whole: bool = True) -> NDArray[np.int32]:
    """The thumbnail of any payload: RGB, int32 [3, gh, gw], in 1/16 grey levels, 0..4080.

    channels as in the header (1 or 2: grey, three equal planes). whole=False: the payload was cut; what is no longer
    certain counts as zero. Raises FormatError only for an unknown set of weights.
    """
    tables = load(weights)
    on, planes = grid(gh, gw), 1 if channels < 3 else 3
    scale, values = read(payload, on, planes, tables, whole)
    return picture(on, scale, values, planes, tables)


@lru_cache(maxsize=64)
def _between(cells: int, length: int) -> Ints:
    """Weights of one axis, units of 2^-18, [length, cells]: the cells' waves at the pixels (2x + 1) / 64 cells in."""
    order = np.arange(cells)[:, None]
    fine = np.sqrt(2.0) * np.cos(np.pi * order * (2 * np.arange(length) + 1) / (2 * CELL * cells))
    fine[0] = 1
    waves = np.rint(fine * (1 << _COSINE_BITS)).astype(np.int64)
    found: Ints = (waves.T @ cosines(cells) + cells * (1 << 9)) // (cells << 10)
    return found


def upsample(thumb: NDArray[np.int32], h: int, w: int) -> NDArray[np.uint8]:
    """The picture uint8 [h, w, 3] that a thumbnail int32 [3, gh, gw] alone gives: its waves at every pixel.

    Covers the grid's padded picture and cuts [h, w] from its upper left. Works in strips to save memory.
    """
    _, gh, gw = thumb.shape
    rows, columns = _between(gh, h).astype(np.float64), _between(gw, w).astype(np.float64)
    wide = thumb.astype(np.float64) @ columns.T
    result = np.empty((h, w, 3), dtype=np.uint8)
    for top in range(0, h, 64):
        strip = rows[top : top + 64] @ wide  # whole numbers below 2^53 in units of 2^-40
        levels = np.floor(strip * 2.0**-40 + 0.5)
        result[top : top + 64] = np.minimum(np.maximum(levels, 0), 255).astype(np.uint8).transpose(1, 2, 0)
    return result
