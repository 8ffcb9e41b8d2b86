"""What is known of the coefficients in, a corrected picture out. Reads the state of all cells, changes none of it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from codec.residual import filter
from codec.residual.layout import EVERY, Layout, reach
from codec.residual.passes import LIMIT, Small, State
from codec.residual.tables import PASSES, TOPS
from codec.residual.transform import (
    CELL,
    EIGHTHS,
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

# Where in its interval a magnitude is put, in 1/256 of the way from the lowest to the highest integer, by how often the
# interval was halved since the coefficient became significant (0, 1, 2 and more).
POINTS = np.array([108, 118, 124], np.int32)


class Painter:
    """The picture of one state. state, done (passes made, int8[cells,planes,groups]): the decoder's own, read at need.

    A plane whose state did not change (`forget`) is not painted again.
    """

    def __init__(self, weights: int, layout: Layout, state: State, done: NDArray[np.int8]) -> None:
        self._layout, self._state, self._done = layout, state, done
        self._planes: list[Plane | None] = [None] * len(layout.roles)  # of the corrected picture, in eighths
        self._exact: list[NDArray[np.bool_]] = [np.zeros((0, 0), np.bool_)] * len(layout.roles)  # their pixels
        self._filter = filter.Filter(weights, layout.rows, layout.columns)
        self._base: Picture | None = None
        self._known: list[list[list[Plane]]] = []  # the base's bands by plane and group
        self._told: list[list[tuple[Small, Small]]] = []  # in cells: all of the base's bands; what they tell

    def forget(self, planes: Iterable[int]) -> None:
        """More is known of these planes."""
        for plane in planes:
            self._planes[plane] = None

    def paint(self, base: Picture) -> Picture:
        """The picture that what is known makes of the exact picture of the base, uint8[H,W,C]."""
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

    def complete_cells(self) -> NDArray[np.bool_]:
        """bool[cells]: where every coefficient is known."""
        parts = [self._complete_group(plane, group) for plane in range(len(self._planes)) for group in EVERY]
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

    def exact_cells(self) -> NDArray[np.bool_]:
        """bool[rows, columns] of the 128x128 squares of the picture: True where all pixels are exact, given the base.

        Synthesis reaches 141 pixels at most, so a square is exact when all within two of it are complete: the filter
        around it moves nothing that is known whole.
        """
        complete = self.complete_cells().reshape(self._layout.rows, self._layout.columns)
        padded = np.pad(complete, 2, constant_values=True)
        exact = np.ones_like(complete)
        for y in range(5):
            for x in range(5):
                exact &= padded[y : y + complete.shape[0], x : x + complete.shape[1]]
        return exact


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
