"""SSIMULACRA2 step by step is that of the package, to the last bit."""

import io

import numpy as np
import pytest
from PIL import Image
from ssimulacra2 import compute_ssimulacra2

from sim.ssimulacra import score


def as_file(picture: np.ndarray) -> io.BytesIO:
    held = io.BytesIO()
    Image.fromarray(picture).save(held, "BMP")
    held.seek(0)
    return held


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (33, 70), (130, 97)])
def test_it_is_the_figure_of_the_package(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    reference = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    for shown in (reference // 2, np.roll(reference, 1, axis=1), reference):
        assert score(reference, shown) == compute_ssimulacra2(as_file(reference), as_file(shown))
