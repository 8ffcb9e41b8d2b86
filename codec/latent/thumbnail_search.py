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
_LIMIT = 8.0 * MAX_BYTES
_LUCKY = 12  # payloads above the limit that are worth a try
_WIDE = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
_FINE = 1.12 ** np.arange(-5, 6)
_MOVES, _PAIRED, _ROUNDS = 24, 32, 2  # single and paired changes tried, how often at most
_TRIALS, _SPREAD = 40, 0.3  # last trials: prices that differ by coefficient, by so much of their logarithm
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
    """Bits of means `values` [B] for the tables `p` [B, 1 + LARGEST_MEAN]: not zero, negative, above 1, 2, ..."""
    sizes = np.abs(values)
    yes, no = _BITS[p], _BITS[65536 - p]
    ladder = np.concatenate([np.zeros((len(p), 1)), np.cumsum(yes[:, 2:], axis=1)], axis=1)
    rest = np.where(sizes < LARGEST_MEAN, no[np.arange(len(p)), 1 + np.clip(sizes, 1, LARGEST_MEAN - 1)], 0)
    signs = np.where(values < 0, yes[:, 1], no[:, 1])
    nonzero = yes[:, 0] + signs + ladder[np.arange(len(p)), np.maximum(sizes, 1) - 1] + rest
    return np.where(sizes > 0, nonzero, no[:, 0])


@dataclass
class Seen:
    """What training learns from: a pass of all B thumbnails."""

    plane: int
    inputs: Ints  # [B*n, INPUTS]
    values: Ints  # [B*n]
    goals: Floats  # [B*n] unquantised, in steps


@dataclass
class Chosen:
    """B quantised thumbnails: coefficients in the padded layout, bits, and what they leave of the error."""

    values: Ints  # [B, padded]
    bits: Floats  # [B]
    error: Floats  # [B] sum of squared errors over planes less that of sending nothing (so: negative)
    seen: list[Seen]  # only when asked for


def quantise(
    on: Grid,
    want: Floats,
    scales: Ints,
    prices: Floats,
    weights: Weights,
    planes: int = 3,
    record: bool = False,
    given: Ints | None = None,
) -> Chosen:
    """Best coefficients for each of B (targets [B, padded], scale, price).

    prices: squared steps that a bit is worth, [B], or one for each coefficient in coding order, [B, coefficients].
    given: values [B, padded] that are not chosen but only measured (none of the wrong sign).
    """
    mean_price = prices if prices.ndim == 1 else np.median(prices, axis=1)
    start = 0
    state = State(on, scales, weights)
    steps = weights["steps"][scales] / 64.0
    bits = np.zeros(len(scales))
    error = np.zeros(len(scales))
    seen: list[Seen] = []
    for plane in range(planes):
        place = on.means[plane]
        goal = (want[:, place] - weights["centres"][plane] / 64.0) / steps
        table = weights["means"][plane][scales].astype(np.int64)
        low = np.clip(np.floor(goal), -LARGEST_MEAN, LARGEST_MEAN - 1).astype(np.int64)
        costs = [(goal - q) ** 2 + mean_price * mean_bits(table, q) for q in (low, low + 1)]
        value = np.where(costs[0] <= costs[1], low, low + 1) if given is None else given[:, place]
        state.values[:, place] = value
        bits += mean_bits(table, value)
        error += (goal - value) ** 2 * steps**2 - want[:, place] ** 2
    for step in on.passes:
        if step.plane >= planes:
            break
        price = prices[:, None] if prices.ndim == 1 else prices[:, start : start + len(step.places)]
        start += len(step.places)
        inputs = state.inputs(step)
        p = probabilities(inputs, step.plane, weights)
        goal = want[:, step.places] / steps[:, None]
        signs = np.where(goal < 0, _BITS[p[..., 1]], _BITS[65536 - p[..., 1]])
        size = np.abs(goal)
        nearest = np.minimum(np.rint(size), LARGEST).astype(np.int64)
        levels = weights["levels"][step.plane] / 64.0
        best = np.zeros_like(nearest)
        best_bits = _BITS[65536 - p[..., 0]]
        least = size**2 + price * best_bits
        for k in (nearest, nearest - 1, nearest + 1):
            if given is not None:
                break
            k = np.clip(k, 1, LARGEST)
            b = decision_bits(p, k) + signs
            cost = (size - levels[k]) ** 2 + price * b
            better = cost < least
            best, best_bits, least = (
                np.where(better, k, best),
                np.where(better, b, best_bits),
                np.where(better, cost, least),
            )
        if given is not None:
            best = np.abs(given[:, step.places])
            best_bits = decision_bits(p, best) + np.where(best > 0, signs, 0)
        value = np.where(goal < 0, -best, best)
        state.fill(step, value)
        bits += best_bits.sum(axis=1)
        error += (((size - levels[best]) ** 2 - size**2) * (steps**2)[:, None]).sum(axis=1)
        if record:
            seen.append(Seen(step.plane, inputs.reshape(-1, inputs.shape[-1]), value.ravel(), goal.ravel()))
    return Chosen(state.values, bits, error, seen)


def scale_bits(tables: Weights) -> Floats:
    """Bits of each choice of scale: [SCALES]."""
    bits = np.zeros(SCALES)
    for shift, node in ((2, 1), (1, 2), (0, 4)):
        p = tables["scales"][node + (np.arange(SCALES) >> (shift + 1))]
        bits += _BITS[np.where(np.arange(SCALES) >> shift & 1, p, 65536 - p)]
    return bits


