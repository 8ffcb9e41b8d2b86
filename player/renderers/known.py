"""What a decoder knows of its picture, as planes that a renderer looks at.

All planes are at a quarter of the base picture padded to the grid, as edge maps are: one value for 4x4 base pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.decoder import Decoder
from codec.latent.geometry import base_size, grid_size, reduction
from codec.latent.layout import tiles
from codec.residual.transform import CELL as SQUARE
from codec.stream import Kind

CELL = 4  # base pixels a value
Plane = NDArray[np.float32]


class Known(NamedTuple):
    """What is there, by place. picture: the exact one at the base's size, uint8[H,W,3], H and W multiples of 32.

    planes float32[5,H/4,W/4], each in 0..1: the thumbnail; the share of the latent steps; edge strength; 1 wherever
    edges are known; how far the residual is there.
    """

    picture: NDArray[np.uint8]
    planes: Plane


def known(decoder: Decoder) -> Known:
    """Of what `decoder` holds now."""
    header = decoder.header
    columns, rows = grid_size(header.width, header.height, CELL)
    planes = np.zeros((5, rows, columns), np.float32)
    used = set(decoder.used())
    every = tiles(header.width, header.height, header.weights)
    for index, tile in enumerate(every):
        if (Kind.LATENT, index) in used:
            plane, share = (0, 1.0) if tile.step == 0 else (1, 1.0 / every[-1].step)
            planes[(plane, *tile.positions(CELL))] += share
    edges = decoder.edge_map()
    if edges is not None:
        planes[2, : edges.shape[0], : edges.shape[1]] = edges / np.float32(255)
        planes[3] = 1
    times = reduction(header.width, header.height)
    down, right = ((np.arange(count) * CELL << times) // SQUARE for count in (rows, columns))
    refined = np.pad(decoder.refined(), ((0, 1), (0, 1)))  # the padding of the base may begin another square
    planes[4] = refined[down.clip(max=len(refined) - 1)][:, right.clip(max=refined.shape[1] - 1)]
    return Known(at_base(decoder.picture(), times), planes)


def at_base(picture: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """A picture uint8[h,w,C] halved so many times, in RGB, padded to the grid by repeating its last pixels.

    Transparency is left out: it is coded exactly or not at all, and never rendered.
    """
    rgb = picture[..., :3] if picture.shape[2] > 2 else np.repeat(picture[..., :1], 3, 2)
    width, height = base_size(picture.shape[1], picture.shape[0])
    by = 1 << times
    right, below = width * by - rgb.shape[1], height * by - rgb.shape[0]
    whole = np.pad(rgb, ((0, below), (0, right), (0, 0)), mode="edge")
    small = whole.reshape(height, by, width, by, 3).mean((1, 3)) if times else whole
    padding = ((0, -height % 32), (0, -width % 32), (0, 0))
    return np.pad(np.rint(small).astype(np.uint8), padding, mode="edge")
