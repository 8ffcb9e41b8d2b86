"""Pictures to integer coefficients and back: YCoCg-R planes, the 13/7-T wavelet, cells.

First and last stage of the residual layer. Everything is integer lifting, so every step is undone exactly. The
wavelet runs over the whole picture (no seams); afterwards the coefficients are regrouped into cells, each
holding those that belong to one square of 128x128 pixels.

The 13/7-T transform (Adams and Kossentini, "Reversible integer-to-integer wavelet transforms for image
compression", 2000) predicts odd samples by (-1, 9, 9, -1)/16 and updates even ones by (-1, 9, 9, -1)/32. Here rows
and columns are lifted together, each band rounded once, and the low bands of the finest levels are doubled: their
rounding, which stays in the picture until the last bit of the details is known, shrinks with every level instead of
adding up. Both together halve what coarse bands lose, and show mostly in smooth parts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = 5
DOUBLED = 2  # the finest levels, whose low bands are kept at twice their size
CELL = 128
ROLES = {1: (0,), 2: (0, 0), 3: (0, 1, 2), 4: (0, 1, 2, 0)}  # of the planes, by channels of the picture
LARGEST = 7000  # of a base's coefficient: no photo has larger ones, and differences must fit 16 bits
# What the base tells of a coefficient is taken for granted beyond so much to either side of zero, by role, group and
# orientation: the finer the band, the more of a base's small coefficients are noise. Those dead zones make differences
# cheapest (mean logarithm) on training photos; LARGEST: nothing of the base is.
CORES = (
    ((0,), (0, 0, 1), (1, 1, 2), (4, 3, 7), (4, 3, 8), (4, 4, LARGEST)),
    ((0,), (4, 2, 6), (7, 5, 16), (14, 12, 28), (9, 9, LARGEST), (LARGEST, LARGEST, LARGEST)),
    ((0,), (6, 3, 11), (9, 7, 16), (16, 12, LARGEST), (LARGEST, LARGEST, LARGEST), (LARGEST, LARGEST, LARGEST)),
)
GROUPS = LEVELS + 1  # group 0: the lowest band; group g >= 1: the three detail bands of level 6 - g
SIDES = (4, 4, 8, 16, 32, 64)  # coefficients on a side of a cell's band, by group

EIGHTHS = 3  # bits behind the point of what is not known to the last bit

Plane = NDArray[np.int32]
Picture = NDArray[np.uint8]


def to_planes(picture: Picture) -> list[Plane]:
    """Planes int32[H,W] of a picture uint8[H,W,C]: Y, Co, Cg (or grey alone), then alpha - 255 if there is one."""
    planes = _forward_colour(picture)
    if picture.shape[2] in (2, 4):
        planes.append(picture[..., -1].astype(np.int32) - 255)
    return planes


def from_planes(planes: list[Plane], channels: int) -> Picture:
    """The picture of planes as of to_planes; values beyond 0..255 are clipped."""
    parts = list(_inverse_colour(*planes[:3])) if channels >= 3 else planes[:1]
    if channels in (2, 4):
        parts.append(planes[-1] + 255)
    return np.stack([np.clip(part, 0, 255).astype(np.uint8) for part in parts], axis=-1)


def shown(planes: list[Plane], exact: list[NDArray[np.bool_]], channels: int) -> Picture:
    """The picture of planes in eighths; where all of them are `exact` (bool[H,W]) as from_planes makes it.

    Elsewhere a half is the middle of what the lost bits of the colour transform can be.
    """
    parts = [planes[0]]
    if channels >= 3:
        luma, orange, violet = planes[:3]
        middle = luma - (violet >> 1)
        parts = [middle + (orange >> 1) + 4, luma + (violet >> 1) + 2, middle - (orange >> 1) + 4]
    if channels in (2, 4):
        parts.append(planes[-1] + (255 << EIGHTHS))
    picture = np.stack([np.clip(part + 4 >> EIGHTHS, 0, 255).astype(np.uint8) for part in parts], axis=-1)
    everywhere = np.logical_and.reduce(exact)
    if everywhere.any():
        whole = from_planes([plane >> EIGHTHS for plane in planes], channels)
        np.copyto(picture, whole, where=everywhere[..., None])
    return picture


def base_bands(base: Picture) -> list[list[list[Plane]]]:
    """The bands of a base by plane and group, within +-LARGEST; its alpha counts as 255."""
    planes = to_planes(base)
    if base.shape[2] in (2, 4):
        planes[-1] = np.zeros_like(planes[-1])
    return [[[np.clip(band, -LARGEST, LARGEST) for band in bands] for bands in analyse(plane)] for plane in planes]


def told(bands: list[Plane], role: int, group: int) -> list[Plane]:
    """What the residual takes for granted of a base's bands."""
    return [band - np.clip(band, -core, core) for band, core in zip(bands, CORES[role][group], strict=True)]


