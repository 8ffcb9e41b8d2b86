"""The bridge to constriction's range coder: passes of binary decisions in, trimmed bytes out, and back.

A payload is the shortest byte string that, continued with 0xFF, lies in the coder's final interval. A payload
that was cut on its way yields exactly the decisions that are the same whatever bytes would have followed: it is
decoded twice, continued with 0x00 and with 0xFF, and the common prefix counts, since the decisions are monotone
in the coded number.

Decision 0 takes the upper part of the interval, so that what lies beyond a payload's end reads as the usual
"nothing here". The coder divides its interval into 2^24 parts; a number in the remainder above them, which only
damaged or cut payloads reach, counts as the topmost part: decision 0, then and ever after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import constriction
import numpy as np
from numpy.typing import ArrayLike, NDArray

_MODEL = constriction.stream.model.Bernoulli(perfect=False)
_RUN = 1024  # decisions decoded at once where a cut may fall
_FILLER = 64  # filler bytes before zeros follow: an undamaged payload never reads that far beyond its end
_WORD_BITS = 32

# Chance of decision 0, the coder's symbol 1, for each probability of decision 1: k/2^16 as exact floats.
_CHANCE = 1.0 - np.clip(np.arange(1 << 16), 1, None) * 2.0**-16

Bits = NDArray[np.uint8]


def _checked(p1: ArrayLike) -> NDArray[np.int64]:
    """Probabilities of decision 1, [n], in units of 2^-16; ValueError unless they are whole and in 1..65535."""
    units = np.atleast_1d(np.asarray(p1))
    if units.dtype.kind not in "iu" or units.ndim != 1:
        raise ValueError("probabilities must be a 1-D integer array")
    if units.size and not (1 <= units.min() and units.max() <= 65535):
        raise ValueError("probabilities must lie in 1..65535")
    return units.astype(np.int64)


class BitEncoder:
    """Codes passes of binary decisions into one payload."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def put(self, bits: ArrayLike, p1: ArrayLike) -> None:
        """Appends decisions `bits` (0 or 1, [n]) that are 1 with probability `p1` / 2^16 (integers, [n])."""
        put_runs([self], [0, np.size(bits)], bits, p1)

    def finish(self) -> bytes:
        """The payload: the shortest bytes that decode to the same decisions when 0xFF follows them."""
        if self._coder.is_empty():
            return b""
        words, (lower, size) = self._coder.pos()
        points = np.asarray(self._coder.get_compressed(), dtype=np.uint32)
        total = words + 2  # words spanned by the final interval
        inside = int.from_bytes(points.astype(">u4").tobytes(), "big") << (_WORD_BITS * (total - len(points)))
        low = inside - ((inside - lower) % (1 << 64))
        high = low + size
        payload: bytes = low.to_bytes(4 * total, "big")
        for count in range(max(0, 4 * words - 4), 4 * total + 1):
            rest = 8 * (4 * total - count)
            prefix = low >> rest
            if ((prefix + 1) << rest) - 1 < high:
                break
        return payload[:count]


def put_runs(encoders: Sequence[BitEncoder], ends: Iterable[int], bits: ArrayLike, p1: ArrayLike) -> None:
    """One pass over several payloads: decisions ends[i] to ends[i + 1] are put into encoder i, as by its `put`."""
    symbols = 1 - np.atleast_1d(np.asarray(bits)).astype(np.int32)
    chances = _CHANCE[_checked(p1)]
    if symbols.shape != chances.shape:
        raise ValueError(f"{symbols.shape} decisions but {chances.shape} probabilities")
    for encoder, (start, end) in zip(encoders, pairwise(ends), strict=True):
        if end > start:
            encoder._coder.encode(symbols[start:end], _MODEL, chances[start:end])


class _Continued:
    """A payload continued with filler bytes, decoded pass by pass; never raises."""

    def __init__(self, payload: bytes, filler: int) -> None:
        data = payload + bytes([filler]) * (_FILLER + -len(payload) % 4)
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, dtype=">u4").astype(np.uint32))
        self._top = False  # in the remainder above the 2^24 parts: every further decision is 0

    def get(self, p: NDArray[np.float64]) -> Bits:
        """Decisions for the chances `p` of decision 0."""
        if self._top or not p.size:
            return np.zeros(p.size, dtype=np.uint8)
        before = self._coder.clone()
        try:
            bits: Bits = (self._coder.decode(_MODEL, p) ^ 1).astype(np.uint8)
            return bits
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException:  # AssertionError, or PanicException, which is no Exception: a damaged payload
            self._coder = before
        if p.size == 1:
            self._top = True
            return np.zeros(1, dtype=np.uint8)
        half = p.size // 2
        return np.concatenate([self.get(p[:half]), self.get(p[half:])])


class BitDecoder:
    """Decodes the passes of one payload in the order in which they were put.

    whole=True: `get` returns as many decisions as asked for, whatever the bytes are.
    whole=False: the payload was cut; `get` returns the certain decisions, and fewer than asked for when it runs
    dry (`dry` is True from then on, and every later `get` returns none).
    """

    def __init__(self, payload: bytes, whole: bool = True) -> None:
        self._upper = _Continued(payload, 0xFF)
        self._lower = None if whole else _Continued(payload, 0x00)
        self.dry = False

    def get(self, p1: ArrayLike) -> Bits:
        """Decisions (uint8, shape [m], m <= n) for probabilities `p1` / 2^16 of a 1 (integers 1..65535, shape [n])."""
        return self._decisions(_CHANCE[np.atleast_1d(np.asarray(p1))])

    def _decisions(self, p: NDArray[np.float64]) -> Bits:
        """As `get`, for the chances `p` of decision 0."""
        if self._lower is None:
            return self._upper.get(p)
        runs = []
        for start in range(0, p.size, _RUN):
            if self.dry:
                break
            runs.append(self._certain(p[start : start + _RUN], self._lower))
        return np.concatenate(runs) if runs else np.empty(0, dtype=np.uint8)

    def _certain(self, p: NDArray[np.float64], lower: _Continued) -> Bits:
        high = self._upper.get(p)
        differing = np.flatnonzero(high != lower.get(p))
        if not differing.size:
            return high
        self.dry = True
        return high[: int(differing[0])]


def get_runs(decoders: Sequence[BitDecoder], ends: Iterable[int], p1: ArrayLike) -> list[Bits]:
    """One pass over several payloads: what decoder i's `get` gives for probabilities ends[i] to ends[i + 1]."""
    chances = _CHANCE[np.atleast_1d(np.asarray(p1))]
    return [
        decoder._decisions(chances[start:end]) if end > start else np.empty(0, dtype=np.uint8)
        for decoder, (start, end) in zip(decoders, pairwise(ends), strict=True)
    ]


def ideal_bits(bits: ArrayLike, p1: ArrayLike) -> float:
    """Information content of decisions `bits` under probabilities `p1` / 2^16 of a 1, in bits."""
    p = _CHANCE[_checked(p1)]
    return float(-np.log2(np.where(np.atleast_1d(np.asarray(bits)) > 0, 1.0 - p, p)).sum())
