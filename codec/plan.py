"""The chunks of a stream as plain fields: what a sender, a cutter or a report wants to know without decoding anything.

Stands between the container (`stream`) and whoever moves chunks: the transport takes items of (class, key, payload,
priority, needs, may it be cut) and never learns what a picture is. Also decides the order of a file and what
`cut --upto LAYER` keeps. Layers name kinds, not the order of bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from codec import region
from codec.region import Region
from codec.stream import Chunk, Framer, Header, Key, Kind

LAYERS = ("caption", "structure", "latent", "residual")
CLASSES = ("base", "structure", "latent", "residual")  # of protection, the best protected first
STRUCTURE_AFTER = 300  # bytes of latents, framing included, before structure under `prefer="structure"`

# Texts and the check say nothing about pixels, so they need nothing and nothing needs them.
_LAYER_OF = {
    Kind.CAPTION: "caption",
    Kind.META: "structure",
    Kind.REGIONS: "structure",
    Kind.EDGES: "structure",
    Kind.LATENT: "latent",
    Kind.RESIDUAL: "residual",
    Kind.CHECK: "residual",
}
_MAY_CUT = frozenset({Kind.EDGES, Kind.LATENT, Kind.RESIDUAL})  # what is left of these still shows something
# The layers that know needs of their own, and where.
_NEEDS_OF = {Kind.EDGES: "codec.structure.edges", Kind.LATENT: "codec.latent.layout", Kind.RESIDUAL: "codec.residual"}


class _Layer(Protocol):
    def needs(self, header: Header, index: int) -> tuple[Key, ...]: ...
    def area(self, header: Header, index: int) -> tuple[int, int, int, int]: ...


@dataclass(frozen=True)
class Item:
    """One chunk in plain fields. `priority` 0 goes first; `length` is the declared one; `framing` and payload add up
    to the chunk's bytes in a file of this order."""

    key: Key
    layer: str
    protection: str
    payload: bytes
    length: int
    framing: int
    priority: int
    needs: tuple[Key, ...]
    may_cut: bool


def layer_of(kind: Kind) -> str:
    """The layer, one of LAYERS, that a kind of chunk belongs to."""
    return _LAYER_OF[kind]


def needs_of(header: Header, key: Key) -> tuple[Key, ...]:
    """The chunks that `key` builds on directly: a pure function of header and key.

    A chunk that a picture of this size cannot have needs nothing; its layer refuses it. FormatError for an unknown
    set of weights.
    """
    kind, index = key
    if kind not in _NEEDS_OF:
        return ()
    try:
        return cast(_Layer, import_module(_NEEDS_OF[kind])).needs(header, index)
    except IndexError:
        return ()


def area_of(header: Header, key: Key) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1), ends excluded: the pixels of the exact picture that a chunk can change; none for a text.

    A latent changes the base, whose coefficients stand in for the residual's where those are unknown: its area grows by
    the reach of the residual's transform. A pure function of header and key.
    """
    kind, index = key
    if kind == Kind.RESIDUAL:
        return cast(_Layer, import_module("codec.residual")).area(header, index)
    if kind != Kind.LATENT:
        return 0, 0, 0, 0
    from codec.residual.layout import REACH

    x0, y0, x1, y1 = cast(_Layer, import_module("codec.latent")).area(header, index)
    return max(0, x0 - REACH), max(0, y0 - REACH), min(header.width, x1 + REACH), min(header.height, y1 + REACH)


def protection_of(header: Header, key: Key) -> str:
    """The class of protection, one of CLASSES: caption and thumbnail are `base`, latents of the base `latent`."""
    kind, index = key
    if kind == Kind.CAPTION or key == (Kind.LATENT, 0):
        return "base"
    if kind == Kind.LATENT:
        return "latent" if index < header.base else "residual"
    return _LAYER_OF[kind]


def plan(header: Header, chunks: Sequence[Chunk]) -> list[Item]:
    """The chunks of a stream, in its order, as items."""
    framer = Framer()
    return [
        Item(
            key=chunk.key,
            layer=layer_of(chunk.kind),
            protection=protection_of(header, chunk.key),
            payload=chunk.payload,
            length=chunk.length,
            framing=len(framer.framing(chunk)),
            priority=place,
            needs=needs_of(header, chunk.key),
            may_cut=chunk.kind in _MAY_CUT,
        )
        for place, chunk in enumerate(chunks)
    ]


def select(chunks: Sequence[Chunk], upto: str) -> list[Chunk]:
    """The chunks of the layers up to `upto`, one of LAYERS (ValueError otherwise)."""
    if upto not in LAYERS:
        raise ValueError(f"unknown layer {upto!r}; one of {', '.join(LAYERS)}")
    wanted = LAYERS[: LAYERS.index(upto) + 1]
    return [chunk for chunk in chunks if layer_of(chunk.kind) in wanted]


def _rank(header: Header, key: Key) -> int:
    """Coarse place in the default order: caption, thumbnail, meta, base, structure, profiles, the rest, check."""
    kind, index = key
    if kind == Kind.CAPTION:
        return 0
    if kind == Kind.META:
        return 2 if index == 0 else 5  # facts early; a colour profile stands right before the residual
    if kind in (Kind.REGIONS, Kind.EDGES):
        return 4
    if kind == Kind.LATENT and index < max(header.base, 1):
        return 1 if index == 0 else 3
    return 7 if kind == Kind.CHECK else 6


def order(
    header: Header,
    chunks: Sequence[Chunk],
    prefer: str | None = None,
    regions: Sequence[Region] = (),
) -> list[Chunk]:
    """The chunks in the order of a file.

    Chunks of one rank keep the order given. `prefer="structure"` puts structure after the first 300 bytes of latents.
    `regions` (x, y, width, height in pixels): latents and residual that show them go first. ValueError for any
    other preference, or for a region outside the picture.
    """
    if prefer not in (None, "structure"):
        raise ValueError(f"cannot prefer {prefer!r}; only structure")
    ranked = sorted(chunks, key=lambda chunk: _rank(header, chunk.key))
    if regions:
        shown = [chunk for chunk in ranked if chunk.kind in (Kind.LATENT, Kind.RESIDUAL)]
        others = [chunk for chunk in ranked if chunk.kind not in (Kind.LATENT, Kind.RESIDUAL)]
        ranked = sorted([*others, *region.first(header, shown, regions)], key=lambda chunk: _rank(header, chunk.key))
    return _structure_first(ranked) if prefer else ranked


def _structure_first(ranked: list[Chunk]) -> list[Chunk]:
    """Structure moved to behind the latent that reaches the first 300 bytes of latents."""
    structure = [chunk for chunk in ranked if chunk.kind in (Kind.REGIONS, Kind.EDGES)]
    others = [chunk for chunk in ranked if chunk.kind not in (Kind.REGIONS, Kind.EDGES)]
    framer, spent, place = Framer(), 0, 0
    for at, chunk in enumerate(others):
        if chunk.kind == Kind.LATENT and spent < STRUCTURE_AFTER:
            spent += len(framer.framing(chunk)) + len(chunk.payload)
            place = at + 1
    return others[:place] + structure + others[place:]
