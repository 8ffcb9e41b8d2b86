"""Confidence intervals by bootstrap over pictures: how far a mean would move with other pictures of the kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from layercast.bench.report import Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SAMPLES = 1000
LEVEL = 95  # per cent


def interval(count: int, figure: Callable[[npt.NDArray[np.int64]], float], samples: int = SAMPLES) -> Interval | None:
    """`figure` of all `count` pictures, between the percentiles of its values on pictures drawn with replacement.

    figure: takes the numbers of pictures, int64[count]; NaN where it says nothing. The same in every run. None if
    there is no figure at all.
    """
    import numpy as np

    if not count or not np.isfinite(whole := figure(np.arange(count))):
        return None
    draw = np.random.default_rng(count)
    drawn = np.array([figure(draw.integers(0, count, count)) for _ in range(samples)])
    edge = (100 - LEVEL) / 2
    low, high = np.percentile(drawn[np.isfinite(drawn)], (edge, 100 - edge))
    return Interval(float(whole), float(low), float(high))


def interval_of(values: Sequence[float]) -> Interval | None:
    """Of the mean of finite values, one a picture; None without any."""
    import numpy as np

    held = np.asarray(values, float)
    return interval(len(held), lambda chosen: float(held[chosen].mean()))
