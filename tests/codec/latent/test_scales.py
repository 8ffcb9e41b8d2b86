"""The latent scales: any order, any gap, any cut; every chunk stays within its area; the same pixels everywhere."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from codec.entropy import BitDecoder, BitEncoder
from codec.latent import area, count, layout, needs, symbols
from codec.latent.decoder import LatentDecoder, enlarge
from codec.latent.encoder import encode
from codec.stream import Header, Kind

SIZES = [(1, 1), (1, 300), (17, 33), (96, 64), (200, 70), (1100, 40)]


def scene(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth field with a few boxes: something to code."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = 128 + 60 * np.sin(x / 37 + seed)[..., None] + 50 * np.cos(y / 23)[..., None] * np.array([1, 0.5, -0.5])
    for _ in range(6):
        x0, y0 = rng.integers(0, width), rng.integers(0, height)
        picture[y0 : y0 + 40, x0 : x0 + 50] += rng.integers(-80, 80, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def decoded(header: Header, chunks: dict[int, bytes]) -> NDArray[np.uint8]:
    decoder = LatentDecoder(header)
    for index in sorted(chunks):
        decoder.push(index, chunks[index])
    return decoder.picture()


@pytest.fixture(scope="module")
def large() -> tuple[Header, list[bytes]]:
    """A stream of several tiles a step, with the tiny weights."""
    header = Header(1024, 576, 3, 0)
    return header, encode(scene(1024, 576), header).payloads


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_gives_a_picture_of_that_size(size: tuple[int, int], channels: int) -> None:
    header = Header(*size, channels, 0)
    picture = scene(*size)[..., :channels]
    payloads = encode(picture, header).payloads
    assert len(payloads) == count(header)
    for kept in range(len(payloads) + 1):
        out = decoded(header, dict(enumerate(payloads[:kept])))
        assert out.shape == (size[1], size[0], 3)
        if channels == 1:
            assert (out[..., :1] == out).all()


def test_without_the_thumbnail_a_neutral_field() -> None:
    assert (LatentDecoder(Header(50, 40, 3, 0)).picture() == 128).all()


def test_needs_come_earlier_and_areas_lie_inside(large: tuple[Header, list[bytes]]) -> None:
    header, payloads = large
    assert len(payloads) > 12
    for index in range(count(header)):
        assert all(kind == Kind.LATENT and need < index for kind, need in needs(header, index))
        x0, y0, x1, y1 = area(header, index)
        assert 0 <= x0 < x1 <= header.width and 0 <= y0 < y1 <= header.height


def test_any_order_that_respects_needs_gives_the_same_pixels(large: tuple[Header, list[bytes]]) -> None:
    header, payloads = large
    expected = decoded(header, dict(enumerate(payloads)))
    for seed in range(2):
        rng, decoder, left = np.random.default_rng(seed), LatentDecoder(header), set(range(len(payloads)))
        while left:
            ready = [i for i in sorted(left) if all(n not in left for _, n in needs(header, i))]
            chosen = int(rng.choice(ready))
            assert decoder.push(chosen, payloads[chosen])
            left.remove(chosen)
            if rng.random() < 0.3:
                decoder.picture()
        assert (decoder.picture() == expected).all()


def test_tiles_are_sent_by_worth_and_after_what_they_need(large: tuple[Header, list[bytes]]) -> None:
    header, payloads = large
    encoded = encode(scene(1024, 576), header)
    order = encoded.order
    assert sorted(order) == list(range(len(payloads))) and order != sorted(order)
    for place, index in enumerate(order):
        assert all(need in order[:place] for _, need in needs(header, index))
    assert (encoded.picture == decoded(header, dict(enumerate(payloads)))).all()


def test_a_base_of_few_chunks_is_chosen_and_painted_alone(large: tuple[Header, list[bytes]]) -> None:
    header, payloads = large
    for base in (1, 4):
        few = encode(scene(1024, 576), replace(header, base=base))
        assert few.payloads == payloads[:base] and sorted(few.order) == list(range(base))
        assert (few.picture == decoded(header, dict(enumerate(payloads[:base])))).all()


def test_a_gap_changes_nothing_outside_the_areas_of_what_needs_it(large: tuple[Header, list[bytes]]) -> None:
    header, payloads = large
    full = decoded(header, dict(enumerate(payloads)))
    for gone in range(1, len(payloads), 2):
        lost = {gone}
        for index in range(gone + 1, len(payloads)):
            if any(need in lost for _, need in needs(header, index)):
                lost.add(index)
        out = decoded(header, {i: p for i, p in enumerate(payloads) if i not in lost})
        same = np.zeros(full.shape[:2], dtype=bool)
        for index in lost:
            x0, y0, x1, y1 = area(header, index)
            same[y0:y1, x0:x1] = True
        assert ((full == out).all(2) | same).all(), f"without chunk {gone}"


def test_what_is_missing_is_refused(large: tuple[Header, list[bytes]]) -> None:
    header, payloads = large
    decoder = LatentDecoder(header)
    assert not decoder.push(1, payloads[1])
    assert decoder.push(0, payloads[0]) and not decoder.push(0, payloads[0])
    assert not decoder.push(count(header), b"") and not decoder.push(-1, b"")


@settings(max_examples=12)
@given(st.integers(0, 11), st.integers(0, 200), st.binary(max_size=30))
def test_cut_and_damaged_chunks_give_a_picture(index: int, kept: int, noise: bytes) -> None:
    header = Header(200, 120, 3, 0)
    payloads = encode(scene(200, 120), header).payloads
    index = min(index, len(payloads) - 1)
    for payload, whole in ((payloads[index][:kept], False), (noise, True), (noise, False)):
        decoder = LatentDecoder(header)
        for i in range(index):
            decoder.push(i, payloads[i])
        assert decoder.push(index, payload, whole)
        assert decoder.picture().shape == (120, 200, 3)


def test_a_cut_chunk_is_replaced_by_the_whole_one(large: tuple[Header, list[bytes]]) -> None:
    header, payloads = large
    decoder = LatentDecoder(header)
    for index, payload in enumerate(payloads):
        for kept in (len(payload) // 3, len(payload) // 2):
            decoder.push(index, payload[:kept], whole=False)
        assert decoder.push(index, payload)
    assert (decoder.picture() == decoded(header, dict(enumerate(payloads)))).all()


@given(st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_symbols_round_trip(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.clip(rng.laplace(0, rng.uniform(0.1, 6), size), -15, 15).astype(np.int64)
    spreads = rng.integers(0, 32, size).astype(np.uint8)
    table = rng.integers(1, 65536, (32, symbols.LARGEST)).astype(np.uint16)
    encoder = BitEncoder()
    symbols.put(encoder, values, spreads, table)
    assert (symbols.get(BitDecoder(encoder.finish()), spreads, table) == values).all()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 3))
def test_enlarging_keeps_flat_fields_and_doubles(height: int, width: int, times: int) -> None:
    flat = np.full((height, width, 3), 77, dtype=np.uint8)
    assert (enlarge(flat, times) == 77).all()
    assert enlarge(flat, times).shape == (height << times, width << times, 3)


def test_reach_grows_towards_the_picture() -> None:
    for weights, step in itertools.product((0, 1), range(1, 5)):
        distances = [layout.reach(weights, step, until) for until in range(step + 1, 7)]
        assert distances == sorted(distances)


def test_golden_pixels(large: tuple[Header, list[bytes]]) -> None:
    """Fixed payloads, not the encoder's (its float analysis may differ): the decoder's pixels never change."""
    header, rng = Header(160, 96, 3, 0), np.random.default_rng(5)
    chunks = {i: rng.bytes(19 if i == 0 else 30) for i in range(count(header))}
    assert hashlib.sha256(decoded(header, chunks).tobytes()).hexdigest() == GOLDEN


GOLDEN = "beaf69610423606b9f81685ed54ca45068de2b5fa3827cba261e41813f6254cc"
