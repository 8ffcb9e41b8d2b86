"""The residual layer: lossless at its end, useful when cut anywhere, unharmed by gaps and by hostile bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from codec.residual import Layout, ResidualDecoder, area, count, encode, needs
from codec.residual.encoder import _Encoder
from codec.residual.passes import LIMIT, Unit
from codec.residual.tables import FEATURES, PASSES, tables
from codec.residual.transform import GROUPS, ROLES, analyse, from_planes, synthesise, to_planes
from codec.stream import MAX_LENGTH, Header, Kind

VECTORS = Path(__file__).parents[2] / "vectors" / "residual"
Picture = NDArray[np.uint8]


def scene(width: int, height: int, channels: int, seed: int = 0) -> Picture:
    """A picture with smooth parts, edges and some noise."""
    rng = np.random.default_rng([seed, width, height, channels])
    y, x = np.mgrid[0:height, 0:width]
    layers = []
    for _ in range(channels):
        smooth = 120 + 70 * np.sin(x / rng.uniform(9, 60) + rng.uniform(0, 6)) * np.cos(y / rng.uniform(9, 60))
        edge = 60 * ((x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1)) > rng.uniform(-20, 20))
        layers.append(smooth + edge + rng.normal(0, 3, (height, width)))
    return np.clip(np.stack(layers, axis=-1), 0, 255).astype(np.uint8)


def flat(picture: Picture) -> Picture:
    """A base that knows the mean colour only."""
    return np.broadcast_to(picture.mean(axis=(0, 1)).astype(np.uint8), picture.shape).copy()


def header_of(picture: Picture, weights: int = 0) -> Header:
    return Header(picture.shape[1], picture.shape[0], picture.shape[2], weights, 1)


def psnr(a: Picture, b: Picture) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2))))


def decode(header: Header, chunks: list[tuple[int, bytes]], base: Picture) -> Picture:
    decoder = ResidualDecoder(header)
    decoder.push_many([(index, payload, True) for index, payload in chunks])
    return decoder.correct(base)


def check_lossless(picture: Picture, base: Picture, weights: int = 0) -> None:
    header = header_of(picture, weights)
    chunks = encode(picture, base, header)
    decoder = ResidualDecoder(header)
    assert max(len(payload) for _, payload in chunks) <= MAX_LENGTH
    assert not decoder.complete()
    assert all(decoder.push_many([(*chunk, True) for chunk in chunks]))
    assert np.array_equal(decoder.correct(base), picture)
    assert decoder.complete() and decoder.exact_cells().all()


# -- the transform ---------------------------------------------------------------------------------


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_transform_is_undone_exactly(width: int, height: int, channels: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    planes = [synthesise(analyse(plane)) for plane in to_planes(picture)]
    assert np.array_equal(from_planes(planes, channels), picture)


def test_no_coefficient_exceeds_the_first_interval() -> None:
    rng = np.random.default_rng(3)
    for extreme in (
        rng.integers(0, 2, (256, 256, 3)) * 255,
        np.indices((256, 256)).sum(0)[..., None] % 2 * [255, 0, 255],
    ):
        picture = extreme.astype(np.uint8)
        truth = _Encoder(picture, 255 - picture, Header(256, 256, 3, 0, 1)).truth
        assert max(int(abs(band).max()) for plane in truth for band in plane) < LIMIT // 2


# -- lossless --------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (129, 5)])
def test_lossless(size: tuple[int, int], channels: int) -> None:
    picture = scene(*size, channels)
    check_lossless(picture, flat(picture))


@pytest.mark.parametrize("size", [(4000, 1), (1, 300), (130, 200)])
def test_lossless_long(size: tuple[int, int]) -> None:
    picture = scene(*size, 1 if max(size) == 4000 else 3)
    check_lossless(picture, flat(picture))


def test_lossless_with_the_base_set() -> None:
    picture = scene(140, 60, 3)
    check_lossless(picture, flat(picture), weights=1)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=6)
def test_lossless_whatever_the_pixels(width: int, height: int, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture, base = (rng.integers(0, 256, (height, width, channels), dtype=np.uint8) for _ in range(2))
    check_lossless(picture, base)


@pytest.mark.parametrize("channels", [3, 4])
def test_chunks_that_cannot_hold_their_step_leave_the_rest_to_later_ones(channels: int) -> None:
    noise = (np.random.default_rng(5).integers(0, 2, (128, 200, channels)) * 255).astype(np.uint8)
    check_lossless(noise, np.full_like(noise, 128))


# -- cut, lost, repeated, reordered ----------------------------------------------------------------


@pytest.fixture(scope="module")
def example() -> tuple[Picture, Picture, Header, list[tuple[int, bytes]]]:
    picture = scene(150, 140, 3)
    base = flat(picture)
    return picture, base, header_of(picture), encode(picture, base, header_of(picture))


def test_nothing_pushed_is_the_base(example) -> None:
    picture, _, header, _ = example
    assert np.array_equal(ResidualDecoder(header).correct(picture), picture)
    assert not ResidualDecoder(header).complete() and not ResidualDecoder(header).exact_cells().any()


def test_quality_rises_with_every_step_and_every_cut(example) -> None:
    picture, base, header, chunks = example
    decoder, last = ResidualDecoder(header), psnr(picture, base)
    for index, payload in chunks:
        for share in (0.3, 0.7):
            assert decoder.push(index, payload[: int(len(payload) * share)], whole=False)
        assert decoder.push(index, payload)
        now = psnr(picture, decoder.correct(base))
        assert now > last - 0.3
        last = now
    assert np.array_equal(decoder.correct(base), picture)


@pytest.mark.parametrize("place", [0, 4, 20, 45])
def test_every_cut_gives_a_picture_between_before_and_after(example, place: int) -> None:
    picture, base, header, chunks = example
    index, payload = chunks[place]
    rng = np.random.default_rng(place)
    cuts = sorted(rng.integers(0, len(payload) + 1, 6))
    decoder = ResidualDecoder(header)
    decoder.push_many([(*chunk, True) for chunk in chunks[:place]])
    before = psnr(picture, decoder.correct(base))
    for cut in cuts:
        assert decoder.push(index, payload[:cut], whole=False)
        assert psnr(picture, decoder.correct(base)) > before - 0.3
        assert not any(decoder.push(later, b"", True) for later, _ in chunks if index in _needs(header, later))


def _needs(header: Header, index: int) -> list[int]:
    return [need for _, need in needs(header, index)]


def test_lost_chunks_cost_only_those_that_need_them(example) -> None:
    picture, base, header, chunks = example
    rng = np.random.default_rng(8)
    for _ in range(3):
        kept = [chunk for chunk in chunks if chunk[0] == 0 or rng.random() > 0.3]
        decoder = ResidualDecoder(header)
        taken = decoder.push_many([(*chunk, True) for chunk in kept])
        have: set[int] = set()
        for (index, _), ok in zip(kept, taken, strict=True):
            assert ok == have.issuperset(_needs(header, index))
            have |= {index} if ok else set()
        assert psnr(picture, decoder.correct(base)) > psnr(picture, base)


def test_a_lost_chunk_changes_no_pixel_outside_its_area(example) -> None:
    picture, base, header, chunks = example
    for index, _ in chunks[::14]:
        shown = decode(header, [chunk for chunk in chunks if chunk[0] != index], base)
        lost, boxes = {index}, [area(header, index)]
        for later, _ in chunks:
            if lost & set(_needs(header, later)):
                lost.add(later)
                boxes.append(area(header, later))
        outside = np.ones(picture.shape[:2], bool)
        for x0, y0, x1, y1 in boxes:
            outside[y0:y1, x0:x1] = False
        assert np.array_equal(shown[outside], picture[outside])


def test_exact_cells_are_exact() -> None:
    picture = scene(1000, 20, 1)
    base, header = flat(picture), header_of(picture)
    chunks = encode(picture, base, header)
    layout = Layout.of(header)
    decoder = ResidualDecoder(header)
    decoder.push_many([(*chunk, True) for chunk in chunks if 6 not in layout.cells(chunk[0])])
    exact = decoder.exact_cells()
    assert exact.any() and not exact.all()
    same = (decoder.correct(base) == picture).all(axis=2)
    for row, column in zip(*np.nonzero(exact), strict=True):
        assert same[row * 128 : (row + 1) * 128, column * 128 : (column + 1) * 128].all()


def test_order_and_batches_do_not_matter(example) -> None:
    _, base, header, chunks = example
    together = decode(header, chunks, base)
    decoder = ResidualDecoder(header)
    waiting = [chunks[i] for i in np.random.default_rng(2).permutation(len(chunks))]
    while waiting:
        waiting = [chunk for chunk in waiting if not decoder.push(*chunk)]
    assert np.array_equal(decoder.correct(base), together)
    assert decoder.push(*chunks[0]) and np.array_equal(decoder.correct(base), together)


def test_an_incomplete_base_is_not_made_worse(example) -> None:
    picture, base, header, chunks = example
    worse = np.clip(base.astype(int) + 25, 0, 255).astype(np.uint8)
    assert psnr(picture, decode(header, chunks[:30], worse)) > psnr(picture, worse)


# -- layout ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_layout_covers_every_pass_once_and_needs_point_back(channels: int) -> None:
    header = Header(500, 300, channels, 0, 1)
    layout = Layout.of(header)
    made = dict.fromkeys(((plane, group) for plane in range(len(ROLES[channels])) for group in range(GROUPS)), 0)
    for placed in layout.steps:
        for unit in placed.units if placed.step.numbers.start < PASSES else ():
            assert made[unit] == placed.step.numbers.start
            made[unit] = placed.step.numbers.stop
    assert set(made.values()) == {PASSES}
    for index in range(count(header)):
        assert all(kind == Kind.RESIDUAL and need < index for kind, need in needs(header, index))
    with pytest.raises(IndexError):
        needs(header, count(header))


@pytest.mark.parametrize("weights", [0, 1])
def test_context_sums_fit_their_integers(weights: int) -> None:
    table = tables(weights)
    most = np.array([2, 2, 4, 2, 2, 16, 1, 9, 1, 1, 18, 1, 9, 1, 9, 0]) * 63
    assert most.size == FEATURES
    sums = np.abs(table.weights.astype(np.int64)) @ most + np.abs(table.weights[..., -1].astype(np.int64))
    assert sums.max() <= np.iinfo(np.int16).max
    for name in ("zero", "refine", "sign", "blocks"):
        assert 1 <= getattr(table, name).min() and getattr(table, name).max() <= 65535
    assert Unit.__doc__


# -- hostile ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(-5, 300), st.binary(max_size=60), st.booleans()), max_size=6))
@settings(max_examples=25)
def test_garbage_is_a_picture(chunks: list[tuple[int, bytes, bool]]) -> None:
    header = Header(40, 150, 3, 0, 1)
    decoder = ResidualDecoder(header)
    decoder.push_many(chunks)
    for chunk in chunks:
        assert decoder.push(*chunk) in (True, False)
    assert decoder.correct(np.zeros((150, 40, 3), np.uint8)).shape == (150, 40, 3)


@given(st.data())
@settings(max_examples=15)
def test_damaged_chunks_are_a_picture(example, data: st.DataObject) -> None:
    _, base, header, chunks = example
    decoder = ResidualDecoder(header)
    for index, payload in chunks[: data.draw(st.integers(1, 12))]:
        damaged = bytearray(payload)
        if damaged and data.draw(st.booleans()):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
        decoder.push(index, bytes(damaged), data.draw(st.booleans()))
    assert decoder.correct(base).dtype == np.uint8


def test_wrong_shapes_are_refused(example) -> None:
    picture, base, header, _ = example
    with pytest.raises(ValueError, match="picture must be"):
        encode(picture[1:], base, header)
    with pytest.raises(ValueError, match="base must be"):
        ResidualDecoder(header).correct(base[1:])


# -- golden vectors --------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [0, 1])
def test_golden_vectors(weights: int, update_vectors: bool) -> None:
    path = VECTORS / f"set{weights}.json"
    found = {}
    for width, height, channels in ((17, 33, 3), (140, 130, 1), (60, 40, 4)):
        picture = _ramp(width, height, channels)
        base = np.full_like(picture, 100)
        header = header_of(picture, weights)
        chunks = encode(picture, base, header)
        half = decode(header, chunks[: len(chunks) // 2], base)
        found[f"{width}x{height}x{channels}"] = {
            "chunks": {str(index): payload.hex() for index, payload in chunks},
            "half": hashlib.sha256(half.tobytes()).hexdigest(),
        }
    if update_vectors:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
    assert json.loads(path.read_text()) == found


def _ramp(width: int, height: int, channels: int) -> Picture:
    """A picture by integer arithmetic alone: the same everywhere."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    value = x * 3 + y * 2 + c * 40 + (x * y * (c + 1) * 2654435761 >> 7) % 23 + 60 * ((x + 2 * y) % 50 < 20)
    return (value % 256).astype(np.uint8)
