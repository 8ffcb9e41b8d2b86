"""The language model of captions: how likely each word is after the last three, in whole numbers.

Counts of word sequences (tables.py) are smoothed as Kneser and Ney do, interpolated over four orders: a shorter
history counts in how many different longer ones a word was seen, not how often. Each order keeps a discounted share of
its own and hands the rest down; between the last word and none at all stands the last but one. See Chen and Goodman,
An Empirical Study of Smoothing Techniques for Language Modeling (1998).

All numbers are integers below 2^53, so every machine (a web page too) computes the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codec.caption.tables import END, Arrays, Ints, Level, Unpacker, unpack_level

ORDER = 4
UNKNOWN = 1  # a word outside the vocabulary
CAPITAL, UPPER, LOWER, PLAIN, JOIN = CONTROLS = (2, 3, 4, 5, 6)  # about the next word; never in the history
FIRST_WORD = 7
SCALE = 32  # frequencies of all words together are about 2^SCALE


class WordModel:
    """Frequencies of the next word. Words are numbers: END, UNKNOWN, the controls, then the vocabulary; START last."""

    def __init__(self, levels: Sequence[Level], discounts: Ints, controls: Ints) -> None:
        """levels 1..4; discounts int64[5, 3] in 2^-8 for counts 1, 2, more; controls int64[5]: their frequencies."""
        self._levels = levels
        self._controls = controls
        self._discounts = discounts
        self.words = levels[0].word.size - 1
        self.start = self.words
        self._counts = [levels[0].count, *(self._novelty(n) for n in range(1, ORDER))]
        self._lowest = self._unigrams()
        self._skips = self._skipping()

    @classmethod
    def unpack(cls, arrays: Arrays) -> WordModel:
        """From the arrays of a file of weights (see codec/train/caption.py)."""
        unpacker = Unpacker(arrays)
        total = int(arrays["words"][0]) + 1
        count = unpacker.get(np.zeros(total, dtype=np.int64), 1)
        levels = [first_level(count)]
        for _ in range(1, ORDER):
            levels.append(unpack_level(unpacker, levels[-1]))
        return cls(levels, arrays["discounts"].astype(np.int64), arrays["controls"].astype(np.int64))

    def _novelty(self, n: int) -> Ints:
        """For each node of levels[n]: in how many longer sequences it was seen; how often, where none can be longer."""
        level = self._levels[n]
        if n == ORDER - 1:
            return level.count
        longer = np.bincount(self._levels[n + 1].suffix, minlength=level.word.size).astype(np.int64)
        return np.where(self._begins(n), level.count, longer)

    def _begins(self, n: int) -> NDArray[np.bool_]:
        """Which nodes of levels[n] begin with START."""
        begins: NDArray[np.bool_] = self._levels[0].word == self.start
        for level in self._levels[1 : n + 1]:
            begins = np.repeat(begins, np.diff(level.start))
        return begins

    def _unigrams(self) -> Ints:
        """Frequencies without any history."""
        flat = np.full(self.words, (1 << SCALE) // self.words, dtype=np.int64)
        seen = np.bincount(self._levels[1].suffix, minlength=self.words + 1).astype(np.int64)[: self.words]
        return self._mix(flat, np.flatnonzero(seen), seen[seen > 0], 0)

    def _skipping(self) -> Level:
        """What follows a word with one other between; count: how many others. Children of the nodes of level 1."""
        first = np.repeat(np.arange(self.words + 1), np.diff(self._levels[1].start))
        first = np.repeat(first, np.diff(self._levels[2].start))
        keys, counts = np.unique(first * self.words + self._levels[2].word, return_counts=True)
        start = np.searchsorted(keys, np.arange(self.words + 2) * self.words)
        word = keys % self.words
        return Level(word, counts.astype(np.int64), word, start)

    def _mix(self, lower: Ints, words: Ints, counts: Ints, order: int) -> Ints:
        """One step of interpolation: what `counts` of `words` say, the discounted rest as `lower` says.

        order: row of the discounts: 0 no history, 1 the word before the last, 2 to 4 the last one to three words.
        """
        discount = self._discounts[order][np.minimum(counts, 3) - 1]
        total = int(counts.sum())
        mixed: Ints = lower * ((int(discount.sum()) << 8) // total) >> 16
        mixed[words] += (((counts << 8) - discount) << (SCALE - 8)) // total
        return mixed

    def frequencies(self, history: Sequence[int]) -> Ints:
        """int64[words], of the next word after `history` (word numbers, START first; only the last three count)."""
        result = self._lowest
        if len(history) > 1:
            first, last = self._skips.start[history[-2] : history[-2] + 2].tolist()
            if first < last:
                result = self._mix(result, self._skips.word[first:last], self._skips.count[first:last], 1)
        for order in range(1, ORDER):
            node = self._find(history[-order:]) if len(history) >= order else -1
            if node < 0:
                break
            level = self._levels[order]
            first, last = int(level.start[node]), int(level.start[node + 1])
            if first == last:
                break
            result = self._mix(result, level.word[first:last], self._counts[order][first:last], order + 1)
        result = np.maximum(result, 1)
        result[CAPITAL:FIRST_WORD] = self._controls
        return result

    def _find(self, sequence: Sequence[int]) -> int:
        """Node of a sequence of words, -1 if the training text has none."""
        node = sequence[0]
        for level, word in zip(self._levels[1:], sequence[1:], strict=False):
            node = level.child(node, word)
            if node < 0:
                return -1
        return node


def first_level(count: Ints) -> Level:
    """Level 1: every word once, under a root."""
    nodes = count.size
    return Level(np.arange(nodes), count, np.zeros(nodes, dtype=np.int64), np.array([0, nodes]))


__all__ = ["CONTROLS", "END", "FIRST_WORD", "ORDER", "UNKNOWN", "WordModel", "first_level"]