def _forward_colour(picture: Picture) -> list[Plane]:
    if picture.shape[2] < 3:
        return [picture[..., 0].astype(np.int32)]
    red, green, blue = (picture[..., i].astype(np.int32) for i in range(3))
    orange = red - blue
    middle = blue + (orange >> 1)
    violet = green - middle
    return [middle + (violet >> 1), orange, violet]


def _inverse_colour(luma: Plane, orange: Plane, violet: Plane) -> tuple[Plane, Plane, Plane]:
    middle = luma - (violet >> 1)
    blue = middle - (orange >> 1)
    return blue + orange, violet + middle, blue


def _filtered(half: Plane, axis: int, start: int, count: int, odd: bool, length: int) -> Plane:
    """Sums -a + 9b + 9c - d of four neighbours along `axis`, the signal mirrored at its ends.

    `half` holds the samples at even (odd=False) or odd positions of a signal of `length`; item i of the result
    uses its entries i + start ... i + start + 3.
    """
    if length == 1:
        return np.zeros((count, half.shape[1]) if axis == 0 else (half.shape[0], count), half.dtype)
    positions = 2 * np.arange(start, count + start + 3) + odd
    period = 2 * (length - 1)
    positions = np.abs(positions) % period
    positions = np.where(positions >= length, period - positions, positions) >> 1
    taps = np.take(half, positions, axis=axis)
    if axis == 0:
        return 9 * (taps[1 : count + 1] + taps[2 : count + 2]) - (taps[:count] + taps[3 : count + 3])
    return 9 * (taps[:, 1 : count + 1] + taps[:, 2 : count + 2]) - (taps[:, :count] + taps[:, 3 : count + 3])


class _Level:
    """The four linear maps of one level over a plane of height x width; scaled by 16 (predict) and 32 (update)."""

    def __init__(self, height: int, width: int) -> None:
        self._sides = height, width

    def predict(self, even: Plane, axis: int) -> Plane:
        """16 times what samples at even positions foretell of the odd ones."""
        length = self._sides[axis]
        return _filtered(even, axis, -1, length >> 1, False, length)

    def update(self, odd: Plane, axis: int) -> Plane:
        """32 times what detail at odd positions adds to the even samples."""
        length = self._sides[axis]
        return _filtered(odd, axis, -2, (length + 1) >> 1, True, length)

    def carried(self, high_low: Plane, low_high: Plane, half: Plane) -> Plane:
        """Twice what the details add to the low band, rounded down."""
        single = self.update(low_high, 0) + self.update(high_low, 1)
        return (32 * single - self.update(self.update(half, 1), 0)) >> 9


def _analyse(plane: Plane, doubled: bool) -> tuple[Plane, list[Plane]]:
    """The low band of `plane` and its details [HL, LH, HH].

    Both directions at once, so that each band is rounded once. `doubled`: the low band is twice as large and takes
    the lowest bit of HH, which is half as large.
    """
    level = _Level(*plane.shape)
    low, right, below, both = (np.ascontiguousarray(plane[y::2, x::2]) for y in (0, 1) for x in (0, 1))
    foretold = level.predict(low, 0)
    both = both - ((16 * level.predict(right, 0) + level.predict(16 * below - foretold, 1) + 128) >> 8)
    half = both & ~1 if doubled else both  # what the other bands know of HH
    round_up = 24 if doubled else 16
    below = below + ((level.update(half, 1) - 2 * foretold + round_up) >> 5)
    right = right + ((level.update(half, 0) - 2 * level.predict(low, 1) + round_up) >> 5)
    if not doubled:
        return low + ((level.carried(right, below, half) + 1) >> 1), [right, below, both]
    carried = level.carried(right, below, half)
    carried[: both.shape[0], : both.shape[1]] += both & 1
    return 2 * low + carried, [right, below, both >> 1]


def _synthesise(low: Plane, details: list[Plane], doubled: bool) -> Plane:
    right, below, both = details
    level = _Level(low.shape[0] + both.shape[0], low.shape[1] + both.shape[1])
    half = 2 * both if doubled else both
    carried = level.carried(right, below, half)
    low = low - (carried if doubled else carried + 1 >> 1)
    round_up = 24 if doubled else 16
    if doubled:
        both = half + (low[: both.shape[0], : both.shape[1]] & 1)
        low = low >> 1
    foretold = level.predict(low, 0)
    below = below - ((level.update(half, 1) - 2 * foretold + round_up) >> 5)
    right = right - ((level.update(half, 0) - 2 * level.predict(low, 1) + round_up) >> 5)
    both = both + ((16 * level.predict(right, 0) + level.predict(16 * below - foretold, 1) + 128) >> 8)
    return _woven(low, right, below, both)


