"""Rate control: what is asked for is kept, in bytes, in bits per pixel, in quality; impossible wishes are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import layercast
from codec.stream import Header
from layercast import encoding
from sim.metrics import psnr

TINY = 0


def draw(width: int, height: int, channels: int) -> np.ndarray:
    """Slopes, an edge and grain: uint8[height, width, channels]."""
    y, x = np.mgrid[:height, :width]
    planes = [3 * x + (c + 1) * y + 90 * (x > width // 2) for c in range(channels)]
    grain = np.random.default_rng(width).integers(0, 9, (height, width, channels))
    return ((np.stack(planes, axis=2) + grain) % 256).astype(np.uint8)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 4), st.floats(0.01, 30), st.booleans())
def test_the_stream_always_fits(width: int, height: int, channels: int, bpp: float, in_bytes: bool) -> None:
    picture, most = draw(width, height, channels), int(bpp * width * height / 8)
    wish: dict[str, float] = {"max_bytes": most} if in_bytes else {"bpp": bpp}
    least = len(Header(width, height).encode())
    if most < least:
        with pytest.raises(ValueError, match=f"cannot hold the header of {least}"):
            layercast.encode(picture, weights=TINY, **wish)
        return
    data = layercast.encode(picture, weights=TINY, **wish)
    assert len(data) <= most
    decoded = layercast.decode(data)
    assert decoded.picture.shape == picture.shape
    assert len(data) == most or np.array_equal(decoded.picture, picture), "shorter only where all is said"


@pytest.mark.parametrize("shape", [(97, 61, 3), (33, 130, 1), (64, 48, 4)])
def test_a_quality_is_met_with_the_fewest_bytes(shape: tuple[int, int, int]) -> None:
    picture = draw(*shape)
    data = layercast.encode(picture, weights=TINY)
    for goal in (18.0, 30.0, 47.5):
        part = encoding.shortest(data, picture, goal, psnr)
        shorter = layercast.decode(part[:-1]).picture
        assert data.startswith(part) and psnr(picture, layercast.decode(part).picture) >= goal > psnr(picture, shorter)
    assert len(encoding.shortest(data, picture, -1.0, psnr)) in (4, 8), "a header is a picture"


def test_a_quality_beyond_the_stream_is_refused() -> None:
    picture = draw(40, 30, 3)
    with pytest.raises(ValueError, match="not even the whole stream has SSIMULACRA2 90"):
        encoding.shortest(layercast.encode(picture, weights=TINY, lossless=False), picture, 90, psnr)


def test_quality_is_ssimulacra2() -> None:
    pytest.importorskip("ssimulacra2")
    from sim.metrics import ssimulacra2

    picture = draw(70, 50, 3)
    stages = []
    data = layercast.encode(picture, weights=TINY, quality=60, progress=lambda stage, share: stages.append(stage))
    assert ssimulacra2(picture, layercast.decode(data).picture) >= 60 and "quality" in stages
    assert len(data) < 0.8 * len(layercast.encode(picture, weights=TINY))
    with pytest.raises(ValueError, match="below 8x8"):
        layercast.encode(picture[:7], weights=TINY, quality=60)


def test_without_the_metric_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(encoding.MissingMetric, match="pip install ssimulacra2"):
        layercast.encode(draw(20, 20, 3), weights=TINY, quality=60)


@pytest.mark.parametrize("wishes", [{"max_bytes": 90, "bpp": 1.0}, {"quality": 50, "lossless": True}])
def test_wishes_that_exclude_one_another(wishes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exclude one another"):
        layercast.encode(draw(20, 20, 3), weights=TINY, **wishes)


def test_no_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="hold nothing"):
        layercast.encode(draw(20, 20, 3), weights=TINY, bpp=0)
