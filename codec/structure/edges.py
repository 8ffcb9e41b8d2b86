"""The edge map: photo's base picture -> strength at 1/4 -> two EDGES chunks -> the map again (FORMAT.md, Structure).

    base picture ─► extract ─► strength uint8[h/4,w/4] ─► encode ─► chunk 0 coarse, chunk 1 fine ─► EdgeDecoder ─► map

`extract` runs at the encoder alone, in float32. What the decoder does is integers: tokens under an integer network
(context.py), patches of a codebook added up (codebook.py). No other layer needs an EDGES chunk.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from codec.latent.geometry import base_size
from codec.stream import MAX_LENGTH, Header, Key, Kind
from codec.structure.codebook import Codebook, codebooks, shown
from codec.structure.context import decode_tokens
from codec.structure.network import EdgeNetwork
from codec.structure.ridges import lines
from codec.structure.search import fit

SCALE = 4  # base pixels a pixel of the map
CHUNKS = 2
BUDGETS = (150, 350)  # most bytes of the coarse and the fine chunk of a map of REFERENCE pixels, and in proportion
REFERENCE = 192 * 128  # a picture of 768x512
LEAST = 32  # bytes that even the smallest map may take

Map = NDArray[np.uint8]


def count(header: Header) -> int:
    """How many EDGES chunks a stream can have: coarse and fine."""
    return CHUNKS


def needs(header: Header, index: int) -> tuple[Key, ...]:
    """The fine chunk needs the coarse one, the coarse one nothing."""
    return ((Kind.EDGES, 0),) if index == 1 else ()


def area(header: Header, index: int) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) in pixels that a chunk tells about: the whole picture."""
    return 0, 0, header.width, header.height


def map_shape(header: Header) -> tuple[int, int]:
    """(rows, columns) of the map: a quarter of the base picture, rounded up."""
    width, height = base_size(header.width, header.height)
    return -(-height // SCALE), -(-width // SCALE)


def budget(index: int, pixels: int) -> int:
    """Bytes that the encoder allows itself for a chunk of a map of so many pixels."""
    return min(MAX_LENGTH, max(LEAST, BUDGETS[index] * pixels // REFERENCE))


def extract(base_picture: Map, weights: int | str = 1) -> Map:
    """Edge strength uint8[ceil(h/4),ceil(w/4)] of a base picture uint8[h,w,C], C = 1..4 (grey, grey+alpha, RGB, RGBA).

    Thin soft lines where the edge network sees outlines; what lies under alpha counts as mid grey. Encoder side:
    float32, may differ between machines.
    """
    return lines(_network(weights)(_rgb(base_picture)))


def encode(strength: Map, header: Header) -> list[bytes]:
    """The payloads of chunk 0 (coarse) and 1 (fine) of a map of `map_shape(header)` (ValueError otherwise).

    Simple maps cost what their lines cost, busy ones at most about `budget`: their faintest lines are left out.
    """
    if strength.shape != map_shape(header):
        raise ValueError(f"a map of {strength.shape}; this picture's is {map_shape(header)}")
    coarse, fine = codebooks(header.weights)
    tokens, first = fit(coarse, strength, _blank(coarse, header), budget(0, strength.size))
    _, second = fit(fine, strength, coarse.paint(tokens), budget(1, strength.size))
    return [first, second]


class EdgeDecoder:
    """Builds the map of one picture from its EDGES chunks, in whatever order and however often they come."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._payloads: dict[int, tuple[bytes, bool]] = {}
        self._painted: NDArray[np.int32] | None = None

    def push(self, index: int, payload: bytes, whole: bool = True) -> bool:
        """Takes one chunk; False if there is no such chunk. The fine one waits for a whole coarse one."""
        if not 0 <= index < CHUNKS or len(payload) > MAX_LENGTH:
            return False
        known = self._payloads.get(index)
        if known is None or (whole and not known[1]) or (not known[1] and len(payload) > len(known[0])):
            self._payloads[index] = (payload, whole)
            self._painted = None
        return True

    def complete(self) -> bool:
        """Whether both chunks are there, whole."""
        return len(self._payloads) == CHUNKS and all(whole for _, whole in self._payloads.values())

    def map(self) -> Map:
        """Edge strength from what is there, uint8 of `map_shape(header)`; zero where nothing is known."""
        if self._painted is None:
            self._painted = self._paint()
        rows, columns = map_shape(self._header)
        return np.ascontiguousarray(shown(self._painted)[:rows, :columns])

    def _paint(self) -> NDArray[np.int32]:
        coarse, fine = codebooks(self._header.weights)
        painted = _blank(coarse, self._header)
        if 0 not in self._payloads:
            return painted
        painted = painted + _decode(coarse, painted, *self._payloads[0])
        if 1 in self._payloads and self._payloads[0][1]:
            painted = painted + _decode(fine, painted, *self._payloads[1])
        return painted


@cache
def _network(weights: int | str) -> EdgeNetwork:
    return EdgeNetwork(weights)


def _rgb(picture: Map) -> Map:
    """uint8[h,w,3] of a picture of 1..4 channels."""
    channels = picture.shape[2]
    colours = picture[:, :, : 1 if channels < 3 else 3]
    if channels in (2, 4):
        alpha = picture[:, :, -1:].astype(np.int32)
        colours = ((colours * alpha + 128 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.broadcast_to(colours, (*picture.shape[:2], 3))


def _blank(coarse: Codebook, header: Header) -> NDArray[np.int32]:
    """An unpainted map, its sides rounded up to whole coarse cells."""
    rows, columns = map_shape(header)
    return np.zeros((rows + -rows % coarse.cell, columns + -columns % coarse.cell), np.int32)


def _decode(book: Codebook, under: NDArray[np.int32], payload: bytes, whole: bool) -> NDArray[np.int32]:
    shape = (under.shape[0] // book.cell, under.shape[1] // book.cell)
    return book.paint(decode_tokens(book.model, payload, shape, book.window(under), whole))
