"""From what a renderer would add to the exact picture, a view that contradicts nothing that was sent.

what to add ─► less the waves that are known ─► faded by the residual ─► nothing where pixels are exact ─► view
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.decoder import Decoder
from codec.latent.geometry import GRID, reduction
from codec.residual.transform import CELL as SQUARE
from codec.stream import Header, Kind
from player.renderers.known import CELL, Known

HALF = 6.0  # levels of expected error at which confidence is a half
FADE = (0.3, 0.6)  # how far the residual is there where what is added begins to fade, and where it is gone
RADII = (13, 5, 4)  # waves of light and of both colours that a thumbnail tells (FORMAT.md, Latent: thumbnail)
_COLOURS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float32)  # its axes: light, red-blue, magenta-green

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]


class Rendered(NamedTuple):
    """picture uint8[h,w,C] of the source's size; confidence float32[h,w]: 1 exact to the last bit, 0 nothing known.

    Confidence is 2^(-e / HALF), e the absolute error in grey levels to be expected of the picture there.
    """

    picture: Picture
    confidence: Plane


def begun(decoder: Decoder) -> bool:
    """Whether anything is known of the picture but words and edges: its thumbnail is there."""
    return (Kind.LATENT, 0) in decoder.used()


def exactly(decoder: Decoder, errors: Plane | None) -> Rendered:
    """The exact picture. errors float32[H/4,W/4] of the padded base: what to expect of it; None: nothing is known."""
    picture = decoder.picture()
    if errors is None:
        return Rendered(picture, np.zeros(picture.shape[:2], np.float32))
    return Rendered(picture, _confidence(decoder, errors))


def merged(decoder: Decoder, there: Known, more: Plane, errors: Plane | None, finer: float = 1.0) -> Rendered:
    """The exact picture and `more` float32[H,W,3] levels of the padded base; errors as in `exactly`, of the sum.

    finer: how much finer than the thumbnail's are the waves that are known, which stay as they are; 0: none are.
    """
    fading = ((FADE[1] - there.planes[4]) / (FADE[1] - FADE[0])).clip(0, 1).repeat(CELL, 0).repeat(CELL, 1)
    kept = (without_waves(more, finer) if finer else more) * fading[..., None]
    full = _in_channels(at_full(kept, decoder.header, 1), decoder.header.channels)
    full[_exact_pixels(decoder)] = 0
    picture = np.rint(decoder.picture() + full).clip(0, 255).astype(np.uint8)
    sure = np.zeros(picture.shape[:2], np.float32) if errors is None else _confidence(decoder, errors)
    return Rendered(picture, sure)


def without_waves(more: Plane, finer: float = 1.0) -> Plane:
    """float32[H,W,3] less all that a thumbnail would tell of it: exactly, for the waves are orthogonal."""
    height, width = more.shape[:2]
    rows, columns = height // GRID, width // GRID
    result = more.copy()
    for axis, radius in zip(_COLOURS, RADII, strict=True):
        unit, reach = axis / np.sqrt(axis @ axis), finer * radius * np.sqrt(rows * columns)
        down, across = (
            _waves(min(side, int(reach / other) + 1), side) for side, other in ((height, columns), (width, rows))
        )
        v, u = np.arange(len(down))[:, None] * columns, np.arange(len(across))[None] * rows
        told = u**2 + v**2 <= reach**2
        low = down.T @ ((down @ (more @ unit) @ across.T) * told) @ across
        result -= low[..., None] * unit
    return result


def _waves(count: int, length: int) -> Plane:
    """The first waves of the cosine transform over `length` places, orthonormal: float32[count, length]."""
    waves = np.cos(np.pi * np.arange(count)[:, None] * (2 * np.arange(length) + 1) / (2 * length))
    waves *= np.sqrt(2 / length)
    waves[0] = np.sqrt(1 / length)
    return waves.astype(np.float32)


def at_full(plane: Plane, header: Header, by: int) -> Plane:
    """A plane [H/by,W/by] or [H/by,W/by,3] of the padded base as one of the source's size, float32."""
    import torch
    import torch.nn.functional as F

    flat = torch.from_numpy(np.ascontiguousarray(np.atleast_3d(plane).transpose(2, 0, 1)[None]))
    scale = by << reduction(header.width, header.height)
    if scale > 1:
        flat = F.interpolate(flat, scale_factor=scale, mode="bilinear")
    full = flat[0, :, : header.height, : header.width].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(full if plane.ndim == 3 else full[..., 0])


def _in_channels(more: Plane, channels: int) -> Plane:
    """float32[h,w,C] of one in RGB; nothing is added to transparency."""
    if channels < 3:
        more = (more @ np.array([0.25, 0.5, 0.25], np.float32))[..., None]
    return more if channels % 2 else np.concatenate([more, np.zeros_like(more[..., :1])], 2)


def _confidence(decoder: Decoder, errors: Plane) -> Plane:
    sure: Plane = np.exp2(-at_full(errors, decoder.header, CELL) / HALF)
    sure[_exact_pixels(decoder)] = 1
    return sure


def _exact_pixels(decoder: Decoder) -> NDArray[np.bool_]:
    """bool[h,w]: the pixels that are the source's to the last bit, in squares."""
    cells = decoder.exact_cells()
    return cells.repeat(SQUARE, 0).repeat(SQUARE, 1)[: decoder.header.height, : decoder.header.width]
