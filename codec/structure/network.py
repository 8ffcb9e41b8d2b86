"""The edge network in numpy (encoder side only): a base picture in, edge strength at 1/4 of its size out.

    picture ─► 1/2 ─► 1/4 ─► 1/8 ─► 1/16          down: the pixels of a 2x2 block become channels, 1x1 mixes them
                      │      │      │
           edges ◄── 1/4 ◄── 1/8 ◄──┘              up: 1x1, repeat, add; then a 3x3 that adds to what it gets

Nothing decoded depends on these numbers, so they are float32 and may differ in the last bit between machines. The
torch twin that learns the weights is codec/train/edges.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.integer import product
from codec.models import load

ALIGN = 32
_UNIT = np.float32(1 / 4096)  # of the stored int16 weights

Array = NDArray[np.float32]


def _conv(x: Array, weight: Array, bias: Array) -> Array:
    """Convolution of x[h,w,c] with weight [o,c,k,k] (k 1 or 3), zeros beyond the border."""
    out = product(x, weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0]), weight.shape[2])
    out += bias
    return out


def _fold(x: Array) -> Array:
    """Each 2x2 block of x[h,w,c] as 4c channels of one pixel, channel-major as torch's pixel_unshuffle."""
    h, w, c = x.shape
    return x.reshape(h // 2, 2, w // 2, 2, c).transpose(0, 2, 4, 1, 3).reshape(h // 2, w // 2, 4 * c)


def _twice(x: Array) -> Array:
    return x.repeat(2, axis=0).repeat(2, axis=1)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0, out=x)


class EdgeNetwork:
    """The network with the weights of one set (number in the header, or the set's name)."""

    def __init__(self, weights: int | str) -> None:
        self._arrays = {name: array.astype(np.float32) * _UNIT for name, array in load(weights, "edges").items()}

    def _layer(self, name: str, x: Array) -> Array:
        return _conv(x, self._arrays[f"{name}.weight"], self._arrays[f"{name}.bias"])

    def _down(self, scale: int, x: Array) -> Array:
        return _relu(self._layer(f"mix{scale}", _relu(self._layer(f"in{scale}", _fold(x)))))

    def __call__(self, picture: NDArray[np.uint8]) -> Array:
        """Probability of an edge, float32[ceil(h/4), ceil(w/4)] in 0..1, of an RGB picture uint8[h,w,3]."""
        h, w = picture.shape[:2]
        padded = np.pad(picture, ((0, -h % ALIGN), (0, -w % ALIGN), (0, 0)), mode="edge")
        levels = (padded.astype(np.float32) - np.float32(128)) / np.float32(64)
        half = _relu(self._layer("in2", _fold(levels)))
        h4 = self._down(4, half)
        h8 = self._down(8, h4)
        h16 = self._down(16, h8)
        h16 = _relu(h16 + self._layer("far16", h16))
        h8 = _relu(h8 + _twice(self._layer("up8", h16)))
        h8 = _relu(h8 + self._layer("join8", h8))
        h4 = _relu(h4 + _twice(self._layer("up4", h8)))
        h4 = _relu(h4 + self._layer("join4", h4))
        logits = self._layer("head4", h4)[: -(-h // 4), : -(-w // 4), 0]
        return np.asarray(1 / (1 + np.exp(-logits.clip(-30, 30))), dtype=np.float32)
