"""The embedded captioner: a photo in, sentences of its own out, each with how likely it is.

    photo ─► 240x240 ─► EfficientNet-Lite1 ─► 8x8 cells ─► captioner_network, a beam of words ─► sentences ─► one

Which one: a mean of bits a word that the network gives a sentence with the picture before it, LIKE times how far its
words, rare ones most, are those of the other candidates, less PRICE for each byte of its code. A likelihood is evidence
less what the words cost without a picture, so the price stands for what the caption coder asks beyond that. (Chosen by
evidence alone, sentences were farther from people's: CIDEr-D 0.37 instead of 0.41 on the dev photos.)

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
    state = {}
    for name in model.state_dict():
        numbers = stored[name].astype(np.float32)
        state[name] = torch.from_numpy(numbers * stored[f"{name}.scale"] if f"{name}.scale" in stored else numbers)
    model.load_state_dict(state)
    return model.eval(), vocabulary


WIDTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)  # of the beam, by effort
LIKE = 2.0
PRICE = 0.2


def caption(picture: NDArray[np.uint8], effort: int = 5, weights: str = "research") -> str:
    """The sentence about a picture uint8[H,W,C] that says most for its bytes, of as many as `effort` (0..9) tries.

    Raises RuntimeError, one line, where the weights or the packages for the picture's features are missing.
    """
    vocabulary = load(weights)[1]
    found = search(grid_features(picture), WIDTHS[effort], weights)
    texts = [sentence([vocabulary[word] for word in words]) for _, words in found]
    sizes = [len(captions.encode(text, guessed=True)) for text in texts]
    return texts[chosen(found, sizes)]


def search(cells: NDArray[np.float32], width: int = 5, weights: str = "research") -> list[tuple[float, list[int]]]:
    """`width` sentences about cells float32[64,1280], as numbers of words; (score, words), the likeliest first."""
    import torch

    from codec.extract.captioner_network import beam

    return beam(load(weights)[0], torch.from_numpy(cells), width)


def chosen(found: Sequence[tuple[float, list[int]]], sizes: Sequence[int]) -> int:
    """Which of the candidates (score, words) to take; sizes: bytes that each costs."""
    weighed = [{word: math.log(1 + word) for word in words} for _, words in found]  # numbers rise as words get rarer

    def worth(i: int) -> float:
        others = [_alike(weighed[i], weighed[j]) for j in range(len(found)) if j != i]
        like = sum(others) / len(others) if others else 0.0
        return found[i][0] / math.log(2) + LIKE * like - PRICE * sizes[i]

    return max(range(len(found)), key=worth)


def _alike(one: dict[int, float], other: dict[int, float]) -> float:
    """Weight of the words that two sentences share, of all their words: 0 to 1."""
    shared = sum(weight for word, weight in one.items() if word in other)
    return 2 * shared / max(sum(one.values()) + sum(other.values()), 1e-9)
