"""Regions first: which chunks the pixels that matter most want before the others.

A chunk belongs to the first tier if its own cells or its tile meet a region, to the second if it can still change a
pixel of one (the transforms reach over the borders of cells), to the third otherwise. So a region is nearly exact with
the first tier and exact with the second. What a chunk needs never stands behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from codec.stream import Chunk, Header, Key, Kind

Region = tuple[int, int, int, int]  # x, y, width, height in pixels
_Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, ends excluded


def boxes(header: Header, regions: Sequence[Region]) -> list[_Box]:
    """The regions as boxes within the picture. ValueError for one without a pixel of the picture."""
    found = []
    for x, y, width, height in regions:
        box = max(x, 0), max(y, 0), min(x + width, header.width), min(y + height, header.height)
        if box[0] >= box[2] or box[1] >= box[3]:
            raise ValueError(
                f"the region {x},{y},{width},{height} holds no pixel of the {header.width}x{header.height} picture"
            )
        found.append(box)
    return found


def first(header: Header, chunks: Sequence[Chunk], regions: Sequence[Region]) -> list[Chunk]:
    """Chunks of latents and residual with those that `regions` want first; of one tier the order is the one given.

    Latents stay within their step, since all of a step sharpens the whole picture; the residual's tiers hold all steps.
    ValueError for a region outside the picture.
    """
    wanted = boxes(header, regions)
    tiers = {chunk.key: _tier(header, chunk.key, wanted) for chunk in chunks}
    for key in sorted(tiers, reverse=True):
        _pull(header, key, tiers)
    return sorted(chunks, key=lambda chunk: (_step(header, chunk.key), tiers[chunk.key]))


def _pull(header: Header, key: Key, tiers: dict[Key, int]) -> None:
    """What `key` needs goes no later than `key`: needs name lower indices, so one pass from the last chunk will do."""
    from codec.plan import needs_of

    for need in needs_of(header, key):
        if need in tiers:
            tiers[need] = min(tiers[need], tiers[key])


def _step(header: Header, key: Key) -> int:
    """The step of a latent; 0 for others."""
    from codec.latent.layout import tiles

    if key[0] != Kind.LATENT:
        return 0
    every = tiles(header.width, header.height, header.weights)
    return every[key[1]].step if key[1] < len(every) else len(every)


def _tier(header: Header, key: Key, wanted: Sequence[_Box]) -> int:
    from codec.plan import area_of

    own, reach = _own(header, key), area_of(header, key)
    return min(0 if _meet(own, box) else 1 if _meet(reach, box) else 2 for box in wanted)


def _own(header: Header, key: Key) -> _Box:
    """The pixels of a chunk's own tile or cells, without what it reaches beyond them."""
    kind, index = key
    if kind == Kind.LATENT:
        from codec.latent.geometry import reduction
        from codec.latent.layout import tiles

        tile, k = tiles(header.width, header.height, header.weights)[index], reduction(header.width, header.height)
        return tile.x0 << k, tile.y0 << k, tile.x1 << k, tile.y1 << k
    from codec.residual.layout import Layout
    from codec.residual.transform import CELL

    x0, y0, x1, y1 = Layout.of(header).box(index)
    return x0 * CELL, y0 * CELL, x1 * CELL, y1 * CELL


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
