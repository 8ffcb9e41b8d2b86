"""Packets to bytes and back: the only module that knows the wire. WIRE.md is normative, this follows it.

`Data`: pieces of items of one group, each of which says where it belongs; `Ack`: what a receiver tells its sender;
`Name`: who sends. Coded repair is in `symbols`, requests and their answers are in `control`. `parse` is total: any
bytes give a packet or `WireError`, and one packet has exactly one form, so that `encode(parse(data)) == data`.
"""

from dataclasses import dataclass
from typing import Final

from transport import control, symbols
from transport.fields import BASE, CLASSES, MAX_VARINT, NUMBERS, Reader, WireError, put_varint, varint_size
from transport.symbols import MAX_BLOCK, MAX_SOURCES, NUMBERED, REBUILT, REPAIR

__all__ = [
    "CLASSES",
    "NUMBERS",
    "Ack",
    "Data",
    "Name",
    "Packet",
    "Segment",
    "WireError",
    "head_size",
    "parse",
    "parse_body",
    "segment_size",
]

MAX_PREAMBLE: Final = 8
MAX_NAME: Final = 32
"""Bytes of a sender's name."""
MAX_INDEX: Final = MAX_VARINT
MAX_ITEM: Final = MAX_VARINT
MAX_GROUP: Final = 0xFFFFFFFF
MAX_RUNS: Final = 64
"""Runs of received numbers in one acknowledgement."""
MAX_SPAN: Final = NUMBERS // 2
"""An acknowledgement reaches back less than this many packets."""
CLOCK: Final = 1 << 16
"""A receiver's clock travels in ms, by its low 16 bits."""

_DATA, _SPECIAL, _NUMBER = 0x80, 0x40, 0x20
"""_SPECIAL: the preamble follows in a packet that begins with the base, block and place in another."""
_OFFSET, _FINAL, _MORE = 0x04, 0x02, 0x01
_ACK, _NAME = 0x01, 0x04


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
    """Segments of one group. `number` (mod 2^16) asks for an acknowledgement; `preamble` starts the group (0-8 B).

    `coded`: (block, place) of a packet that repair symbols protect; its segments are of one class, not the base. Base
    segments stand only in packets that begin with one.
    """

    group: int
    segments: tuple[Segment, ...]
    number: int | None = None
    preamble: bytes = b""
    coded: tuple[int, int] | None = None

    def encode(self) -> bytes:
        """The packet's bytes. Raises ValueError for fields that the wire cannot carry: the caller's fault."""
        if not 0 <= self.group <= MAX_GROUP or not self.segments or len(self.preamble) > MAX_PREAMBLE:
            raise ValueError("a data packet has a 32-bit group, a preamble of at most 8 B and at least one segment")
        if not _may_stand_together([segment.cls for segment in self.segments], self.coded is not None):
            raise ValueError("the base stands first or not at all, and a coded packet holds one other class")
        if self.preamble and self.segments[0].cls != BASE:
            raise ValueError("a preamble stands in a packet that begins with the base")
        head = self.group.to_bytes(4, "big")
        if self.number is not None:
            head += (self.number % NUMBERS).to_bytes(2, "big")
        if self.preamble:
            head += bytes([len(self.preamble)]) + self.preamble
        if self.coded is not None:
            head += _coded_head(*self.coded)
        body = self.body()
        special = _SPECIAL if self.preamble or self.coded is not None else 0
        return bytes([body[0] | _DATA | special | (_NUMBER if self.number is not None else 0)]) + head + body[1:]

    def body(self) -> bytes:
        """The segments alone, each with its flag byte: what a source symbol holds."""
        out = bytearray()
        for place, segment in enumerate(self.segments):
            last = place == len(self.segments) - 1
            out.append(_segment_flags(segment, last))
            put_varint(out, segment.index)
            if segment.offset:
                put_varint(out, segment.offset)
            if not last:
                put_varint(out, len(segment.payload))
            out += segment.payload
        return bytes(out)


@dataclass(frozen=True, slots=True)
class Name:
    """Who sends, as radio amateurs must say: 1 to 32 bytes of printable UTF-8."""

    name: str

    def encode(self) -> bytes:
        """The packet's bytes. Raises ValueError for a name that the wire cannot carry."""
        data = self.name.encode()
        if not 1 <= len(data) <= MAX_NAME or not self.name.isprintable():
            raise ValueError(f"a sender's name has 1 to {MAX_NAME} bytes of UTF-8 that can be printed")
        return bytes([_NAME]) + data


