"""The base of a photo, as a decoder paints it: what the residual and its filter learn to correct."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec import latent
from codec.latent import encoder as latents
from codec.latent.decoder import LatentDecoder
from codec.stream import Header


def base_of(photo: NDArray[np.uint8], chunks: int | None = None, weights: int = 1) -> NDArray[np.uint8]:
    """The exact picture of the first `chunks` latents (all, if None) of a photo uint8[H,W,3]."""
    header = Header(photo.shape[1], photo.shape[0], 3, weights)
    header = Header(photo.shape[1], photo.shape[0], 3, weights, chunks or latent.count(header))
    decoder = LatentDecoder(header)
    for index, payload in enumerate(latents.encode(photo, header)[: header.base]):
        decoder.push(index, payload)
    return decoder.picture()
