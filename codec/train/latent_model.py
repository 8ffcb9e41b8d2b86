"""The latent layer's network in torch: the float twin of codec/latent/network.py, and the encoder's analysis.

    thumbnail ─► stem ─► h32 ─► steps 1, 2, 3 ─► up ─► h16 ─► steps 4, 5 ─► up ─► h8 ─► up ─► h4 ─► head ─► + ─► picture
        │                          ▲                             ▲                                       ▲
        │            analysis ─────┴─────────────────────────────┘                                       │
        │                ▲ picture - enlarged                                                            │
        └─► enlarged ────┴───────────────────────────────────────────────────────────────────────────────┘

Each step predicts its latents from the state so far (mean and spread), adds what was sent, and refines the state.
Within a step latents come in four stages (half of the channels at half of the positions each): what a stage told
corrects the predictions of those behind it. A step that was not sent leaves the state as it is, so every prefix of
the steps gives a picture; training draws the prefix at random (tail-drop). Activations are clamped to what the integer
network can hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LIMIT = 1023 / 64  # largest activation of the integer network
SPREADS = 32  # entries of the table of spreads
STAGES = 4


@dataclass(frozen=True)
class Config:
    """Widths and blocks of the states at 1/32 to 1/4, widths of the analysis there; each step's scale and latents."""

    widths: tuple[int, int, int, int] = (96, 64, 48, 20)
    steps: tuple[tuple[int, int], ...] = ((32, 8), (32, 8), (32, 12), (16, 8), (16, 16))
    analysis: tuple[int, int, int, int] = (128, 96, 64, 32)
    blocks: tuple[int, int, int, int] = (2, 3, 3, 2)
    looks: int = 1  # blocks between the state and what a step predicts of its latents
    depth: int = 2  # blocks of the analysis at 1/32 and 1/16


TINY = Config((8, 8, 8, 8), ((32, 2), (32, 2), (32, 2), (16, 2), (16, 2)), (8, 8, 8, 8), (1, 1, 1, 1), 0, 1)


def bound(x: Tensor) -> Tensor:
    return x.clamp(-LIMIT, LIMIT)


def spread(index: Tensor) -> Tensor:
    """Scale of the Laplacian for a (real) table index: 0.05 to about 8, a factor 1.18 an entry."""
    return torch.exp(index * 0.164 - 3.0)


class Block(nn.Module):
    """h + conv(relu(conv(h)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        return bound(h + self.b(F.relu(self.a(h)).clamp(max=LIMIT)).to(h.dtype))


class Up(nn.Module):
    """Twice the resolution: 1x1 convolution and pixel shuffle."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 4 * out, 1)

    def forward(self, h: Tensor) -> Tensor:
        return bound(F.pixel_shuffle(self.conv(h), 2).to(h.dtype))


