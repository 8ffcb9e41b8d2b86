"""Chunks in, a corrected picture out. The state of all cells is kept, so a new chunk never decodes old ones again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codec.entropy import BitDecoder, get_runs
from codec.residual.layout import Layout, Placed
from codec.residual.painting import Painter
from codec.residual.passes import Bits, Index, Item, State, run_items, schedule
from codec.residual.tables import PASSES, tables
from codec.residual.transform import GROUPS, Picture
from codec.stream import MAX_LENGTH, Header

BATCH = 48  # cells that are worked on at once
SHORT = 16  # P(a chunk holds only the beginning of its step), in 2^-16
COUNT_BITS = 9  # of the number of items in such a chunk
HALF = 32768


class Readers:
    """Decodes the decisions of a batch of chunks. sizes: how many cells of the batch each chunk has, in their order."""

    def __init__(self, decoders: Sequence[BitDecoder], sizes: Sequence[int], raw: bool = False) -> None:
        self._decoders = decoders
        self._bounds = np.concatenate([[0], np.cumsum(sizes)])
        self._raw = raw

    @property
    def dry(self) -> bool:
        """Whether nothing more can come."""
        return all(decoder.dry for decoder in self._decoders)

    def code(self, p1: Index, ends: Index, truth: Bits | None) -> tuple[Bits, Index | None]:
        """As Coder.code; fewer decisions than asked for only from cut chunks."""
        if self._raw:
            p1 = np.full_like(p1, HALF)
        starts = ends[self._bounds]
        parts = get_runs(self._decoders, starts.tolist(), p1)
        bits = np.concatenate(parts)
        if bits.size == starts[-1] - starts[0]:
            return bits, None
        return bits, np.concatenate([np.arange(s, s + part.size) for s, part in zip(starts, parts, strict=False)])


@dataclass
class _Job:
    """A chunk about to be decoded: its cells and what it holds."""

    index: int
    cells: Index
    decoder: BitDecoder
    items: tuple[Item, ...]
    raw: bool


class ResidualDecoder:
    """Collects the residual chunks of one picture, in any order that respects their needs."""

    def __init__(self, header: Header) -> None:
        self._layout = Layout.of(header)
        self._tables = tables(header.weights)
        self._state = State(self._layout.roles, self._layout.inside)
        shape = (self._layout.rows * self._layout.columns, len(self._layout.roles), GROUPS)
        self._done = np.zeros(shape, np.int8)  # passes made
        self._whole: set[int] = set()
        self._before: dict[int, tuple[Index, State]] = {}  # of cut chunks: what their cells were
        self._painter = Painter(header.weights, self._layout, self._state, self._done)

    def push(self, index: int, payload: bytes, whole: bool = True) -> bool:
        """Takes one chunk. False if it is impossible, or what it needs has not come whole: then nothing changes."""
        return self.push_many([(index, payload, whole)])[0]

    def push_many(self, chunks: Iterable[tuple[int, bytes, bool]]) -> list[bool]:
        """Takes chunks (index, payload, whole), those of a step together (fast); whether each was taken."""
        given = list(chunks)
        taken = [False] * len(given)
        order = sorted(
            (place for place in range(len(given)) if self._possible(given[place])),
            key=lambda i: (given[i][0], not given[i][2]),
        )
        at = 0
        while at < len(order):
            step = self._layout.place(given[order[at]][0])[0]
            stop = at
            while stop < len(order) and self._layout.place(given[order[stop]][0])[0] == step:
                stop += 1
            self._take(self._layout.steps[step], [(place, *given[place]) for place in order[at:stop]], taken)
            at = stop
        return taken

    def _possible(self, chunk: tuple[int, bytes, bool]) -> bool:
        index, payload, _ = chunk
        return 0 <= index < self._layout.count and len(payload) <= MAX_LENGTH

    def _take(self, placed: Placed, chunks: list[tuple[int, int, bytes, bool]], taken: list[bool]) -> None:
        """Decodes chunks of one step, in batches of those that hold the same items."""
        batches: dict[tuple[tuple[Item, ...], bool], list[_Job]] = {}
        seen: set[int] = set()
        for place, index, payload, whole in chunks:
            if index in self._whole or index in seen or not self._whole.issuperset(self._layout.needs(index)):
                taken[place] = index in self._whole or index in seen
                continue
            job = self._open(placed, index, payload, whole)
            if job is None:
                continue
            taken[place] = True
            seen.add(index)
            if whole:
                batches.setdefault((job.items, job.raw), []).append(job)
            else:
                self._run(placed, [job], cut=True)
        for jobs in batches.values():
            for group in _batches(jobs):
                self._run(placed, group, cut=False)

    def _open(self, placed: Placed, index: int, payload: bytes, whole: bool) -> _Job | None:
        """Reads a chunk's first decisions: does it hold its whole step?"""
        cells = self._layout.cells(index)
        done = [int(self._done[cells[0], plane, group]) for plane, group in placed.units]
        items = schedule(done, placed.units, max(placed.step.numbers.stop, 0))
        decoder = BitDecoder(payload, whole)
        flag = decoder.get(np.array([SHORT]))
        raw = False
        if flag.size and flag[0]:
            bits = decoder.get(np.full(COUNT_BITS + 1, HALF))
            if bits.size <= COUNT_BITS:
                return _Job(index, cells, decoder, (), False)  # cut within its own head
            raw, count = bool(bits[0]), int(bits[1:] @ (1 << np.arange(COUNT_BITS)))
            if not 1 <= count < len(items):
                return None
            items = items[:count]
        return _Job(index, cells, decoder, tuple(items), raw)

    def _run(self, placed: Placed, jobs: list[_Job], cut: bool) -> None:
        units = frozenset(placed.units)
        for job in jobs:
            if job.index in self._before:  # came before, cut
                self._state.put(*self._before.pop(job.index), units)
        cells = np.concatenate([job.cells for job in jobs])
        part = self._state.take(cells)
        if cut:
            self._before[jobs[0].index] = cells, self._state.take(cells)
        readers = Readers([job.decoder for job in jobs], [job.cells.size for job in jobs], jobs[0].raw)
        run_items(part, self._tables, readers, jobs[0].items, placed.links)
        self._state.put(cells, part, units)
        self._painter.forget({plane for plane, _ in placed.units})
        if not cut:
            advance(self._done, cells, jobs[0].items)
            self._whole.update(job.index for job in jobs)

    def correct(self, base: Picture) -> Picture:
        """The picture that the chunks so far make of the exact picture of the base, uint8[H,W,C]."""
        return self._painter.paint(base)

    def complete(self) -> bool:
        """Whether the picture is exact everywhere, given the exact base."""
        return bool(self._painter.complete_cells().all())

    def refined(self) -> NDArray[np.float32]:
        """float32[rows, columns] of the picture's 128x128 squares: the share of the passes over luma made, 0..1."""
        share = np.minimum(self._done[:, 0].mean(axis=1, dtype=np.float32) / PASSES, 1)
        return np.asarray(share, np.float32).reshape(self._layout.rows, self._layout.columns)

    def exact_cells(self) -> NDArray[np.bool_]:
        """bool[rows, columns] of the picture's 128x128 squares: True where all pixels are exact, given the base."""
        return self._painter.exact_cells()


def advance(done: NDArray[np.int8], cells: Index, items: Sequence[Item]) -> None:
    """Notes in done[cells, planes, groups] that `items` were made for `cells`."""
    for number, plane, group in items:
        done[cells, plane, group] = number + 1


def _batches(jobs: list[_Job]) -> Iterable[list[_Job]]:
    """Runs of jobs of at most BATCH cells in all."""
    batch: list[_Job] = []
    cells = 0
    for job in jobs:
        if batch and cells + job.cells.size > BATCH:
            yield batch
            batch, cells = [], 0
        batch.append(job)
        cells += job.cells.size
    yield batch
