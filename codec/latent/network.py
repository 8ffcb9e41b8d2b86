"""The synthesis network in whole numbers: states, priors and the picture, the same on every machine.

Twin of codec/train/latent_model.py (float, torch), which has the picture of the whole. Here a *state* is what the
decoder knows at 1/32, 1/16, 1/8 or 1/4 of the base picture's resolution, as float32 whole numbers [H,W,C].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from codec import models
from codec.integer import Array, Conv, clamp, rectify, shuffle

SPREADS = 32


@dataclass(frozen=True)
class Rung:
    """One step: its scale (base pixels a position), number of latents, and layers.

    `prior` gives means and spreads (in 1/64) from the state as `looks` see it, `contexts` what each stage but the first
    adds to them.
    """

    scale: int
    latents: int
    looks: tuple[tuple[Conv, Conv], ...]
    prior: Conv
    contexts: tuple[Conv, ...]
    value: Conv
    first: Conv
    second: Conv

    def predict(self, state: Array) -> Array:
        """Means and spreads of the latents, float32[H,W,2*latents] in 1/64, before any of them is told."""
        return self.prior(pass_blocks(self.looks, state))

    def refine(self, state: Array, latents: Array, mask: Array) -> Array:
        """The state after `latents` (in 1/64, [H,W,latents]) where `mask` ([H,W,1], 0 or 1) says they are there."""
        moved = clamp(state + mask * self.value(latents * mask))
        return clamp(moved + mask * self.second(rectify(self.first(moved))))


@dataclass(frozen=True)
class Network:
    """All layers of a weights set."""

    stem: Conv
    blocks: dict[int, tuple[tuple[Conv, Conv], ...]]
    ups: dict[int, Conv]
    head: Conv
    rungs: tuple[Rung, ...]

    def start(self, thumbnail: NDArray[np.int32]) -> Array:
        """The first state from the decoded thumbnail int32[3,H,W] in 1/16 of 0..255."""
        x = (thumbnail.transpose(1, 2, 0) >> 4) - 128
        return pass_blocks(self.blocks[32], clamp(self.stem(np.ascontiguousarray(x, dtype=np.float32))))

    def rise(self, state: Array, scale: int, to: int) -> Array:
        """The state at scale `to` from the one at `scale`."""
        while scale > to:
            state, scale = clamp(shuffle(self.ups[scale](state), 2)), scale // 2
            state = pass_blocks(self.blocks[scale], state)
        return state

    def picture(self, state: Array, field: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The base picture uint8[H,W,3] from the state at scale 4 and the enlarged thumbnail of the same shape."""
        painted: NDArray[np.uint8] = np.clip(shuffle(self.head(state), 4) + field, 0, 255).astype(np.uint8)
        return painted


def pass_blocks(blocks: tuple[tuple[Conv, Conv], ...], state: Array) -> Array:
    """The state after residual blocks."""
    for first, second in blocks:
        state = clamp(state + second(rectify(first(state))))
    return state


@cache
def load(weights: int) -> Network:
    """The network of a weights set (0 tiny, 1 base)."""
    stored = models.load(weights, "latent")

    def conv(name: str) -> Conv:
        weight = stored[f"{name}.weight"].astype(np.float32)
        scale = (2.0 ** -stored[f"{name}.shift"].astype(np.float64)).astype(np.float32)
        return Conv(weight, stored[f"{name}.bias"].astype(np.float32), scale, int(stored[f"{name}.size"]))

    def blocks(name: str, count: int) -> tuple[tuple[Conv, Conv], ...]:
        return tuple((conv(f"{name}.{i}.a"), conv(f"{name}.{i}.b")) for i in range(count))

    def rung(i: int, scale: int, latents: int) -> Rung:
        looks = blocks(f"steps.{i}.look", int(stored.get("looks", 0)))
        contexts = tuple(conv(f"steps.{i}.context.{stage}") for stage in range(3))
        rest = (conv(f"steps.{i}.{part}") for part in ("value", "block.a", "block.b"))
        return Rung(scale, latents, looks, conv(f"steps.{i}.prior"), contexts, *rest)

    return Network(
        stem=conv("stem"),
        blocks={
            scale: blocks(f"block{scale}", int(count))
            for scale, count in zip((32, 16, 8, 4), stored["blocks"], strict=True)
        },
        ups={s: conv(f"up{s}.conv") for s in (32, 16, 8)},
        head=conv("head"),
        rungs=tuple(rung(i, int(scale), int(latents)) for i, (scale, latents) in enumerate(stored["steps"])),
    )
