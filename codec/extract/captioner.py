"""The embedded captioner: a photo in, sentences of its own out, each with how likely it is.

    photo ─► 240x240 ─► EfficientNet-Lite1 ─► 8x8 cells ─► captioner_network, a beam of words ─► sentences

Small enough for two cores. Encoder side only: torch and floats are allowed, a stream holds nothing but the sentence.
codec/train/captioner.py trains it; what it learned comes from Flickr8k photos and is for non-commercial research only
(set `research`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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


def candidates(picture: NDArray[np.uint8], width: int = 5, weights: str = "research") -> list[tuple[str, float]]:
    """Sentences about a picture uint8[H,W,C] with their scores, the likeliest first."""
    import torch

    from codec.extract.captioner_network import beam

    model, vocabulary = load(weights)
    features = torch.from_numpy(grid_features(picture))
    found = beam(model, features, width)
    return [(sentence([vocabulary[word] for word in words]), score) for score, words in found]
