"""The whole path with the tiny weights: exact at the end, a picture from any part, bounded, never an exception."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import codec
from codec import Chunk, Decoder, FormatError, Header, Kind, plan, stream
from tests.codec.latent.test_scales import scene

TINY = 0
SIZES = [(1, 1), (1, 400), (17, 33), (140, 20)]


def source(width: int, height: int, channels: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(width)
    picture = scene(width, height).astype(np.int16) + rng.integers(-6, 7, (height, width, 1), dtype=np.int16)
    full = np.concatenate([picture, rng.integers(0, 256, (height, width, 1), dtype=np.int16)], axis=2)
    chosen = {1: [1], 2: [1, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]
    return np.clip(full[..., chosen], 0, 255).astype(np.uint8)


@functools.cache
def encoded(width: int = 120, height: int = 90, channels: int = 3) -> bytes:
    return codec.encode(
        source(width, height, channels), caption="A blue box.", weights=TINY, meta_data={"time": "noon"}
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_exact_at_the_end(size: tuple[int, int], channels: int) -> None:
    decoded = codec.decode(encoded(*size, channels), strict=True)
    assert (decoded.picture == source(*size, channels)).all()
    assert decoded.verified and decoded.exact_area == 1 and not decoded.dropped
    assert (decoded.caption, decoded.caption_source, decoded.meta) == ("A blue box.", "given", {"time": "noon"})


def test_order_of_the_file() -> None:
    _, chunks = stream.read(encoded())
    kinds = [chunk.kind for chunk in chunks]
    assert kinds[:3] == [Kind.CAPTION, Kind.LATENT, Kind.META] and kinds[-1] == Kind.CHECK
    assert kinds.index(Kind.EDGES) > max(i for i, k in enumerate(kinds) if k == Kind.LATENT)
    assert kinds.index(Kind.RESIDUAL) > kinds.index(Kind.EDGES)


def test_a_picture_from_the_header_on() -> None:
    data = encoded()
    for size in range(4):
        with pytest.raises(FormatError):
            codec.decode(data[:size])
    for size in [*range(8, 60, 4), *range(60, 300, 40), *range(300, len(data), 2900)]:
        assert codec.decode(data[:size]).picture.shape == (90, 120, 3)


def test_a_caption_alone_is_a_neutral_field() -> None:
    decoded = codec.decode(encoded(), upto="caption")
    assert decoded.caption == "A blue box." and (decoded.picture == 128).all() and decoded.verified is None


def test_any_order_gives_the_same_picture() -> None:
    header, chunks = stream.read(encoded())
    for seed in range(2):
        decoder = Decoder(header)
        for i in np.random.default_rng(seed).permutation(len(chunks)):
            decoder.push(chunks[i])
            if i % 7 == 0:
                decoder.picture()
        assert decoder.verified() and decoder.exact_area() == 1


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.6))
def test_gaps_leave_the_picture_of_the_rest(seed: int, loss: float) -> None:
    header, chunks = stream.read(encoded())
    rng = np.random.default_rng(seed)
    kept = [chunk for chunk in chunks if rng.random() >= loss]
    decoder = Decoder(header)
    for chunk in kept:
        decoder.push(chunk)
    report = decoder.report()
    have = {chunk.key for chunk in kept}
    for key in have:
        usable = all(need in report.used for need in plan.needs_of(header, key))
        assert (key in report.used) == usable
    assert {key for key, _ in report.dropped} == have - set(report.used)
    assert not report.verified or np.array_equal(report.picture, source(120, 90, 3))


def test_growing_prefixes_of_a_chunk_end_as_the_whole_one() -> None:
    header, chunks = stream.read(encoded())
    decoder = Decoder(header)
    for chunk in chunks:
        for size in {len(chunk.payload) // 3, len(chunk.payload) // 2} - {len(chunk.payload)}:
            decoder.push(Chunk(chunk.kind, chunk.index, chunk.payload[:size], len(chunk.payload)))
            decoder.picture()
        decoder.push(chunk)
        decoder.push(chunk)
    assert decoder.verified()


def test_max_bytes_is_a_cut_of_the_whole() -> None:
    picture = source(120, 90, 3)
    whole = codec.encode(picture, weights=TINY)
    assert codec.encode(picture, weights=TINY, max_bytes=300) == whole[:300]
    with pytest.raises(ValueError, match="7 bytes cannot hold the header of 8"):
        codec.encode(picture, weights=TINY, max_bytes=7)


def test_lossy_streams_have_no_residual() -> None:
    header, chunks = stream.read(codec.encode(source(120, 90, 3), weights=TINY, lossless=False))
    assert {chunk.kind for chunk in chunks} == {Kind.LATENT, Kind.EDGES} and header.base > 1


def test_too_many_pixels_and_unknown_weights_are_refused() -> None:
    with pytest.raises(FormatError, match="limit"):
        Decoder(Header(9000, 9000, 3, TINY))
    with pytest.raises(FormatError, match="weights set 9"):
        Decoder(Header(10, 10, 3, 9))
    with pytest.raises(ValueError, match="uint8"):
        codec.encode(np.zeros((2, 2), dtype=np.uint8))


def test_strict_names_what_is_wrong() -> None:
    header, chunks = stream.read(encoded())
    broken = [Chunk(c.kind, c.index, b"\x01" if c.kind == Kind.CHECK else c.payload) for c in chunks]
    assert codec.decode(stream.write(header, broken)).dropped == [((Kind.CHECK, 0), "impossible payload")]
    with pytest.raises(FormatError, match="CHECK 0"):
        codec.decode(stream.write(header, broken), strict=True)


def test_latents_beyond_the_base_are_not_used() -> None:
    header, chunks = stream.read(encoded())
    smaller = Header(header.width, header.height, 3, TINY, base=1)
    decoder = Decoder(smaller)
    for chunk in chunks:
        decoder.push(chunk)
    assert dict(decoder.report().dropped)[(Kind.LATENT, 1)] == "beyond the base"
