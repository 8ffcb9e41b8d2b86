"""Packets to bytes and back: the only module that knows the wire. WIRE.md is normative, this follows it.

`Data`: pieces of items of one group, each of which says where it belongs; `Ack`: what a receiver tells its sender;
requests and their answers are in `control`. `parse` is total: any bytes give a packet or `WireError`, and one packet
has exactly one form, so that `encode(parse(data)) == data`.
"""

from dataclasses import dataclass
from typing import Final

from transport import control
from transport.fields import CLASSES, MAX_VARINT, NUMBERS, Reader, WireError, put_varint, varint_size

__all__ = ["CLASSES", "NUMBERS", "Ack", "Data", "Packet", "Segment", "WireError", "head_size", "parse", "segment_size"]

MAX_PREAMBLE: Final = 8
MAX_INDEX: Final = MAX_VARINT
MAX_ITEM: Final = MAX_VARINT
MAX_GROUP: Final = 0xFFFFFFFF
MAX_RUNS: Final = 64
"""Runs of received numbers in one acknowledgement."""
MAX_SPAN: Final = NUMBERS // 2
"""An acknowledgement reaches back less than this many packets."""

_DATA, _PREAMBLE, _NUMBER = 0x80, 0x40, 0x20
_OFFSET, _FINAL, _MORE = 0x04, 0x02, 0x01
_ACK = 0x01


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes `offset` .. `offset + len(payload)` of the item (`cls`, `index`); `final`: the item ends here."""

    cls: int
    index: int
    offset: int
    payload: bytes
    final: bool


@dataclass(frozen=True, slots=True)
class Data:
    """Segments of one group. `number` (mod 2^16) asks for an acknowledgement; `preamble` starts the group (0-8 B)."""

    group: int
    segments: tuple[Segment, ...]
    number: int | None = None
    preamble: bytes = b""

    def encode(self) -> bytes:
        """The packet's bytes. Raises ValueError for fields that the wire cannot carry: the caller's fault."""
        if not 0 <= self.group <= MAX_GROUP or not self.segments or len(self.preamble) > MAX_PREAMBLE:
            raise ValueError("a data packet has a 32-bit group, a preamble of at most 8 B and at least one segment")
        out = bytearray()
        for place, segment in enumerate(self.segments):
            last = place == len(self.segments) - 1
            flags = _segment_flags(segment, last)
            if place == 0:
                flags |= _DATA | (_PREAMBLE if self.preamble else 0) | (_NUMBER if self.number is not None else 0)
            out.append(flags)
            if place == 0:
                out += self._head()
            put_varint(out, segment.index)
            if segment.offset:
                put_varint(out, segment.offset)
            if not last:
                put_varint(out, len(segment.payload))
            out += segment.payload
        return bytes(out)

    def _head(self) -> bytes:
        head = self.group.to_bytes(4, "big")
        if self.number is not None:
            head += (self.number % NUMBERS).to_bytes(2, "big")
        return head + bytes([len(self.preamble)]) + self.preamble if self.preamble else head


@dataclass(frozen=True, slots=True)
class Ack:
    """A receiver's report.

    `largest`: the newest packet number received, mod 2^16. `ranges`: what has been received, as distances below it,
    nearest first: ((0, 3), (5, 5)) is largest-0 .. largest-3 and largest-5. `delay`: seconds (whole ms) for which the
    receiver held `largest` back. `received`: bytes of all data packets so far, mod 2^32.
    """

    largest: int
    ranges: tuple[tuple[int, int], ...]
    delay: float = 0.0
    received: int = 0

    def encode(self) -> bytes:
        """The packet's bytes. Raises ValueError for ranges out of order."""
        out = bytearray([_ACK])
        out += (self.largest % NUMBERS).to_bytes(2, "big")
        out += (self.received % (1 << 32)).to_bytes(4, "big")
        put_varint(out, min(max(round(self.delay * 1000), 0), MAX_VARINT))
        expected = 0
        for place, (near, far) in enumerate(self.ranges):
            gap = near - expected
            if far < near or (gap < 1 if place else gap != 0):
                raise ValueError("ranges start at 0, do not touch and go away from the largest")
            if place:
                put_varint(out, gap - 1)
            put_varint(out, far - near)
            expected = far + 1
        if not 1 <= len(self.ranges) <= MAX_RUNS or expected > MAX_SPAN:
            raise ValueError(f"an acknowledgement has 1 to {MAX_RUNS} ranges and reaches back less than 2^15 packets")
        return bytes(out)