@dataclass(frozen=True, slots=True)
class Ack:
    """A receiver's report.

    `largest`: the newest packet number received, mod 2^16. `ranges`: what has been received, as distances below it,
    nearest first: ((0, 3), (5, 5)) is largest-0 .. largest-3 and largest-5. `delay`: seconds (whole ms) for which the
    receiver held `largest` back. `received`: bytes of all data packets so far, mod 2^32. `arrived`: when `largest` did,
    ms on the receiver's clock, mod 2^16. `spacing`: ms from the arrival of the packet numbered just below to that; only
    where `ranges` says that this one has come, else 0.
    """

    largest: int
    ranges: tuple[tuple[int, int], ...]
    delay: float = 0.0
    received: int = 0
    arrived: int = 0
    spacing: int = 0

    def encode(self) -> bytes:
        """The packet's bytes. Raises ValueError for ranges out of order."""
        out = bytearray([_ACK])
        out += (self.largest % NUMBERS).to_bytes(2, "big")
        out += (self.received % (1 << 32)).to_bytes(4, "big")
        out += (self.arrived % CLOCK).to_bytes(2, "big")
        put_varint(out, min(max(round(self.delay * 1000), 0), MAX_VARINT))
        expected = 0
        for place, (near, far) in enumerate(self.ranges):
            gap = near - expected
            if far < near or (gap < 1 if place else gap != 0):
                raise ValueError("ranges start at 0, do not touch and go away from the largest")
            if place:
                put_varint(out, gap - 1)
            put_varint(out, far - near)
            if not place and far:
                put_varint(out, min(max(self.spacing, 0), MAX_VARINT))
            expected = far + 1
        if not 1 <= len(self.ranges) <= MAX_RUNS or expected > MAX_SPAN:
            raise ValueError(f"an acknowledgement has 1 to {MAX_RUNS} ranges and reaches back less than 2^15 packets")
        return bytes(out)


Packet = Data | Ack | Name | symbols.Repair | symbols.Rebuilt | control.Request | control.Heard | control.End


def parse(data: bytes) -> Packet:
    """The packet that these bytes are. Raises WireError, nothing else, whatever the bytes."""
    if not data:
        raise WireError("an empty packet")
    if data[0] & _DATA:
        return _parse_data(data)
    if data[0] in (REPAIR, NUMBERED, REBUILT):
        return symbols.parse(Reader(data))
    if data[0] == _NAME:
        return _parse_name(data)
    return _parse_ack(data) if data[0] == _ACK else control.parse(Reader(data))


def parse_body(body: bytes) -> tuple[Segment, ...]:
    """The segments of a coded packet's `Data.body()`, rebuilt by repair. Raises WireError."""
    reader = Reader(body)
    flags = reader.uint(1)
    if flags & (_DATA | _SPECIAL | _NUMBER):
        raise reader.fail("reserved bits")
    return _parse_segments(reader, flags, coded=True)


def head_size(numbered: bool, preamble: int, block: int | None = None) -> int:
    """Bytes of a data packet before its first segment's index, the first segment's flag byte included."""
    special = 1 + preamble if preamble else 0 if block is None else varint_size(block) + 1
    return 5 + (2 if numbered else 0) + special


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


def _coded_head(block: int, place: int) -> bytes:
    if not 0 <= block <= MAX_BLOCK or not 0 <= place < MAX_SOURCES:
        raise ValueError(f"a block is numbered 0 to {MAX_BLOCK}, a place in it 0 to {MAX_SOURCES - 1}")
    out = bytearray()
    put_varint(out, block)
    out.append(place)
    return bytes(out)


def _may_stand_together(classes: list[int], coded: bool) -> bool:
    if coded:
        return classes[0] != BASE and len(set(classes)) == 1
    return classes[0] == BASE or BASE not in classes


def _parse_data(data: bytes) -> Data:
    reader = Reader(data)
    flags = reader.uint(1)
    group = reader.uint(4)
    number = reader.uint(2) if flags & _NUMBER else None
    preamble, coded = b"", None
    if flags & _SPECIAL and flags >> 3 & 3 != BASE:
        coded = _parse_coded(reader)
    elif flags & _SPECIAL:
        size = reader.uint(1)
        if not 1 <= size <= MAX_PREAMBLE:
            raise reader.fail(f"a preamble of {size} bytes")
        preamble = reader.take(size)
    return Data(group, _parse_segments(reader, flags, coded is not None), number, preamble, coded)


def _parse_coded(reader: Reader) -> tuple[int, int]:
    block, place = reader.varint(), reader.uint(1)
    if block > MAX_BLOCK or place >= MAX_SOURCES:
        raise reader.fail("no such place in a block")
    return block, place


def _parse_segments(reader: Reader, flags: int, coded: bool) -> tuple[Segment, ...]:
    segments = [_parse_segment(reader, flags)]
    while flags & _MORE:
        flags = reader.uint(1)
        if flags & (_DATA | _SPECIAL | _NUMBER):
            raise reader.fail("reserved bits")
        segments.append(_parse_segment(reader, flags))
    if not _may_stand_together([segment.cls for segment in segments], coded):
        raise reader.fail("classes that do not stand together")
    return tuple(segments)


def _parse_name(data: bytes) -> Name:
    try:
        name = data[1:].decode()
    except UnicodeDecodeError:
        raise WireError("a name that is no UTF-8") from None
    if not 1 <= len(data) - 1 <= MAX_NAME or not name.isprintable():
        raise WireError(f"a name of {len(data) - 1} bytes, or one that cannot be printed")
    return Name(name)


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
    largest, received, arrived = reader.uint(2), reader.uint(4), reader.uint(2)
    delay = reader.varint() / 1000
    ranges: list[tuple[int, int]] = []
    expected = spacing = 0
    while not ranges or reader.left:
        near = expected + (reader.varint() + 1 if ranges else 0)
        far = near + reader.varint()
        if far >= MAX_SPAN:
            raise reader.fail("an acknowledgement that reaches back 2^15 packets")
        if len(ranges) == MAX_RUNS:
            raise reader.fail(f"more than {MAX_RUNS} runs")
        if not ranges and far:
            spacing = reader.varint()
        ranges.append((near, far))
        expected = far + 1
    return Ack(largest, tuple(ranges), delay, received, arrived, spacing)
