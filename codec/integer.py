"""Exact arithmetic for the networks on the decoding path: float32 that holds only whole numbers.

An activation is a whole number of 1/64, at most 1023 in magnitude. A layer multiplies by whole weights, adds a whole
bias, shifts right with floor and clamps. `Conv` proves when it is made that no sum can reach 2^24, so every partial
sum is exact in float32 and the order of summation, threads, SIMD width and fused multiply-add do not matter.
Convolutions are sums of plain matrix products: no Winograd, no FFT, which would leave the whole numbers. They are
computed by numpy unless `use` names another runtime; the numbers are the same (`layercast bench identity`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRACTION = 6  # bits behind the point of an activation
LIMIT = 1023  # largest magnitude of an activation
EXACT = 1 << 24  # whole numbers below it are exact in float32, and so are their sums below it
_ROWS = 1 << 12  # positions computed at once: their sums stay in the cache

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution in whole numbers, 3x3 (zero padded) or 1x1.

    weight: whole numbers, float32[k*k*inputs, outputs], rows by tap (row-major) and then input.
    bias: whole numbers float32[outputs], in units of the sum, half of 2^shift for rounding included.
    scale: float32[outputs], 2^-shift. Raises ValueError when a sum could leave the exact range.
    """

    weight: Array
    bias: Array
    scale: Array
    size: int

    def __post_init__(self) -> None:
        reach = np.abs(self.weight).astype(np.float64).sum(0) * LIMIT + np.abs(self.bias)
        if self.weight.size and reach.max() >= EXACT:
            raise ValueError(f"a sum could reach {reach.max():.0f}; exact below {EXACT}")
        if (self.weight != np.round(self.weight)).any() or (self.bias != np.round(self.bias)).any():
            raise ValueError("weights must be whole numbers")

    def __call__(self, x: Array) -> Array:
        """floor((sum + bias) / 2^shift), not clamped. x: whole float32[H,W,inputs] within +-LIMIT -> [H,W,outputs]."""
        return _runtime(self, x)


Runtime = Callable[[Conv, Array], Array]  # computes a layer, as Conv.__call__ says


def in_numpy(conv: Conv, x: Array) -> Array:
    """The runtime that is always there."""
    total = product(x, conv.weight, conv.size)
    total += conv.bias
    total *= conv.scale
    return np.floor(total, out=total)


_runtime: Runtime = in_numpy


def use(runtime: Runtime) -> None:
    """Computes all layers by `runtime` from now on, in the whole process."""
    global _runtime
    _runtime = runtime


def product(x: Array, weight: Array, size: int) -> Array:
    """Plain convolution float32[H,W,inputs] -> [H,W,outputs], weight as in `Conv`; exact for bounded whole numbers.

    In the padded picture, row behind row, a tap is a shift: nine products of runs of memory, and no gather.
    """
    height, width, inputs = x.shape
    if size == 1:
        return (x.reshape(-1, inputs) @ weight).reshape(height, width, -1)
    wide = width + 2
    padded = np.zeros(((height + 2) * wide + 2, inputs), np.float32)
    padded[:-2].reshape(height + 2, wide, inputs)[1:-1, 1:-1] = x
    out = np.empty((height, width, weight.shape[1]), np.float32)
    band = max(1, _ROWS // wide)
    for top in range(0, height, band):
        rows = min(band, height - top)
        sums = np.zeros((rows * wide, weight.shape[1]), np.float32)
        for tap in range(9):
            start = (top + tap // 3) * wide + tap % 3
            sums += padded[start : start + rows * wide] @ weight[tap * inputs : (tap + 1) * inputs]
        out[top : top + rows] = sums.reshape(rows, wide, -1)[:, :width]
    return out


def clamp(x: Array) -> Array:
    """Into +-LIMIT, in place."""
    return np.clip(x, -LIMIT, LIMIT, out=x)


def rectify(x: Array) -> Array:
    """Into 0..LIMIT, in place."""
    return np.clip(x, 0, LIMIT, out=x)


def shuffle(x: Array, factor: int) -> Array:
    """Pixel shuffle: [H,W,C*f*f] -> [H*f,W*f,C], channel c of the output from channels c*f*f + dy*f + dx."""
    height, width, channels = x.shape
    parts = x.reshape(height, width, channels // factor**2, factor, factor)
    return np.ascontiguousarray(parts.transpose(0, 3, 1, 4, 2)).reshape(height * factor, width * factor, -1)


def unshuffle(x: Array, factor: int) -> Array:
    """The inverse of `shuffle`: [H*f,W*f,C] -> [H,W,C*f*f]."""
    height, width, channels = x.shape
    parts = x.reshape(height // factor, factor, width // factor, factor, channels)
    return np.ascontiguousarray(parts.transpose(0, 2, 4, 1, 3)).reshape(height // factor, width // factor, -1)


def quantised(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> tuple[NDArray[np.int32], ...]:
    """(weight, bias, shift) in whole numbers for real weight [k*k*inputs, outputs] and bias [outputs], in 1.0 = 64/64.

    Each output takes the largest shift (at most 14) that the exact range allows.
    """
    shifts = np.full(weight.shape[1], 14)
    while True:
        factor = 2.0**shifts
        w = np.round(weight * factor)
        b = np.round(bias * factor * (1 << FRACTION)) + np.floor(factor / 2)
        over = np.abs(w).sum(0) * LIMIT + np.abs(b) >= EXACT
        if not over.any():
            return w.astype(np.int32), b.astype(np.int32), shifts.astype(np.int32)
        shifts = shifts - over
