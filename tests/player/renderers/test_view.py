"""What a renderer adds: nothing that contradicts what was sent; and the planes that it looks at."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import codec
from codec.decoder import Decoder, fed
from codec.stream import Kind, read
from player.renderers.known import known
from player.renderers.view import at_full, merged, without_waves


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_waves_are_taken_away_once_and_for_all(rows: int, columns: int, seed: int) -> None:
    more = np.random.default_rng(seed).normal(0, 20, (32 * rows, 32 * columns, 3)).astype(np.float32)
    kept = without_waves(more)
    assert np.allclose(without_waves(kept), kept, atol=1e-3)
    assert np.abs(kept.mean((0, 1))).max() < 1e-3
    assert (kept**2).sum() <= (more**2).sum() + 1e-3
    assert (without_waves(more, 4) ** 2).sum() <= (kept**2).sum() + 1e-3


def test_a_thumbnail_of_what_is_left_is_grey() -> None:
    y, x = np.mgrid[:96, :128] / 128
    smooth = np.stack([40 * np.cos(np.pi * x), 30 * np.cos(np.pi * 96 / 128 * 2 * y), 10 + 0 * x], 2).astype(np.float32)
    kept = without_waves(smooth)
    cells = kept.reshape(3, 32, 4, 32, 3).mean((1, 3))
    assert np.abs(cells).max() < 1.5 < np.abs(smooth).max()


def photo(height: int = 90, width: int = 130, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:height, :width]
    planes = [(x * (c + 1) + y + rng.integers(0, 40, x.shape)) % 256 for c in range(channels)]
    return np.stack(planes, 2).astype(np.uint8)


def test_planes_tell_what_is_there() -> None:
    header, chunks = read(codec.encode(photo()))
    decoder = Decoder(header)
    assert known(decoder).planes.max() == 0 and known(decoder).picture.shape == (96, 160, 3)
    for chunk in chunks:
        decoder.push(chunk)
        planes = known(decoder).planes
        assert 0 <= planes.min() and planes.max() <= 1.0001
    assert (planes[0] == 1).all() and np.allclose(planes[1], 1) and (planes[3] == 1).all()
    assert planes[4, :20, :30].min() == 1 and decoder.verified()


def test_nothing_is_added_where_pixels_are_exact_and_all_channels_are_kept() -> None:
    for channels in (1, 2, 3, 4):
        data = codec.encode(photo(channels=channels))
        for size in (len(data), 300):
            decoder = fed(data[:size])
            there = known(decoder)
            more = np.random.default_rng(1).normal(0, 30, there.picture.shape).astype(np.float32)
            rendered = merged(decoder, there, more, np.full(there.planes.shape[1:], 6, np.float32))
            assert rendered.picture.shape == decoder.picture().shape
            if decoder.verified():
                assert np.array_equal(rendered.picture, decoder.picture()) and rendered.confidence.min() == 1
            else:
                assert not np.array_equal(rendered.picture, decoder.picture())
                assert np.allclose(rendered.confidence, 0.5)
                if channels % 2 == 0:
                    assert np.array_equal(rendered.picture[..., -1], decoder.picture()[..., -1])


def test_a_plane_lies_where_its_base_lies() -> None:
    header, _ = read(codec.encode(np.zeros((1100, 60, 1), np.uint8), max_bytes=60))
    plane = np.zeros((576, 32), np.float32)
    plane[100:200] = 1
    full = at_full(plane, header, 1)
    assert full.shape == (1100, 60) and full[202:398].min() == 1 and full[:198].max() == 0


def test_edges_alone_are_known_without_a_picture() -> None:
    header, chunks = read(codec.encode(photo()))
    decoder = Decoder(header)
    for chunk in chunks:
        if chunk.kind == Kind.EDGES:
            decoder.push(chunk)
    planes = known(decoder).planes
    assert (planes[3] == 1).all() and planes[2].max() > 0 and planes[0].max() == 0
