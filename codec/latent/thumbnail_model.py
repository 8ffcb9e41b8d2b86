"""How the thumbnail's coefficients are coded: their order, their probabilities, reading and writing them.

A coefficient's place in a picture is its frequency in cycles per picture, corrected for the aspect ratio, so one set
of weights serves all grids. Luma is coded first, then two colour differences, each diagonal (u + v) of coefficients
as one pass. A small integer network looks at the coefficients that are already known (neighbours, luma at the same
place, how light and colour moved together so far, the mean colour) and gives the probability of each decision.
Everything here is integer arithmetic, or float64 that holds whole numbers below 2^53.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec import models
from codec.entropy import BitDecoder, BitEncoder

Ints = NDArray[np.int64]

MAX_BYTES = 19
SCALES = 8  # quantiser steps to choose from
LARGEST = 15  # largest magnitude of a coefficient
LARGEST_MEAN = 80  # largest magnitude of a mean
OUTPUTS = 5  # decisions of a coefficient: not zero, negative, above 1, above 2, above 3 (and each further one)
_RADIUS = (13, 5, 4)  # highest frequency of each colour plane
PAD = 2  # zero coefficients around the known ones: neighbours beyond the edge
_SHIFT1, _SHIFT2 = 8, 10  # after the network's first and second layer
_LOGIT = 64  # units of a logit


Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Pass:
    """One diagonal of one colour plane: `n` coefficients that are coded together."""

    plane: int
    rows: Ints  # [n] v, vertical half-cycles
    columns: Ints  # [n] u, horizontal half-cycles
    places: Ints  # [n] flat places in the padded state
    gather: Ints  # [n, G] flat places of what the network looks at
    fixed: Ints  # [n, S] inputs that do not depend on the picture


@dataclass(frozen=True)
class Grid:
    """What is the same for all thumbnails of one grid."""

    gh: int
    gw: int
    side: tuple[int, int]  # padded state of a plane: rows, columns
    means: tuple[int, int, int]  # flat places of the three means
    passes: tuple[Pass, ...]  # luma's diagonals, then the first and the second colour difference's


def log2_table(value: int) -> int:
    """16 * log2(value), linear between powers of two, rounded down; value >= 1."""
    top = value.bit_length() - 1
    return 16 * top + ((value << 4) >> top) - 16


@lru_cache(maxsize=256)
def grid(gh: int, gw: int) -> Grid:
    """The passes of a gh x gw grid (1..32 each)."""
    if not (1 <= gh <= 32 and 1 <= gw <= 32):
        raise ValueError(f"no thumbnail has {gh} x {gw} cells")
    height, width = gh + 2 * PAD, gw + 2 * PAD
    size = height * width
    empty = 0  # a corner of the padding, always zero

    def place(plane: int, v: int, u: int) -> int:
        return plane * size + (v + PAD) * width + u + PAD

    def inside(plane: int, v: int, u: int) -> bool:
        square = u * u * gh * gh + v * v * gw * gw
        return 0 <= u < gw and 0 <= v < gh and square <= _RADIUS[plane] ** 2 * gh * gw

    def known(plane: int, v: int, u: int) -> int:
        return place(plane, v, u) if plane >= 0 and inside(plane, v, u) else empty

    def looked_at(c: int, v: int, u: int) -> list[int]:
        own = [(v, u - 1), (v - 1, u), (v, u - 2), (v - 2, u), (v - 1, u - 1), (v - 2, u + 1), (v + 1, u - 2)]
        axes = [(0, u), (v, 0), (0, 1), (1, 0)] if u and v else [(-1, -1), (-1, -1), (0, 1), (1, 0)]
        axes = [(y, x) if y + x < v + u else (-1, -1) for y, x in axes]
        luma = [(0, v, u), (0, v, u + 1), (0, v + 1, u), (c - 1 if c == 2 else -1, v, u)]
        means = [place(p, 0, 0) for p in range(3)]
        return (
            [known(c, *at) for at in own]
            + ([known(*at) for at in luma] if c else [empty] * 4)
            + [known(c, *at) for at in axes]
            + means
            + [means[c]]
        )

    def fixed(v: int, u: int) -> list[int]:
        square = u * u * gh * gh + v * v * gw * gw
        radius = log2_table(max(1, 64 * square // (gh * gw)))
        share = 32 * u * u * gh * gh // square
        return [radius - 96, share, 32 * (u == 0), 32 * (v == 0), 32 * (u == 0 and v == 1), 32 * (u == 1 and v == 0)]

    passes = []
    for c in range(3):
        for d in range(1, gh + gw - 1):
            at = [(v, d - v) for v in range(d + 1) if inside(c, v, d - v)]
            if at:
                rows, columns = (np.array(axis, dtype=np.int64) for axis in zip(*at, strict=True))
                places = np.array([place(c, v, u) for v, u in at])
                looks = np.array([looked_at(c, v, u) for v, u in at])
                passes.append(Pass(c, rows, columns, places, looks, np.array([fixed(v, u) for v, u in at])))
    return Grid(gh, gw, (height, width), (place(0, 0, 0), place(1, 0, 0), place(2, 0, 0)), tuple(passes))


_LOG = np.array([log2_table(i + 1) for i in range(64)], dtype=np.int64)
# pairs of looked-at coefficients whose common sign says something about the coefficient's own
_PAIRS = (np.array([18, 11, 13, 14]), np.array([7, 12, 0, 1]))
INPUTS = 6 + 6 + 11 + 9 + 3 + 4 + 2


class State:
    """Known coefficients of B thumbnails of one grid, and the network's view of them."""

    def __init__(self, on: Grid, scales: Ints, weights: Weights) -> None:
        self.grid = on
        self.scales = scales
        self.weights = weights
        self.values = np.zeros((len(scales), 3 * on.side[0] * on.side[1]), dtype=np.int64)
        self._plane = 0
        none = np.zeros(len(scales), dtype=np.int64)
        self._earlier = [none, none]  # sums of magnitudes in luma and in the first colour difference
        self._reset()

    def _reset(self) -> None:
        b = len(self.scales)
        self._last = np.zeros(b, dtype=np.int64)
        self._before = np.zeros(b, dtype=np.int64)
        self._total = np.zeros(b, dtype=np.int64)
        self._follow = np.zeros((b, 2), dtype=np.int64)  # how the plane went with luma, and with the first difference

    def inputs(self, step: Pass) -> Ints:
        """The network's inputs for a pass: [B, n, INPUTS]. Passes come in order, each followed by `fill`."""
        if step.plane != self._plane:
            self._earlier[step.plane - 1] = self._total
            self._plane = step.plane
            self._reset()
        x = np.empty((len(self.scales), len(step.places), INPUTS), dtype=np.int64)
        seen = self.values[:, step.gather]
        small = np.minimum(np.maximum(seen, -3), 3)
        x[:, :, 0:6] = step.fixed
        sums = np.array([self._last, self._before, self._total, *self._earlier])
        x[:, :, 6:11] = _LOG[np.minimum(sums, 63)].T[:, None]
        x[:, :, 11] = 8 * self.scales[:, None] - 28
        np.multiply(small[:, :, 2:11], 16, out=x[:, :, 23:32])
        np.abs(x[:, :, 23:32], out=x[:, :, 14:23])
        np.multiply(np.abs(small[:, :, 0:2]), 16, out=x[:, :, 12:14])
        np.multiply(np.minimum(np.maximum(seen[:, :, 15:18], -12), 12), 4, out=x[:, :, 32:35])
        pairs = seen[:, :, _PAIRS[0]] * small[:, :, _PAIRS[1]]
        np.multiply(np.minimum(np.maximum(pairs, -6), 6), 8, out=x[:, :, 35:39])
        follow = 4 * np.minimum(np.maximum(self._follow, -8), 8)[:, None, :]
        np.multiply(np.sign(small[:, :, 7:11:3]), follow, out=x[:, :, 39:41])
        return x

    def fill(self, step: Pass, values: Ints) -> None:
        """Coefficients [B, n] of the pass that `inputs` was asked for become known."""
        self.values[:, step.places] = values
        self._before = self._last
        self._last = np.minimum(np.abs(values), 4).sum(axis=1)
        self._total = self._total + self._last
        if step.plane:
            others = np.sign(self.values[:, step.gather[:, 7:11:3]])
            self._follow = self._follow + (np.sign(values)[:, :, None] * others).sum(axis=1)


