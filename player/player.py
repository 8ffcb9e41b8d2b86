"""What a person sees while a stream arrives: the best picture now, the caption, and a record of how they came.

Transport's events (or a file's bytes) come in with the time; nothing here reads a clock. Chunks are handed to the
decoder only when a picture is asked for, so a thousand small arrivals between two looks cost no more than one. What the
person wants more or less of goes to `asks`, which whoever receives the stream sets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from codec.stream import MAX_LENGTH, MAX_PLAIN, Chunk, FormatError, Header, Key, Kind, Reader, parse_header, write
from player.items import key_of

if TYPE_CHECKING:
    from codec.structure.regions import Region, Texture

Picture = NDArray[np.uint8]
Measure = Callable[[Picture, Picture], dict[str, float]]
"""(reference, shown) -> named figures."""


class PictureDecoder(Protocol):
    """What the player needs of `codec.Decoder`."""

    caption: str | None

    def push(self, chunk: Chunk) -> None: ...
    def picture(self) -> Picture: ...
    def layers(self) -> Sequence[str]: ...
    def exact_area(self) -> float: ...
    def verified(self) -> bool | None: ...


def _codec_decoder(header: Header) -> PictureDecoder:
    from codec.decoder import Decoder

    return Decoder(header)


@dataclass(frozen=True, slots=True)
class Moment:
    """What was to be seen at a time: seconds, bytes of the stream held, layers in use, caption, measured quality."""

    time: float
    bytes: int
    layers: tuple[str, ...]
    caption: str | None
    quality: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the player's log. `what`: header, chunk (`detail` is "kind index bytes whole|part"), caption, layer,
    dropped (with the reason)."""

    time: float
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Want:
    """What is wanted of a sender: layers up to `upto` ("": nothing more), the pixels of `region` first.

    region: x, y, width, height in pixels.
    """

    upto: str = "residual"
    region: tuple[int, int, int, int] | None = None


