"""Encoder side of the thumbnail: which coefficients to send, so that 19 bytes show as much as they can.

Quantises a picture's coefficients for every step size and many prices of a bit at once, in the decoder's order of
passes, each coefficient by the smallest error + price * bits. Floats are welcome here: whatever is chosen, the decoder
reads it exactly. Also used by training, there with a batch of pictures instead of a batch of prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.latent.thumbnail_model import (
    LARGEST,
    LARGEST_MEAN,
    MAX_BYTES,
    SCALES,
    Grid,
    Ints,
    State,
    Weights,
    grid,
    load,
    probabilities,
    write,
)

Floats = NDArray[np.float64]

_FROM_RGB = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3.0], [2.0], [6.0]])
PRICES = np.array([0.05, 0.08, 0.11, 0.14, 0.18, 0.23, 0.3, 0.4, 0.6, 1.0])
_BITS = -np.log2(np.maximum(np.arange(65537), 1) / 65536)


@lru_cache(maxsize=64)
def _analysis(cells: int) -> Floats:
    """Cosines of one axis: box means [cells] to coefficients of the picture [cells], root mean square units."""
    order = np.arange(cells)[:, None]
    cosines = np.cos(np.pi * (2 * np.arange(cells) + 1) * order / (2 * cells)) / cells
    cosines[1:] *= np.sqrt(2.0)
    return cosines / np.sinc(order / (2 * cells))  # a box mean damps the picture's wave


def coefficients(on: Grid, rgb: NDArray[np.generic]) -> Floats:
    """RGB box means [..., 3, gh, gw] (grey levels) to coefficients in the padded layout of `State.values`."""
    planes = np.einsum("pc,...cyx->...pyx", _FROM_RGB, np.asarray(rgb, dtype=np.float64))
    waves = _analysis(on.gh) @ planes @ _analysis(on.gw).T
    pad = [(0, 0)] * (waves.ndim - 2) + [(2, 2), (2, 2)]
    padded = np.pad(waves, pad)
    return padded.reshape(*padded.shape[:-3], -1)


def decision_bits(p: Ints, sizes: Ints) -> Floats:
    """Bits of coefficients of magnitude `sizes` [...], sign not counted, for decisions `p` [..., OUTPUTS]."""
    yes, no = _BITS[p], _BITS[65536 - p]
    bits = np.where(sizes > 0, yes[..., 0], no[..., 0])
    bits += np.where(sizes > 1, yes[..., 2], np.where(sizes == 1, no[..., 2], 0))
    bits += np.where(sizes > 2, yes[..., 3], np.where(sizes == 2, no[..., 3], 0))
    return bits + np.where(sizes > 2, (sizes - 3) * yes[..., 4] + np.where(sizes < LARGEST, no[..., 4], 0), 0)


def mean_bits(p: Ints, values: Ints) -> Floats:
    """Bits of means `values` [B] for the tables `p` [B, 2 + LARGEST_MEAN]: not zero, negative, above 1, 2, ..."""
    sizes = np.abs(values)
    yes, no = _BITS[p], _BITS[65536 - p]
    ladder = np.concatenate([np.zeros((len(p), 1)), np.cumsum(yes[:, 2:], axis=1)], axis=1)
    rest = np.where(sizes < LARGEST_MEAN, no[np.arange(len(p)), 1 + np.maximum(sizes, 1)], 0)
    signs = np.where(values < 0, yes[:, 1], no[:, 1])
    nonzero = yes[:, 0] + signs + ladder[np.arange(len(p)), np.maximum(sizes, 1) - 1] + rest
    return np.where(sizes > 0, nonzero, no[:, 0])


@dataclass
class Chosen:
    """B quantised thumbnails: coefficients in the padded layout, bits, and what they leave of the error."""

    values: Ints  # [B, padded]
    bits: Floats  # [B]
    error: Floats  # [B] sum of squared errors over planes less that of sending nothing (so: negative)
    seen: list[tuple[int, Ints, Ints]]  # training: plane, inputs [B*n, INPUTS], values [B*n]


def quantise(
    on: Grid, want: Floats, scales: Ints, prices: Floats, weights: Weights, planes: int = 3, record: bool = False
) -> Chosen:
    """Best coefficients under `prices` (squared steps per bit) for each of B (targets [B, padded], scale, price)."""
    state = State(on, scales, weights)
    steps = weights["steps"][scales] / 64.0
    bits = np.zeros(len(scales))
    error = np.zeros(len(scales))
    seen: list[tuple[int, Ints, Ints]] = []
    for plane in range(planes):
        place = on.means[plane]
        goal = (want[:, place] - weights["centres"][plane] / 64.0) / steps
        table = weights["means"][plane][scales].astype(np.int64)
        low = np.clip(np.floor(goal), -LARGEST_MEAN, LARGEST_MEAN - 1).astype(np.int64)
        costs = [(goal - q) ** 2 + prices * mean_bits(table, q) for q in (low, low + 1)]
        value = np.where(costs[0] <= costs[1], low, low + 1)
        state.values[:, place] = value
        bits += mean_bits(table, value)
        error += (goal - value) ** 2 * steps**2 - want[:, place] ** 2
    for step in on.passes:
        if step.plane >= planes:
            break
        inputs = state.inputs(step)
        p = probabilities(inputs, step.plane, weights)
        goal = want[:, step.places] / steps[:, None]
        signs = np.where(goal < 0, _BITS[p[..., 1]], _BITS[65536 - p[..., 1]])
        size = np.abs(goal)
        nearest = np.minimum(np.rint(size), LARGEST).astype(np.int64)
        levels = weights["levels"][step.plane] / 64.0
        best = np.zeros_like(nearest)
        best_bits = _BITS[65536 - p[..., 0]]
        least = size**2 + prices[:, None] * best_bits
        for k in (nearest, nearest - 1, nearest + 1):
            k = np.clip(k, 1, LARGEST)
            b = decision_bits(p, k) + signs
            cost = (size - levels[k]) ** 2 + prices[:, None] * b
            better = cost < least
            best, best_bits, least = np.where(better, k, best), np.where(better, b, best_bits), np.where(better, cost, least)
        value = np.where(goal < 0, -best, best)
        state.fill(step, value)
        bits += best_bits.sum(axis=1)
        error += (((size - levels[best]) ** 2 - size**2) * (steps**2)[:, None]).sum(axis=1)
        if record:
            seen.append((step.plane, inputs.reshape(-1, inputs.shape[-1]).astype(np.int16), value.reshape(-1).astype(np.int16)))
    return Chosen(state.values, bits, error, seen)


def scale_bits(tables: Weights) -> Floats:
    """Bits of each choice of scale: [SCALES]."""
    bits = np.zeros(SCALES)
    for shift, node in ((2, 1), (1, 2), (0, 4)):
        p = tables["scales"][node + (np.arange(SCALES) >> (shift + 1))]
        bits += _BITS[np.where(np.arange(SCALES) >> shift & 1, p, 65536 - p)]
    return bits


def encode(target: NDArray[Any], channels: int, weights: int = 1) -> bytes:
    """The payload (at most 19 bytes) of RGB box means [3, gh, gw] in grey levels 0..255 (any real or integer dtype).

    channels as in the header: 1 or 2 code light alone. Bytes may differ between machines; what they decode to may not.
    """
    tables = load(weights)
    on, planes = grid(*target.shape[1:]), 1 if channels < 3 else 3
    want = coefficients(on, target)
    scales = np.repeat(np.arange(SCALES), len(PRICES))
    prices = np.tile(PRICES, SCALES)
    tried = quantise(on, np.broadcast_to(want, (len(scales), want.size)), scales, prices, tables, planes)
    bits = tried.bits + scale_bits(tables)[scales]
    fitting = np.flatnonzero(bits <= 8 * MAX_BYTES + 1)
    for i in fitting[np.argsort(tried.error[fitting])]:
        payload = write(on, planes, tables, int(scales[i]), tried.values[i])
        if len(payload) <= MAX_BYTES:
            return payload
    return b""

