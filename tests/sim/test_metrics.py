"""The measures against values known by hand, and each kind of picture."""

import math

import numpy as np
import pytest

from sim.metrics import psnr, ssimulacra2, to_rgb


def noise(channels: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (24, 20, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_equal_pictures(channels: int) -> None:
    picture = noise(channels)
    assert psnr(picture, picture) == math.inf
    assert ssimulacra2(picture, picture) == pytest.approx(100)
    assert to_rgb(picture).shape == (24, 20, 3)


def test_psnr_of_a_known_difference() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    assert psnr(grey, grey + 16) == pytest.approx(20 * math.log10(255 / 16))


def test_ssimulacra2_falls_with_damage() -> None:
    picture = np.tile(np.arange(0, 240, 5, dtype=np.uint8)[:, None, None], (1, 48, 3))
    rng = np.random.default_rng(1)
    scores = [ssimulacra2(picture, picture + rng.integers(0, n, picture.shape, dtype=np.uint8)) for n in (1, 4, 16)]
    assert scores[0] > scores[1] > scores[2]


def test_alpha_is_not_judged_and_sizes_must_match() -> None:
    picture = noise(4)
    other = picture.copy()
    other[:, :, 3] = 0
    assert psnr(picture, other) == math.inf
    with pytest.raises(ValueError, match="two sizes"):
        ssimulacra2(picture, picture[:-1])
    assert math.isnan(ssimulacra2(picture[:4], picture[:4]))
