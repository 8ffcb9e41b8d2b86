"""The embedded captioner: a photo in, sentences of its own out, each with how likely it is.

    photo ─► 240x240 ─► EfficientNet-Lite1 ─► 8x8 cells ─► captioner_network, a beam of words ─► sentences ─► one

Which one: the sum of the mean bits a word that the network gives it with the picture before it and of AGREE times its
agreement with the picture (codec.extract.agreement), less PRICE for each byte of its code. `layercast bench captioners`
sets it beside the likeliest one.

Small enough for two cores. Encoder side only: torch and floats are allowed, a stream holds nothing but the sentence.
codec/train/captioner.py trains it; what it learned comes from Flickr8k photos and is for non-commercial research only
(set `research`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from codec import caption as captions
from codec import models
from codec.extract.agreement import scores
from codec.extract.caption import grid_features
from codec.stream import FormatError

if TYPE_CHECKING:
    from codec.extract.captioner_network import Captioner


def sentence(words: list[str]) -> str:
    """Words in lower case as people write a caption: a capital, a full stop."""
    text = " ".join(words)
    return text[:1].upper() + text[1:] + "." if text else ""


@cache
def load(weights: str = "research") -> tuple[Captioner, list[str]]:
    """The trained captioner of a set and its vocabulary. Raises RuntimeError, one line, where the set has none."""
    try:
        stored = models.load(weights, "captioner")
    except (FileNotFoundError, FormatError):
        raise RuntimeError(f"no captioner in the set {weights!r} here; give --caption") from None
    import torch

    from codec.extract.captioner_network import Captioner, Config

    vocabulary = stored["vocabulary"].tobytes().decode().split("\n")
    width, heads, layers = (int(n) for n in stored["config"])
    model = Captioner(Config(width, heads, layers, len(vocabulary)))
    model.load_state_dict({name: torch.from_numpy(models.restored(stored, name)) for name in model.state_dict()})
    return model.eval(), vocabulary


WIDTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)  # of the beam, by effort
AGREE = 6.0
PRICE = 0.1  # of a byte


def caption(picture: NDArray[np.uint8], effort: int = 5, weights: str = "research") -> str:
    """The sentence about a picture uint8[H,W,C] that is worth most, of as many as `effort` (0..9) tries.

    Raises RuntimeError, one line, where the weights or the packages for the picture's features are missing.
    """
    vocabulary, cells = load(weights)[1], grid_features(picture)
    found = search(cells, WIDTHS[effort], weights)
    texts = [sentence([vocabulary[word] for word in words]) for _, words in found]
    agreed = scores(cells.mean(0), texts, weights)
    sizes = [len(captions.encode(text, guessed=True)) for text in texts]
    return texts[chosen([score for score, _ in found], agreed.tolist(), sizes)]


def search(cells: NDArray[np.float32], width: int = 5, weights: str = "research") -> list[tuple[float, list[int]]]:
    """`width` sentences about cells float32[64,1280], as numbers of words; (score, words), the likeliest first."""
    import torch

    from codec.extract.captioner_network import beam

    return beam(load(weights)[0], torch.from_numpy(cells), width)


def chosen(likely: Sequence[float], agreed: Sequence[float], sizes: Sequence[int]) -> int:
    """Which candidate to take, by mean logarithm of its likelihood, agreement with the picture, and bytes."""
    worth = [
        likelihood / math.log(2) + AGREE * agreement - PRICE * size
        for likelihood, agreement, size in zip(likely, agreed, sizes, strict=True)
    ]
    return max(range(len(worth)), key=worth.__getitem__)
