"""REGIONS chunks: what stands where, boxes on a 16x16 grid with a phrase or a texture code (FORMAT.md, Structure).

    payload = version byte 0, entries;  entry = type and length, box, data

Phrases are coded by codec.caption. Texture codes are opaque here: they are handed through to renderers. Whatever
finds regions (codec/extract) hands them to `encode`. No pixel chunk needs a region.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codec.stream import MAX_LENGTH, FormatError, Header

if TYPE_CHECKING:
    from codec import caption

VERSION = 0
PHRASE, TEXTURE = 0, 1  # types of entries; 2 and 3 are skipped by this version
GRID = 16
MAX_ENTRIES = 64
_LONG = 63  # in the six bits of length: a second byte holds length - 63
_MAX_DATA = _LONG + 255


@dataclass(frozen=True)
class Box:
    """Cells x0..x1, y0..y1, both ends included, of the grid of 16x16 cells that covers the picture."""

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        if not (0 <= self.x0 <= self.x1 < GRID and 0 <= self.y0 <= self.y1 < GRID):
            raise ValueError(f"{self} is no box on a {GRID}x{GRID} grid")

    @classmethod
    def around(cls, header: Header, x: int, y: int, width: int, height: int) -> Box:
        """The smallest box that holds these pixels of the picture. ValueError where they lie outside it."""
        w, h = header.width, header.height
        if width < 1 or height < 1 or x < 0 or y < 0 or x + width > w or y + height > h:
            raise ValueError(f"{x},{y},{width},{height} does not lie in the picture of {w}x{h}")
        return cls(GRID * x // w, GRID * y // h, (GRID * (x + width) - 1) // w, (GRID * (y + height) - 1) // h)

    def pixels(self, header: Header) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) in pixels of the picture, the ends excluded."""
        w, h = header.width, header.height
        return (
            self.x0 * w // GRID,
            self.y0 * h // GRID,
            -(-(self.x1 + 1) * w // GRID),
            -(-(self.y1 + 1) * h // GRID),
        )


def overlap(one: Box, other: Box) -> float:
    """Cells that two boxes share, of all that they cover: 0 to 1."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0) + 1
    height = min(one.y1, other.y1) - max(one.y0, other.y0) + 1
    shared = max(0, width) * max(0, height)
    return shared / (_cells(one) + _cells(other) - shared)


def _cells(box: Box) -> int:
    return (box.x1 - box.x0 + 1) * (box.y1 - box.y0 + 1)


@dataclass(frozen=True)
class Region:
    """A phrase about what is in a box."""

    box: Box
    phrase: str


@dataclass(frozen=True)
class Texture:
    """An opaque code of what the surface in a box feels like."""

    box: Box
    code: bytes


def encode(entries: Sequence[Region | Texture], weights: int = 1) -> bytes:
    """The payload of a REGIONS chunk; `weights` is the set that codes the phrases. ValueError if it is too much."""
    if len(entries) > MAX_ENTRIES:
        raise ValueError(f"{len(entries)} regions; at most {MAX_ENTRIES}")
    payload = bytes([VERSION]) + b"".join(_encode_entry(entry, weights) for entry in entries)
    if len(payload) > MAX_LENGTH:
        raise ValueError(f"the regions take {len(payload)} bytes; at most {MAX_LENGTH}")
    return payload


def decode(payload: bytes, weights: int = 1, whole: bool = True) -> list[Region | Texture]:
    """The entries of a REGIONS chunk; a cut payload (whole=False) gives those that are complete.

    Raises FormatError with the offset inside the payload.
    """
    if not payload:
        if whole:
            raise FormatError("regions offset 0: empty")
        return []
    if payload[0] != VERSION:
        raise FormatError(f"regions offset 0: version {payload[0]}; a later layercast reads it")
    read_phrase = _phrases()[1]
    entries: list[Region | Texture] = []
    at, count = 1, 0
    while at < len(payload):
        kind, start, end = _parse_entry(payload, at)
        if end > len(payload):
            if not whole:
                break
            raise FormatError(f"regions offset {at}: the entry runs past the end")
        count += 1
        if count > MAX_ENTRIES:
            raise FormatError(f"regions offset {at}: more than {MAX_ENTRIES} entries")
        box, data = _parse_box(payload, start), payload[start + 2 : end]
        if kind == PHRASE:
            entries.append(Region(box, read_phrase(data, weights).text))
        elif kind == TEXTURE:
            entries.append(Texture(box, data))
        at = end
    return entries


def _phrases() -> tuple[Callable[[str, int], bytes], Callable[[bytes, int], caption.Caption]]:
    """The coder of captions. Imported here: facts and edges must not wait for the language model's tables."""
    from codec import caption

    return caption.encode, caption.decode


def _encode_entry(entry: Region | Texture, weights: int) -> bytes:
    if isinstance(entry, Region):
        kind, data = PHRASE, _phrases()[0](entry.phrase, weights)
    else:
        kind, data = TEXTURE, entry.code
    if len(data) > _MAX_DATA:
        raise ValueError(f"{entry} takes {len(data)} bytes; at most {_MAX_DATA}")
    short = min(len(data), _LONG)
    long = bytes([len(data) - _LONG]) if short == _LONG else b""
    box = bytes([entry.box.x0 << 4 | entry.box.x1, entry.box.y0 << 4 | entry.box.y1])
    return bytes([kind << 6 | short]) + long + box + data


def _parse_entry(payload: bytes, at: int) -> tuple[int, int, int]:
    """Type, offset of the box and offset behind the entry (beyond the payload if the entry is cut)."""
    kind, length, start = payload[at] >> 6, payload[at] & 63, at + 1
    if length == _LONG:
        if start >= len(payload):
            return kind, start, len(payload) + 1
        length, start = _LONG + payload[start], start + 1
    return kind, start, start + 2 + length


def _parse_box(payload: bytes, at: int) -> Box:
    x, y = payload[at], payload[at + 1]
    try:
        return Box(x >> 4, y >> 4, x & 15, y & 15)
    except ValueError:
        raise FormatError(f"regions offset {at}: no box") from None
