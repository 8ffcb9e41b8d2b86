"""Words that the vocabulary lacks, byte by byte: frequencies of the next byte after the last four of the word.

The model is no part of the weights: it counts the bytes of the vocabulary itself when a word has to be spelled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
STOP = 256  # the word ends
_SYMBOLS = 257
_CONTEXT = 4
_SCALE = 32
_DISCOUNT = 192  # of each count, in 2^-8
_FLOOR = 1 << (_SCALE - 16)  # of every symbol


class LetterModel:
    """Frequencies of bytes within a word."""

    def __init__(self, words: Sequence[bytes]) -> None:
        symbols = np.frombuffer(b"".join(word + b"\n" for word in words), dtype=np.uint8).astype(np.int64)
        stops = symbols == ord("\n")
        symbols[stops] = STOP
        starts = np.concatenate([[0], np.flatnonzero(stops)[:-1] + 1]) if words else np.zeros(0, dtype=np.int64)
        place = np.arange(symbols.size) - np.repeat(starts, np.diff([*starts, symbols.size]))
        self._keys: list[Ints] = []  # of each order: context * 2^9 + symbol, ascending
        self._counts: list[Ints] = []
        context = np.zeros(symbols.size, dtype=np.int64)
        for order in range(_CONTEXT + 1):
            if order:  # the byte `order` places back, STOP in front of the word
                back = np.full(symbols.size, STOP, dtype=np.int64)
                inside = np.flatnonzero(place >= order)
                back[inside] = symbols[inside - order]
                context = context + (back << (9 * (order - 1)))
            keys, counts = np.unique((context << 9) + symbols, return_counts=True)
            self._keys.append(keys)
            self._counts.append(counts.astype(np.int64))

    def frequencies(self, spelled: bytes) -> Ints:
        """int64[257] of the next byte after `spelled`, STOP last."""
        result = np.full(_SYMBOLS, (1 << _SCALE) // _SYMBOLS, dtype=np.int64)
        context = 0
        for order in range(_CONTEXT + 1):
            if order:
                context += (spelled[-order] if order <= len(spelled) else STOP) << (9 * (order - 1))
            keys = self._keys[order]
            first, last = np.searchsorted(keys, [context << 9, (context + 1) << 9])
            if first == last:
                break
            counts = self._counts[order][first:last]
            total = int(counts.sum())
            result = result * ((counts.size * _DISCOUNT << 8) // total) >> 16
            result[keys[first:last] & 511] += (((counts << 8) - _DISCOUNT) << (_SCALE - 8)) // total
        return result + _FLOOR
