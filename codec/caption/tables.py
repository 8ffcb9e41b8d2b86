"""Counts of word sequences, packed for the file of weights and unpacked when it is loaded.

A `Level` n holds every sequence of n words that the training text has, ordered by its first n-1 words (its parent, a
node of level n-1) and then by its last word. What follows a sequence also follows its suffix (the same without the
first word), so only the rank there is packed: few and small numbers. The counts of what follows a sequence add up to
the sequence's own. The numbers are binarised and coded by codec.entropy in passes over a whole level, so that 500,000
sequences unpack in a fraction of a second.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codec.entropy import BitDecoder, BitEncoder

Ints = NDArray[np.int64]
Arrays = dict[str, np.ndarray]
END = 0  # the word that nothing follows
_STEPS = 20  # numbers stay below 2^20
_CLASSES = 21  # classes of a number, by bit length


@dataclass(frozen=True)
class Level:
    """Nodes of one level. word, count, suffix: int64[nodes]; start: int64[nodes of the level before + 1].

    `suffix` is the node of the level before that has the same words without the first; the children of a node `i` of
    the level before are start[i]..start[i+1], ascending in `word`.
    """

    word: Ints
    count: Ints
    suffix: Ints
    start: Ints

    def child(self, parent: int, word: int) -> int:
        """Node of the sequence `parent` + `word`; -1 if there is none."""
        first, last = int(self.start[parent]), int(self.start[parent + 1])
        at = first + int(np.searchsorted(self.word[first:last], word))
        return at if at < last and int(self.word[at]) == word else -1


def _length(x: Ints) -> Ints:
    """Bit length of each number (0 for 0), exactly, for numbers below 2^52."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)


