"""Chunks in, a corrected picture out. The state of all cells is kept, so a new chunk never decodes old ones again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codec.entropy import BitDecoder, get_runs
from codec.residual import filter
from codec.residual.layout import EVERY, Layout, Placed, reach
from codec.residual.passes import LIMIT, Bits, Index, Item, Small, State, run_items, schedule
from codec.residual.tables import PASSES, TOPS, tables
from codec.residual.transform import (
    CELL,
    EIGHTHS,
    GROUPS,
    SIDES,
    Picture,
    Plane,
    base_bands,
    from_cells,
    rise,
    shown,
    synthesise,
    to_cells,
    told,
)  # fmt: skip
from codec.stream import MAX_LENGTH, Header

BATCH = 48  # cells that are worked on at once
SHORT = 16  # P(a chunk holds only the beginning of its step), in 2^-16
COUNT_BITS = 9  # of the number of items in such a chunk
HALF = 32768
# Where in its interval a magnitude is put, in 1/256 of the way from the lowest to the highest integer, by how often the
# interval was halved since the coefficient became significant (0, 1, 2 and more).
POINTS = np.array([108, 118, 124], np.int32)


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
        self._planes: list[Plane | None] = [None] * len(self._layout.roles)  # of the corrected picture, in eighths
        self._exact: list[NDArray[np.bool_]] = [np.zeros((0, 0), np.bool_)] * len(self._layout.roles)  # their pixels
        self._filter = filter.Filter(header.weights, self._layout.rows, self._layout.columns)
        self._base: Picture | None = None
        self._known: list[list[list[Plane]]] = []  # the base's bands by plane and group
        self._told: list[list[tuple[Small, Small]]] = []  # in cells: all of the base's bands; what they tell

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
        for plane, _ in placed.units:
            self._planes[plane] = None
        if not cut:
            advance(self._done, cells, jobs[0].items)
            self._whole.update(job.index for job in jobs)

    def correct(self, base: Picture) -> Picture:
        """The picture that the chunks so far make of the exact picture of the base, uint8[H,W,C]."""
        layout = self._layout
        if base.shape != (layout.height, layout.width, layout.channels) or base.dtype != np.uint8:
            raise ValueError(f"the base must be uint8{[layout.height, layout.width, layout.channels]}")
        if self._base is None or not np.array_equal(base, self._base):
            self._base = base.copy()
            self._known = base_bands(base)
            self._told = [
                [self._both(bands, role, group) for group, bands in enumerate(groups)]
                for role, groups in zip(layout.roles, self._known, strict=True)
            ]
            self._planes = [None] * len(self._planes)
        for plane in range(len(self._planes)):
            if self._planes[plane] is None:
                self._planes[plane] = self._plane(plane)
        return shown([plane for plane in self._planes if plane is not None], self._exact, layout.channels)

    def _plane(self, plane: int) -> Plane:
        """A plane of the corrected picture in eighths; notes which of its pixels are exact, given the base."""
        groups = [self._bands(group, self._values(plane, group)) for group in EVERY]
        exact = self._exact[plane] = self._exact_pixels(plane)
        if exact.all():
            return _exactly(groups)
        smooth = self._filtered(groups) if plane == 0 else synthesise(groups, smoothly=True)
        if exact.any():
            np.copyto(smooth, _exactly(groups), where=exact)
        return smooth

    def _filtered(self, groups: list[list[Plane]]) -> Plane:
        """Luma in eighths: its bands filtered, level by level, and synthesised."""
        low = groups[0][0]
        for group, details in enumerate(groups[1:], 1):
            passes = self._done[:, 0, group]
            if group >= filter.FIRST and filter.active(passes, group).any():
                details = self._filter(group, low, details, self._known[0][group], self._bounds(group), passes)
            low = rise(low, details, group, smoothly=True)
        return low

    def _exact_pixels(self, plane: int) -> NDArray[np.bool_]:
        """bool[H,W]: the pixels that no coefficient reaches which is not known whole and whose cell is begun."""
        layout, state = self._layout, self._state
        count = self._done.shape[0]
        begun = (self._done[:, plane] > 0).sum(axis=1) > 0
        for blocks in state.open[plane]:
            begun |= blocks.reshape(count, -1).any(axis=1)
        exact = np.ones((layout.height, layout.width), np.bool_)
        for group in EVERY:
            far = reach(group, filtered=False)  # the filter moves nothing that is known whole
            for cell in np.flatnonzero(begun & ~self._complete_group(plane, group)):
                row, column = divmod(int(cell), layout.columns)
                top, left = max(0, row * CELL - far), max(0, column * CELL - far)
                exact[top : (row + 1) * CELL + far, left : (column + 1) * CELL + far] = False
        return exact

    def _bands(self, group: int, cells: Plane) -> list[Plane]:
        layout = self._layout
        return from_cells(cells, group, layout.rows, layout.columns, layout.height, layout.width)

    def _theirs(self, plane: int, group: int) -> Plane:
        """What the base tells of the coefficients, in cells; before the first pass over a band, all of it."""
        whole, part = self._told[plane][group]
        return np.where(self._begun(plane, group), part, whole).astype(np.int32)

    def _both(self, bands: list[Plane], role: int, group: int) -> tuple[Small, Small]:
        rows, columns = self._layout.rows, self._layout.columns
        return to_cells(bands, group, rows, columns), to_cells(told(bands, role, group), group, rows, columns)

    def _values(self, plane: int, group: int) -> Plane:
        """The likeliest coefficients in eighths, in cells, each by itself: before the first pass, the base's."""
        return guess(self._state, plane, group) + (self._theirs(plane, group) << EIGHTHS)

    def _begun(self, plane: int, group: int) -> NDArray[np.bool_]:
        """bool[cells, orientations, 1, 1]: whether a pass has asked about a band."""
        tops = np.array(TOPS[self._layout.roles[plane]][group], np.int64)
        done = self._done[:, plane, group, None].astype(np.int64)
        begun: NDArray[np.bool_] = (done > 0) & ((tops >> np.maximum(done - 1, 0)) < LIMIT)
        return begun[:, :, None, None]

    def _bound(self, plane: int, group: int) -> Plane:
        """The largest magnitude that each coefficient can have, in cells."""
        state = self._state
        tops = np.array(TOPS[self._layout.roles[plane]][group], np.int64)[:, None, None]
        done = self._done[:, plane, group, None, None, None].astype(np.int64)
        closed = np.where(self._begun(plane, group), tops >> done, np.iinfo(np.int16).max).astype(np.int32)
        size = SIDES[group] // state.open[plane][group].shape[-1]
        opened = np.repeat(np.repeat(state.open[plane][group], size, axis=2), size, axis=3)
        return np.where(opened, state.high[plane][group].astype(np.int32) - 1, closed)

    def _bounds(self, group: int) -> list[tuple[Plane, Plane]]:
        """The least and the largest value that luma's coefficients can have, by band."""
        most = self._bound(0, group)
        low, sign = self._state.low[0][group], self._state.sign[0][group]
        nearest = np.where((low > 0) & (sign != 0), low, -most)
        least, most = np.where(sign < 0, -most, nearest), np.where(sign < 0, -nearest, most)
        theirs = self._theirs(0, group)
        least, most = least + theirs, most + theirs
        return list(zip(self._bands(group, least), self._bands(group, most), strict=True))

    def _complete_cells(self, planes: Sequence[int]) -> NDArray[np.bool_]:
        """bool[cells]: where every coefficient of `planes` is known."""
        parts = [self._complete_group(plane, group) for plane in planes for group in EVERY]
        complete: NDArray[np.bool_] = np.logical_and.reduce(parts)
        return complete

    def _complete_group(self, plane: int, group: int) -> NDArray[np.bool_]:
        """bool[cells]: where every coefficient of a group of a plane is known."""
        complete: NDArray[np.bool_] = self._done[:, plane, group] >= PASSES
        if complete.any():
            low, high = self._state.low[plane][group], self._state.high[plane][group]
            known = (high - low <= 1) & ((low == 0) | (self._state.sign[plane][group] != 0))
            complete &= known.reshape(complete.size, -1).all(axis=1)
        return complete

    def complete(self) -> bool:
        """Whether the picture is exact everywhere, given the exact base."""
        return bool(self._complete_cells(range(len(self._planes))).all())

    def exact_cells(self) -> NDArray[np.bool_]:
        """bool[rows, columns] of the 128x128 squares of the picture: True where all pixels are exact, given the base.

        Synthesis reaches 141 pixels at most, so a square is exact when all within two of it are complete: the filter
        around it moves nothing that is known whole.
        """
        complete = self._complete_cells(range(len(self._planes))).reshape(self._layout.rows, self._layout.columns)
        padded = np.pad(complete, 2, constant_values=True)
        exact = np.ones_like(complete)
        for y in range(5):
            for x in range(5):
                exact &= padded[y : y + complete.shape[0], x : x + complete.shape[1]]
        return exact


def advance(done: NDArray[np.int8], cells: Index, items: Sequence[Item]) -> None:
    """Notes in done[cells, planes, groups] that `items` were made for `cells`."""
    for number, plane, group in items:
        done[cells, plane, group] = number + 1


def _exactly(groups: list[list[Plane]]) -> Plane:
    """What the exact transform makes of bands in eighths, in eighths."""
    return synthesise([[band >> EIGHTHS for band in bands] for bands in groups]) << EIGHTHS


def guess(state: State, plane: int, group: int) -> Plane:
    """The likeliest values of coefficients in eighths, signed, from their intervals."""
    low, high = state.low[plane][group].astype(np.int32), state.high[plane][group].astype(np.int32)
    size = high - low
    depth = (low >> 1 >= size).astype(np.int64) + (low >> 2 >= size)
    value = (low << EIGHTHS) + ((size - 1) * POINTS[depth] >> 8 - EIGHTHS)
    return np.where(low > 0, value, 0).astype(np.int32) * state.sign[plane][group]


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
