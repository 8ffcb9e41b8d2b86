"""The wire: exact bytes of known packets, round trips of all packets, and garbage."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transport.wire import (
    MAX_ITEM,
    MAX_SPAN,
    Ack,
    Data,
    Name,
    Packet,
    Segment,
    WireError,
    head_size,
    parse,
    parse_body,
    segment_size,
    varint_size,
)

KNOWN: list[tuple[Packet, str]] = [
    (Data(0x01020304, (Segment(0, 0, 0, b"hi", True),), 7), "a2 01020304 0007 00 6869"),
    (Data(0x01020304, (Segment(3, 5, 0, b"hi", False),)), "98 01020304 05 6869"),
    (Data(1, (Segment(0, 4, 0, b"a", True),), 0xFFFF, b"\xc1\x10\x03\x02"), "e2 00000001 ffff 04c1100302 04 61"),
    (Data(1, (Segment(3, 300, 1000, b"abc", False),), 2), "bc 00000001 0002 812c 83e8 616263"),
    (
        Data(1, (Segment(0, 0, 0, b"a", True), Segment(2, 20, 70000, b"", True)), 2),
        "a3 00000001 0002 00 01 61 16 14 c11170",
    ),
    (Data(1, (Segment(2, 20, 0, b"ab", True),), None, b"", (3, 7)), "d2 00000001 03 07 14 6162"),
    (Data(1, (Segment(1, 5, 9, b"ab", False),), 4, b"", (200, 254)), "ec 00000001 0004 80c8 fe 05 09 6162"),
    (Name("G4ABC"), "04 4734414243"),
    (Ack(9, ((0, 0),), 0.0, 0, 65535), "01 0009 00000000 ffff 00 00"),
    (
        Ack(9, ((0, 3), (5, 5), (200, 210)), 0.25, 66000, 4660, 185),
        "01 0009 000101d0 1234 80fa 03 80b9 00 00 80c1 0a",
    ),
]


@pytest.mark.parametrize(("packet", "text"), KNOWN)
def test_known_bytes(packet: Packet, text: str) -> None:
    assert packet.encode() == bytes.fromhex(text)
    assert parse(bytes.fromhex(text)) == packet


def test_framing_of_the_common_cases() -> None:
    whole = Segment(0, 12, 0, b"x" * 30, True)
    assert len(Data(1, (whole,), 5).encode()) - 30 == 8
    assert len(Data(1, (whole,)).encode()) - 30 == 6
    assert len(Data(1, (Segment(1, 12, 0, b"x" * 30, True),), coded=(127, 254)).encode()) - 30 == 8
    assert len(Data(1, (Segment(3, 12, 900, b"x" * 30, True),), 5).encode()) - 30 == 10
    assert len(Data(1, (whole, whole), 5).encode()) - 60 == 8 + 3 + 0


segments = st.builds(
    lambda cls, index, offset, payload, final: Segment(cls, index, offset, payload, final or not payload),
    st.integers(0, 3),
    st.integers(0, 1 << 15),
    st.integers(0, 1 << 15),
    st.binary(max_size=40),
    st.booleans(),
)


def standing_together(
    group: int, parts: list[Segment], number: int | None, preamble: bytes, coded: tuple[int, int] | None
) -> Data:
    """A packet that the wire can carry: the base first, one class where it is coded."""
    parts = sorted(parts, key=lambda segment: segment.cls)
    cls = parts[0].cls
    if cls == 0:
        return Data(group, tuple(parts), number, preamble)
    if coded is not None:
        parts = [replace(segment, cls=cls) for segment in parts]
    return Data(group, tuple(parts), number, coded=coded)


datas = st.builds(
    standing_together,
    st.integers(0, (1 << 32) - 1),
    st.lists(segments, min_size=1, max_size=5),
    st.none() | st.integers(0, 65535),
    st.binary(max_size=8),
    st.none() | st.tuples(st.integers(0, 4095), st.integers(0, 254)),
)
names = st.text(min_size=1, max_size=8).filter(str.isprintable).map(Name)


@st.composite
def acks(draw: st.DrawFn) -> Ack:
    lengths = draw(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 200)), min_size=1, max_size=30))
    ranges, at = [], 0
    for place, (gap, run) in enumerate(lengths):
        at += gap if place else 0
        ranges.append((at, at + run))
        at += run + 1
    delay = draw(st.integers(0, 60000)) / 1000
    spacing = draw(st.integers(0, 60000)) if ranges[0][1] else 0
    largest, arrived = draw(st.integers(0, 65535)), draw(st.integers(0, 65535))
    return Ack(largest, tuple(ranges), delay, draw(st.integers(0, (1 << 32) - 1)), arrived, spacing)


@given(datas | acks() | names)
def test_round_trip(packet: Packet) -> None:
    assert parse(packet.encode()) == packet


@given(datas)
def test_sizes_are_as_predicted(packet: Data) -> None:
    block = packet.coded[0] if packet.coded else None
    size = head_size(packet.number is not None, len(packet.preamble), block)
    for place, segment in enumerate(packet.segments):
        size += segment_size(segment.index, segment.offset) + len(segment.payload) + (1 if place else 0)
        size += varint_size(len(segment.payload)) if place < len(packet.segments) - 1 else 0
    assert size == len(packet.encode())


@given(datas)
def test_the_body_of_a_coded_packet_comes_back(packet: Data) -> None:
    if packet.coded is None and len({segment.cls for segment in packet.segments}) > 1:
        with pytest.raises(WireError, match="stand together"):
            parse_body(packet.body())
    elif packet.segments[0].cls:
        assert parse_body(packet.body()) == packet.segments


@settings(max_examples=400)
@given(st.binary(max_size=80))
def test_any_bytes_give_a_packet_or_an_error(data: bytes) -> None:
    try:
        packet = parse(data)
    except WireError:
        return
    assert packet.encode() == data


def test_mutated_packets() -> None:
    rng = random.Random(5)
    valid = [packet.encode() for packet, _ in KNOWN]
    outcomes = {True: 0, False: 0}
    for _ in range(10000):
        data = bytearray(rng.choice(valid))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = data[: rng.randint(0, len(data))] if rng.random() < 0.3 else data + rng.randbytes(rng.randint(0, 3))
        try:
            assert parse(bytes(data)).encode() == data
            outcomes[True] += 1
        except WireError:
            outcomes[False] += 1
    assert min(outcomes.values()) > 1000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("0b", "unknown kind 11"),
        ("04", "0 bytes"),
        ("04 ff", "no UTF-8"),
        ("04 410a", "printed"),
        ("04" + "41" * 33, "33 bytes"),
        ("d2 00000001 9000 07 14 61", "no such place"),
        ("d2 00000001 03 ff 14 61", "no such place"),
        ("d3 00000001 03 07 14 01 61 0a 05 62", "stand together"),
        ("93 00000001 14 01 61 02 05 62", "stand together"),
        ("a2 0102", "4 bytes wanted, 2 left"),
        ("e2 00000001 0002 09", "preamble of 9"),
        ("e2 00000001 0002 00", "preamble of 0"),
        ("a6 00000001 0002 00 00 61", "offset of 0"),
        ("a2 00000001 0002 8005 61", "shorter form"),
        ("a0 00000001 0002 00", "ends nothing"),
        ("a3 00000001 0002 00 01 61 82 00 61", "reserved"),
        ("a6 00000001 0002 00 ffffff 61", "2\\^22"),
        ("01 0009 00000000 0000 00", "1 bytes wanted"),
        ("01 0009 00000000 0000 00 c07fff 00 00 00", "2\\^15"),
    ],
)
def test_named_errors(text: str, why: str) -> None:
    with pytest.raises(WireError, match=why):
        parse(bytes.fromhex(text))


def test_fields_that_the_wire_cannot_carry_are_the_callers_fault() -> None:
    for bad in (
        Data(1 << 32, (Segment(0, 0, 0, b"a", True),)),
        Data(1, ()),
        Data(1, (Segment(4, 0, 0, b"a", True),)),
        Data(1, (Segment(0, 0, MAX_ITEM, b"a", True),)),
        Data(1, (Segment(0, 0, 0, b"", False),)),
        Data(1, (Segment(0, 0, 0, b"a", True),), preamble=b"123456789"),
        Data(1, (Segment(1, 0, 0, b"a", True),), preamble=b"1234"),
        Data(1, (Segment(0, 0, 0, b"a", True),), coded=(0, 0)),
        Data(1, (Segment(1, 0, 0, b"a", True), Segment(2, 0, 0, b"a", True)), coded=(0, 0)),
        Data(1, (Segment(1, 0, 0, b"a", True), Segment(0, 0, 0, b"a", True))),
        Data(1, (Segment(1, 0, 0, b"a", True),), coded=(4096, 0)),
        Data(1, (Segment(1, 0, 0, b"a", True),), coded=(0, 255)),
        Name(""),
        Name("x" * 33),
        Name("a\n"),
        Ack(1, ((1, 2),)),
        Ack(1, ((0, 2), (3, 4))),
        Ack(1, ()),
        Ack(1, ((0, MAX_SPAN),)),
    ):
        with pytest.raises(ValueError):
            bad.encode()
