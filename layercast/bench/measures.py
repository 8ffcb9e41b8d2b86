"""The measures of quality that the benchmarks print: names, functions, and which way is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.metrics import Picture

MAIN = ("PSNR", "SSIMULACRA2", "feature distance")  # those that codecs are compared by
LOWER = frozenset({"feature distance", "GMSD", "LPIPS", "DISTS"})  # is better
LEARNED = ("LPIPS", "DISTS")  # need weights that few machines have


Judge = Callable[["Picture", "Picture"], float]


def measures() -> dict[str, Judge]:
    """Functions of (reference, shown) uint8[H, W, 3] by name, as far as they can be had here, the main ones first."""
    from sim import learned, metrics, similarity

    every = {
        "PSNR": metrics.psnr,
        "SSIMULACRA2": metrics.ssimulacra2,
        "feature distance": metrics.feature_distance,
        "MS-SSIM": similarity.ms_ssim,
        "HaarPSI": similarity.haarpsi,
        "GMSD": similarity.gmsd,
        "LPIPS": learned.lpips,
        "DISTS": learned.dists,
    }
    return {name: judge for name, judge in every.items() if name not in LEARNED or not learned.missing(name)}


def absent() -> list[str]:
    """A line for each measure that cannot be taken here, with the reason."""
    from sim import learned

    return [f"{name}: absent, {why}." for name in LEARNED if (why := learned.missing(name))]


def judged(photo: Picture, shown: Picture) -> dict[str, float]:
    """Every measure of `shown` against `photo`, by name."""
    return {name: judge(photo, shown) for name, judge in measures().items()}


def sign(name: str) -> int:
    """+1 if more of a measure is better, -1 if less is."""
    return -1 if name in LOWER else 1
