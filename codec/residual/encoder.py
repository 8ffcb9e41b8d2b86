"""A picture and its base in, the chunks of the residual layer out. Runs the same passes as the decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from codec.entropy import BitEncoder, ideal_bits, put_runs
from codec.residual.decoder import BATCH, COUNT_BITS, HALF, SHORT, advance
from codec.residual.layout import Layout, Placed
from codec.residual.passes import Bits, Index, Item, Small, State, run_items, schedule
from codec.residual.tables import PASSES, Tables, tables
from codec.residual.transform import GROUPS, Picture, coefficients
from codec.stream import MAX_LENGTH, Header

_SLACK = 16  # bytes that a payload may exceed its ideal length by


class Writers:
    """Encodes the decisions of a batch of chunks. sizes: how many cells of the batch each chunk has, in their order."""

    dry = False

    def __init__(self, encoders: Sequence[BitEncoder], sizes: Sequence[int], raw: bool = False) -> None:
        self._encoders = encoders
        self._bounds = np.concatenate([[0], np.cumsum(sizes)])
        self._raw = raw

    def code(self, p1: Index, ends: Index, truth: Bits | None) -> tuple[Bits, Index | None]:
        """As Coder.code."""
        assert truth is not None
        if self._raw:
            p1 = np.full_like(p1, HALF)
        put_runs(self._encoders, ends[self._bounds].tolist(), truth, p1)
        return truth, None


class _Meter:
    """Measures the ideal length of the decisions."""

    dry = False

    def __init__(self) -> None:
        self.bits = 0.0

    def code(self, p1: Index, ends: Index, truth: Bits | None) -> tuple[Bits, Index | None]:
        """As Coder.code."""
        assert truth is not None
        self.bits += ideal_bits(truth, p1)
        return truth, None


class _Encoder:
    def __init__(self, picture: Picture, base: Picture, header: Header) -> None:
        self.layout = Layout.of(header)
        self.tables: Tables = tables(header.weights)
        rows, columns = self.layout.rows, self.layout.columns
        self.truth: list[list[Small]] = coefficients(picture, base, rows, columns)
        self.state = State(self.layout.roles, self.layout.inside)
        self.done: NDArray[np.int8] = np.zeros((rows * columns, len(self.layout.roles), GROUPS), np.int8)

    def step(self, placed: Placed, indices: Sequence[int]) -> list[tuple[int, bytes]]:
        """The chunks `indices` of a step, those with the same things to do together."""
        batches: dict[tuple[Item, ...], list[int]] = {}
        for index in indices:
            first = self.layout.cells(index)[0]
            done = [int(self.done[first, plane, group]) for plane, group in placed.units]
            items = tuple(schedule(done, placed.units, placed.step.numbers.stop))
            if items or placed.step.numbers.start < PASSES:
                batches.setdefault(items, []).append(index)
        return sorted(chunk for items, batch in batches.items() for chunk in self._batch(placed, items, batch))

    def _batch(self, placed: Placed, items: tuple[Item, ...], indices: list[int]) -> list[tuple[int, bytes]]:
        cells = [self.layout.cells(index) for index in indices]
        encoders = [BitEncoder() for _ in indices]
        for encoder in encoders:
            encoder.put([0], [SHORT])
        part = self._run(placed, items, cells, Writers(encoders, [c.size for c in cells]))
        chunks = []
        late = []
        at = 0
        for index, cell, encoder in zip(indices, cells, encoders, strict=True):
            payload = encoder.finish()
            places = np.arange(at, at + cell.size)
            at += cell.size
            if len(payload) > MAX_LENGTH:
                late.append(self._shortened(placed, items, index))
                continue
            self.state.put(cell, part.take(places), frozenset(placed.units))
            advance(self.done, cell, items)
            chunks.append((index, payload))
        return chunks + late

    def _run(self, placed: Placed, items: Sequence[Item], cells: Sequence[Index], coder: Writers | _Meter) -> State:
        here = np.concatenate(cells)
        part = self.state.take(here)
        truth = [[band[here] for band in plane] for plane in self.truth]
        run_items(part, self.tables, coder, items, placed.links, truth)
        return part

    def _shortened(self, placed: Placed, items: tuple[Item, ...], index: int) -> tuple[int, bytes]:
        """A chunk that holds as many items of its step as fit; one at least, in the worst case at a bit a decision."""
        cells = self.layout.cells(index)
        meter, count = _Meter(), 0
        part = self.state.take(cells)
        truth = [[band[cells] for band in plane] for plane in self.truth]
        for item in items:
            run_items(part, self.tables, meter, [item], placed.links, truth)
            if meter.bits > 8 * (MAX_LENGTH - _SLACK):
                break
            count += 1
        count, raw = max(1, min(count, len(items) - 1)), count == 0
        encoder = BitEncoder()
        encoder.put([1], [SHORT])
        head = [int(raw)] + [count >> bit & 1 for bit in range(COUNT_BITS)]
        encoder.put(head, np.full(len(head), HALF))
        part = self._run(placed, items[:count], [cells], Writers([encoder], [cells.size], raw))
        self.state.put(cells, part, frozenset(placed.units))
        advance(self.done, cells, items[:count])
        payload = encoder.finish()
        assert len(payload) <= MAX_LENGTH
        return index, payload


def encode(
    picture: Picture, base: Picture, header: Header, progress: Callable[[float], None] | None = None
) -> list[tuple[int, bytes]]:
    """The residual chunks (index, payload) that turn `base` into `picture`, both uint8[H,W,C], in default order.

    With all of them the decoder's picture is exact. progress: called now and then with the share done, 0..1.
    ValueError if the shapes do not agree with the header.
    """
    shape = (header.height, header.width, header.channels)
    for name, array in (("picture", picture), ("base", base)):
        if array.shape != shape or array.dtype != np.uint8:
            raise ValueError(f"{name} must be uint8{list(shape)}, is {array.dtype}{list(array.shape)}")
    encoder = _Encoder(picture, base, header)
    layout = encoder.layout
    chunks: list[tuple[int, bytes]] = []
    for number, placed in enumerate(layout.steps):
        end = layout.steps[number + 1].first if number + 1 < len(layout.steps) else layout.count
        size = max(1, BATCH // (placed.step.across * placed.step.down))
        for first in range(placed.first, end, size):
            chunks += encoder.step(placed, range(first, min(first + size, end)))
            if progress is not None:
                progress(min(first + size, end) / layout.count)
    return chunks
