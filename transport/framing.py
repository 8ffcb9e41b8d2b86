"""Datagrams in a stream of bytes, and back: frames with a CRC-16, found again after any garbage (WIRE.md, "Pipe").

    00  COBS( datagram, CRC-16 )  00

COBS (consistent overhead byte stuffing, Cheshire and Baker 1999) removes every zero byte for one byte in 254, so a zero
can only be a frame's edge. Zeros on both sides cost one byte more and keep whatever noise the line makes between frames
from spoiling one. The CRC is CRC-16/GENIBUS: polynomial 0x1021, begun with 0xFFFF, inverted, sent high byte first. It
must be inverted: else a frame whose last zero became 01 would pass as a datagram one byte longer.

In all 5 B a datagram up to 252 B, and one more for each further 254 B. Sans-I/O.
"""

from binascii import crc_hqx
from dataclasses import dataclass

CRC = 2
_RESIDUE = 0x1D0F
"""What the CRC's register holds after a datagram and its own CRC."""
BLOCK = 254


def frame_overhead(size: int) -> int:
    """Bytes that framing adds to a datagram of `size` bytes, at most."""
    return 3 + CRC + (size + CRC - 1) // BLOCK


def frame(data: bytes) -> bytes:
    """A datagram as it goes into the stream."""
    return b"\0" + _stuff(data + crc(data).to_bytes(CRC, "big")) + b"\0"


def crc(data: bytes) -> int:
    """CRC-16/GENIBUS."""
    return crc_hqx(data, 0xFFFF) ^ 0xFFFF


@dataclass
class DeframerStats:
    """Counts since the start. `damaged`: what stood between two zeros and was no frame; `bytes`: all that came."""

    bytes: int = 0
    frames: int = 0
    damaged: int = 0


class Deframer:
    """Takes bytes as they come, gives whole datagrams; holds no more than one frame of the largest kind."""

    def __init__(self, largest: int) -> None:
        """`largest`: bytes of the largest datagram to be taken."""
        self.stats = DeframerStats()
        self._most = largest + frame_overhead(largest) - 2
        self._part = bytearray()
        self._skipping = False

    def push(self, data: bytes) -> list[bytes]:
        """The datagrams that these bytes complete. Never raises."""
        self.stats.bytes += len(data)
        *ended, rest = data.split(b"\0")
        found = []
        for piece in ended:
            self._add(piece)
            datagram = self._finish()
            if datagram is not None:
                found.append(datagram)
        self._add(rest)
        return found

    def _add(self, piece: bytes) -> None:
        if len(self._part) + len(piece) > self._most:
            self._skipping = True
            self._part.clear()
        elif not self._skipping:
            self._part += piece

    def _finish(self) -> bytes | None:
        """A zero came: what stood before it is a frame, nothing or noise."""
        stuffed, skipped = bytes(self._part), self._skipping
        self._part.clear()
        self._skipping = False
        if not stuffed and not skipped:
            return None
        plain = None if skipped else _unstuff(stuffed)
        if plain is None or len(plain) < CRC or crc_hqx(plain, 0xFFFF) != _RESIDUE:
            self.stats.damaged += 1
            return None
        self.stats.frames += 1
        return plain[:-CRC]


def _stuff(data: bytes) -> bytes:
    """COBS: each run of up to 254 bytes without a zero, led by its length plus one."""
    out = bytearray()
    for run in data.split(b"\0"):
        for at in range(0, len(run) + 1, BLOCK):
            part = run[at : at + BLOCK]
            out.append(len(part) + 1)
            out += part
    full_at_the_end = len(run) >= BLOCK and len(run) % BLOCK == 0
    return bytes(out[:-1] if full_at_the_end else out)


def _unstuff(data: bytes) -> bytes | None:
    """The inverse; None for what `_stuff` does not make."""
    out = bytearray()
    at = 0
    while at < len(data):
        size = data[at]
        if at + size > len(data):
            return None
        out += data[at + 1 : at + size]
        at += size
        if size <= BLOCK and at < len(data):
            out.append(0)
    return bytes(out)
