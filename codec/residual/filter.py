"""The in-loop filter: a small network that puts luma's coefficients where photos have them, within what is known.

    low band so far, bands as dequantised, the base's bands ──► 7 inputs in units of the threshold
    ──► 3x3, 3x3, 1x1 ──► what to add, in units of the threshold ──► clipped into the intervals

It works level by level from coarse to fine, on the bands themselves, before a level is synthesised: the network
proposes, the intervals dispose. So what is known stays, and nothing is left to do where everything is known. No context
of the passes ever sees its outcome. Whole numbers throughout (codec/integer.py); local: REACH positions of its level.

Only what differs from the last call is computed again. The outcome does not depend on that: it is a function of the
inputs alone.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from codec import models
from codec.integer import LIMIT, Array, Conv, clamp, rectify
from codec.residual.tables import TOPS
from codec.residual.transform import EIGHTHS, GROUPS, SIDES, Plane

FIRST = 3  # the first group that is filtered; groups 3, 4, 5 are the three finest levels
REACH = 4  # positions around one that its outcome depends on: 2 by the mean of the low band, 2 by the layers
ACTIVE = 4, 256  # thresholds from, and below, which a cell's group is filtered
_PLANE = 0  # luma or grey
_LAYERS = 2  # of 3x3: the reach of the network alone
_RANGE = 512  # of an input: 8 thresholds
_LARGEST = 16383  # of a coefficient that an input tells of
_HALF = 1 << EIGHTHS - 1  # of a one
_FLAT = 51199  # likewise, of 25 times the low band less its mean

Layers = tuple[Conv, Conv, Conv]
Passes = NDArray[np.int8]


@cache
def layers(weights: int) -> tuple[Layers, ...]:
    """The layers of a set of weights, for the groups from FIRST on."""
    stored = models.load(weights, "residual_filter")

    def conv(name: str) -> Conv:
        weight = stored[f"{name}.weight"].astype(np.float32)
        scale = (2.0 ** -stored[f"{name}.shift"].astype(np.float64)).astype(np.float32)
        return Conv(weight, stored[f"{name}.bias"].astype(np.float32), scale, int(stored[f"{name}.size"]))

    return tuple((conv(f"{g}.a"), conv(f"{g}.b"), conv(f"{g}.c")) for g in range(FIRST, GROUPS))


def active(passes: Passes, group: int) -> NDArray[np.bool_]:
    """bool[cells]: whether a group of luma, after `passes` of each cell, is filtered."""
    threshold = TOPS[_PLANE][group][0] >> passes.astype(np.int64)
    return (passes > 0) & (threshold >= ACTIVE[0]) & (threshold < ACTIVE[1])


def rates(top: int, divisor: int, bits: int) -> NDArray[np.int32]:
    """By passes made: 2^bits x 64 / (divisor x threshold), at most that of threshold 1."""
    return np.array([min((64 << n + bits) // top, 64 << bits) // divisor for n in range(32)], np.int32)


class Filter:
    """Filters the luma bands of one picture of rows x columns cells."""

    def __init__(self, weights: int, rows: int, columns: int) -> None:
        self._layers = layers(weights)
        self._cells = rows, columns
        self._last: dict[int, tuple[Array, Array]] = {}  # inputs and outcome by group

    def __call__(
        self, group: int, low: Plane, bands: list[Plane], base: list[Plane], bounds: list[tuple[Plane, Plane]],
        passes: Passes,
    ) -> list[Plane]:  # fmt: skip
        """The bands [HL, LH, HH] of `group` (FIRST or finer), filtered, in eighths.

        low: the low band of that level, already filtered; bands: as dequantised; both in eighths. base: the base's
        bands; bounds: the least and the largest value of each coefficient; in ones. All int32. passes: int8[cells],
        those made over the group.
        """
        here = active(passes, group)
        if not here.any():
            self._last.pop(group, None)
            return bands
        whole = [(band + _HALF) >> EIGHTHS for band in (low, *bands)]
        change = self._outcome(group, self._inputs(group, whole[0], whole[1:], base, passes))
        filtered = []
        for o, (band, (least, most)) in enumerate(zip(bands, bounds, strict=True)):
            top = TOPS[_PLANE][group][o]
            step = np.where(here, top, 0).astype(np.int32)
            y, x = band.shape
            added = change[:y, :x, o] * self._spread(step, group, y, x)
            shift = self._spread(passes.astype(np.int32) + 6 - EIGHTHS, group, y, x)
            moved = band + ((added + (1 << shift - 1)) >> shift)
            filtered.append(np.clip(moved, least << EIGHTHS, most << EIGHTHS))
        return filtered

    def _spread(self, by_cell: NDArray[np.int32], group: int, height: int, width: int) -> Plane:
        """A number of each cell at all its coefficients."""
        side = SIDES[group]
        grid = by_cell.reshape(self._cells)
        return np.repeat(np.repeat(grid, side, axis=0)[:height], side, axis=1)[:, :width]

    def _inputs(self, group: int, low: Plane, bands: list[Plane], base: list[Plane], passes: Passes) -> Array:
        """Whole float32[H,W,7]: the low band less its 5x5 mean, the bands, the base's, in 1/64 of the threshold."""
        height, width = low.shape
        inputs = np.zeros((height, width, 7), np.float32)
        tops = TOPS[_PLANE][group]
        uneven = np.clip(25 * low - _box(low), -_FLAT, _FLAT)
        rate = self._spread(rates(tops[0], 25, 14)[passes], group, height, width)
        inputs[..., 0] = np.clip((uneven * rate) >> 14, -_RANGE, _RANGE)
        for o, top in enumerate(tops):
            rate = self._spread(rates(top, 1, 10)[passes], group, height, width)
            for channel, band in ((1 + o, bands[o]), (4 + o, base[o])):
                y, x = band.shape
                scaled = (np.clip(band, -_LARGEST, _LARGEST) * rate[:y, :x]) >> 10
                inputs[:y, :x, channel] = np.clip(scaled, -_RANGE, _RANGE)
        return inputs

    def _outcome(self, group: int, inputs: Array) -> NDArray[np.int32]:
        """int32[H,W,3]: what to add in 1/64 of the threshold; computed where the inputs are new."""
        last = self._last.get(group)
        if last is None:
            outcome = self._network(group, inputs)
        else:
            outcome = last[1]
            differs = (inputs != last[0]).any(axis=2)
            if differs.any():
                (top, bottom), (left, right) = (_span(differs.any(axis=axis)) for axis in (1, 0))
                y0, y1, v0, v1 = _widened(top, bottom, inputs.shape[0])
                x0, x1, u0, u1 = _widened(left, right, inputs.shape[1])
                fresh = self._network(group, np.ascontiguousarray(inputs[v0:v1, u0:u1]))
                outcome[y0:y1, x0:x1] = fresh[y0 - v0 : y1 - v0, x0 - u0 : x1 - u0]
        self._last[group] = inputs, outcome
        return outcome.astype(np.int32)

    def _network(self, group: int, inputs: Array) -> Array:
        first, second, third = self._layers[group - FIRST]
        return clamp(third(rectify(second(rectify(first(inputs))))))


def _box(low: Plane) -> Plane:
    """Sums of 5x5, the edge repeated beyond it."""
    for axis in (0, 1):
        count = low.shape[axis]
        padded = np.pad(low, [(2, 2), (0, 0)] if axis == 0 else [(0, 0), (2, 2)], mode="edge")
        low = np.sum([np.take(padded, range(i, i + count), axis) for i in range(5)], axis=0, dtype=np.int32)
    return low


def _span(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """First and behind the last of those set."""
    places = np.flatnonzero(flags)
    return int(places[0]), int(places[-1]) + 1


def _widened(first: int, end: int, size: int) -> tuple[int, int, int, int]:
    """Where the outcome differs if inputs do from first to end, and the inputs that this part depends on."""
    y0, y1 = max(0, first - _LAYERS), min(size, end + _LAYERS)
    return y0, y1, max(0, y0 - _LAYERS), min(size, y1 + _LAYERS)


# No product leaves 32 bits.
assert max(_LARGEST * (64 << 10), _FLAT * ((64 << 14) // 25), LIMIT * max(max(tops) for tops in TOPS[_PLANE])) < 1 << 31
