"""Regions first: what they want stands early, nothing is lost, nothing stands before what it needs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codec
from codec import latent, plan, region, residual, stream
from codec.stream import Chunk, Header, Key, Kind

TINY = 0


def every_chunk(header: Header) -> list[Chunk]:
    """One byte for each chunk that a picture of this size can have, texts included."""
    counts = {Kind.CAPTION: 1, Kind.EDGES: 2, Kind.LATENT: latent.count(header), Kind.RESIDUAL: residual.count(header)}
    return [Chunk(kind, index, b"x") for kind, count in counts.items() for index in range(count)]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_needs_stand_first_and_nothing_is_lost(data: st.DataObject) -> None:
    width, height = (data.draw(st.integers(1, 700), name) for name in ("width", "height"))
    corner = data.draw(st.tuples(st.integers(0, width - 1), st.integers(0, height - 1)), "corner")
    size = data.draw(st.tuples(st.integers(1, 800), st.integers(1, 800)), "size")
    header = Header(width, height, data.draw(st.integers(1, 4), "channels"), TINY, 1)
    header = Header(width, height, header.channels, TINY, latent.count(header))
    chunks = every_chunk(header)
    found = [chunk.key for chunk in plan.order(header, chunks, regions=[(*corner, *size)])]
    assert sorted(found) == sorted(chunk.key for chunk in chunks)
    stood: set[Key] = set()
    for key in found:
        assert stood.issuperset(plan.needs_of(header, key))
        stood.add(key)
    plain = [chunk.key for chunk in plan.order(header, chunks)]
    assert [key[0] for key in found] == [key[0] for key in plain], "the order of the layers stays"


def test_a_region_outside_is_refused() -> None:
    for wrong in ((64, 0, 5, 5), (0, 0, 0, 5)):
        with pytest.raises(ValueError, match="holds no pixel of the 64x48 picture"):
            region.boxes(Header(64, 48), [wrong])
    assert region.boxes(Header(64, 48), [(60, 40, 90, 90)]) == [(60, 40, 64, 48)]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Twelve cells, the last of a row and the last row cut off by odd sides."""
    y, x = np.mgrid[:201, :701]
    noise = np.random.default_rng(2).integers(0, 12, (201, 701, 3))
    return ((np.stack([x + y, 2 * x, 255 - y], axis=2) + noise) % 256).astype(np.uint8)


def exact_from(data: bytes, photo: np.ndarray, box: tuple[int, int, int, int]) -> int:
    """Bytes after which every pixel of the box stays exact."""
    header, start = stream.parse_header(data)
    decoder, exact = codec.Decoder(header), len(data)
    for frame in stream.frames(data, start):
        decoder.push(frame.chunk)
        x, y, width, height = box
        here = np.s_[y : y + height, x : x + width]
        same = np.array_equal(decoder.picture()[here], photo[here])
        exact = min(exact, frame.end) if same else len(data)
    return exact


def test_a_region_is_exact_early_and_anyone_decodes_the_rest(photo: np.ndarray) -> None:
    box = (10, 10, 60, 50)  # within one cell of twelve
    plain, data = codec.encode(photo, weights=TINY), codec.encode(photo, weights=TINY, roi=[box])
    assert np.array_equal(codec.decode(data).picture, photo) and codec.decode(data).verified
    assert sorted(chunk.key for chunk in stream.read(data)[1]) == sorted(chunk.key for chunk in stream.read(plain)[1])
    assert len(data) < 1.02 * len(plain)
    assert exact_from(data, photo, box) < 0.8 * len(plain) <= exact_from(plain, photo, box)
