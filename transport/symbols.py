"""The packets of coded repair as bytes and back: control packets of kinds 2, 3 and 5. WIRE.md is normative.

    Repair    one repair symbol of a block of data packets
    Rebuilt   these blocks are complete at the receiver with the help of repair symbols

`parse` is total and canonical like `wire.parse`, on which it builds.
"""

from dataclasses import dataclass
from typing import Final

from transport.fields import CLASSES, NUMBERS, Reader, put_varint, varint_size

REPAIR: Final = 0x02
NUMBERED: Final = 0x03
REBUILT: Final = 0x05
MAX_BLOCK: Final = 4095
MAX_SOURCES: Final = 255
"""Data packets in one block."""
MAX_BLOCK_SIZE: Final = 1 << 21
"""Bytes of all source symbols of a block."""
REPAIRS: Final = 256
"""Repair symbols that a block can have."""
ALIGNMENT: Final = 8
"""Symbols are whole multiples of so many bytes, as the library wants them."""
MAX_REBUILT: Final = 16
"""Blocks in one packet of kind 5."""

BlockKey = tuple[int, int, int]
"""(group, class, block)."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Repair symbol `place` (0..255) of a block that has `sources` data packets.

    `check`: CRC-16 of the block's source symbols, one after the other. `number`: as in a data packet.
    """

    group: int
    cls: int
    block: int
    sources: int
    place: int
    check: int
    symbol: bytes
    number: int | None = None

    @property
    def key(self) -> BlockKey:
        return self.group, self.cls, self.block

    def encode(self) -> bytes:
        """The packet's bytes. Raises ValueError for fields that the wire cannot carry."""
        fits = 1 <= self.sources <= MAX_SOURCES and 0 <= self.place < REPAIRS and self.symbol
        if not fits or len(self.symbol) % ALIGNMENT:
            raise ValueError("a repair packet has 1-255 sources, a place of 0-255 and a symbol of whole 8 bytes")
        out = bytearray([REPAIR if self.number is None else NUMBERED])
        out += self.group.to_bytes(4, "big")
        if self.number is not None:
            out += (self.number % NUMBERS).to_bytes(2, "big")
        _put_which(out, self.cls, self.block)
        out += bytes([self.sources, self.place])
        return bytes(out) + self.check.to_bytes(2, "big") + self.symbol


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Blocks that repair symbols completed, 1 to MAX_REBUILT of them."""

    blocks: tuple[BlockKey, ...]

    def encode(self) -> bytes:
        """The packet's bytes. Raises ValueError for fields that the wire cannot carry."""
        if not 1 <= len(self.blocks) <= MAX_REBUILT:
            raise ValueError(f"1 to {MAX_REBUILT} blocks are told at a time")
        out = bytearray([REBUILT])
        for group, cls, block in self.blocks:
            out += group.to_bytes(4, "big")
            _put_which(out, cls, block)
        return bytes(out)


def repair_head_size(numbered: bool, block: int) -> int:
    """Bytes of a repair packet before its symbol, for blocks numbered up to `block`."""
    return 9 + (2 if numbered else 0) + varint_size(block * CLASSES)


def _put_which(out: bytearray, cls: int, block: int) -> None:
    if not 1 <= cls < CLASSES or not 0 <= block <= MAX_BLOCK:
        raise ValueError(f"blocks are of class 1-3 and numbered 0 to {MAX_BLOCK}")
    put_varint(out, block * CLASSES + cls)


def _which(reader: Reader) -> tuple[int, int]:
    block, cls = divmod(reader.varint(), CLASSES)
    if cls == 0 or block > MAX_BLOCK:
        raise reader.fail("no such block")
    return cls, block


def parse(reader: Reader) -> Repair | Rebuilt:
    """The packet whose kind byte, 2, 3 or 5, is next. Raises WireError, nothing else."""
    kind = reader.uint(1)
    if kind == REBUILT:
        return _parse_rebuilt(reader)
    group = reader.uint(4)
    number = reader.uint(2) if kind == NUMBERED else None
    cls, block = _which(reader)
    sources, place, check = reader.uint(1), reader.uint(1), reader.uint(2)
    if sources == 0:
        raise reader.fail("a block of no packets")
    symbol = reader.take(reader.left)
    if not symbol or len(symbol) % ALIGNMENT:
        raise reader.fail(f"a symbol of {len(symbol)} bytes")
    return Repair(group, cls, block, sources, place, check, symbol, number)


def _parse_rebuilt(reader: Reader) -> Rebuilt:
    blocks: list[BlockKey] = []
    while not blocks or reader.left:
        if len(blocks) == MAX_REBUILT:
            raise reader.fail(f"more than {MAX_REBUILT} blocks")
        group = reader.uint(4)
        blocks.append((group, *_which(reader)))
    return Rebuilt(tuple(blocks))