@cache
def load(weights: int | str) -> Weights:
    """The tables of a weights set; the network's as float64 that holds whole numbers."""
    stored = models.load(weights, "thumbnail")
    return {k: v.astype(np.float64 if k.startswith(("in", "out")) else np.int64) for k, v in stored.items()}


@lru_cache(maxsize=1)
def _logistic() -> NDArray[np.int64]:
    """Probability (of 65536) for the logits -512..511, in units of 1/64: nearest whole numbers, 1..65535."""
    logits = np.arange(-512, 512) / _LOGIT
    return np.clip(np.rint(65536 / (1 + np.exp(-logits))), 1, 65535).astype(np.int64)


def probabilities(inputs: Ints, plane: int, weights: Weights) -> Ints:
    """Of the OUTPUTS decisions, 1..65535: [..., INPUTS] -> [..., OUTPUTS]. Shifts round down."""
    x = inputs.astype(np.float64)  # whole numbers far below 2^53: any order of summation gives the same
    hidden = (x @ weights["in"][plane] + weights["in_bias"][plane]).astype(np.int64) >> _SHIFT1
    hidden = np.maximum(hidden, 0).astype(np.float64)
    logits = (hidden @ weights["out"][plane] + weights["out_bias"][plane]).astype(np.int64) >> _SHIFT2
    found: Ints = _logistic()[np.minimum(np.maximum(logits, -512), 511) + 512]
    return found


