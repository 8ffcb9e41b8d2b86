"""The order in which the latents of a tile are told: four stages, each predicted by the state and by those before it.

Half of the channels at half of the positions (a checkerboard) make a stage. Encoder and decoder walk alike and differ
only in where the values come from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from codec.integer import FRACTION, LIMIT, Array
from codec.latent.network import SPREADS, Rung

STAGES = 4

# (channels, bool[h,w] of the positions, means [channels,positions] in 1/64, spreads likewise) -> whole values likewise
Tell = Callable[[slice, NDArray[np.bool_], Array, NDArray[np.uint8]], NDArray[np.int64]]


def walk(rung: Rung, prior: Array, row: int, column: int, tell: Tell) -> Array:
    """The latents float32[h,w,latents] (1/64) of a tile whose first position is `row`, `column` of its step's grid.

    prior: what `rung.prior` says of the tile, float32[h,w,2*latents]. tell: gives each stage's whole distances from
    the means, within symbols.LARGEST.
    """
    height, width, _ = prior.shape
    half = rung.latents // 2
    told = np.zeros((height, width, rung.latents), np.float32)
    latents = np.zeros_like(told)
    odd = (np.arange(row, row + height)[:, None] + np.arange(column, column + width)) & 1
    for stage in range(STAGES):
        channels = slice(0, half) if stage < 2 else slice(half, rung.latents)
        where = odd == stage % 2
        means, indices = prior[..., : rung.latents][..., channels], prior[..., rung.latents :][..., channels]
        if stage:
            moved = rung.contexts[stage - 1](np.concatenate([told, np.abs(told)], axis=2))
            means, indices = means + moved[..., :half], indices + moved[..., half:]
        mean = np.ascontiguousarray(np.clip(means[where], -LIMIT, LIMIT).T)
        spreads = np.clip(np.floor((indices[where].T + 32) / 64), 0, SPREADS - 1).astype(np.uint8)
        values = tell(channels, where, mean, spreads)
        told[..., channels][where] = (values << FRACTION).T
        latents[..., channels][where] = np.clip((values << FRACTION) + mean, -LIMIT, LIMIT).T
    return latents
