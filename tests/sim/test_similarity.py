"""MS-SSIM, HaarPSI, GMSD: the figures of the reference implementations, and the same picture is the same."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim import similarity


def pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes that wrap around, and the same with noise: uint8[height, width, 3]."""
    y, x = np.mgrid[:height, :width]
    photo = np.stack([3 * x + y, 2 * x + 5 * y + 90 * (x > width // 2), 255 - y], 2) % 256
    noise = np.random.default_rng(1).integers(-30, 31, photo.shape)
    return photo.astype(np.uint8), np.clip(photo + noise, 0, 255).astype(np.uint8)


# By piq 0.8.0 in float64 on the same pictures.
PIQ = [(170, 200, 0.86593682958, 0.04764588024), (165, 171, 0.86893635937, 0.04666082979)]


@pytest.mark.parametrize(("height", "width", "haarpsi", "gmsd"), PIQ)
def test_the_figures_of_piq(height: int, width: int, haarpsi: float, gmsd: float) -> None:
    photo, shown = pair(height, width)
    assert similarity.haarpsi(photo, shown) == pytest.approx(haarpsi, abs=1e-9)
    assert similarity.gmsd(photo, shown) == pytest.approx(gmsd, abs=1e-9)


def test_ms_ssim_is_near_that_of_piq() -> None:
    pytest.importorskip("pytorch_msssim", reason="in the extra `bench`")
    assert similarity.ms_ssim(*pair(170, 200)) == pytest.approx(0.8568, abs=1e-3)
    assert math.isnan(similarity.ms_ssim(*pair(160, 300)))


@pytest.mark.parametrize("shape", [(1, 1), (9, 4), (64, 31)])
def test_the_same_picture_is_the_same(shape: tuple[int, int]) -> None:
    photo, _ = pair(*shape)
    assert similarity.gmsd(photo, photo) == 0 and similarity.haarpsi(photo, photo) == pytest.approx(1)
    flat = np.full((*shape, 1), 0, np.uint8)
    assert similarity.haarpsi(flat, flat) == pytest.approx(1)
