"""Photo in, latent chunks out: the analysis network (float, free to change) around the decoder's exact priors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec import models
from codec.entropy import BitEncoder
from codec.integer import LIMIT, Array, product, unshuffle
from codec.latent import network, symbols, thumbnail
from codec.latent.decoder import LatentDecoder
from codec.latent.geometry import GRID, base_size, reduction
from codec.latent.layout import Tile, tiles
from codec.stream import Header

_FRAMING = 2  # bytes of a chunk
DEAD_ZONE = 0.05  # how far below a half a latent is still rounded towards its prediction


def base_picture(picture: NDArray[np.uint8]) -> Array:
    """The picture in RGB reduced by box means to the base size: float32[h,w,3] in 0..255. Alpha is left out."""
    height, width, channels = picture.shape
    k = reduction(width, height)
    columns, rows = base_size(width, height)
    colour = picture[..., :3] if channels > 2 else picture[..., :1].repeat(3, 2)
    side = 1 << k
    padded = np.pad(colour, ((0, rows * side - height), (0, columns * side - width), (0, 0)), mode="edge")
    if k == 0:
        return padded.astype(np.float32)
    boxes = padded.reshape(rows, side, columns, side, 3)
    means: Array = boxes.sum((1, 3), dtype=np.uint32).astype(np.float32) / np.float32(side * side)
    return means


def pad_to_grid(base: Array) -> Array:
    """`base` continued at its right and lower edge to multiples of 32."""
    rows, columns = base.shape[:2]
    padded: Array = np.pad(base, ((0, -rows % GRID), (0, -columns % GRID), (0, 0)), mode="edge")
    return padded


class Analysis:
    """The encoder's view of a picture: features at 1/16 and 1/32, and each step's latents given the state."""

    def __init__(self, missing: Array, weights: int) -> None:
        """`missing`: what the enlarged thumbnail lacks, float32[H,W,3] in grey levels."""
        self._w = models.load(weights, "analysis")
        x = self._relu(self._conv("analyse4", unshuffle(missing / np.float32(64), 4)))
        e8 = self._stage("analyse8", unshuffle(x, 2))
        e16 = self._stage("analyse16", unshuffle(np.maximum(e8, 0), 2))
        e32 = self._stage("analyse32", unshuffle(np.maximum(e16, 0), 2))
        self._features = {16: e16, 32: e32}

    def latents(self, step: int, scale: int, state: Array) -> Array:
        """Real latents [H,W,latents] of `step` (1..) given the whole-number `state` that enters it."""
        x = np.concatenate([state / 64, self._features[scale]], axis=2)
        hidden = self._relu(self._conv(f"steps.{step - 1}.posterior.0", x))
        return self._conv(f"steps.{step - 1}.posterior.2", hidden)

    def _conv(self, name: str, x: Array) -> Array:
        weight = self._w[f"{name}.weight"].astype(np.float32)
        size = 3 if weight.shape[0] == 9 * x.shape[2] else 1
        out = product(x, weight, size)
        out += self._w[f"{name}.bias"]
        return out

    def _stage(self, name: str, x: Array) -> Array:
        h, block = self._conv(f"{name}.0", x), 1
        while f"{name}.{block}.a.weight" in self._w:
            h += self._conv(f"{name}.{block}.b", self._relu(self._conv(f"{name}.{block}.a", h)))
            h, block = np.clip(h, -LIMIT / 64, LIMIT / 64, out=h), block + 1
        return h

    @staticmethod
    def _relu(x: Array) -> Array:
        kept: Array = np.clip(x, 0, LIMIT / 64)
        return kept


def quantise(latents: Array, mean: Array) -> NDArray[np.int64]:
    """Whole distances of real `latents` from `mean` (1/64), drawn towards it, within +-LARGEST."""
    centred = latents - mean / 64
    size = np.floor(np.abs(centred) + (0.5 - DEAD_ZONE))
    return (np.sign(centred) * np.minimum(size, symbols.LARGEST)).astype(np.int64)


# Told of each stage of a tile: (tile, whole values [channels,positions], their spread indices likewise).
Note = Callable[[Tile, NDArray[np.int64], NDArray[np.uint8]], None]


class Chosen(NamedTuple):
    """The latents of a picture: the thumbnail's payload, the decoder that holds all of them, and the squared error that
    each tile of a step of several removes within its own rectangle, by index."""

    thumbnail: bytes
    decoder: LatentDecoder
    worth: dict[int, float]


def choose(picture: NDArray[np.uint8], header: Header, note: Note) -> Chosen:
    """Chooses the latents of picture uint8[H,W,C] in the order of their index: of the base, or all if it is 0."""
    base = pad_to_grid(base_picture(picture))
    rows, columns = base.shape[0] // GRID, base.shape[1] // GRID
    boxes = base.reshape(rows, GRID, columns, GRID, 3).mean((1, 3), dtype=np.float64)
    first = thumbnail.encode(boxes.transpose(2, 0, 1), header.channels, header.weights)
    decoder = LatentDecoder(header)
    decoder.push(0, first)
    steps = _steps(header)
    worth: dict[int, float] = {}
    if not steps:
        return Chosen(first, decoder, worth)
    analysis = Analysis(base - decoder.field(), header.weights)
    before: Array | None = None
    for step, own in steps.items():
        if len(own) > 1 and before is None:
            before = _error(decoder, base)
        scale = network.load(header.weights).rungs[step - 1].scale
        wanted = analysis.latents(step, scale, decoder.entering(step))
        for tile in own.values():
            _choose_tile(decoder, tile, wanted[tile.positions(scale)], note)
        if before is not None:
            after = _error(decoder, base)
            worth |= {index: _within(tile, before - after) for index, tile in own.items()}
            before = after
    return Chosen(first, decoder, worth)


def _steps(header: Header) -> dict[int, dict[int, Tile]]:
    """The tiles by step (1..) and index."""
    every = tiles(header.width, header.height, header.weights)[: header.base or None]
    steps: dict[int, dict[int, Tile]] = {}
    for index, tile in enumerate(every[1:], 1):
        steps.setdefault(tile.step, {})[index] = tile
    return steps


def _choose_tile(decoder: LatentDecoder, tile: Tile, wanted: Array, note: Note) -> None:
    def tell(channels: slice, where: NDArray[np.bool_], mean: Array, spreads: NDArray[np.uint8]) -> NDArray[np.int64]:
        values = quantise(wanted[..., channels][where].T, mean)
        note(tile, values, spreads)
        return values

    decoder.walk(tile, tell)


def _error(decoder: LatentDecoder, base: Array) -> Array:
    """Squared error of the decoder's base picture, float32[H,W]."""
    error: Array = ((decoder.base() - base) ** 2).sum(2)
    return error


