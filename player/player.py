"""What a person sees while a stream arrives: the best picture now, the caption, and a record of how they came.

Transport's events (or a file's chunks) come in with the time; nothing here reads a clock. Chunks are handed to the
decoder only when a picture is asked for, so a thousand small arrivals between two looks cost no more than one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codec.stream import MAX_LENGTH, MAX_PLAIN, Chunk, FormatError, Header, Kind, parse_header
from player.items import key_of

Picture = NDArray[np.uint8]
Measure = Callable[[Picture, Picture], dict[str, float]]
"""(reference, shown) -> named figures."""


class PictureDecoder(Protocol):
    """What the player needs of `codec.Decoder`."""

    caption: str | None

    def push(self, chunk: Chunk) -> None: ...
    def picture(self) -> Picture: ...
    def layers(self) -> Sequence[str]: ...


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
        self._decoder: PictureDecoder | None = None
        self._waiting: dict[tuple[Kind, int], Chunk] = {}
        self._sizes: dict[tuple[Kind, int], int] = {}
        self._header_bytes = 0
        self._layers: tuple[str, ...] = ()

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
        if size < self._sizes.get(chunk.key, 0):
            return
        self._sizes[chunk.key] = size
        self._waiting[chunk.key] = chunk
        part = "part" if chunk.cut else "whole"
        self._note(now, "chunk", f"{chunk.kind.name.lower()} {chunk.index} {size} {part}")
        self._push_texts(now)

    @property
    def bytes(self) -> int:
        """Bytes of the stream held: header, and payloads with the framing that they have in a file."""
        return self._header_bytes + sum(size + (2 if size <= MAX_PLAIN else 3) for size in self._sizes.values())

    @property
    def caption(self) -> str | None:
        return self._decoder.caption if self._decoder is not None else None

    def picture(self, now: float) -> Picture | None:
        """The best picture from what is here, uint8[H, W, C]; None before any header came. Do not write to it."""
        if self._decoder is None:
            return None
        for chunk in self._waiting.values():
            self._decoder.push(chunk)
        self._waiting.clear()
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
