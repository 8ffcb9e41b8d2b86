"""Which latent chunks a stream has, where they lie and what they need: pure functions of the header.

Chunk 0 is the thumbnail. Every step of the network follows as one chunk or, where that would be much more than a
packet, as a grid of tiles. A chunk's probabilities depend on every earlier latent within the network's reach, and
those are its needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from codec.latent import network
from codec.latent.geometry import GRID, grid_size, reduction
from codec.stream import Header, Key, Kind

# Base pixels that one chunk of a step covers at most: about 100 to 250 bytes of a busy photo.
_TILE_PIXELS = (1 << 20, 1 << 19, 1 << 18, 1 << 17, 1 << 16)


@dataclass(frozen=True)
class Tile:
    """A latent chunk: its step (0 is the thumbnail) and its rectangle of base pixels, x1 and y1 exclusive."""

    step: int
    x0: int
    y0: int
    x1: int
    y1: int

    def grown(self, by: int) -> Tile:
        return Tile(self.step, self.x0 - by, self.y0 - by, self.x1 + by, self.y1 + by)

    def positions(self, scale: int) -> tuple[slice, slice]:
        """Its rows and columns of a grid of positions `scale` base pixels apart."""
        return slice(self.y0 // scale, self.y1 // scale), slice(self.x0 // scale, self.x1 // scale)

    def meets(self, other: Tile) -> bool:
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1


def reach(weights: int, step: int, until: int) -> int:
    """How far, in base pixels, latents of `step` (1..) change the state before step `until` (above: the picture).

    What a step predicts with is included. A 3x3 convolution reaches one position, a refinement three, a block two.
    """
    rungs = network.load(weights).rungs
    scale, distance = rungs[step - 1].scale, 0
    for at in range(step, until):
        distance += _descent(weights, scale, rungs[at - 1].scale) + 3 * rungs[at - 1].scale
        scale = rungs[at - 1].scale
    last, looks = (rungs[until - 1].scale, len(rungs[until - 1].looks)) if until <= len(rungs) else (4, 0)
    return distance + _descent(weights, scale, last) + (1 + 2 * looks) * last


def _descent(weights: int, scale: int, to: int) -> int:
    """The reach of the blocks between two scales, in base pixels."""
    blocks, distance = network.load(weights).blocks, 0
    while scale > to:
        scale //= 2
        distance += 2 * scale * len(blocks[scale])
    return distance


def _cuts(cells: int, parts: int) -> list[int]:
    """Borders of `parts` nearly equal parts of `cells`."""
    return [cells * i // parts for i in range(parts + 1)]


def _tiles_of(step: int, columns: int, rows: int) -> list[Tile]:
    """The tiles of one step in raster order, borders on the coarsest grid."""
    across = down = 1
    while -(-columns // across) * -(-rows // down) * GRID * GRID > _TILE_PIXELS[step - 1]:
        if columns / across >= rows / down:
            across += 1
        else:
            down += 1
    xs, ys = _cuts(columns, across), _cuts(rows, down)
    return [
        Tile(step, GRID * xs[i], GRID * ys[j], GRID * xs[i + 1], GRID * ys[j + 1])
        for j in range(down)
        for i in range(across)
    ]


@lru_cache(maxsize=64)
def tiles(width: int, height: int, weights: int) -> tuple[Tile, ...]:
    """Every latent chunk of a picture in the order of its index."""
    columns, rows = grid_size(width, height)
    whole = Tile(0, 0, 0, GRID * columns, GRID * rows)
    steps = range(1, len(network.load(weights).rungs) + 1)
    return (whole, *(tile for step in steps for tile in _tiles_of(step, columns, rows)))


@lru_cache(maxsize=4096)
def _needs(width: int, height: int, weights: int, index: int) -> tuple[Key, ...]:
    every = tiles(width, height, weights)
    if not 0 < index < len(every):
        return ()
    own = every[index]
    return tuple(
        (Kind.LATENT, i)
        for i, other in enumerate(every[:index])
        if other.step == 0 or (other.step < own.step and other.grown(reach(weights, other.step, own.step)).meets(own))
    )


def count(header: Header) -> int:
    """Number of latent chunks that a picture of this size can have."""
    return len(tiles(header.width, header.height, header.weights))


def needs(header: Header, index: int) -> tuple[Key, ...]:
    """The chunks without which latent chunk `index` cannot be decoded."""
    return _needs(header.width, header.height, header.weights, index)


def area(header: Header, index: int) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1), exclusive ends, of the pixels that latent chunk `index` can change by itself."""
    tile = tiles(header.width, header.height, header.weights)[index]
    if tile.step == 0:
        return 0, 0, header.width, header.height
    k = reduction(header.width, header.height)
    wide = tile.grown(reach(header.weights, tile.step, len(network.load(header.weights).rungs) + 1) + 2 * (k > 0))
    return (
        max(0, wide.x0 << k),
        max(0, wide.y0 << k),
        min(header.width, wide.x1 << k),
        min(header.height, wide.y1 << k),
    )
