"""Chunks in, the exact picture out: incremental, in any order, from any set of chunks, always a picture.

`Decoder` is sans-I/O: push chunks as they come, ask for the picture at any time. A chunk waits until what it needs is
there; a cut chunk counts as far as it goes and is replaced when more of it arrives. What cannot be decoded is dropped
and reported. `decode` does the same for a whole file.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codec import caption, plan
from codec.latent.decoder import LatentDecoder
from codec.residual import ResidualDecoder
from codec.residual.transform import CELL
from codec.stream import Chunk, FormatError, Header, Key, Kind, read
from codec.structure import edges, meta

DEFAULT_LIMIT = 64_000_000  # pixels
Picture = NDArray[np.uint8]


@dataclass
class Decoded:
    """What a stream gave.

    picture: uint8[height, width, channels]. caption_source: "given", "guessed" or "" without a caption. verified: the
    pixels are the source's to the last bit and their CRC says so (None: the stream has none). exact_area: the share
    of the picture that is exact. dropped: chunks that could not be used, with the reason. used: those that were.
    """

    picture: Picture
    header: Header
    caption: str | None
    caption_source: str
    meta: dict[str, str]
    verified: bool | None
    exact_area: float
    dropped: list[tuple[Key, str]] = field(default_factory=list)
    used: list[Key] = field(default_factory=list)


class Decoder:
    """The picture of one stream, growing chunk by chunk.

    Raises FormatError for a header that names an unknown weights set or more than `limit` pixels; `strict`: also for
    any chunk that cannot be used.
    """

    def __init__(self, header: Header, *, limit: int = DEFAULT_LIMIT, strict: bool = False) -> None:
        if header.pixels > limit:
            raise FormatError(
                f"offset 2: a picture of {header.pixels} pixels is above the limit of {limit}; raise it to read this"
            )
        self.header = header
        self.caption: str | None = None
        self.caption_source = ""
        self.meta: dict[str, str] = {}
        self.dropped: dict[Key, str] = {}
        self._strict = strict
        self._latent = LatentDecoder(header)
        self._residual = ResidualDecoder(header)
        self._edges = edges.EdgeDecoder(header)
        self._profile: dict[int, bytes] = {}
        self._crc: int | None = None
        self._whole: set[Key] = set()
        self._cut: dict[Key, Chunk] = {}
        self._waiting: dict[Key, Chunk] = {}
        self._corrections: list[Chunk] = []  # residual chunks whose needs are met, decoded together when asked for
        self._shown: Picture | None = None

    def push(self, chunk: Chunk) -> None:
        """Takes a chunk, whole or cut, new or repeated."""
        key = chunk.key
        known = self._cut.get(key, self._waiting.get(key))
        if key in self._whole or (known is not None and len(known.payload) >= len(chunk.payload)):
            return
        if chunk.kind == Kind.LATENT and chunk.index >= self.header.base:
            self._drop(key, "beyond the base")
            return
        if self._missing(key):
            self._waiting[key] = chunk
            return
        self._take(chunk)
        if not chunk.cut:
            self._release()

    def picture(self) -> Picture:
        """The best exact picture now: uint8[height, width, channels]. Do not write to it."""
        if self._shown is None:
            self._decode_corrections()
            base = in_channels(self._latent.picture(), self.header.channels)
            self._shown = self._residual.correct(base)
        return self._shown

    def edge_map(self) -> Picture | None:
        """Edge strength uint8[h, w] of the structure layer, a quarter of the base picture's size; None without it."""
        return self._edges.map() if any(kind == Kind.EDGES for kind, _ in self.used()) else None

    def profile(self) -> bytes | None:
        """The colour profile (ICC) of the pixels; None without one, or as long as parts of it are missing."""
        return meta.decode_profile([self._profile[i] for i in sorted(self._profile)])

    def used(self) -> list[Key]:
        """The chunks that the picture and the texts come from, cut ones included."""
        return sorted(self._whole | set(self._cut))

    def layers(self) -> list[str]:
        """The layers of which something was used, in the order of plan.LAYERS."""
        present = {plan.layer_of(kind) for kind, _ in self.used() if kind not in (Kind.META, Kind.CHECK)}
        return [layer for layer in plan.LAYERS if layer in present]

    def exact_cells(self) -> NDArray[np.bool_]:
        """bool[rows, columns] of the picture's 128x128 squares: those whose pixels are the source's to the last bit."""
        self._decode_corrections()
        cells = self._residual.exact_cells()
        base = all((Kind.LATENT, i) in self._whole for i in range(self.header.base))
        return cells if base else np.zeros_like(cells)

    def exact_area(self) -> float:
        """Share of the picture whose pixels are the source's to the last bit."""
        cells = self.exact_cells()
        heights, widths = (
            np.minimum(CELL, side - CELL * np.arange(count))
            for side, count in zip((self.header.height, self.header.width), cells.shape, strict=True)
        )
        return float(heights @ cells @ widths / self.header.pixels)

    def refined(self) -> NDArray[np.float32]:
        """float32[rows, columns] of the picture's 128x128 squares: how far the residual is there, 0 to 1."""
        self._decode_corrections()
        return self._residual.refined()

    def verified(self) -> bool | None:
        """True when the CRC of the pixels agrees, False when it does not (yet), None when the stream brought none."""
        return None if self._crc is None else zlib.crc32(self.picture().tobytes()) == self._crc

    def report(self) -> Decoded:
        """Everything at once. Chunks that still wait count as dropped."""
        dropped = self.dropped | dict.fromkeys(self._waiting, "what it needs is missing")
        return Decoded(
            picture=self.picture(),
            header=self.header,
            caption=self.caption,
            caption_source=self.caption_source,
            meta=self.meta,
            verified=self.verified(),
            exact_area=self.exact_area(),
            dropped=sorted(dropped.items()),
            used=self.used(),
        )

    def _missing(self, key: Key) -> bool:
        return any(need not in self._whole for need in plan.needs_of(self.header, key))

    def _release(self) -> None:
        """Takes what waited for nothing more."""
        while ready := [chunk for key, chunk in self._waiting.items() if not self._missing(key)]:
            for chunk in sorted(ready, key=lambda chunk: chunk.key):
                del self._waiting[chunk.key]
                self._take(chunk)

    def _take(self, chunk: Chunk) -> None:
        try:
            usable = self._decode(chunk)
        except FormatError as problem:
            self._drop(chunk.key, str(problem))
            return
        if not usable:
            self._drop(chunk.key, "impossible payload")
            return
        self._cut.pop(chunk.key, None)
        if chunk.cut:
            self._cut[chunk.key] = chunk
        else:
            self._whole.add(chunk.key)
        if chunk.kind in (Kind.LATENT, Kind.RESIDUAL):
            self._shown = None

    def _decode(self, chunk: Chunk) -> bool:
        kind, payload, whole = chunk.kind, chunk.payload, not chunk.cut
        if kind == Kind.LATENT:
            return self._latent.push(chunk.index, payload, whole)
        if kind == Kind.RESIDUAL:
            self._corrections.append(chunk)
            return True
        if kind == Kind.EDGES:
            return self._edges.push(chunk.index, payload, whole)
        if kind == Kind.CAPTION:
            text = caption.decode(payload, self.header.weights, whole)
            self.caption, self.caption_source = text.text, "guessed" if text.guessed else "given"
        elif kind == Kind.META and chunk.index == 0:
            self.meta = meta.decode(payload, whole)
        elif kind == Kind.META:
            self._profile[chunk.index] = payload
        elif kind == Kind.CHECK and whole:
            if len(payload) != 4:
                return False
            self._crc = int.from_bytes(payload, "big")
        return True

    def _decode_corrections(self) -> None:
        if self._corrections:
            chunks, self._corrections = self._corrections, []
            taken = self._residual.push_many([(c.index, c.payload, not c.cut) for c in chunks])
            for chunk, usable in zip(chunks, taken, strict=True):
                if not usable:
                    self._whole.discard(chunk.key)
                    self._drop(chunk.key, "impossible payload")

    def _drop(self, key: Key, reason: str) -> None:
        if self._strict:
            raise FormatError(f"{Kind(key[0]).name} {key[1]}: {reason}")
        self.dropped[key] = reason


def in_channels(colour: Picture, channels: int) -> Picture:
    """A base's picture uint8[H,W,3] (grey: three times the same) in so many channels, alpha opaque."""
    kept = colour[..., :1] if channels < 3 else colour
    if channels % 2:
        return kept
    return np.concatenate([kept, np.full_like(colour[..., :1], 255)], axis=2)


def decode(data: bytes, *, upto: str | None = None, strict: bool = False, limit: int = DEFAULT_LIMIT) -> Decoded:
    """The picture and the texts of a stream, or of as much of one as `data` holds.

    upto: only the layers up to this one (caption, structure, latent, residual; ValueError otherwise). Raises
    FormatError when the header is damaged, unknown or above `limit` pixels; `strict`: for any damage.
    """
    return fed(data, upto=upto, strict=strict, limit=limit).report()


def fed(data: bytes, *, upto: str | None = None, strict: bool = False, limit: int = DEFAULT_LIMIT) -> Decoder:
    """A decoder that was given a stream, or as much of one as `data` holds. As `decode`."""
    header, chunks = read(data, strict)
    decoder = Decoder(header, limit=limit, strict=strict)
    for chunk in plan.select(chunks, upto) if upto else chunks:
        decoder.push(chunk)
    return decoder
