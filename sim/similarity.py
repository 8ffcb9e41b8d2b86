"""Measures of similarity that learned nothing: MS-SSIM, HaarPSI and GMSD, on uint8[H, W, C] as sim/metrics.py.

HaarPSI and GMSD are written out here, since the packages that offer them need torchvision. Both agree with piq 0.8.0 (a
test holds its figures).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.metrics import Picture, to_rgb

Plane = npt.NDArray[np.float64]

_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
MS_SSIM_SIDE = 161  # pixels of the shorter side that five scales of an 11-pixel window need
_GMSD_C = 170.0
_HAAR_C, _HAAR_ALPHA = 30.0, 4.2


def ms_ssim(reference: Picture, shown: Picture) -> float:
    """MS-SSIM over RGB (Wang et al. 2003), 1 the same; NaN below 161 pixels a side. The package pytorch-msssim."""
    if min(reference.shape[:2]) < MS_SSIM_SIDE:
        return math.nan
    import torch
    from pytorch_msssim import ms_ssim as measured

    ours, theirs = (torch.tensor(to_rgb(p)).permute(2, 0, 1)[None].float() for p in (reference, shown))
    with torch.inference_mode():
        return float(measured(ours, theirs, data_range=255))


def gmsd(reference: Picture, shown: Picture) -> float:
    """Gradient magnitude similarity deviation (Xue et al. 2013), 0 the same, lower is better."""
    slopes = [_gradient(_halved(_yiq(picture)[0])) for picture in (reference, shown)]
    return float(np.std(_similar(slopes[0], slopes[1], _GMSD_C)))


def haarpsi(reference: Picture, shown: Picture) -> float:
    """Haar wavelet-based perceptual similarity (Reisenhofer et al. 2018), 1 the same."""
    ours, theirs = ([_halved(plane) for plane in _yiq(picture)] for picture in (reference, shown))
    similar, weights = [], []
    for axis in (0, 1):
        fine = [_similar(_haar(ours[0], size, axis), _haar(theirs[0], size, axis), _HAAR_C) for size in (2, 4)]
        similar.append((fine[0] + fine[1]) / 2)
        weights.append(np.maximum(_haar(ours[0], 8, axis), _haar(theirs[0], 8, axis)))
    colours = [_similar(np.abs(_mean2(ours[c])), np.abs(_mean2(theirs[c])), _HAAR_C) for c in (1, 2)]
    similar.append((colours[0] + colours[1]) / 2)
    weights.append((weights[0] + weights[1]) / 2)
    squashed = [1 / (1 + np.exp(-_HAAR_ALPHA * each)) for each in similar]
    total = sum(float(weight.sum()) for weight in weights)
    if not total:  # two flat pictures: nothing but their colours could differ
        return float(np.mean(similar[2]))
    score = sum(float((s * w).sum()) for s, w in zip(squashed, weights, strict=True)) / total
    return float((math.log(score / (1 - score)) / _HAAR_ALPHA) ** 2)


def _yiq(picture: Picture) -> Any:
    """float64[3, H, W], grey levels."""
    return np.moveaxis(to_rgb(picture) @ _YIQ.T, 2, 0)


def _halved(plane: Plane) -> Plane:
    """Means of 2x2 pixels; an odd side is continued by zeros."""
    padded = np.pad(plane, [(0, side % 2) for side in plane.shape])
    means: Plane = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2).mean((1, 3))
    return means


def _boxes(plane: Plane, height: int, width: int) -> Plane:
    """Sums over all boxes of height x width that lie within the plane."""
    table = np.pad(plane.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums: Plane = table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    return sums


def _gradient(plane: Plane) -> Plane:
    """Magnitude of the Prewitt gradient, zeros beyond the borders."""
    padded = np.pad(plane, 1)
    columns, rows = _boxes(padded, 3, 1), _boxes(padded, 1, 3)
    across, down = columns[:, 2:] - columns[:, :-2], rows[2:] - rows[:-2]
    return np.hypot(across, down) / 3


def _haar(plane: Plane, size: int, axis: int) -> Plane:
    """Magnitude of the undecimated Haar coefficients of one level along an axis, in the plane's shape."""
    padded = np.pad(plane, (size // 2 - 1, size // 2))
    half = size // 2
    if axis == 0:
        sums = _boxes(padded, half, size)
        return np.abs(sums[:-half] - sums[half:]) / size
    sums = _boxes(padded, size, half)
    return np.abs(sums[:, :-half] - sums[:, half:]) / size


def _mean2(plane: Plane) -> Plane:
    """Means of each pixel and its neighbours to the right and below, zeros beyond the borders."""
    return _boxes(np.pad(plane, (0, 1)), 2, 2) / 4


def _similar(one: Plane, other: Plane, constant: float) -> Plane:
    """(2ab + c) / (a^2 + b^2 + c), with the constant in squared grey levels."""
    found: Plane = (2 * one * other + constant) / (one * one + other * other + constant)
    return found