class Packer:
    """Codes arrays of whole numbers, each in a class (0..classes-1) that shapes its probabilities."""

    def __init__(self) -> None:
        self._coder = BitEncoder()
        self._shapes: list[NDArray[np.uint16]] = []
        self._plain: list[NDArray[np.uint8]] = []  # bits that are as often 1 as 0: not coded

    def put(self, numbers: Ints, classes: Ints, count: int) -> None:
        """numbers int64[n] in 0..2^20-2, classes int64[n] in 0..count-1."""
        length = _length(numbers + 1) - 1
        shape = np.full((count, _STEPS), 64, dtype=np.uint16)
        for step in range(_STEPS):
            alive = length >= step
            more = (length[alive] > step).astype(np.uint8)
            if not more.size:
                break
            total = np.bincount(classes[alive], minlength=count)
            ones = np.bincount(classes[alive], weights=more, minlength=count).astype(np.int64)
            shape[:, step] = np.clip((ones * 65536 + 32768) // (total + 1), 64, 65472)
            self._coder.put(more, shape[classes[alive], step].astype(np.int64))
        self._shapes.append(shape)
        for bit in range(_STEPS - 1, -1, -1):
            having = length > bit
            self._plain.append((((numbers[having] + 1) >> bit) & 1).astype(np.uint8))

    def finish(self) -> Arrays:
        """uint8 arrays: `coded` and `plain` bits, `shapes` (uint16[all classes, steps], little-endian, zlib)."""
        shapes = zlib.compress(np.concatenate(self._shapes).astype("<u2").tobytes(), 9)
        return {
            "coded": np.frombuffer(self._coder.finish(), dtype=np.uint8),
            "plain": np.packbits(np.concatenate(self._plain)),
            "shapes": np.frombuffer(shapes, dtype=np.uint8),
        }


class Unpacker:
    """Reads what Packer coded, in the same order."""

    def __init__(self, arrays: Arrays) -> None:
        self._coder = BitDecoder(arrays["coded"].tobytes())
        shapes = np.frombuffer(zlib.decompress(arrays["shapes"].tobytes()), dtype="<u2")
        self._shapes = shapes.reshape(-1, _STEPS).astype(np.int64)
        self._plain = np.unpackbits(arrays["plain"])
        self._row = 0
        self._at = 0

    def get(self, classes: Ints, count: int) -> Ints:
        """The numbers (int64[n]) of these classes."""
        shape = self._shapes[self._row : self._row + count]
        self._row += count
        length = np.zeros(classes.size, dtype=np.int64)
        alive = np.arange(classes.size)
        for step in range(_STEPS):
            if not alive.size:
                break
            more = self._coder.get(shape[classes[alive], step])
            alive = alive[more > 0]
            length[alive] += 1
        numbers = np.ones(classes.size, dtype=np.int64)
        for bit in range(_STEPS - 1, -1, -1):
            having = np.flatnonzero(length > bit)
            values = self._plain[self._at : self._at + having.size]
            self._at += having.size
            numbers[having] = (numbers[having] << 1) | values
        return numbers - 1


def _segments(sizes: Ints) -> tuple[Ints, Ints]:
    """Of runs of these sizes, laid end to end: where each starts (and the end), and each element's place in its run."""
    start = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    return start, np.arange(int(start[-1])) - np.repeat(start[:-1], sizes)


def _by_rank(parent: Level) -> Ints:
    """Nodes of `parent`, the children of each node in order of descending count, ties in order of their words."""
    sizes = np.diff(parent.start)
    owner = np.repeat(np.arange(sizes.size), sizes)
    return np.argsort((owner << 40) + ((1 << 20) - parent.count << 20) + parent.word, kind="stable")


class _Shape:
    """What both sides know of a level before its ranks: classes of the numbers to come."""

    def __init__(self, before: Level) -> None:
        # The whole of level 1 is one family of children; of a deeper node, those of its suffix.
        self.family_start = before.start
        self.total = np.where(before.word == END, 0, before.count)
        self.family = before.suffix
        self.candidates = np.diff(before.start)[self.family]

    def size_classes(self) -> tuple[NDArray[np.bool_], Ints]:
        most = np.minimum(self.total, self.candidates)
        open_ = (most > 1) & (self.total > 0)
        return open_, (_length(self.total) * _CLASSES + _length(self.candidates))[open_]

    def rank_classes(self, sizes: Ints, place: Ints) -> tuple[NDArray[np.bool_], Ints]:
        spare = np.repeat(self.candidates - sizes, sizes)
        kinds = np.repeat(_length(self.candidates) * _CLASSES + _length(sizes), sizes) * 4
        return spare > 0, (kinds + np.minimum(place, 3))[spare > 0]

    def count_classes(self, sizes: Ints, place: Ints) -> tuple[NDArray[np.bool_], Ints]:
        excess = np.repeat(self.total - sizes, sizes)
        last = place == np.repeat(sizes - 1, sizes)
        open_ = (excess > 0) & ~last
        kinds = np.repeat(_length(self.total - sizes) * _CLASSES + _length(sizes), sizes) * 4
        return open_, (kinds + np.minimum(place, 3))[open_]


_PAIRS = _CLASSES * _CLASSES


def _compact(classes: Ints, count: int) -> tuple[Ints, int]:
    """Classes renumbered to those that occur: both sides see the same array."""
    used = np.zeros(count, dtype=np.int64)
    used[classes] = 1
    return (np.cumsum(used) - 1)[classes], int(used.sum())


def pack_level(packer: Packer, before: Level, level: Level) -> None:
    """Codes `level`, whose parents are the nodes of `before`."""
    shape = _Shape(before)
    sizes = np.diff(level.start)
    open_, classes = shape.size_classes()
    packer.put(sizes[open_] - 1, *_compact(classes, _PAIRS))
    place_of = np.empty(before.word.size, dtype=np.int64)
    ranked = _by_rank(before)
    place_of[ranked] = np.arange(ranked.size)
    parents = np.repeat(np.arange(sizes.size), sizes)
    rank = place_of[level.suffix] - before.start[shape.family[parents]]
    order = np.lexsort((rank, parents))
    rank, count = rank[order], level.count[order]
    _, place = _segments(sizes)
    gap = np.where(place == 0, rank, rank - np.concatenate([[0], rank[:-1]]) - 1)
    open_, classes = shape.rank_classes(sizes, place)
    packer.put(gap[open_], *_compact(classes, _PAIRS * 4))
    open_, classes = shape.count_classes(sizes, place)
    packer.put(count[open_] - 1, *_compact(classes, _PAIRS * 4))


def unpack_level(unpacker: Unpacker, before: Level) -> Level:
    """The level whose parents are the nodes of `before`."""
    shape = _Shape(before)
    open_, classes = shape.size_classes()
    sizes = ((shape.total > 0) & (shape.candidates > 0)).astype(np.int64)
    sizes[open_] += unpacker.get(*_compact(classes, _PAIRS))
    start, place = _segments(sizes)
    open_, classes = shape.rank_classes(sizes, place)
    gap = np.zeros(place.size, dtype=np.int64)
    gap[open_] = unpacker.get(*_compact(classes, _PAIRS * 4))
    steps = np.cumsum(gap + 1)
    parents = np.repeat(np.arange(sizes.size), sizes)
    first = np.concatenate([[0], steps])[start[:-1]]
    rank = steps - first[parents] - 1
    suffix = _by_rank(before)[before.start[shape.family[parents]] + rank]
    open_, classes = shape.count_classes(sizes, place)
    count = np.ones(place.size, dtype=np.int64)
    count[open_] += unpacker.get(*_compact(classes, _PAIRS * 4))
    last = start[1:][sizes > 0] - 1
    sums = np.concatenate([[0], np.cumsum(count)])
    known = sums[last] - sums[start[:-1][sizes > 0]]  # of all but the last
    count[last] = shape.total[sizes > 0] - known
    order = np.argsort((parents << 18) + before.word[suffix], kind="stable")
    return Level(before.word[suffix][order], count[order], suffix[order], start)