class Player:
    """One picture as it arrives.

    `reference` (uint8[H, W, C]) and `measure` together give each moment its quality. `decoder` makes what decodes the
    chunks behind a header, and refuses (FormatError) a header that it does not like.
    """

    def __init__(
        self,
        reference: Picture | None = None,
        measure: Measure | None = None,
        decoder: Callable[[Header], PictureDecoder] = _codec_decoder,
    ) -> None:
        self.timeline: list[Moment] = []
        self.events: list[Happening] = []
        self._reference = reference
        self._measure = measure
        self._make_decoder = decoder
        self.asks: Callable[[Want], None] | None = None
        self.header: Header | None = None
        self._reader = Reader()
        self._chunks: dict[Key, Chunk] = {}
        self._decoder: PictureDecoder | None = None
        self._waiting: dict[tuple[Kind, int], Chunk] = {}
        self._header_bytes = 0
        self._layers: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: str | Path) -> Player:
        """A player of a file, all of it at time 0. Raises OSError, FormatError."""
        player = cls()
        player.feed(Path(path).read_bytes(), 0.0)
        if player.header is None:
            raise FormatError("offset 0: ends inside the header")
        return player

    def feed(self, data: bytes, now: float) -> None:
        """More bytes of the stream, in the order of its file; use this or `start` and `push`.

        Raises FormatError for bytes that are no stream, or a header that the decoder refuses.
        """
        chunks = self._reader.push(data)
        header = self._reader.header
        if header is None:
            return
        if self._decoder is None:
            self.start(header.encode(), now)
            if self._decoder is None:
                raise FormatError(self.events[-1].detail.removeprefix("header: "))
        rest = self._reader.rest()
        for chunk in [*chunks, rest] if rest is not None and rest.payload else chunks:
            self.push_chunk(chunk, now)

    def start(self, header: bytes, now: float) -> None:
        """The stream's header came (again). One that cannot be read is noted and dropped; the next may be better."""
        if self._decoder is not None:
            return
        try:
            parsed, size = parse_header(header)
            self._decoder, self._header_bytes = self._make_decoder(parsed), size
        except FormatError as error:
            self._note(now, "dropped", f"header: {error}")
            return
        self.header = parsed
        self._note(now, "header", f"{parsed.width}x{parsed.height}")
        self._push_texts(now)

    def push(self, index: int, payload: bytes, complete: bool, now: float) -> None:
        """An item came or grew: its index, all its bytes from the start, and whether there are no more."""
        try:
            key = key_of(index)
        except FormatError as error:
            self._note(now, "dropped", str(error))
            return
        if len(payload) + (not complete) > MAX_LENGTH:
            self._note(now, "dropped", f"item {index} is longer than any chunk")
            return
        self.push_chunk(Chunk(*key, payload, len(payload) if complete else len(payload) + 1), now)

    def push_chunk(self, chunk: Chunk, now: float) -> None:
        """A chunk came, whole or cut, or more of it than before."""
        size = len(chunk.payload)
        known = self._chunks.get(chunk.key)
        if known is not None and size < len(known.payload):
            return
        self._chunks[chunk.key] = chunk
        self._waiting[chunk.key] = chunk
        part = "part" if chunk.cut else "whole"
        self._note(now, "chunk", f"{chunk.kind.name.lower()} {chunk.index} {size} {part}")
        self._push_texts(now)

    def stream(self) -> bytes:
        """A file of what is here; of the chunks cut short, one, at its end. Raises ValueError before the header."""
        if self.header is None:
            raise ValueError("nothing has come yet")
        chunks = list(self._chunks.values())
        cut = [chunk for chunk in chunks if chunk.cut and chunk.payload]
        return write(self.header, [*(chunk for chunk in chunks if not chunk.cut), *cut[:1]])

    @property
    def bytes(self) -> int:
        """Bytes of the stream held: header, and payloads with the framing that they have in a file."""
        sizes = (len(chunk.payload) for chunk in self._chunks.values())
        return self._header_bytes + sum(size + (2 if size <= MAX_PLAIN else 3) for size in sizes)

    @property
    def caption(self) -> str | None:
        return self._decoder.caption if self._decoder is not None else None

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers in use when the picture was last asked for."""
        return self._layers

    @property
    def exact(self) -> float:
        """Share of the picture that is the source's to the last bit, of what has come."""
        self._decode_waiting()
        return self._decoder.exact_area() if self._decoder is not None else 0.0

    @property
    def verified(self) -> bool | None:
        """Whether the pixels are the source's by their check; None without one, or as long as they cannot be."""
        if self._decoder is None or self.exact < 1:
            return None
        return self._decoder.verified()

    @property
    def regions(self) -> list[Region | Texture]:
        """What stands where, as far as it has come and can be read."""
        from codec.structure import regions

        found: list[Region | Texture] = []
        for _, chunk in sorted((key, chunk) for key, chunk in self._chunks.items() if key[0] == Kind.REGIONS):
            try:
                found += regions.decode(chunk.payload, self.header.weights if self.header else 1, not chunk.cut)
            except FormatError:
                continue
        return found

    def want(self, region: tuple[int, int, int, int] | None = None, upto: str = "residual") -> None:
        """Ask the sender for layers up to `upto`, the pixels x, y, width, height first. ValueError without a sender."""
        self._ask(Want(upto, region))

    def stop(self) -> None:
        """Ask the sender for nothing more. ValueError without a sender."""
        self._ask(Want(""))

    def lossless(self) -> None:
        """Ask the sender for everything. ValueError without a sender."""
        self._ask(Want())

    def save(self, path: str | Path, now: float = 0.0) -> None:
        """The picture now as a PNG, or what is here as a stream, by the name's ending (.png, .lcast).

        Raises ValueError for another ending or before the header came, FileError.
        """
        ending = Path(path).suffix.lower()
        if ending == ".lcast":
            from codec.files import write_whole

            write_whole(path, self.stream())
        elif ending == ".png":
            from codec.extract.photo import write_png

            picture = self.picture(now)
            if picture is None:
                raise ValueError("nothing has come yet")
            write_png(path, picture)
        else:
            raise ValueError(f"{path}: a picture is saved as .png, a stream as .lcast")

    def picture(self, now: float) -> Picture | None:
        """The best picture from what is here, uint8[H, W, C]; None before any header came. Do not write to it."""
        if self._decoder is None:
            return None
        self._decode_waiting()
        picture = self._decoder.picture()
        layers = tuple(self._decoder.layers())
        for layer in layers:
            if layer not in self._layers:
                self._note(now, "layer", layer)
        self._layers = layers
        return picture

    def look(self, now: float) -> Moment:
        """What is to be seen now, measured if there is a reference; it joins the timeline."""
        picture = self.picture(now)
        quality: dict[str, float] = {}
        if picture is not None and self._reference is not None and self._measure is not None:
            quality = self._measure(self._reference, picture)
        moment = Moment(now, self.bytes, self._layers, self.caption, quality)
        self.timeline.append(moment)
        return moment

    def _ask(self, want: Want) -> None:
        if self.asks is None:
            raise ValueError("there is no sender to ask: the picture comes from a file")
        self.asks(want)

    def _decode_waiting(self) -> None:
        if self._decoder is not None:
            for chunk in self._waiting.values():
                self._decoder.push(chunk)
            self._waiting.clear()

    def _push_texts(self, now: float) -> None:
        """The caption is cheap and wanted at once: it does not wait for the next picture."""
        if self._decoder is None:
            return
        before = self._decoder.caption
        for key in [key for key in self._waiting if key[0] == Kind.CAPTION]:
            self._decoder.push(self._waiting.pop(key))
        if self._decoder.caption is not None and self._decoder.caption != before:
            self._note(now, "caption", self._decoder.caption)

    def _note(self, now: float, what: str, detail: str) -> None:
        self.events.append(Happening(now, what, detail))