class _Search:
    """Trials for one picture, and the best of them."""

    def __init__(self, on: Grid, want: Floats, tables: Weights, planes: int) -> None:
        self._on, self._want, self._tables, self._planes = on, want, tables, planes
        self._first = scale_bits(tables)
        self._tried: list[tuple[float, float, int, Ints]] = []  # error, bits, scale, values

    def run(self, scales: Ints, prices: Floats, given: Ints | None = None) -> tuple[Floats, Floats]:
        """Tries (scale, price) pairs, or given values; returns errors and bits."""
        want = np.broadcast_to(self._want, (len(scales), self._want.size))
        found = quantise(self._on, want, scales, prices, self._tables, self._planes, given=given)
        bits = found.bits + self._first[scales]
        self._tried += zip(found.error, bits, scales.tolist(), found.values, strict=True)
        return found.error, bits

    def at_limit(self, scales: Ints, prices: Floats) -> tuple[Floats, Floats]:
        """Tries prices [S, P] (rising) for scales [S]; returns each scale's error and price at the limit, [S]."""
        error, bits = self.run(np.repeat(scales, prices.shape[1]), prices.ravel())
        found = np.empty((2, len(scales)))
        rows = zip(error.reshape(prices.shape), bits.reshape(prices.shape), prices, strict=True)
        for i, (errors, sizes, row) in enumerate(rows):
            order = np.argsort(sizes)
            found[0, i] = np.interp(_LIMIT, sizes[order], errors[order]) if sizes[order[0]] <= _LIMIT else np.inf
            found[1, i] = np.exp(np.interp(_LIMIT, sizes[order], np.log(row[order])))
        return found[0], found[1]

    def improve(self) -> bool:
        """Changes one or two coefficients of the best that fits, if that leaves less error. False: nothing better."""
        fitting = [t for t in self._tried if t[1] <= _LIMIT]
        if not fitting:
            return False
        error, bits, scale, values = min(fitting, key=lambda t: t[0])
        places, after = self._moves(scale, values)
        errors, sizes = self._measure(scale, values, places[:, None], after[:, None])
        more_bits, more_error = sizes - bits, errors - error
        together = np.add.outer(more_error, more_error)
        fits = (np.add.outer(more_bits, more_bits) <= _LIMIT + 1 - bits) & np.less.outer(places, places)
        order = np.argsort(np.where(fits, together, np.inf), axis=None)[:_PAIRED]
        pairs = np.stack(np.unravel_index(order, fits.shape), axis=1)
        self._measure(scale, values, places[pairs], after[pairs])
        return min(t[0] for t in self._tried if t[1] <= _LIMIT) < error

    def _moves(self, scale: int, values: Ints) -> tuple[Ints, Ints]:
        """Changes of one coefficient by 1: the best _MOVES towards zero and away from it; places, values [M]."""
        found: tuple[list[tuple[float, int, int]], ...] = ([], [])
        for one in self._on.passes:
            if one.plane >= self._planes:
                break
            goals = self._want[one.places] / (self._tables["steps"][scale] / 64)
            levels = self._tables["levels"][one.plane] / 64
            now = np.abs(values[one.places])
            for side, after in enumerate((now - 1, now + 1)):
                possible = np.flatnonzero((after >= 0) & (after <= LARGEST))
                size, to = np.abs(goals[possible]), after[possible]
                cost = (size - levels[to]) ** 2 - (size - levels[now[possible]]) ** 2
                signed = np.where(goals[possible] < 0, -to, to)
                found[side].extend(zip(cost.tolist(), one.places[possible].tolist(), signed.tolist(), strict=True))
        best = [move[1:] for side in found for move in sorted(side)[:_MOVES]]
        moves = np.array(best, dtype=np.int64).reshape(-1, 2)
        return moves[:, 0], moves[:, 1]

    def _measure(self, scale: int, values: Ints, places: Ints, after: Ints) -> tuple[Floats, Floats]:
        """Tries `values` with `places` [B, k] set to `after` [B, k]; returns errors and bits."""
        changed = np.tile(values, (len(places), 1))
        np.put_along_axis(changed, places, after, axis=1)
        return self.run(np.full(len(places), scale), np.ones(len(places)), changed)

    def payload(self) -> bytes:
        """The least error that fits. A little above the limit is tried too: the coder's end is a matter of luck."""
        fitting = sorted((t for t in self._tried if t[1] <= _LIMIT + 3), key=lambda t: t[0])
        lucky = 0
        for _, bits, scale, values in fitting:
            if bits > _LIMIT:
                lucky += 1
                if lucky > _LUCKY:
                    continue
            payload = write(self._on, self._planes, self._tables, scale, values)
            if len(payload) <= MAX_BYTES:
                return payload
        return b""


def encode(target: NDArray[Any], channels: int, weights: int = 1) -> bytes:
    """The payload; see `thumbnail.encode`. Wide trials first, then finer ones, then uneven prices."""
    on, tables = grid(*target.shape[1:]), load(weights)
    search = _Search(on, coefficients(on, target), tables, 1 if channels < 3 else 3)
    error, price = search.at_limit(np.arange(SCALES), np.tile(_WIDE, (SCALES, 1)))
    scales = np.argsort(error)[:2]
    error, price = search.at_limit(scales, price[scales, None] * _FINE)
    best = int(np.argmin(error))
    count = sum(len(p.places) for p in on.passes)
    if count:
        noise = np.random.default_rng(0).normal(0, _SPREAD, (_TRIALS, count))
        search.run(scales[[best]].repeat(_TRIALS), price[best] * np.exp(noise))
        for _ in range(_ROUNDS):
            if not search.improve():
                break
    return search.payload()