class _Reader:
    """Decisions from a payload: one array a call."""

    def __init__(self, payload: bytes, whole: bool) -> None:
        self._decoder = BitDecoder(payload, whole)

    def get(self, p1: NDArray[np.generic]) -> Ints:
        """As many decisions as asked for; those that a cut payload no longer determines are 0."""
        bits = self._decoder.get(p1).astype(np.int64)
        return np.concatenate([bits, np.zeros(len(p1) - len(bits), dtype=np.int64)]) if len(bits) < len(p1) else bits


def _read_mean(reader: _Reader, table: Ints) -> int:
    if not reader.get(table[:1])[0]:
        return 0
    negative = reader.get(table[1:2])[0]
    size = 1
    while size < LARGEST_MEAN and reader.get(table[1 + size : 2 + size])[0]:
        size += 1
    return -size if negative else size


def _read_pass(reader: _Reader, p: Ints) -> Ints:
    """Coefficients [n] of a pass from decisions with probabilities `p` [n, OUTPUTS]."""
    sizes = reader.get(p[:, 0])
    if not sizes.any():
        return sizes
    more = np.flatnonzero(sizes)
    signs = 1 - 2 * reader.get(p[more, 1])
    size = 1
    left = more
    while left.size and size < LARGEST:
        left = left[reader.get(p[left, min(size + 1, OUTPUTS - 1)]) > 0]
        sizes[left] += 1
        size += 1
    sizes[more] *= signs
    return sizes


def read(payload: bytes, on: Grid, planes: int, weights: Weights, whole: bool = True) -> tuple[int, Ints]:
    """Scale and coefficients (padded layout of `State.values`) of a payload, whatever its bytes are."""
    reader = _Reader(payload, whole)
    scale = 0
    for node in (1, 2, 4):
        scale = 2 * scale + int(reader.get(weights["scales"][node + scale : node + scale + 1])[0])
    state = State(on, np.array([scale]), weights)
    for plane in range(planes):
        state.values[0, on.means[plane]] = _read_mean(reader, weights["means"][plane, scale])
    for step in on.passes:
        if step.plane >= planes:
            break
        state.fill(step, _read_pass(reader, probabilities(state.inputs(step), step.plane, weights)[0])[None])
    return scale, state.values[0]


def write(on: Grid, planes: int, weights: Weights, scale: int, values: Ints) -> bytes:
    """The payload of a scale and coefficients in the padded layout; the inverse of `read`."""
    encoder = BitEncoder()
    for shift, node in ((2, 1), (1, 2), (0, 4)):
        encoder.put([scale >> shift & 1], weights["scales"][[node + (scale >> shift + 1)]])
    state = State(on, np.array([scale]), weights)
    for plane in range(planes):
        mean = int(values[on.means[plane]])
        state.values[0, on.means[plane]] = mean
        bits = [mean != 0] if mean == 0 else [True, mean < 0] + [True] * (abs(mean) - 1) + [False]
        bits = bits[: 1 + LARGEST_MEAN]
        encoder.put(bits, weights["means"][plane, scale][: len(bits)])
    for step in on.passes:
        if step.plane >= planes:
            break
        p = probabilities(state.inputs(step), step.plane, weights)[0]
        chosen = values[step.places]
        _write_pass(encoder, chosen, p)
        state.fill(step, chosen[None])
    return encoder.finish()


def _write_pass(encoder: BitEncoder, values: Ints, p: Ints) -> None:
    sizes = np.abs(values)
    encoder.put(sizes > 0, p[:, 0])
    left = np.flatnonzero(sizes)
    encoder.put(values[left] < 0, p[left, 1])
    size = 1
    while left.size and size < LARGEST:
        encoder.put(sizes[left] > size, p[left, min(size + 1, OUTPUTS - 1)])
        left = left[sizes[left] > size]
        size += 1
