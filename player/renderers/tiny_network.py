"""The network of the renderer `tiny`: from the exact picture and what is known, what to add and how far off it is.

48 numbers of 4x4 pixels + 5 planes ─► 1/4 ─► 1/8 ─► 1/16 ─► 1/8 ─► 1/4 ─► 48 numbers to add, 2 expected errors
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PLANES = 5  # player.renderers.known
LEVEL = 64.0  # grey levels that count as 1 inside


@dataclass(frozen=True)
class Config:
    """Channels and residual blocks at 1/4, 1/8, 1/16."""

    widths: tuple[int, int, int] = (64, 96, 128)
    blocks: tuple[int, int, int] = (2, 2, 3)


class Block(nn.Module):
    """Adds two convolutions of a state to it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,h,w] to the same."""
        h: Tensor = self.b(F.silu(self.a(F.silu(x))))
        return x + h


class Tiny(nn.Module):
    """Shown picture and known planes to a picture and its expected errors."""

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        c = self.config = config or Config()
        self.stem = nn.Conv2d(48 + PLANES, c.widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(4 * a, b, 1) for a, b in zip(c.widths, c.widths[1:], strict=False))
        self.up = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in zip(c.widths, c.widths[1:], strict=False))
        self.before = nn.ModuleList(self._blocks(i) for i in range(3))
        self.after = nn.ModuleList(self._blocks(i) for i in range(2))
        self.head = nn.Conv2d(c.widths[0], 48 + 2, 3, padding=1)
        for numbers in self.head.parameters():
            nn.init.zeros_(numbers)

    def _blocks(self, level: int) -> nn.Sequential:
        return nn.Sequential(*(Block(self.config.widths[level]) for _ in range(self.config.blocks[level])))

    def forward(self, shown: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        """shown [B,3,H,W] in 0..255, planes [B,5,H/4,W/4], sides multiples of 16.

        Returns (what to add to the picture [B,3,H,W] in levels, the natural logarithm of the mean absolute error in
        levels that is to be expected of the picture as shown and of the sum, [B,2,H/4,W/4]).
        """
        x = self.stem(torch.cat([F.pixel_unshuffle((shown - 128) / LEVEL, 4), planes - 0.5], 1))
        kept = []
        for level, down in enumerate(self.down):
            x = self.before[level](x)
            kept.append(x)
            x = down(F.pixel_unshuffle(x, 2))
        x = self.before[2](x)
        for level in (1, 0):
            x = self.after[level](kept[level] + F.pixel_shuffle(self.up[level](x), 2))
        out = self.head(F.silu(x))
        return F.pixel_shuffle(LEVEL * out[:, :48], 4), out[:, 48:] + 2.0
