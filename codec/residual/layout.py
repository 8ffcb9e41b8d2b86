"""Layout: which steps, chunks and cells a picture has, and which chunk needs which. Pure functions of the header.

A step is some passes over some groups of some planes, made for every cell; a chunk is one step of one cell, or of
2x2 cells where a step is small. Index of a chunk: the chunks of all earlier steps, plus the place (by rows) of its
group of cells. STEPS is part of the format.

    opening   all planes, all groups, passes 0-8             2x2 cells
    then three chains that do not see each other, so that a loss in one does not stop the others:
    coarse    luma, all groups but the finest, passes 9-12   (2x2 cells at first)
    fine      luma, the finest group, passes 9-12            (2x2 cells at first)
    colour    Co and Cg (or nothing), passes 9-12            (2x2 cells at first)
    alpha     an alpha plane, by itself
    then one chain in which colour sees luma: luma, colour, of passes 13, 14, and the rest
    spare     only where a chunk was too small for its step (noise); such chunks do not exist otherwise
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from codec.residual import filter
from codec.residual.passes import Links
from codec.residual.tables import PASSES
from codec.residual.transform import CELL, GROUPS, LEVELS, ROLES, band_shape, to_cells
from codec.stream import Header

LUMA, COLOUR, ALPHA = "luma", "colour", "alpha"
EVERY = range(GROUPS)


@dataclass(frozen=True)
class Step:
    """Passes `numbers` over `groups` of the planes of `parts`, in chunks of `across` x `down` cells.

    `late`: part of the one chain at the end, whose contexts may see all planes that stand before their own.
    """

    numbers: range  # what earlier chunks left of the passes before these comes first
    parts: tuple[str, ...]
    groups: range
    across: int = 1
    down: int = 1
    late: bool = False


SPARE = 6  # steps that take what earlier chunks of a cell could not hold
_COARSE, _FINE = range(GROUPS - 1), range(GROUPS - 1, GROUPS)
STEPS = (
    Step(range(0, 9), (LUMA, COLOUR, ALPHA), EVERY, 2, 2),
    Step(range(9, 10), (COLOUR,), EVERY, 2, 2),
    Step(range(9, 10), (LUMA,), _COARSE, 2, 2),
    Step(range(9, 11), (ALPHA,), EVERY),
    Step(range(9, 11), (LUMA,), _FINE, 2, 2),
    Step(range(10, 11), (COLOUR,), EVERY, 2, 2),
    Step(range(10, 11), (LUMA,), _COARSE),
    Step(range(11, 12), (COLOUR,), EVERY),
    Step(range(11, 12), (LUMA,), _FINE, 2, 2),
    Step(range(11, 12), (LUMA,), _COARSE),
    Step(range(11, 13), (ALPHA,), EVERY),
    Step(range(12, 13), (COLOUR,), EVERY),
    Step(range(12, 13), (LUMA,), _FINE),
    Step(range(12, 13), (LUMA,), _COARSE),
    Step(range(13, 14), (LUMA,), EVERY, late=True),
    Step(range(13, 14), (COLOUR,), EVERY, late=True),
    Step(range(14, PASSES), (LUMA,), EVERY, late=True),
    Step(range(14, 15), (COLOUR,), EVERY, late=True),
    Step(range(15, PASSES), (COLOUR,), EVERY, late=True),
    Step(range(13, PASSES), (ALPHA,), EVERY, late=True),
    *[Step(range(PASSES, PASSES), (LUMA, COLOUR, ALPHA), EVERY, late=True)] * SPARE,
)


def _planes(channels: int, part: str) -> tuple[int, ...]:
    """The planes of a part, by their place in ROLES[channels]."""
    if part == LUMA:
        return (0,)
    if part == COLOUR:
        return (1, 2) if channels >= 3 else ()
    return (len(ROLES[channels]) - 1,) if channels in (2, 4) else ()


@dataclass(frozen=True)
class Placed:
    """A step of a picture with `channels`: its units in order, what its contexts may see, which steps it needs."""

    step: Step
    units: tuple[tuple[int, int], ...]
    links: Links
    needs: tuple[int, ...]  # among the steps of the picture
    first: int  # index of its first chunk
    across: int  # chunks in a row


def _placed_units(parts: tuple[str, ...], groups: range, channels: int) -> tuple[tuple[int, int], ...]:
    planes = [plane for part in parts for plane in _planes(channels, part)]
    return tuple((plane, group) for group in groups for plane in planes)


@cache
def sequence(channels: int) -> tuple[tuple[Step, tuple[tuple[int, int], ...], Links, tuple[int, ...]], ...]:
    """The steps that pictures of so many channels have, each with its units, links and needed steps."""
    result: list[tuple[Step, tuple[tuple[int, int], ...], Links, tuple[int, ...]]] = []
    latest: dict[tuple[int, int], int] = {}
    chain: int | None = None
    for step in STEPS:
        units = _placed_units(step.parts, step.groups, channels)
        if not units:
            continue
        links = frozenset(units)
        if step.late and step.parts != (ALPHA,):
            links |= frozenset(_placed_units((LUMA, COLOUR), EVERY, channels))
        needs = {latest[unit] for unit in links if unit in latest}
        if step.late and step.parts != (ALPHA,):
            needs |= set() if chain is None else {chain}
            chain = len(result)
        for unit in units:
            latest[unit] = len(result)
        result.append((step, units, links, tuple(sorted(needs))))
    return tuple(result)


def reach(group: int, filtered: bool) -> int:
    """Pixels beyond its own 2^level that a coefficient can change.

    6 samples by its own level's synthesis, 3 by each finer one; where a level is filtered, all its details around what
    changed may change, too.
    """
    pixels, own = 0, GROUPS - max(group, 1)
    for level in range(own, 0, -1):
        seen = filtered and level <= GROUPS - filter.FIRST
        pixels += filter.REACH << level if seen else 0
        pixels += (6 if seen or level == own else 3) << level - 1
    return pixels


# How far a pixel of the base can change the corrected picture: 6 samples by each level of the analysis, and then as far
# as a coefficient reaches. Beyond the first pixels only the transform's rounding is left of it.
REACH = 6 * ((1 << LEVELS) - 1) + reach(1, True)


class Layout:
    """The cells, steps and chunks of a picture."""

    def __init__(self, width: int, height: int, channels: int) -> None:
        self.width, self.height, self.channels = width, height, channels
        self.columns, self.rows = -(-width // CELL), -(-height // CELL)
        self.roles: Sequence[int] = ROLES[channels]
        self.steps: list[Placed] = []
        first = 0
        for step, units, links, needs in sequence(channels):
            across, down = -(-self.columns // step.across), -(-self.rows // step.down)
            self.steps.append(Placed(step, units, links, needs, first, across))
            first += across * down
        self.count = first

    @classmethod
    def of(cls, header: Header) -> Layout:
        """The layout of a header's picture."""
        return _layout(header.width, header.height, header.channels)

    def place(self, index: int) -> tuple[int, int]:
        """(step, place within the step) of a chunk. IndexError unless 0 <= index < count."""
        if not 0 <= index < self.count:
            raise IndexError(f"no residual chunk {index} of {self.count}")
        number = int(np.searchsorted([placed.first for placed in self.steps], index, side="right")) - 1
        return number, index - self.steps[number].first

    def box(self, index: int) -> tuple[int, int, int, int]:
        """The cells of a chunk: first column and row, the column and row behind the last."""
        number, place = self.place(index)
        placed = self.steps[number]
        row, column = divmod(place, placed.across)
        x, y = column * placed.step.across, row * placed.step.down
        return x, y, min(x + placed.step.across, self.columns), min(y + placed.step.down, self.rows)

    def cells(self, index: int) -> NDArray[np.int64]:
        """The numbers of a chunk's cells, by rows."""
        x0, y0, x1, y1 = self.box(index)
        return (np.arange(y0, y1)[:, None] * self.columns + np.arange(x0, x1)).reshape(-1)

    def needs(self, index: int) -> tuple[int, ...]:
        """The chunks that a chunk builds on directly."""
        number, _ = self.place(index)
        x0, y0, x1, y1 = self.box(index)
        result = []
        for needed in self.steps[number].needs:
            placed = self.steps[needed]
            across, down = placed.step.across, placed.step.down
            for row in range(y0 // down, (y1 - 1) // down + 1):
                for column in range(x0 // across, (x1 - 1) // across + 1):
                    result.append(placed.first + row * placed.across + column)
        return tuple(result)

    def area(self, index: int) -> tuple[int, int, int, int]:
        """The pixels x0, y0, x1, y1 that a chunk can change: its cells and as far as filter and synthesis reach."""
        number, _ = self.place(index)
        x0, y0, x1, y1 = self.box(index)
        far = max(reach(group, plane == 0) for plane, group in self.steps[number].units)
        left, top = max(0, x0 * CELL - far), max(0, y0 * CELL - far)
        return left, top, min(self.width, x1 * CELL + far), min(self.height, y1 * CELL + far)

    @cached_property
    def inside(self) -> list[NDArray[np.bool_]]:
        """By group, bool[cells, orientations, side, side]: where the picture has a coefficient."""
        masks = []
        for group in EVERY:
            shapes = [band_shape(self.height, self.width, group, o) for o in range(3 if group else 1)]
            ones = [np.ones(shape, np.int32) for shape in shapes]
            masks.append(to_cells(ones, group, self.rows, self.columns) > 0)
        return masks


@lru_cache(maxsize=4)
def _layout(width: int, height: int, channels: int) -> Layout:
    return Layout(width, height, channels)
