"""REGIONS chunks: boxes and phrases come back, damage raises FormatError, nothing else."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import caption
from codec.stream import FormatError, Header
from codec.structure import regions
from codec.structure.regions import Box, Region, Texture

TINY = 0
ENTRIES: Sequence[Region | Texture] = (
    Region(Box(0, 0, 7, 15), "a dog on a red sofa"),
    Texture(Box(3, 4, 3, 4), bytes(range(80))),
    Region(Box(8, 2, 15, 9), "Schild: «Halt»"),
    Texture(Box(15, 15, 15, 15), b""),
)
cells = st.integers(0, 15)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x0, y0 = draw(cells), draw(cells)
    return Box(x0, y0, draw(st.integers(x0, 15)), draw(st.integers(y0, 15)))


@given(st.lists(st.builds(Texture, boxes(), st.binary(max_size=318)), max_size=20))
def test_textures_round_trip(entries: list[Texture]) -> None:
    assert regions.decode(regions.encode(entries, TINY), TINY) == entries


def test_phrases_round_trip() -> None:
    assert regions.decode(regions.encode(ENTRIES, TINY), TINY) == list(ENTRIES)


def test_overhead_of_a_region_is_three_bytes() -> None:
    entry = ENTRIES[0]
    assert isinstance(entry, Region)
    assert len(regions.encode([entry], TINY)) == 1 + 3 + len(caption.encode(entry.phrase, TINY))


def test_golden_bytes() -> None:
    entries = [Texture(Box(1, 2, 3, 4), b"\x05\x06"), Texture(Box(0, 0, 15, 15), b"x" * 64)]
    payload = bytes.fromhex("00" + "42" + "13" + "24" + "0506" + "7f" + "01" + "0f" + "0f") + b"x" * 64
    assert regions.encode(entries) == payload
    assert regions.decode(payload) == entries


def test_types_of_later_versions_are_skipped() -> None:
    assert regions.decode(bytes.fromhex("00 c2 00 00 0102 40 00 00")) == [Texture(Box(0, 0, 0, 0), b"")]


def test_boxes_cover_the_picture() -> None:
    header = Header(17, 33)
    assert Box(0, 0, 15, 15).pixels(header) == (0, 0, 17, 33)
    assert Box(15, 0, 15, 0).pixels(header) == (15, 0, 17, 3)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "empty"),
        (b"\x07", "version 7"),
        (b"\x00\x45\x00\x00ab", "runs past"),
        (b"\x00\x40\x10\x00", "no box"),
        (b"\x00" + b"\x40\x00\x00" * 65, "more than"),
    ],
)
def test_damage_is_a_format_error(payload: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        regions.decode(payload)


def test_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        regions.encode([Texture(Box(0, 0, 0, 0), bytes(319))])
    with pytest.raises(ValueError, match="at most"):
        regions.encode([Texture(Box(0, 0, 0, 0), b"")] * 65)
    with pytest.raises(ValueError, match="at most"):
        regions.encode([Texture(Box(0, 0, 0, 0), bytes(318))] * 60)
    with pytest.raises(ValueError, match="no box"):
        Box(5, 0, 4, 0)


def test_a_cut_payload_gives_the_complete_entries() -> None:
    payload = regions.encode(ENTRIES, TINY)
    sizes = set()
    for length in range(len(payload) + 1):
        entries = regions.decode(payload[:length], TINY, whole=False)
        assert entries == list(ENTRIES[: len(entries)])
        sizes.add(len(entries))
    assert sizes == {0, 1, 2, 3, 4}


def test_any_bytes_give_entries_or_a_format_error() -> None:
    rng = random.Random(4)
    good = regions.encode(ENTRIES, TINY)
    outcomes = set()
    for turn in range(3000):
        bad = bytearray(good if turn % 2 else b"\0" + rng.randbytes(rng.randrange(60)))
        for _ in range(rng.randint(0, 3)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        try:
            regions.decode(bytes(bad[: rng.randint(0, len(bad))]), TINY, whole=bool(rng.getrandbits(1)))
            outcomes.add("entries")
        except FormatError:
            outcomes.add("error")
    assert outcomes == {"entries", "error"}
