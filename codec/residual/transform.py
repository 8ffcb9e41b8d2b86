"""Pictures to integer coefficients and back: YCoCg-R planes, the 13/7-T wavelet, cells.

First and last stage of the residual layer. Everything is integer lifting, so every step is undone exactly. The
wavelet runs over the whole picture (no seams); afterwards the coefficients are regrouped into cells, each
holding those that belong to one square of 128x128 pixels.

The 13/7-T transform (Adams and Kossentini, "Reversible integer-to-integer wavelet transforms for image
compression", 2000) predicts odd samples by (-1, 9, 9, -1)/16 and updates even ones by (-1, 9, 9, -1)/32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = 5
CELL = 128
DIFFERENCES = 4  # groups below this one hold picture - base; the finer ones the picture, where a base is mostly noise
GROUPS = LEVELS + 1  # group 0: the lowest band; group g >= 1: the three detail bands of level 6 - g
SIDES = (4, 4, 8, 16, 32, 64)  # coefficients on a side of a cell's band, by group

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


def base_planes(base: Picture) -> list[Plane]:
    """Planes of a base; its alpha counts as 255."""
    planes = to_planes(base)
    if base.shape[2] in (2, 4):
        planes[-1] = np.zeros_like(planes[-1])
    return planes


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


def _filtered(half: Plane, start: int, count: int, odd: bool, length: int) -> Plane:
    """Sums -a + 9b + 9c - d of four neighbours along the first axis, the signal mirrored at its ends.

    `half` holds the samples at even (odd=False) or odd positions of a signal of `length`; item i of the result
    uses its entries i + start ... i + start + 3.
    """
    if length == 1:
        return np.zeros((count, *half.shape[1:]), half.dtype)
    positions = 2 * np.arange(start, count + start + 3) + odd
    period = 2 * (length - 1)
    positions = np.abs(positions) % period
    positions = np.where(positions >= length, period - positions, positions) >> 1
    taps = half[positions]
    return 9 * (taps[1 : count + 1] + taps[2 : count + 2]) - (taps[:count] + taps[3 : count + 3])


def _analyse(signal: Plane) -> tuple[Plane, Plane]:
    """Low and high half of `signal` along the first axis."""
    length = signal.shape[0]
    low, high = signal[0::2], signal[1::2]
    high = high - ((_filtered(low, -1, high.shape[0], False, length) + 8) >> 4)
    low = low + ((_filtered(high, -2, low.shape[0], True, length) + 16) >> 5) if high.shape[0] else low
    return low, high


def _synthesise(low: Plane, high: Plane) -> Plane:
    length = low.shape[0] + high.shape[0]
    if high.shape[0]:
        low = low - ((_filtered(high, -2, low.shape[0], True, length) + 16) >> 5)
        high = high + ((_filtered(low, -1, high.shape[0], False, length) + 8) >> 4)
    signal = np.empty((length, *low.shape[1:]), low.dtype)
    signal[0::2], signal[1::2] = low, high
    return signal


def analyse(plane: Plane) -> list[list[Plane]]:
    """The bands of `plane` int32[H,W] by group: [lowest], then [HL, LH, HH] of each level from coarse to fine."""
    groups = []
    for _ in range(LEVELS):
        low, high = _analyse(plane)
        lowlow, highlow = (part.T for part in _analyse(np.ascontiguousarray(low.T)))
        lowhigh, highhigh = (part.T for part in _analyse(np.ascontiguousarray(high.T)))
        groups.append([highlow, lowhigh, highhigh])
        plane = np.ascontiguousarray(lowlow)
    groups.append([plane])
    return groups[::-1]


def synthesise(groups: list[list[Plane]]) -> Plane:
    """The plane int32[H,W] of its bands: exactly what `analyse` took apart."""
    plane = groups[0][0]
    for highlow, lowhigh, highhigh in groups[1:]:
        low = _synthesise(np.ascontiguousarray(plane.T), np.ascontiguousarray(highlow.T)).T
        high = _synthesise(np.ascontiguousarray(lowhigh.T), np.ascontiguousarray(highhigh.T)).T
        plane = _synthesise(np.ascontiguousarray(low), np.ascontiguousarray(high))
    return plane


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


def from_cells(cells: NDArray[np.int16], group: int, rows: int, columns: int, height: int, width: int) -> list[Plane]:
    """The bands of a group (of a picture of height x width) put together from its cells."""
    side, count = SIDES[group], cells.shape[1]
    whole = cells.reshape(rows, columns, count, side, side).transpose(2, 0, 3, 1, 4)
    bands = whole.reshape(count, rows * side, columns * side).astype(np.int32)
    return [band[: (s := band_shape(height, width, group, i))[0], : s[1]] for i, band in enumerate(bands)]


def coefficients(picture: Picture, base: Picture, rows: int, columns: int) -> list[list[NDArray[np.int16]]]:
    """What the residual codes, by plane and group, in cells: the picture's coefficients, less the base's if coarse."""
    result = []
    for ours, theirs in zip(to_planes(picture), base_planes(base), strict=True):
        groups = []
        for group, (bands, known) in enumerate(zip(analyse(ours), analyse(theirs), strict=True)):
            if group < DIFFERENCES:
                bands = [a - b for a, b in zip(bands, known, strict=True)]
            groups.append(to_cells(bands, group, rows, columns))
        result.append(groups)
    return result