def _synthesise_smoothly(low: Plane, details: list[Plane], doubled: bool) -> Plane:
    """As _synthesise of numbers that have bits to spare, so that no bit needs to be carried."""
    right, below, both = details
    level = _Level(low.shape[0] + both.shape[0], low.shape[1] + both.shape[1])
    both = 2 * both if doubled else both
    carried = level.carried(right, below, both)
    low = low - carried >> 1 if doubled else low - (carried + 1 >> 1)
    foretold = level.predict(low, 0)
    below = below - ((level.update(both, 1) - 2 * foretold + 16) >> 5)
    right = right - ((level.update(both, 0) - 2 * level.predict(low, 1) + 16) >> 5)
    both = both + ((16 * level.predict(right, 0) + level.predict(16 * below - foretold, 1) + 128) >> 8)
    return _woven(low, right, below, both)


def _woven(low: Plane, right: Plane, below: Plane, both: Plane) -> Plane:
    plane = np.empty((low.shape[0] + both.shape[0], low.shape[1] + both.shape[1]), low.dtype)
    plane[::2, ::2], plane[::2, 1::2], plane[1::2, ::2], plane[1::2, 1::2] = low, right, below, both
    return plane


def analyse(plane: Plane) -> list[list[Plane]]:
    """The bands of `plane` int32[H,W] by group: [lowest], then [HL, LH, HH] of each level from coarse to fine."""
    groups = []
    for number in range(LEVELS):
        plane, details = _analyse(plane, number < DOUBLED)
        groups.append(details)
    groups.append([plane])
    return groups[::-1]


def synthesise(groups: list[list[Plane]], smoothly: bool = False) -> Plane:
    """The plane int32[H,W] of its bands: exactly what `analyse` took apart.

    `smoothly`: of bands that are not known to the last bit, in eighths, as the plane then is. The exact transform's
    rounding would only add noise to those.
    """
    plane = groups[0][0]
    for group, details in enumerate(groups[1:], 1):
        plane = rise(plane, details, group, smoothly)
    return plane


def rise(low: Plane, details: list[Plane], group: int, smoothly: bool = False) -> Plane:
    """One level of synthesis: the low band of the next level (of the last: the plane) from one's own and `group`."""
    return (_synthesise_smoothly if smoothly else _synthesise)(low, details, GROUPS - 1 - group < DOUBLED)


def band_shape(height: int, width: int, group: int, orientation: int) -> tuple[int, int]:
    """Rows and columns of one band of a plane of height x width."""
    high_x = group > 0 and orientation in (0, 2)
    high_y = group > 0 and orientation in (1, 2)
    levels = LEVELS - max(group - 1, 0)
    return _half(height, levels, high_y), _half(width, levels, high_x)


def _half(length: int, levels: int, high: bool) -> int:
    """Samples left of `length` after `levels` splits, all of them low but the last one if `high`."""
    for _ in range(levels - 1):
        length = (length + 1) >> 1
    return length >> 1 if high else (length + 1) >> 1


def to_cells(bands: list[Plane], group: int, rows: int, columns: int) -> NDArray[np.int16]:
    """The bands of a group cut into rows x columns cells: int16[cells, orientations, side, side], zeros beyond."""
    side = SIDES[group]
    padded = np.zeros((len(bands), rows * side, columns * side), np.int16)
    for into, band in zip(padded, bands, strict=True):
        into[: band.shape[0], : band.shape[1]] = band
    cells = padded.reshape(len(bands), rows, side, columns, side).transpose(1, 3, 0, 2, 4)
    return np.ascontiguousarray(cells).reshape(rows * columns, len(bands), side, side)


def from_cells(
    cells: NDArray[np.signedinteger], group: int, rows: int, columns: int, height: int, width: int
) -> list[Plane]:
    """The bands of a group (of a picture of height x width) put together from its cells."""
    side, count = SIDES[group], cells.shape[1]
    whole = cells.reshape(rows, columns, count, side, side).transpose(2, 0, 3, 1, 4)
    bands = whole.reshape(count, rows * side, columns * side).astype(np.int32)
    return [band[: (s := band_shape(height, width, group, i))[0], : s[1]] for i, band in enumerate(bands)]


def coefficients(picture: Picture, base: Picture, rows: int, columns: int) -> list[list[NDArray[np.int16]]]:
    """What the residual codes, by plane and group, in cells: the picture's coefficients less what the base tells."""
    result = []
    for role, ours, theirs in zip(ROLES[picture.shape[2]], to_planes(picture), base_bands(base), strict=True):
        groups = []
        for group, (bands, known) in enumerate(zip(analyse(ours), theirs, strict=True)):
            bands = [a - b for a, b in zip(bands, told(known, role, group), strict=True)]
            groups.append(to_cells(bands, group, rows, columns))
        result.append(groups)
    return result
