"""The static tables of the residual layer: tops of the bands, weights of the contexts, probabilities.

Learned by codec/train/residual.py, read from codec/weights; integers only. Roles: 0 luma, grey and alpha, 1 Co, 2 Cg.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from codec.models import load
from codec.residual.transform import GROUPS

PASSES = 18
BINS = 32  # of the context sum
SIGN_BINS = 16
FEATURES = 16  # of a magnitude: neighbours by kind, the last one constant
SIGN_FEATURES = 9
CLASSES = 17  # of a decision: insignificant in an open or a fresh block, refinement by depth (3) and size (5)
BLOCK_CONTEXTS = 18
FINE = 1024  # steps in which context sums are cut into bins

# Tops of the intervals at pass 0. Equal squared error would ask for the inverse of (norm of the band's synthesis
# function x norm of the plane's column in the inverse colour transform); these are those, times 2^-o for what the eye
# (by SSIMULACRA2 on held-out photos) notices more: o by group 1.4 1.4 1.2 .75 .35 -.35 for luma,
# .3 .2 0 -.4 -.6 -.75 for Co, .6 .6 .25 0 -.3 -.5 for Cg.
TOPS = (
    (
        (2072,), (3923, 3923, 7427), (9012, 9012, 17059),
        (24581, 24581, 46460), (31751, 31751, 29423), (43090, 43090, 34101),
    ),
    (
        (10881,), (22077, 22077, 41793), (50716, 50716, 96004),
        (133619, 133619, 252543), (150250, 150250, 139234), (139271, 139271, 110218),
    ),
    (
        (7215,), (13662, 13662, 25862), (34820, 34820, 65916),
        (82680, 82680, 156268), (99646, 99646, 92340), (95622, 95622, 75675),
    ),
)  # fmt: skip

_LOG_SIZE = 1024  # magnitudes in sixteenths of the top of a pass, as far as the logarithm tells them apart


def _logarithms() -> NDArray[np.uint8]:
    """round(8 log2(1 + j/8)), by integer comparison: the largest s with 2^(2s-1) <= ((8+j)/8)^16, at most 63."""
    steps = [
        next(s for s in range(63, -1, -1) if s == 0 or 2 ** (2 * s - 1) * 8**16 <= (8 + j) ** 16)
        for j in range(_LOG_SIZE)
    ]
    return np.array(steps, np.uint8)


class Tables:
    """One set of tables, ready for look-ups."""

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """`arrays` as in the file; axes of length 1 stand for all passes, roles, groups or orientations."""

        def full(name: str, shape: tuple[int, ...], dtype: type[np.signedinteger]) -> NDArray[np.signedinteger]:
            return np.broadcast_to(arrays[name].astype(dtype), shape)

        band = (len(TOPS), GROUPS, 3)
        self.blocks = full("blocks", (PASSES, *band, BLOCK_CONTEXTS), np.int64)
        self.weights = full("weights", (PASSES, *band, 4, FEATURES), np.int16)
        self.cuts = full("cuts", (PASSES, *band, BINS - 1), np.int64)  # ascending
        self.zero = full("zero", (PASSES, *band, 2, BINS), np.int64)
        self.refine = full("refine", (*band, CLASSES - 2, BINS), np.int64)
        self.sign_weights = full("sign_weights", (*band, 4, SIGN_FEATURES), np.int16)
        self.sign = full("sign", (*band, SIGN_BINS), np.int64)  # P(the sign is as predicted)
        self._logarithms = _logarithms()
        self._scales: dict[tuple[int, int, int], list[NDArray[np.uint8]]] = {}
        self._bins: dict[tuple[int, int, int], tuple[NDArray[np.uint8], NDArray[np.int64]]] = {}

    def scale(self, role: int, group: int, number: int) -> list[NDArray[np.uint8]]:
        """By orientation: look-up table from a magnitude to its logarithm relative to the tops of pass `number`."""
        key = role, group, number
        if key not in self._scales:
            magnitudes = np.arange(1 << 15, dtype=np.int64) << (number + 4)
            self._scales[key] = [
                self._logarithms[np.minimum(magnitudes // top, _LOG_SIZE - 1)] for top in TOPS[role][group]
            ]
        return self._scales[key]

    def bins(self, number: int, role: int, group: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """(bin of each context sum / 16: [orientations, FINE], probabilities [orientations, CLASSES, BINS])."""
        key = number, role, group
        if key not in self._bins:
            count = len(TOPS[role][group])
            sums = np.arange(FINE)
            bins = [np.searchsorted(self.cuts[number, role, group, o], sums, side="right") for o in range(count)]
            chances = np.concatenate([self.zero[number, role, group], self.refine[role, group]], axis=1)[:count]
            self._bins[key] = np.array(bins, np.uint8), chances
        return self._bins[key]


@cache
def tables(weights: int) -> Tables:
    """The tables of a set of weights, by its number in the header."""
    return Tables(load(weights, "residual"))
