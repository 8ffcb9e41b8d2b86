"""Latent chunks in, the exact base picture out: incremental, from any set of chunks.

States are kept: the state that enters each step is computed once and again only when an earlier step has changed, and
no chunk is ever decoded twice. Without the thumbnail the picture is a neutral field.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec import models
from codec.entropy import BitDecoder
from codec.integer import Array
from codec.latent import network, symbols, thumbnail
from codec.latent.geometry import GRID, base_size, grid_size, reduction
from codec.latent.layout import Tile, needs, tiles
from codec.latent.stages import Tell, walk
from codec.stream import Header

NEUTRAL = 128


def enlarge(picture: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """Twice the size, `times` times: each new pixel 3/4 of the nearest and 1/4 of the next nearest, both ways."""
    for _ in range(times):
        for axis in (0, 1):
            x = picture.astype(np.uint16)
            edge = np.take(x, [0], axis), np.take(x, [-1], axis)
            count = x.shape[axis]
            before = np.concatenate([edge[0], np.take(x, range(count - 1), axis)], axis)
            after = np.concatenate([np.take(x, range(1, count), axis), edge[1]], axis)
            pair = np.stack([(3 * x + before + 2) >> 2, (3 * x + after + 2) >> 2], axis + 1)
            shape = list(x.shape)
            shape[axis] *= 2
            picture = pair.reshape(shape).astype(np.uint8)
    return picture


class LatentDecoder:
    """Decodes the latent chunks of one stream. `push` in any order; `picture` at any time."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self._network = network.load(header.weights)
        self._table = models.load(header.weights, "latent")["table"]
        self._tiles = tiles(header.width, header.height, header.weights)
        self._have: set[int] = set()  # chunks that arrived whole
        self._thumbnail: NDArray[np.int32] | None = None
        self._latents: list[Array] = []
        self._masks: list[Array] = []
        for rung in self._network.rungs:
            columns, rows = grid_size(header.width, header.height, rung.scale)
            self._latents.append(np.zeros((rows, columns, rung.latents), dtype=np.float32))
            self._masks.append(np.zeros((rows, columns, 1), dtype=np.float32))
        self._entering: list[Array] = []  # state entering step 1, 2, ..., as far as it is valid
        self._priors: dict[int, Array] = {}
        self._base: NDArray[np.uint8] | None = None
        self._picture: NDArray[np.uint8] | None = None

    def push(self, index: int, payload: bytes, whole: bool = True) -> bool:
        """Takes a chunk. False (and nothing changed) when it is impossible, repeated or what it needs is missing."""
        if not 0 <= index < len(self._tiles) or index in self._have:
            return False
        if any(need not in self._have for _, need in needs(self.header, index)):
            return False
        tile = self._tiles[index]
        if tile.step == 0:
            columns, rows = grid_size(self.header.width, self.header.height)
            self._thumbnail = thumbnail.decode(
                payload, rows, columns, self.header.channels, self.header.weights, whole=whole
            )
            self._forget_after(0)
        else:
            self._take(tile, payload, whole)
        if whole:
            self._have.add(index)
        return True

    def picture(self) -> NDArray[np.uint8]:
        """The exact picture of the latents so far, uint8[height, width, 3] in RGB."""
        if self._picture is None:
            self._picture = self._render()
        return self._picture

    def base(self) -> NDArray[np.uint8]:
        """The padded base picture of the thumbnail and the latents so far, uint8[H,W,3]."""
        if self._base is None:
            steps, scale = len(self._network.rungs), self._network.rungs[-1].scale
            self._base = self._network.picture(self._network.rise(self._after(steps), scale, 4), self.field())
        return self._base

    def field(self) -> NDArray[np.uint8]:
        """The thumbnail enlarged to the padded base picture, uint8[H,W,3]."""
        assert self._thumbnail is not None
        rows, columns = self._thumbnail.shape[1:]
        return thumbnail.upsample(self._thumbnail, GRID * rows, GRID * columns)

    def walk(self, tile: Tile, tell: Tell) -> None:
        """Sets the latents of a tile of step 1.. to what `tell` says of each stage: how an encoder goes along."""
        if tile.step not in self._priors:
            self._priors[tile.step] = self._network.rungs[tile.step - 1].predict(self.entering(tile.step))
        rung = self._network.rungs[tile.step - 1]
        place = tile.positions(rung.scale)
        rows, columns = place
        latents = walk(rung, self._priors[tile.step][place], rows.start, columns.start, tell)
        self._latents[tile.step - 1][place] = latents
        self._masks[tile.step - 1][place] = 1
        self._forget_after(tile.step)

    def entering(self, step: int) -> Array:
        """The state that enters `step` (1..)."""
        rungs = self._network.rungs
        while len(self._entering) < step:
            at = len(self._entering)
            if at == 0:
                assert self._thumbnail is not None
                self._entering.append(self._network.start(self._thumbnail))
            else:
                self._entering.append(self._network.rise(self._after(at), rungs[at - 1].scale, rungs[at].scale))
        return self._entering[step - 1]

    def _after(self, step: int) -> Array:
        state, mask = self.entering(step), self._masks[step - 1]
        if not mask.any():
            return state
        return self._network.rungs[step - 1].refine(state, self._latents[step - 1], mask)

    def _take(self, tile: Tile, payload: bytes, whole: bool) -> None:
        decoder, table = BitDecoder(payload, whole), self._table[tile.step - 1]

        def tell(
            channels: slice, where: NDArray[np.bool_], mean: Array, spreads: NDArray[np.uint8]
        ) -> NDArray[np.int64]:
            return np.stack([symbols.get(decoder, row, table) for row in spreads])

        self.walk(tile, tell)

    def _forget_after(self, step: int) -> None:
        del self._entering[step:]
        for later in [s for s in self._priors if s > step]:
            del self._priors[later]
        self._base = self._picture = None

    def _render(self) -> NDArray[np.uint8]:
        width, height = self.header.width, self.header.height
        if self._thumbnail is None:
            return np.full((height, width, 3), NEUTRAL, dtype=np.uint8)
        base = self.base()
        base_width, base_height = base_size(width, height)
        if self.header.channels < 3:
            wide = base.astype(np.uint16)
            base = ((wide[..., :1] + 2 * wide[..., 1:2] + wide[..., 2:] + 2) >> 2).astype(np.uint8).repeat(3, 2)
        full = enlarge(base[:base_height, :base_width], reduction(width, height))
        return np.ascontiguousarray(full[:height, :width])
