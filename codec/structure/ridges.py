"""Thin lines from the edge network's probability (encoder side only): what is worth sending is where a line runs.

A pixel stays where the probability is a ridge: no smaller than at its two neighbours across the line, whose
direction the second derivatives give. Probabilities that texture leaves everywhere are taken off; each line is then
drawn with one soft profile, so that the codebook learns lines and not their widths.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOOR, SPAN = 0.22, 0.50  # probabilities that become strength 0 and strength 1
SURROUND = 0.35  # how much of the mean probability around a place is taken off
REACH = 8  # of that mean, pixels of the map

Array = NDArray[np.float32]

_STEPS = ((0, 1), (1, 1), (1, 0), (1, -1))  # across the line: 0, 45, 90, 135 degrees


def lines(probability: Array) -> NDArray[np.uint8]:
    """Strength uint8[h,w] of thin soft lines, from the probability of an edge float32[h,w] in 0..1."""
    smooth = _blur(probability)
    strength = ((smooth - SURROUND * _mean(smooth) - FLOOR) / SPAN).clip(0, 1) * ridge(smooth)
    padded = np.pad(strength, 1)
    h, w = strength.shape
    near = [padded[y : y + h, x : x + w] for y in range(3) for x in range(3)]
    drawn = np.maximum(strength, 0.5 * np.max(near, axis=0))
    return np.asarray((drawn * 255).round(), dtype=np.uint8)


def _blur(x: Array) -> Array:
    """Binomial 1 2 1 in both directions."""
    for axis in (0, 1):
        padded = np.pad(x, [(1, 1) if at == axis else (0, 0) for at in (0, 1)], mode="edge")
        n = x.shape[axis]
        x = ((padded.take(range(n), axis) + 2 * x + padded.take(range(2, n + 2), axis)) / 4).astype(np.float32)
    return x


def _mean(x: Array) -> Array:
    """Mean over a square of 2 * REACH + 1 pixels, border repeated."""
    for axis in (0, 1):
        padded = np.pad(x, [(REACH + 1, REACH) if at == axis else (0, 0) for at in (0, 1)], mode="edge")
        total = padded.cumsum(axis, dtype=np.float64)
        n, width = x.shape[axis], 2 * REACH + 1
        x = ((total.take(range(width, n + width), axis) - total.take(range(n), axis)) / width).astype(np.float32)
    return x


def ridge(x: Array) -> NDArray[np.bool_]:
    """Where x is a maximum across the direction in which it curves down most."""
    padded = np.pad(_blur(x), 1, mode="edge")
    h, w = x.shape

    def at(source: Array, dy: int, dx: int) -> Array:
        return source[1 + dy : 1 + dy + h, 1 + dx : 1 + dx + w]

    centre = at(padded, 0, 0)
    xx = at(padded, 0, 1) + at(padded, 0, -1) - 2 * centre
    yy = at(padded, 1, 0) + at(padded, -1, 0) - 2 * centre
    xy = (at(padded, 1, 1) + at(padded, -1, -1) - at(padded, 1, -1) - at(padded, -1, 1)) / 4
    bend = np.hypot(xx - yy, 2 * xy)
    angle = np.arctan2(-2 * xy, yy - xx) / 2  # of the direction of the smallest second derivative
    sector = np.round(angle / (np.pi / 4)).astype(int) % 4
    raw = np.pad(x, 1, mode="edge")
    keep = np.zeros(x.shape, bool)
    for number, (dy, dx) in enumerate(_STEPS):
        higher = (x >= at(raw, dy, dx)) & (x > at(raw, -dy, -dx))
        keep |= (sector == number) & higher
    return keep & (xx + yy - bend < 0)
