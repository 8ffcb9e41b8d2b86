"""A stream as an object: look into it, select from it, cut it, without decoding a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from codec import plan
from codec.stream import Chunk, FormatError, Frame, Header, Kind, frames, parse_header, write

if TYPE_CHECKING:
    from codec.structure.regions import Region, Texture


@dataclass(frozen=True)
class Stream:
    """The bytes of a stream; whatever else it tells is read from them. Raises FormatError if they are none."""

    data: bytes

    def __post_init__(self) -> None:
        _ = self.frames

    @classmethod
    def load(cls, path: str | Path) -> Stream:
        """The stream in a file. Raises OSError, FormatError."""
        return cls(Path(path).read_bytes())

    def __len__(self) -> int:
        return len(self.data)

    @cached_property
    def header(self) -> Header:
        """Size, channels, weights set and base mark."""
        return parse_header(self.data)[0]

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """The chunks and where they lie."""
        return tuple(frames(self.data, self.header_size))

    @property
    def header_size(self) -> int:
        """Bytes of the header, 4 or 8."""
        return parse_header(self.data)[1]

    @property
    def chunks(self) -> list[Chunk]:
        """The chunks in the order of the file; the last can be a cut one."""
        return [frame.chunk for frame in self.frames]

    @property
    def bits_per_pixel(self) -> float:
        """Of the whole file."""
        return 8 * len(self.data) / self.header.pixels

    @property
    def caption(self) -> str | None:
        """The caption, or None if there is none that can be read."""
        from codec import caption

        for chunk in self.chunks:
            if chunk.kind == Kind.CAPTION:
                try:
                    return caption.decode(chunk.payload, self.header.weights, not chunk.cut).text
                except FormatError:
                    return None
        return None

    @property
    def regions(self) -> list[Region | Texture]:
        """What stands where, in the order of the file. Raises FormatError."""
        from codec.structure import regions

        entries: list[Region | Texture] = []
        for chunk in self.chunks:
            if chunk.kind == Kind.REGIONS:
                entries += regions.decode(chunk.payload, self.header.weights, not chunk.cut)
        return entries

    @property
    def meta(self) -> dict[str, str]:
        """The facts that travel along, by key; none if they cannot be read."""
        from codec.structure import meta

        for chunk in self.chunks:
            if chunk.key == (Kind.META, 0):
                try:
                    return meta.decode(chunk.payload, whole=not chunk.cut)
                except FormatError:
                    return {}
        return {}

    @property
    def layers(self) -> dict[str, int]:
        """Bytes of each layer, framing included, in the order of the layers; they and the header make up the file."""
        sizes = dict.fromkeys(plan.LAYERS, 0)
        for frame in self.frames:
            sizes[plan.layer_of(frame.chunk.kind)] += frame.end - frame.start
        return sizes

    def plan(self) -> list[plan.Item]:
        """The chunks as items for a sender."""
        return plan.plan(self.header, self.chunks)

    def upto(self, layer: str) -> Stream:
        """The stream with the layers up to `layer` alone, in the same order. ValueError for an unknown layer."""
        return Stream(write(self.header, plan.select(self.chunks, layer)))

    def cut(self, size: int) -> Stream:
        """The first `size` bytes, less what would be of no use at their end. ValueError if not even the header fits."""
        if size < self.header_size:
            raise ValueError(f"{size} bytes cannot hold the header of {self.header_size}")
        kept = tuple(frames(self.data[:size], self.header_size))
        if kept and kept[-1].chunk.cut and not kept[-1].chunk.payload:
            kept = kept[:-1]
        return Stream(self.data[: kept[-1].end if kept else self.header_size])
