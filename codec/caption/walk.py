"""Symbols of large alphabets as binary decisions: halving the frequency that is left until one symbol remains.

The sink gathers the decisions of one caption and codes them in one pass; the source asks for them one by one, since
each word's frequencies depend on the words before it. Both compute the same integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.entropy import BitDecoder, BitEncoder

Frequencies = NDArray[np.int64]


class Dry(Exception):
    """A cut payload holds no further certain decision."""


def _p1(left: int, right: int) -> int:
    """Probability of going right, in units of 2^-16, 1..65535."""
    return min(max((right << 16) // (left + right), 1), 65535) if left + right else 32768


def _middle(sums: Frequencies, low: int, high: int) -> int:
    """Where to part symbols low..high-1: the first place with half of their frequency before it, low+1..high-1."""
    half = (int(sums[low]) + int(sums[high])) >> 1
    return min(low + 1 + int(sums[low + 1 : high].searchsorted(half)), high - 1)


def _sums(frequencies: Frequencies) -> Frequencies:
    sums = np.zeros(frequencies.size + 1, dtype=np.int64)
    frequencies.cumsum(out=sums[1:])
    return sums


class Sink:
    """Gathers decisions; `payload` codes them."""

    def __init__(self) -> None:
        self._bits: list[int] = []
        self._p1: list[int] = []

    def bit(self, value: int, p1: int) -> None:
        """One decision that is 1 with probability `p1` / 2^16."""
        self._bits.append(value)
        self._p1.append(p1)

    def symbol(self, value: int, frequencies: Frequencies) -> None:
        """One symbol 0..n-1 with integer frequencies (int64, shape [n], sum below 2^36)."""
        sums = _sums(frequencies)
        low, high = 0, frequencies.size
        while high - low > 1:
            middle = _middle(sums, low, high)
            right = value >= middle
            at = int(sums[middle])
            self.bit(int(right), _p1(at - int(sums[low]), int(sums[high]) - at))
            low, high = (middle, high) if right else (low, middle)

    def payload(self) -> bytes:
        """The bytes of all decisions so far."""
        coder = BitEncoder()
        coder.put(np.array(self._bits, dtype=np.uint8), np.array(self._p1, dtype=np.int64))
        return coder.finish()

    def ideal(self) -> float:
        """Information content of all decisions so far, in bits."""
        p = np.array(self._p1) / 65536
        return float(-np.log2(np.where(np.array(self._bits) > 0, p, 1 - p)).sum())


class Source:
    """Reads decisions of a payload; raises Dry where a cut payload has no certain one left."""

    def __init__(self, payload: bytes, whole: bool) -> None:
        self._coder = BitDecoder(payload, whole)

    def bit(self, p1: int) -> int:
        """One decision that is 1 with probability `p1` / 2^16."""
        bits = self._coder.get(np.array([p1], dtype=np.int64))
        if not bits.size:
            raise Dry
        return int(bits[0])

    def symbol(self, frequencies: Frequencies) -> int:
        """One symbol 0..n-1 with integer frequencies (int64, shape [n], sum below 2^36)."""
        sums = _sums(frequencies)
        low, high = 0, frequencies.size
        while high - low > 1:
            middle = _middle(sums, low, high)
            at = int(sums[middle])
            if self.bit(_p1(at - int(sums[low]), int(sums[high]) - at)):
                low = middle
            else:
                high = middle
        return low