def _within(tile: Tile, error: Array) -> float:
    return float(error[tile.y0 : tile.y1, tile.x0 : tile.x1].sum())


class Encoded(NamedTuple):
    """The payloads by index, the order in which they are best sent, and the exact picture they give, uint8[H,W,3]."""

    payloads: list[bytes]
    order: list[int]
    picture: NDArray[np.uint8]


def encode(picture: NDArray[np.uint8], header: Header) -> Encoded:
    """The latent chunks of picture uint8[H,W,C] (C = header.channels): of the base, or all if it is 0.

    They are best sent step by step, in it what removes most error per byte.
    """
    table = models.load(header.weights, "latent")["table"]
    coders: dict[Tile, BitEncoder] = {}

    def put(tile: Tile, values: NDArray[np.int64], spreads: NDArray[np.uint8]) -> None:
        coder = coders.setdefault(tile, BitEncoder())
        for channel, indices in zip(values, spreads, strict=True):
            symbols.put(coder, channel, indices, table[tile.step - 1])

    chosen = choose(picture, header, put)
    payloads = [chosen.thumbnail, *(coder.finish() for coder in coders.values())]
    order = [0]
    for own in _steps(header).values():
        gains = {index: chosen.worth.get(index, 0.0) / (len(payloads[index]) + _FRAMING) for index in own}
        order += sorted(own, key=lambda index: (-gains[index], index))
    return Encoded(payloads, order, chosen.decoder.picture())