Packet = Data | Ack | control.Request | control.Heard | control.End


def parse(data: bytes) -> Packet:
    """The packet that these bytes are. Raises WireError, nothing else, whatever the bytes."""
    if not data:
        raise WireError("an empty packet")
    if data[0] & _DATA:
        return _parse_data(data)
    return _parse_ack(data) if data[0] == _ACK else control.parse(Reader(data))


def head_size(numbered: bool, preamble: int) -> int:
    """Bytes of a data packet before its first segment's index, the first segment's flag byte included."""
    return 5 + (2 if numbered else 0) + (1 + preamble if preamble else 0)


def segment_size(index: int, offset: int) -> int:
    """Bytes of a segment's index and offset; the flag byte (second segment on) and the length are not included."""
    return varint_size(index) + (varint_size(offset) if offset else 0)


def _segment_flags(segment: Segment, last: bool) -> int:
    if not 0 <= segment.cls < CLASSES or segment.offset + len(segment.payload) > MAX_ITEM:
        raise ValueError("a segment has a class of 0-3 and ends within 2^22 - 1 bytes")
    if not segment.payload and not segment.final:
        raise ValueError("an empty segment must end its item")
    flags = segment.cls << 3 | (_OFFSET if segment.offset else 0)
    return flags | (_FINAL if segment.final else 0) | (0 if last else _MORE)


def _parse_data(data: bytes) -> Data:
    reader = Reader(data)
    flags = reader.uint(1)
    group = reader.uint(4)
    number = reader.uint(2) if flags & _NUMBER else None
    preamble = b""
    if flags & _PREAMBLE:
        size = reader.uint(1)
        if not 1 <= size <= MAX_PREAMBLE:
            raise reader.fail(f"a preamble of {size} bytes")
        preamble = reader.take(size)
    segments = [_parse_segment(reader, flags)]
    while flags & _MORE:
        flags = reader.uint(1)
        if flags & (_DATA | _PREAMBLE | _NUMBER):
            raise reader.fail("reserved bits")
        segments.append(_parse_segment(reader, flags))
    return Data(group, tuple(segments), number, preamble)


def _parse_segment(reader: Reader, flags: int) -> Segment:
    index = reader.varint()
    offset = 0
    if flags & _OFFSET:
        offset = reader.varint()
        if offset == 0:
            raise reader.fail("an offset of 0 spelled out")
    payload = reader.take(reader.varint() if flags & _MORE else reader.left)
    final = bool(flags & _FINAL)
    if not payload and not final:
        raise reader.fail("an empty segment that ends nothing")
    if offset + len(payload) > MAX_ITEM:
        raise reader.fail("an item of 2^22 bytes or more")
    return Segment(flags >> 3 & 3, index, offset, payload, final)


def _parse_ack(data: bytes) -> Ack:
    reader = Reader(data)
    reader.uint(1)
    largest, received = reader.uint(2), reader.uint(4)
    delay = reader.varint() / 1000
    ranges: list[tuple[int, int]] = []
    expected = 0
    while not ranges or reader.left:
        near = expected + (reader.varint() + 1 if ranges else 0)
        far = near + reader.varint()
        if far >= MAX_SPAN:
            raise reader.fail("an acknowledgement that reaches back 2^15 packets")
        if len(ranges) == MAX_RUNS:
            raise reader.fail(f"more than {MAX_RUNS} runs")
        ranges.append((near, far))
        expected = far + 1
    return Ack(largest, tuple(ranges), delay, received)
