"""The fields that packets are made of: numbers of one to three bytes, and a reader whose every shortage is an error."""

from typing import Final

MAX_VARINT: Final = (1 << 22) - 1
CLASSES: Final = 4
BASE: Final = 0
"""The class that starts a group."""
NUMBERS: Final = 1 << 16
"""Numbers of packets and requests travel by their low 16 bits."""


class WireError(ValueError):
    """Bytes of the peer that are no packet; the message names the offset."""


def varint_size(value: int) -> int:
    """Bytes that a varint takes: 1 below 2^7, 2 below 2^14, 3 below 2^22."""
    if not 0 <= value <= MAX_VARINT:
        raise ValueError(f"{value} is outside 0 .. {MAX_VARINT}")
    return 1 if value < 1 << 7 else 2 if value < 1 << 14 else 3


def put_varint(out: bytearray, value: int) -> None:
    if 0 <= value < 0x80:  # most are
        out.append(value)
        return
    size = varint_size(value)
    prefix = (0, 0x80, 0xC0)[size - 1]
    out += (value | prefix << 8 * (size - 1)).to_bytes(size, "big")


class Reader:
    """Takes fields off the front of a packet; every shortage is a WireError with its offset."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def fail(self, what: str) -> WireError:
        return WireError(f"{what} at byte {self.at}")

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise self.fail(f"{size} bytes wanted, {len(self.data) - self.at} left")
        self.at += size
        return self.data[self.at - size : self.at]

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def varint(self) -> int:
        data, at = self.data, self.at
        if at < len(data) and data[at] < 0x80:  # most are
            self.at = at + 1
            return data[at]
        first = self.uint(1)
        size = 2 if first < 0xC0 else 3
        value = (first & (0x3F)) << 8 * (size - 1) | self.uint(size - 1)
        if varint_size(value) != size:
            raise self.fail("a number that has a shorter form")
        return value

    @property
    def left(self) -> int:
        return len(self.data) - self.at
