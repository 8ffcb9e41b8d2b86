"""Does a sentence fit a picture? One number, from cells of the one and words of the other.

    photo ─► 240x240 ─► EfficientNet-Lite1 ─► 1,280 means ─► 64 axes ─┐
    sentence ─► its words, rare ones counting more ─► 64 axes ────────┴─► cosine

Both kinds of axes are those on which photos and what people said of them vary together (canonical correlations,
Hotelling 1936; of images and words: Hardoon et al., 2004), found by codec/train/agreement.py from Flickr8k, for
non-commercial research only. A sentence of a photo has about 0.5, of another photo about 0. Whoever has a stream can
ask how well its caption fits the picture as it is now: a witness, and no proof.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from codec import models
from codec.extract.caption import features
from codec.stream import FormatError, Header
from codec.structure.regions import Region

Floats = NDArray[np.float32]
CONTRADICTS = 0.05  # below it lie 2% of the dev photos' own sentences and 72% of others'


def spoken(text: str) -> list[str]:
    """The words of a text in lower case."""
    return re.findall(r"[a-z0-9']+", text.lower())


@cache
def load(weights: str = "research") -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The axes of a set and the places of its words. Raises RuntimeError, one line, where the set has none."""
    try:
        stored = models.load(weights, "agreement")
    except (FileNotFoundError, FormatError):
        raise RuntimeError(
            f"no measure of agreement in the set {weights!r} here; install a layercast with it"
        ) from None
    vocabulary = stored["vocabulary"].tobytes().decode().split("\n")
    return stored, {word: i for i, word in enumerate(vocabulary)}


def weighed(texts: Sequence[str], number: dict[str, int], rarity: Floats) -> Floats:
    """float32[n,words]: a row of length 1 for each text, 0 for one without a known word."""
    rows = np.zeros((len(texts), len(rarity)), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in spoken(text):
            if word in number:
                row[number[word]] = rarity[number[word]]
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.maximum(length, 1e-9)
    return unit


def _unit(rows: Floats) -> Floats:
    found: Floats = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)
    return found


def on_axes_of_pictures(pooled: Floats, stored: dict[str, np.ndarray]) -> Floats:
    """float32[n,64], rows of length 1, of pooled features float32[n,1280]."""
    return _unit((pooled - stored["picture_mean"]) @ stored["picture_axes"].astype(np.float32))


def on_axes_of_words(rows: Floats, stored: dict[str, np.ndarray]) -> Floats:
    """float32[n,64], rows of length 1, of texts as `weighed` gives them."""
    return _unit(rows @ stored["word_axes"].astype(np.float32) - stored["word_mean"])


def scores(pooled: Floats, texts: Sequence[str], weights: str = "research") -> Floats:
    """float32[n], -1..1: how well each text fits the picture with these pooled features, float32[1280]."""
    stored, number = load(weights)
    of_words = on_axes_of_words(weighed(texts, number, stored["rarity"]), stored)
    found: Floats = of_words @ on_axes_of_pictures(pooled[None], stored)[0]
    return found


def agreement(picture: NDArray[np.uint8], texts: Sequence[str], weights: str = "research") -> Floats:
    """float32[n], -1..1: how well each text fits a picture uint8[H,W,C].

    Raises RuntimeError, one line, where the weights or the packages for the picture's features are missing.
    """
    return scores(features(picture), texts, weights)


def of_regions(picture: NDArray[np.uint8], regions: Sequence[Region], weights: str = "research") -> Floats:
    """float32[n], -1..1: how well each region's phrase fits what its box cuts out of a picture uint8[H,W,C]."""
    header = Header(picture.shape[1], picture.shape[0])
    found = []
    for region in regions:
        x0, y0, x1, y1 = region.box.pixels(header)
        found.append(agreement(picture[y0:y1, x0:x1], [region.phrase], weights)[0])
    return np.array(found, np.float32)
