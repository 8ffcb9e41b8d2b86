"""The passes: which decisions are made about a cell's coefficients, in which order, with which probabilities.

The one place where contexts are computed; encoder, decoder and training all run this engine and differ only in the
`Coder` they hand it. It works on a batch of cells at once (arrays [cells, orientations, side, side]), never on
single symbols.

Theory of operation. Of each coefficient an interval [low, high) of its magnitude is known, and its sign once
low > 0. Pass p halves every interval that holds more than one integer. A coefficient still insignificant has the
interval [0, (TOPS >> p) + 1), so that all bands stand at the same cost of error (a whole number stands for half a
unit to either side: hence the 1). A unit is one pass over one
group (a level's three bands) of one plane:

    blocks of 8x8 not yet open: one decision each, is any of their coefficients significant now?
    four phases (even rows and columns; odd, odd; even, odd; odd, even), in each
        one decision per open interval: upper or lower half?
        one decision per coefficient that became significant: its sign

A context is a weighted sum of what is known around the coefficient (same band, parent, sister bands, planes),
each neighbour as the logarithm of its magnitude relative to the current threshold, cut into bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codec.residual.tables import FINE, PASSES, SIGN_BINS, TOPS, Tables
from codec.residual.transform import SIDES

BLOCK = 8
PHASES = ((0, 0), (1, 1), (0, 1), (1, 0))  # first row and column; the step is 2
LIMIT = 32766  # a band takes part from the first pass on whose top is at most this: no coefficient reaches half of it

Bits = NDArray[np.uint8]
Small = NDArray[np.int16]
Index = NDArray[np.int64]
Links = frozenset[tuple[int, int]]  # (plane, group)


class Coder(Protocol):
    """Where decisions go to or come from."""

    @property
    def dry(self) -> bool:
        """Whether no decision can be made any more."""
        ...

    def code(self, p1: Index, ends: Index, truth: Bits | None) -> tuple[Bits, Index | None]:
        """Codes decisions that are 1 with probability p1 / 2^16.

        Those of cell i of the batch lie between ends[i] and ends[i + 1]. Returns the decisions and, if not all could
        be made, the places in p1 of those that were.
        """
        ...


class State:
    """What is known of a batch of cells, by plane and group.

    low, high int16[cells, orientations, side, side]: intervals of the magnitudes; sign int8: 1 or -1 where known;
    open bool[cells, orientations, side/8, side/8]: blocks that have a significant coefficient.
    inside, by group: bool like low: where the picture has a coefficient.
    """

    FIELDS = ("low", "high", "sign", "open")

    def __init__(self, roles: Sequence[int], inside: list[NDArray[np.bool_]]) -> None:
        self.roles = tuple(roles)
        self.inside = inside
        shapes = [mask.shape for mask in inside]
        self.low: list[list[Small]] = [[np.zeros(shape, np.int16) for shape in shapes] for _ in roles]
        self.high: list[list[Small]] = [[np.ones(shape, np.int16) for shape in shapes] for _ in roles]
        self.sign: list[list[NDArray[np.int8]]] = [[np.zeros(shape, np.int8) for shape in shapes] for _ in roles]
        blocks = [(*shape[:2], *[max(1, side // BLOCK) for side in shape[2:]]) for shape in shapes]
        self.open: list[list[NDArray[np.bool_]]] = [[np.zeros(shape, np.bool_) for shape in blocks] for _ in roles]

    def take(self, cells: Index) -> State:
        """A copy of some cells."""
        part = State.__new__(State)
        part.roles = self.roles
        part.inside = [mask[cells] for mask in self.inside]
        for name in self.FIELDS:
            setattr(part, name, [[array[cells] for array in plane] for plane in getattr(self, name)])
        return part

    def put(self, cells: Index, part: State, units: Links) -> None:
        """Takes over the planes and groups `units` of `part`, which came from `take(cells)`."""
        for name in self.FIELDS:
            for plane, group in units:
                getattr(self, name)[plane][group][cells] = getattr(part, name)[plane][group]

    def logs(self, tables: Tables, plane: int, group: int, number: int) -> Small:
        """Known magnitudes on the logarithmic scale of pass `number`, 0 while insignificant."""
        low = self.low[plane][group]
        middle = _middle(low, self.high[plane][group])
        result = np.zeros(low.shape, np.int16)
        for o, scale in enumerate(tables.scale(self.roles[plane], group, number)):
            result[:, o] = scale[middle[:, o]]
        result[low == 0] = 0
        return result


Item = tuple[int, int, int]  # pass, plane, group


def schedule(done: Sequence[int], units: Sequence[tuple[int, int]], stop: int) -> list[Item]:
    """What brings `units` (plane, group), of which `done` passes are made, to pass `stop`: pass by pass."""
    return [
        (number, plane, group)
        for number in range(min(done), stop)
        for (plane, group), made in zip(units, done, strict=True)
        if made <= number
    ]


def run_items(
    state: State, tables: Tables, coder: Coder, items: Sequence[Item], links: Links,
    truth: list[list[Small]] | None = None, kind: type[Unit] | None = None,
) -> None:  # fmt: skip
    """Makes the decisions of `items` in order.

    links: the planes and groups that contexts may look at. truth: signed coefficients by plane and group, for
    coders that need them. kind: a Unit that does more (training).
    """
    for number, plane, group in items:
        if coder.dry:
            break
        unit = (kind or Unit)(state, tables, plane, group, number, links)
        unit.run(coder, truth[plane][group] if truth is not None else None)


def _middle(low: Small, high: Small) -> Small:
    """(low + high) >> 1; the sum would not fit."""
    return low + (high - low >> 1)


def _framed(array: NDArray[np.generic], margin: int, mirrored: bool = True) -> Small:
    """`array` with a margin around each band: mirrored, or zeros."""
    cells, count, rows, columns = array.shape
    result = np.zeros((cells, count, rows + 2 * margin, columns + 2 * margin), np.int16)
    result[:, :, margin : margin + rows, margin : margin + columns] = array
    for m in range(margin if mirrored else 0):
        result[:, :, m] = result[:, :, 2 * margin - m]
        result[:, :, -1 - m] = result[:, :, -1 - 2 * margin + m]
    for m in range(margin if mirrored else 0):
        result[:, :, :, m] = result[:, :, :, 2 * margin - m]
        result[:, :, :, -1 - m] = result[:, :, :, -1 - 2 * margin + m]
    return result


def _box(framed: Small, size: int) -> Small:
    """Sums over squares of size x size."""
    keep = framed.shape[2] - size + 1
    rows = framed[:, :, :keep].copy()
    for i in range(1, size):
        rows += framed[:, :, i : i + keep]
    keep = framed.shape[3] - size + 1
    total = rows[..., :keep].copy()
    for i in range(1, size):
        total += rows[..., i : i + keep]
    return total


def _doubled(array: Small) -> Small:
    return np.repeat(np.repeat(array, 2, axis=2), 2, axis=3)


class Unit:
    """One pass over one group of one plane."""

    def __init__(self, state: State, tables: Tables, plane: int, group: int, number: int, links: Links) -> None:
        self.state, self.tables = state, tables
        self.plane, self.group, self.number, self.links = plane, group, number, links
        self.role = state.roles[plane]
        self.low, self.high = state.low[plane][group], state.high[plane][group]
        self.sign, self.open = state.sign[plane][group], state.open[plane][group]
        self.inside = state.inside[group]
        self.count, self.side = self.low.shape[1], SIDES[group]
        self.tops = np.array([(top >> number) + 1 for top in TOPS[self.role][group]], np.int32)
        self.halves = np.array([(top >> number + 1) + 1 for top in TOPS[self.role][group]], np.int32)
        self.fresh = np.zeros_like(self.open)

    def run(self, coder: Coder, truth: Small | None) -> None:
        """Makes the unit's decisions. `truth`: the signed coefficients, for a coder that needs them."""
        self._open_blocks(coder, truth)
        if not (self.high - self.low > 1).any():
            return
        self._look_around()
        for phase in range(len(PHASES)):
            self._halve(coder, truth, phase)

    # -- blocks ---------------------------------------------------------------------------------------------------

    def _open_blocks(self, coder: Coder, truth: Small | None) -> None:
        """Asks of closed blocks whether they open, and gives the coefficients of those that do their first interval."""
        deciding = (self.tops > 1) & (self.tops <= LIMIT)
        if not deciding.any() or self.open.all():
            return
        blocks = self.open.shape[-1]
        size = self.side // blocks
        split = (-1, self.count, blocks, size, blocks, size)
        asked = self.inside.reshape(split).any(axis=(3, 5)) & ~self.open & deciding[:, None, None]
        where = np.flatnonzero(asked)
        orientation = where // (blocks * blocks) % self.count
        p1 = self.tables.blocks[self.number, self.role, self.group, orientation, self._block_context().ravel()[where]]
        told = None
        if truth is not None:
            told = (
                (abs(truth) >= self.halves[:, None, None])
                .reshape(split)
                .any(axis=(3, 5))
                .ravel()[where]
                .astype(np.uint8)
            )
        bits, decided = self._code_blocks(coder, p1, where, told)
        opened = (where if decided is None else where[decided])[bits > 0]
        self.fresh.reshape(-1)[opened] = True
        self.open |= self.fresh
        spread = np.repeat(np.repeat(self.fresh, size, axis=2), size, axis=3) & self.inside
        np.copyto(self.high, self.tops[:, None, None], where=spread, casting="unsafe")

    def _code_blocks(self, coder: Coder, p1: Index, where: Index, told: Bits | None) -> tuple[Bits, Index | None]:
        return coder.code(p1, self._ends(where, self.count * self.open.shape[-1] ** 2), told)

    def _block_context(self) -> Index:
        """0..17 by what is open around: neighbours (0, 1, more), sister bands (0, 1, 2), the parent's block."""
        around = _framed(self.open, 1, mirrored=False)
        beside = around[:, :, 1:-1, :-2] + around[:, :, 1:-1, 2:] + around[:, :, :-2, 1:-1] + around[:, :, 2:, 1:-1]
        sisters = self.open.sum(axis=1, keepdims=True) - self.open
        context: Index = (np.minimum(beside, 2).astype(np.int64) * 3 + sisters) * 2
        if self._sees_parent():
            parent = self.state.open[self.plane][self.group - 1]
            context += parent if parent.shape == self.open.shape else _doubled(parent.astype(np.int16))
        return context

    def _ends(self, where: Index, stride: int) -> Index:
        return np.searchsorted(where, np.arange(self.low.shape[0] + 1) * stride)

    # -- coefficients ---------------------------------------------------------------------------------------------

    def _sees_parent(self) -> bool:
        return self.group >= 2 and (self.plane, self.group - 1) in self.links

    def _look_around(self) -> None:
        """Prepares what the contexts see: own bands (kept current), parent, sisters, the other colour planes."""
        own = self.state.logs(self.tables, self.plane, self.group, self.number)
        self.logs = _framed(own, 2)
        self.signed = _framed(own * self.sign, 2, mirrored=False)
        inner = _box(self.logs[:, :, 1:-1, 1:-1], 3)
        self.ring = _box(self.logs, 5) - inner
        self.sisters = inner.sum(axis=1, keepdims=True, dtype=np.int16) - inner
        self.parent: tuple[Small, Small, Small] | None = None
        if self._sees_parent():
            logs = self.state.logs(self.tables, self.plane, self.group - 1, self.number)
            signed = logs * self.state.sign[self.plane][self.group - 1]
            square = _box(_framed(logs, 1), 3)
            self.parent = _doubled(logs), _doubled(square), _doubled(signed)
        self.planes: list[tuple[Small, Small, Small] | None] = []
        for other in range(self.role):  # colour sees luma, Cg sees Co; alpha and grey see nothing
            if (other, self.group) not in self.links:
                self.planes.append(None)
                continue
            logs = self.state.logs(self.tables, other, self.group, self.number)
            signed = logs * self.state.sign[other][self.group]
            self.planes.append((logs, _box(_framed(logs, 1), 3), signed))

    def _features(self, phase: int) -> list[tuple[int, Small]]:
        """(number, values) of each magnitude feature that can be seen, for the coefficients of a phase."""
        row, column = PHASES[phase]
        side = self.side

        def at(down: int, right: int) -> Small:
            y, x = 2 + row + down, 2 + column + right
            return self.logs[:, :, y : y + side : 2, x : x + side : 2]

        here = (slice(None), slice(None), slice(row, None, 2), slice(column, None, 2))
        features = [
            (0, at(0, -1) + at(0, 1)),
            (1, at(-1, 0) + at(1, 0)),
            (2, at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)),
            (3, at(0, -2) + at(0, 2)),
            (4, at(-2, 0) + at(2, 0)),
        ]
        features.append((5, self.ring[here]))
        if self.parent is not None:
            features += [(6, self.parent[0][here]), (7, self.parent[1][here])]
        if self.count == 3:
            own = at(0, 0)
            features += [(8, own[:, [1, 2, 0]]), (9, own[:, [2, 0, 1]]), (10, self.sisters[here])]
        for i, plane in enumerate(self.planes):
            if plane is not None:
                features += [(11 + 2 * i, plane[0][here]), (12 + 2 * i, plane[1][here])]
        return features

    def _energy(self, phase: int) -> Small:
        """The context sum of each coefficient of a phase, in 1/64."""
        weights = self.tables.weights[self.number, self.role, self.group, : self.count, phase, :, None, None]
        shape = (self.low.shape[0], self.count, self.side // 2, self.side // 2)
        total = np.empty(shape, np.int16)
        total[...] = weights[:, -1]
        for number, values in self._features(phase):
            total += values * weights[:, number]
        return total

    def _tilt(self, phase: int, where: Index) -> NDArray[np.int32]:
        """The context sum of the signs of some coefficients of a phase (flat places), in 1/64."""
        row, column = PHASES[phase]
        half = self.side // 2
        weights = self.tables.sign_weights[self.role, self.group, : self.count, phase].astype(np.int32)
        cell, rest = np.divmod(where, self.count * half * half)
        o, rest = np.divmod(rest, half * half)
        y, x = rest // half * 2 + row, rest % half * 2 + column
        total = np.zeros(where.size, np.int32)
        for number, values in self._sign_features(cell, o, y, x):
            total += values * weights[o, number]
        return total

    def _sign_features(self, cell: Index, o: Index, y: Index, x: Index) -> list[tuple[int, Small]]:
        width = self.side + 4
        flat = self.signed.reshape(-1)
        at = ((cell * self.count + o) * width + y + 2) * width + x + 2
        features = [
            (0, flat[at - 1] + flat[at + 1]),
            (1, flat[at - width] + flat[at + width]),
            (2, flat[at - width - 1] + flat[at + width + 1]),
            (3, flat[at - width + 1] + flat[at + width - 1]),
        ]
        if self.parent is not None:
            features.append((4, self.parent[2][cell, o, y, x]))
        if self.count == 3:
            features += [(5 + i, self.signed[cell, (o + 1 + i) % 3, y + 2, x + 2]) for i in range(2)]
        features += [(7 + i, plane[2][cell, o, y, x]) for i, plane in enumerate(self.planes) if plane is not None]
        return features

    def _halve(self, coder: Coder, truth: Small | None, phase: int) -> None:
        """Halves the open intervals of a phase, and asks for the sign of what becomes significant."""
        row, column = PHASES[phase]
        here = (slice(None), slice(None), slice(row, None, 2), slice(column, None, 2))
        low, high = self.low[here].reshape(-1), self.high[here].reshape(-1)
        where = np.flatnonzero(high - low > 1)
        if not where.size:
            return
        stride = self.count * (self.side // 2) ** 2
        bottom, top = low[where], high[where]
        orientation = self._orientation(where)
        middle = np.where(bottom > 0, _middle(bottom, top), self.halves[orientation].astype(np.int16))
        real = truth[here].reshape(-1)[where] if truth is not None else None
        told = (abs(real) >= middle).astype(np.uint8) if real is not None else None
        p1 = self._chances(phase, where, bottom, top, told)
        bits, decided = coder.code(p1, self._ends(where, stride), told)
        if decided is not None:
            where, bottom, top, middle = where[decided], bottom[decided], top[decided], middle[decided]
            real = real[decided] if real is not None else None
        low[where] = np.where(bits > 0, middle, bottom)
        high[where] = np.where(bits > 0, top, middle)
        shape = self.low[here].shape
        self.low[here], self.high[here] = low.reshape(shape), high.reshape(shape)
        born = (bits > 0) & (bottom == 0)
        where = where[born]
        if where.size:
            sign = self.sign[here].reshape(-1)
            tilt = self._tilt(phase, where)
            told = (real[born] < 0).astype(np.uint8) if real is not None else None
            bits, decided = coder.code(self._sign_chances(where, tilt, told), self._ends(where, stride), told)
            sign[where if decided is None else where[decided]] = 1 - 2 * bits.astype(np.int8)
            self.sign[here] = sign.reshape(shape)
        self._refresh(here, shape, low, high)

    def _refresh(self, here: tuple[slice, ...], shape: tuple[int, ...], low: Small, high: Small) -> None:
        """Brings the logarithms of a phase up to date."""
        middle = np.where(low > 0, _middle(low, high), 0).reshape(shape)
        logs = np.empty(shape, np.int16)
        for o, scale in enumerate(self.tables.scale(self.role, self.group, self.number)):
            logs[:, o] = scale[middle[:, o]]
        inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
        self.logs[inner][here] = logs
        self.signed[inner][here] = logs * self.sign[here]

    def _chances(self, phase: int, where: Index, bottom: Small, top: Small, told: Bits | None) -> Index:
        """P(upper half) of open intervals [bottom, top) at flat places `where` of a phase."""
        bins, chances = self.tables.bins(self.number, self.role, self.group)
        orientation = self._orientation(where)
        fine = np.clip(self._energy(phase).reshape(-1)[where] >> 4, 0, FINE - 1)
        kind = self._kind(where, phase, bottom, top)
        result: Index = chances[orientation, kind, bins[orientation, fine]]
        return result

    def _orientation(self, where: Index) -> Index:
        result: Index = where // (self.side // 2) ** 2 % self.count
        return result

    def _kind(self, where: Index, phase: int, bottom: Small, top: Small) -> Index:
        """Class of a decision: 0 insignificant, 1 likewise in a fresh block, 2 + 5 depth + size when refining."""
        size = top - bottom
        depth = (bottom >> 1 >= size).astype(np.int64) + (bottom >> 2 >= size)
        refining = 5 * depth + np.minimum(size, 6)  # sizes begin at 2
        if not self.fresh.any():
            return np.where(bottom > 0, refining, 0)
        half = self.side // 2
        spread = max(1, half * 2 // self.open.shape[-1] // 2)
        fresh = np.repeat(np.repeat(self.fresh, spread, axis=2), spread, axis=3).reshape(-1)[where]
        return np.where(bottom > 0, refining, fresh)

    def _sign_chances(self, where: Index, tilt: NDArray[np.int32], told: Bits | None) -> Index:
        """P(negative)."""
        bins = np.minimum(abs(tilt) >> 6, SIGN_BINS - 1)
        as_predicted = self.tables.sign[self.role, self.group, self._orientation(where), bins]
        result: Index = np.where(tilt < 0, as_predicted, 65536 - as_predicted)
        return result


assert len(TOPS[0]) == len(SIDES) and max(top for role in TOPS for group in role for top in group) >> PASSES == 0
