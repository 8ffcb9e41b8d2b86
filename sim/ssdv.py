"""SSDV's scheme (fsphil/ssdv): a baseline JPEG in packets, each of which says where in the picture it starts.

A packet has a header of 15 B, a CRC-32, 32 B of Reed-Solomon, and the rest is the JPEG's own bits from the first whole
block on; after a loss decoding starts again there, and what is missing stays grey. Here the bits of each block of
16x16 pixels (MCU) are found by reading the scan; a block is shown if all packets that hold bits of it are there. That
the first of a packet has its DC in full costs a few bits, which are not counted: kind to it.
"""

import io
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sim.metrics import Picture, to_rgb

PACKET, HEADER, CHECK, PARITY = 256, 15, 4, 32
MCU = 16
"""Pixels of a side of what is lost together: 4:2:0."""
SMALLEST_WITH_PARITY = 128
"""Bytes of a packet from which parity is sent; smaller ones are on links that check packets themselves."""
GREY = 128
_BLOCKS = (0, 0, 0, 0, 1, 2)
"""The component of each block of an MCU."""


@dataclass(frozen=True)
class Packets:
    """picture: the whole JPEG as decoded; spans: first and last packet of each MCU; count, payload: packets, bytes of
    JPEG in each; size: bytes of a packet."""

    picture: Picture
    spans: tuple[tuple[int, int], ...]
    count: int
    payload: int
    size: int

    def decode(self, got: Collection[int]) -> Picture | None:
        """The picture of these packets; None without any."""
        if not got:
            return None
        width = self.picture.shape[1]
        across = -(-width // MCU)
        shown = np.full_like(self.picture, GREY)
        for place, (first, last) in enumerate(self.spans):
            if all(packet in got for packet in range(first, last + 1)):
                y, x = place // across * MCU, place % across * MCU
                shown[y : y + MCU, x : x + MCU] = self.picture[y : y + MCU, x : x + MCU]
        return shown


def encode(picture: Picture, quality: int = 50, packet: int = PACKET) -> Packets:
    """The colours of uint8[H, W, C] in packets of at most `packet` bytes. ValueError below 32 B."""
    held = io.BytesIO()
    Image.fromarray(to_rgb(picture)).save(held, "JPEG", quality=quality, subsampling="4:2:0", optimize=False)
    return packetise(held.getvalue(), packet)


def packetise(data: bytes, packet: int = PACKET) -> Packets:
    """A baseline JPEG, 4:2:0, in packets of at most `packet` bytes. ValueError below 32 B."""
    if packet < 32:
        raise ValueError(f"packets of {packet} B are too small for SSDV")
    size = min(packet, PACKET)
    payload = size - HEADER - CHECK - (PARITY if size >= SMALLEST_WITH_PARITY else 0)
    with Image.open(io.BytesIO(data)) as image:
        whole = np.asarray(image.convert("RGB"), np.uint8)
    ends = _mcu_ends(data, -(-whole.shape[1] // MCU) * -(-whole.shape[0] // MCU))
    starts = [0, *ends[:-1]]
    room = payload * 8
    spans = tuple((start // room, (end - 1) // room) for start, end in zip(starts, ends, strict=True))
    return Packets(whole, spans, spans[-1][1] + 1, payload, size)


def _mcu_ends(data: bytes, count: int) -> list[int]:
    """The bit of the scan at which each MCU of a baseline JPEG ends."""
    tables, at = {}, 2
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xC4:
            tables.update(_tables(data[at + 4 : at + 2 + length]))
        at += 2 + length
    at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    bits = _Bits(data[at:-2].replace(b"\xff\x00", b"\xff"))
    ends = []
    for _ in range(count):
        for component in _BLOCKS:
            chroma = int(component > 0)
            _skip_block(bits, tables[0, chroma], tables[1, chroma])
        ends.append(bits.at)
    return ends


Codes = dict[tuple[int, int], int]
"""(bits, code) -> symbol."""


def _tables(segment: bytes) -> dict[tuple[int, int], Codes]:
    """(0 DC or 1 AC, number) -> codes, of a DHT segment."""
    found, at = {}, 0
    while at < len(segment):
        kind, counts = divmod(segment[at], 16), segment[at + 1 : at + 17]
        at += 17
        codes: Codes = {}
        code = 0
        for length, number in enumerate(counts, 1):
            for _ in range(number):
                codes[length, code] = segment[at]
                code, at = code + 1, at + 1
            code <<= 1
        found[kind] = codes
    return found


class _Bits:
    """Reads a scan bit by bit."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def symbol(self, codes: Codes) -> int:
        start = self.at
        for length in range(1, 17):
            found = codes.get((length, int(self._bits[start : start + length], 2)))
            if found is not None:
                self.at += length
                return found
        raise ValueError("no baseline scan")


def _skip_block(bits: _Bits, dc: Codes, ac: Codes) -> None:
    size = bits.symbol(dc)
    bits.at += size
    place = 1
    while place < 64:
        run, size = divmod(bits.symbol(ac), 16)
        if size == 0 and run != 15:
            return
        bits.at += size
        place += run + 1
