"""Requests as bytes: they come back as they were, and any bytes give a packet in its only form or WireError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport import wire
from transport.control import NOTHING, End, First, Heard, Held, Level, Partial, Request, Topic, runs_of

GROUPS = st.integers(0, 0xFFFFFFFF)
ITEMS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5000)), min_size=1, max_size=40)
RUNS = ITEMS.map(runs_of).map(lambda runs: tuple(runs[:20]))
ENTRIES = st.one_of(
    st.builds(Level, st.none() | GROUPS, st.integers(NOTHING, 3)),
    st.builds(First, GROUPS, RUNS),
    st.builds(Held, GROUPS, RUNS),
    st.builds(Topic, st.text(max_size=40)),
    st.builds(Partial, GROUPS, st.integers(0, 3), st.integers(0, 1 << 21), st.integers(1, 1 << 21)),
)
REQUESTS = st.builds(Request, st.integers(0, 65535), st.lists(ENTRIES, min_size=1, max_size=10).map(tuple))
HEARD = st.builds(Heard, st.lists(st.integers(0, 65535), min_size=1, max_size=64).map(tuple))


@given(REQUESTS | HEARD | st.builds(End, st.text(max_size=40)))
def test_what_is_written_is_read(packet: Request | Heard | End) -> None:
    assert wire.parse(packet.encode()) == packet


@given(st.sampled_from([b"\x08", b"\x09", b"\x0a"]), st.binary(max_size=60))
def test_any_bytes_give_a_packet_in_its_only_form_or_an_error(kind: bytes, rest: bytes) -> None:
    try:
        packet = wire.parse(kind + rest)
    except wire.WireError:
        return
    assert packet.encode() == kind + rest


@given(REQUESTS, st.data())
def test_a_cut_request_is_an_error_or_a_shorter_request(packet: Request, data: st.DataObject) -> None:
    whole = packet.encode()
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        shorter = wire.parse(cut)
    except wire.WireError:
        return
    assert isinstance(shorter, Request) and shorter.entries == packet.entries[: len(shorter.entries)]


@given(ITEMS)
def test_runs_hold_exactly_the_items(items: list[tuple[int, int]]) -> None:
    assert sorted((cls, index) for cls, run in runs_of(items) for index in run) == sorted(set(items))


def test_evenly_spaced_items_are_one_run() -> None:
    assert runs_of((3, 8 * n + 5) for n in range(1000)) == [(3, range(5, 7998, 8))]


def test_a_run_that_claims_items_beyond_the_largest_index_is_refused() -> None:
    lying = bytes([8, 0, 0, 0x20, 0, 0, 0, 1, 0, 1]) + b"\xff\xff\xff" * 3
    with pytest.raises(wire.WireError, match="largest index"):
        wire.parse(lying)
