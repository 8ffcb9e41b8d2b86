"""Frames in a stream of bytes: found whatever stands around them, never wrong, never more than one held."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.framing import Deframer, crc, frame, frame_overhead

LARGEST = 1100
datagrams = st.binary(max_size=LARGEST) | st.binary(max_size=3).map(lambda seed: (seed or b"\1") * 300)


@given(datagrams)
def test_there_and_back_at_the_stated_cost(data: bytes) -> None:
    framed = frame(data)
    assert framed[0] == framed[-1] == 0 and 0 not in framed[1:-1]
    assert len(framed) <= len(data) + frame_overhead(len(data))
    assert Deframer(LARGEST).push(framed) == [data]


@pytest.mark.parametrize(("size", "cost"), [(0, 5), (51, 5), (252, 5), (253, 6), (506, 6), (340, 6), (1100, 9)])
def test_the_cost(size: int, cost: int) -> None:
    assert frame_overhead(size) == cost
    assert max(len(frame(bytes([fill]) * size)) for fill in (0, 1)) - size in (cost, cost - 1)


def test_bytes_worked_out_by_hand() -> None:
    assert crc(b"123456789") == 0xD64E, "the check value of CRC-16/GENIBUS"
    assert frame(b"123456789") == b"\0\x0c123456789\xd6\x4e\0"
    assert frame(b"\0\0") == b"\0\x01\x01\x03\xe2\xf0\0"


@given(st.lists(st.tuples(st.binary(max_size=40), datagrams), max_size=6), st.binary(max_size=40), st.integers(1, 99))
def test_any_bytes_before_between_and_after(parts: list[tuple[bytes, bytes]], after: bytes, step: int) -> None:
    stream = b"".join(noise + frame(data) for noise, data in parts) + after
    deframer = Deframer(LARGEST)
    got = [data for at in range(0, len(stream), step) for data in deframer.push(stream[at : at + step])]
    remaining = iter(got)
    assert all(data in remaining for _, data in parts), "each datagram, in order"
    assert len(got) == len(parts) or len(got) <= len(parts) + 6  # noise is a frame once in 65,536 times


def test_every_single_flipped_bit_loses_a_frame_and_makes_no_wrong_one() -> None:
    first, second = bytes(range(40)), b"the next one"
    whole = frame(first) + frame(second)
    inside = len(frame(first))
    for at in range(inside):
        for bit in range(8):
            stream = bytearray(whole)
            stream[at] ^= 1 << bit
            got = Deframer(LARGEST).push(bytes(stream))
            assert second in got
            assert set(got) <= {first, second}
            assert first not in got


def test_noise_is_a_frame_as_often_as_a_crc_of_16_bits_says() -> None:
    rng = random.Random(1)
    deframer = Deframer(LARGEST)
    for _ in range(40):
        deframer.push(rng.randbytes(1 << 16))
    assert deframer.stats.bytes == 40 << 16 and deframer.stats.damaged > 5000
    assert deframer.stats.frames <= 4, "0.15 expected"


def test_frames_cut_short_or_run_together() -> None:
    data = bytes(range(1, 200))
    framed = frame(data)
    for cut in range(1, len(framed) - 1):
        deframer = Deframer(LARGEST)
        assert deframer.push(framed[:cut]) == []
        assert deframer.push(framed) == [data], "a frame that lost its end does not take the next one with it"
    assert Deframer(LARGEST).push(framed + framed[1:]) == [data, data], "one zero between two frames is enough"


def test_memory_is_bounded_and_a_frame_too_large_is_left_out() -> None:
    deframer = Deframer(50)
    for _ in range(1000):
        assert deframer.push(b"\x55" * 1000) == []
        assert len(deframer._part) <= 54
    assert deframer.push(frame(bytes(51))) == []
    assert deframer.push(frame(bytes(50))) == [bytes(50)]
    assert deframer.stats.damaged >= 2
