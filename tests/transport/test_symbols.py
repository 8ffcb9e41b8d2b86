"""Packets of coded repair: exact bytes, round trips, and any bytes give a packet in its only form or an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.symbols import Rebuilt, Repair, repair_head_size
from transport.wire import WireError, parse

BLOCKS = st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(1, 3), st.integers(0, 4095))
SYMBOLS = st.integers(1, 12).flatmap(lambda words: st.binary(min_size=8 * words, max_size=8 * words))
REPAIRS = st.builds(
    lambda key, *rest: Repair(*key, *rest),
    BLOCKS,
    st.integers(1, 255),
    st.integers(0, 255),
    st.integers(0, 65535),
    SYMBOLS,
    st.none() | st.integers(0, 65535),
)
REBUILT = st.builds(Rebuilt, st.lists(BLOCKS, min_size=1, max_size=16).map(tuple))


def test_known_bytes() -> None:
    symbol = bytes(range(8))
    assert Repair(1, 2, 3, 20, 5, 0xABCD, symbol).encode() == bytes.fromhex("02 00000001 0e 14 05 abcd") + symbol
    one = Repair(1, 1, 100, 255, 255, 7, symbol, 9)
    assert one.encode() == bytes.fromhex("03 00000001 0009 8191 ff ff 0007") + symbol
    assert Rebuilt(((1, 2, 3), (7, 3, 4095))).encode() == bytes.fromhex("05 00000001 0e 00000007 bfff")


@given(REPAIRS | REBUILT)
def test_what_is_written_is_read(packet: Repair | Rebuilt) -> None:
    assert parse(packet.encode()) == packet


@given(REPAIRS)
def test_the_head_is_as_large_as_predicted(packet: Repair) -> None:
    size = repair_head_size(packet.number is not None, packet.block)
    assert len(packet.encode()) - len(packet.symbol) <= size


@given(st.sampled_from([b"\x02", b"\x03", b"\x05"]), st.binary(max_size=60))
def test_any_bytes_give_a_packet_in_its_only_form_or_an_error(kind: bytes, rest: bytes) -> None:
    try:
        packet = parse(kind + rest)
    except WireError:
        return
    assert packet.encode() == kind + rest


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("02 000001", "4 bytes wanted"),
        ("02 00000001 0c 14 05 abcd 0001020304050607", "no such block"),
        ("02 00000001 c04001 14 05 abcd 0001020304050607", "no such block"),
        ("02 00000001 0e 00 05 abcd 0001020304050607", "no packets"),
        ("02 00000001 0e 14 05 abcd", "symbol of 0"),
        ("02 00000001 0e 14 05 abcd 000102030405060708", "symbol of 9"),
        ("05", "4 bytes wanted"),
        ("05" + "00000001 0e" * 17, "more than 16"),
    ],
)
def test_named_errors(text: str, why: str) -> None:
    with pytest.raises(WireError, match=why):
        parse(bytes.fromhex(text))


def test_fields_that_the_wire_cannot_carry_are_the_callers_fault() -> None:
    symbol = bytes(8)
    for bad in (
        Repair(1, 0, 0, 1, 0, 0, symbol),
        Repair(1, 1, 4096, 1, 0, 0, symbol),
        Repair(1, 1, 0, 0, 0, 0, symbol),
        Repair(1, 1, 0, 256, 0, 0, symbol),
        Repair(1, 1, 0, 1, 256, 0, symbol),
        Repair(1, 1, 0, 1, 0, 0, b"123456789"),
        Repair(1, 1, 0, 1, 0, 0, b""),
        Rebuilt(()),
        Rebuilt(((1, 1, 0),) * 17),
    ):
        with pytest.raises(ValueError):
            bad.encode()