class Step(nn.Module):
    """One rung: prior from the state, latents stage by stage, refined state."""

    def __init__(self, width: int, latents: int, analysis: int, looks: int) -> None:
        super().__init__()
        self.latents = latents
        self.look = nn.Sequential(*(Block(width) for _ in range(looks)))
        self.prior = nn.Conv2d(width, 2 * latents, 3, padding=1)
        self.context = nn.ModuleList(nn.Conv2d(2 * latents, latents, 3, padding=1) for _ in range(STAGES - 1))
        self.value = nn.Conv2d(latents, width, 3, padding=1)
        self.block = Block(width)
        self.posterior = nn.Sequential(
            nn.Conv2d(width + analysis, 64, 1), nn.ReLU(), nn.Conv2d(64, latents, 3, padding=1)
        )

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def code(self, h: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """(latents, their bits): each stage predicted by the state and by the stages before it."""
        half = self.latents // 2
        wanted = self.posterior(torch.cat([h, features.to(h.dtype)], 1)).clamp(-15, 15)
        means, spreads = self.prior(self.look(h)).chunk(2, 1)
        told = torch.zeros_like(means)  # whole distances from the means
        latents, bits = torch.zeros_like(means), torch.zeros((), device=h.device)
        rows, columns = (torch.arange(side, device=h.device) for side in h.shape[2:])
        odd = ((rows[:, None] + columns) % 2).to(h.dtype)
        for stage in range(STAGES):
            part, mask = slice(half) if stage < 2 else slice(half, None), odd if stage % 2 else 1 - odd
            mean, index = means[:, part], spreads[:, part]
            if stage:
                moved, widened = self.context[stage - 1](torch.cat([told, told.abs()], 1)).chunk(2, 1)
                mean, index = mean + moved, index + widened
            mean, index = bound(mean), index.clamp(0, SPREADS - 1)
            centred = wanted[:, part] - mean
            rate = laplacian_bits(centred + torch.rand_like(centred) - 0.5, spread(index))
            hard = centred + (torch.round(centred).clamp(-15, 15) - centred).detach()
            bits = bits + (rate * mask).sum()
            halves = [torch.zeros_like(mean), torch.zeros_like(mean)]
            halves[stage // 2] = hard * mask
            told = told + torch.cat(halves, 1)
            halves[stage // 2] = (hard + mean) * mask
            latents = latents + torch.cat(halves, 1)
        return latents, bits

    def refine(self, h: Tensor, latents: Tensor) -> Tensor:
        return self.block(bound(h + self.value(latents)))


class Network(nn.Module):
    """Analysis, steps and synthesis. Pictures are [B,3,H,W] in 0..255, H and W multiples of 32."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        w32, w16, w8, w4 = config.widths
        a32, a16, a8, a4 = config.analysis
        self.analyse4 = nn.Conv2d(48, a4, 3, padding=1)
        self.analyse8 = nn.Sequential(nn.Conv2d(4 * a4, a8, 1), Block(a8))
        self.analyse16 = nn.Sequential(nn.Conv2d(4 * a8, a16, 1), *(Block(a16) for _ in range(config.depth)))
        self.analyse32 = nn.Sequential(nn.Conv2d(4 * a16, a32, 1), *(Block(a32) for _ in range(config.depth)))
        counts = zip(config.widths, config.blocks, strict=True)
        blocks = [nn.Sequential(*(Block(width) for _ in range(count))) for width, count in counts]
        self.stem, self.block32 = nn.Conv2d(3, w32, 3, padding=1), blocks[0]
        self.up32, self.block16 = Up(w32, w16), blocks[1]
        self.up16, self.block8 = Up(w16, w8), blocks[2]
        self.up8, self.block4 = Up(w8, w4), blocks[3]
        self.head = nn.Conv2d(w4, 48, 3, padding=1)
        sizes = {32: (w32, a32), 16: (w16, a16)}
        self.steps = nn.ModuleList(Step(sizes[s][0], c, sizes[s][1], config.looks) for s, c in config.steps)
        self._start()

    def _start(self) -> None:
        """Variance-preserving start; blocks begin as identities, priors as wide ones."""
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d):
                fan = layer.weight[0].numel()
                nn.init.normal_(layer.weight, std=(1 / fan) ** 0.5)
                nn.init.zeros_(layer.bias)
                if name.endswith((".b", "prior", "head")):
                    nn.init.normal_(layer.weight, std=0.1 * (1 / fan) ** 0.5)
                if "context" in name:
                    nn.init.zeros_(layer.weight)
        for step in self.steps:
            with torch.no_grad():
                step.prior.bias[step.latents :] = 16.0

    def analyse(self, missing: Tensor) -> dict[int, Tensor]:
        x = F.relu(self.analyse4(F.pixel_unshuffle(missing / 64, 4)))
        e8 = self.analyse8(F.pixel_unshuffle(x, 2))
        e16 = self.analyse16(F.pixel_unshuffle(F.relu(e8), 2))
        e32 = self.analyse32(F.pixel_unshuffle(F.relu(e16), 2))
        return {16: e16, 32: e32}

    def forward(
        self, picture: Tensor, thumbnail: Tensor, field: Tensor, kept: int
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """(picture from thumbnail and all steps, picture from the first `kept` steps only, bits of each step).

        thumbnail: [B,3,H/32,W/32] and the same enlarged, field: [B,3,H,W], in 0..255. Both pictures share the work that
        they have in common.
        """
        features = self.analyse(picture - field)
        h = self.block32(bound(self.stem((thumbnail - 128) / 64).to(thumbnail.dtype)))
        scale, bits, early = 32, [], (h, 32)
        for i, (s, _) in enumerate(self.config.steps):
            if i == kept:
                early = (h, scale)
            h, scale = self._rise(h, scale, s), s
            latents, rate = self.steps[i].code(h, features[s])
            h = self.steps[i].refine(h, bound(latents))
            bits.append(rate)
        return field + self._paint(h, scale), field + self._paint(*early), bits

    def _paint(self, h: Tensor, scale: int) -> Tensor:
        return F.pixel_shuffle(self.head(self._rise(h, scale, 4)), 4) * 64

    def _rise(self, h: Tensor, scale: int, to: int) -> Tensor:
        while scale > to:
            if scale == 32:
                h = self.block16(self.up32(h))
            elif scale == 16:
                h = self.block8(self.up16(h))
            else:
                h = self.block4(self.up8(h))
            scale //= 2
        return h


def laplacian_bits(x: Tensor, scale: Tensor) -> Tensor:
    """Bits of a unit interval around x under a zero-mean Laplacian."""
    magnitude = x.abs()

    def cdf(v: Tensor) -> Tensor:
        return 0.5 + 0.5 * v.sign() * (1 - torch.exp(-v.abs() / scale))

    mass = cdf(-magnitude + 0.5) - cdf(-magnitude - 0.5)
    return -torch.log2(mass.clamp(min=2.0**-16))
