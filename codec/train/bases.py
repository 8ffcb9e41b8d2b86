"""The base of a photo, as a decoder paints it: what the residual and its filter learn to correct."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.latent.encoder import encode
from codec.stream import Header


def base_of(photo: NDArray[np.uint8], chunks: int = 0, weights: int = 1) -> NDArray[np.uint8]:
    """The exact picture of the first `chunks` latents (0: all) of a photo uint8[H,W,3]."""
    return encode(photo, Header(photo.shape[1], photo.shape[0], 3, weights, chunks)).picture
