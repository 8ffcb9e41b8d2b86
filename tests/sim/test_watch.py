"""The whole way, small: photo, stream, link, player, picture, figures."""

import math
from itertools import pairwise

import numpy as np
import pytest

import codec
from codec.stream import read
from player import Player, items_of
from sim import progressive
from sim.link import LinkSpec
from sim.watch import View, measured, watch_jpeg, watch_stream

LINK = LinkSpec(4_000, 0.3, 0.05)
TIMES = (0.2, 1.0, 3.0, 8.0, 60.0)
CAPTION = "two dogs on the beach"


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    y, x = np.mgrid[:40, :56]
    noise = np.random.default_rng(1).integers(0, 12, (40, 56, 3))
    return (np.stack([x * 4, y * 6, 128 + 100 * np.sin(x / 9)], 2) + noise).astype(np.uint8)


@pytest.fixture(scope="module")
def stream(photo: np.ndarray) -> bytes:
    return codec.encode(photo, caption=CAPTION, weights=0)


@pytest.fixture(scope="module")
def views(photo: np.ndarray, stream: bytes) -> list[View]:
    shares: list[float] = []
    views = measured([watch_stream(stream, LINK, TIMES, seed=2)], photo, shares.append)[0]
    assert shares == sorted(shares) and shares[-1] == 1.0
    return views


def test_nothing_then_more_then_every_bit(photo: np.ndarray, stream: bytes, views: list[View]) -> None:
    assert views[0].picture is None and views[0].bytes == views[0].wire == 0 and views[0].psnr is None
    assert views[1].caption == CAPTION and views[1].picture is not None
    assert [view.bytes for view in views] == sorted(view.bytes for view in views)
    assert all(view.wire > view.bytes for view in views[1:])
    quality = [view.psnr for view in views[1:] if view.psnr is not None]
    assert all(after > before - 0.3 for before, after in pairwise(quality))
    assert np.array_equal(views[-1].picture, photo)
    assert views[-1].psnr == math.inf and views[-1].ssimulacra2 == pytest.approx(100)
    assert views[-1].bytes == len(stream)


def test_the_same_seed_shows_the_same(stream: bytes, views: list[View]) -> None:
    again = watch_stream(stream, LINK, TIMES, seed=2)
    assert [(view.bytes, view.wire) for view in again] == [(view.bytes, view.wire) for view in views]
    assert np.array_equal(again[2].picture, views[2].picture)


def test_a_cut_stream_is_shown_as_the_decoder_shows_it(stream: bytes) -> None:
    cut = stream[: len(stream) * 2 // 3]
    assert read(cut)[1][-1].cut
    shown = watch_stream(cut, LINK, (60.0,))[0]
    assert np.array_equal(shown.picture, codec.decode(cut).picture)


def test_items_carry_the_whole_stream(stream: bytes) -> None:
    header, items = items_of(stream)
    player = Player()
    for item in reversed(items):
        player.push(item.index, item.payload, item.ends, 0.0)
    player.start(header, 1.0)
    assert np.array_equal(player.picture(1.0), codec.decode(stream).picture)
    assert player.caption == CAPTION
    indices = {(item.cls, item.index) for item in items}
    assert len(indices) == len(items)
    assert all(need in indices for item in items for need in item.needs)
    assert {item.cls for item in items[:2]} == {0} and 0 not in {item.cls for item in items[2:]}


def test_jpeg_beside_it(photo: np.ndarray) -> None:
    data = progressive.encode(photo)
    views = measured([watch_jpeg(data, LINK, TIMES)], photo)[0]
    assert views[0].picture is None and views[-1].bytes == len(data) and views[-1].psnr is not None
    count = progressive.scans(data)
    assert views[-1].layers == (f"{count} of {count} scans",) and views[-1].psnr > 28
