"""What is fuzzed: for each parser its honest inputs and how hostile ones are fed to it.

A parser returns, or raises its one error; `feed` lets everything else through, to the test. Pictures are small and made
with the tiny set of weights. A residual takes hundreds of passes however small the picture is, so the parsers that run
it get fewer inputs than the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from safetensors.numpy import save

import codec
from codec import caption, models, plan, stream
from codec.decoder import Decoder
from codec.stream import Chunk, FormatError, Header, Kind
from codec.structure import meta, regions
from transport import control, symbols, wire
from transport.control import First, Held, Level, Partial

LIMIT = 5000  # pixels; a damaged header may ask for billions
ALL_LAYERS = (80, 56, 3)  # width, height, channels: above the size from which streams have all layers
SMALL = (11, 9, 1)
TEXTS = ("", "a dog runs", "Two boats lie at a wooden pier.", "Ünïcödé 写真 🙂", "x" * 200)
FACTS = {"time": "2026-11-23T20:00:00Z", "place": "51.5,-0.1", "note": "härte"}


@dataclass(frozen=True)
class Parser:
    """A parser: its honest inputs, how it is fed, how many hostile inputs it gets."""

    name: str
    honest: Callable[[], Sequence[bytes]]
    feed: Callable[[bytes], object]
    inputs: int


def picture(width: int, height: int, channels: int) -> np.ndarray:
    """Slopes, an edge and noise: uint8[height, width, channels]."""
    y, x = np.mgrid[:height, :width]
    planes = [(3 * x + (c + 1) * y + 90 * (x > width // 2)) % 256 for c in range(channels)]
    noise = np.random.default_rng(channels).integers(0, 9, (height, width, channels))
    return np.clip(np.stack(planes, axis=2) + noise, 0, 255).astype(np.uint8)


@cache
def streams() -> tuple[bytes, ...]:
    """Whole streams with every layer, of one to four channels and small and odd sizes."""
    full = _stream(*ALL_LAYERS)
    header, chunks = stream.read(full)
    with_regions = [*chunks, Chunk(Kind.REGIONS, 0, region_payloads()[0])]
    return (full, stream.write(header, with_regions), stream.write(header, reversed(chunks)), *small_streams())


@cache
def small_streams() -> tuple[bytes, ...]:
    """Streams of small pictures of one to four channels."""
    return tuple(_stream(*shape) for shape in (SMALL, (1, 1, 3), (7, 5, 4), (4, 12, 2)))


@cache
def _stream(width: int, height: int, channels: int) -> bytes:
    return codec.encode(picture(width, height, channels), caption=TEXTS[2], meta_data=FACTS, weights=0)


@cache
def region_payloads() -> tuple[bytes, ...]:
    """Described regions, one and several."""
    box, other = regions.Box(0, 0, 15, 15), regions.Box(2, 3, 9, 3)
    one, two = regions.Region(box, "a red boat"), regions.Region(other, "the water")
    return regions.encode([one], 0), regions.encode([one, two], 0), regions.encode([], 0)


def read_container(data: bytes) -> None:
    """Reads, plans, selects and writes again; what was read must come back when written."""
    header, chunks = stream.read(data)
    back = stream.read(stream.write(header, chunks))
    assert back[0] == header and back[1] == chunks
    reader = stream.Reader()
    coming = [*reader.push(data[: len(data) // 2]), *reader.push(data[len(data) // 2 :])]
    rest = reader.rest()
    assert reader.header == header and [*coming, *([rest] if rest is not None else [])] == chunks
    if header.pixels <= LIMIT and header.weights == 0:
        plan.plan(header, chunks)
        plan.order(header, chunks)


def _whole_and_cut(decode: Callable[[bytes, bool], object]) -> Callable[[bytes], None]:
    """The last bit of the input says whether the payload counts as cut."""

    def feed(data: bytes) -> None:
        decode(data, not (data and data[-1] & 1))

    return feed


@cache
def _layer_chunks(kind: Kind) -> tuple[Header, tuple[Chunk, ...]]:
    """Header, latents and the chunks of one kind of a stream that has them."""
    header, chunks = stream.read(_stream(*(SMALL if kind == Kind.RESIDUAL else ALL_LAYERS)))
    return header, tuple(chunk for chunk in chunks if chunk.kind in (kind, Kind.LATENT))


def layer_payloads(kind: Kind) -> Callable[[], Sequence[bytes]]:
    """The payloads of one kind, the number of the chunk before each."""
    return lambda: [
        bytes([chunk.index % 256]) + chunk.payload for chunk in _layer_chunks(kind)[1] if chunk.kind == kind
    ]


def feed_layer(kind: Kind) -> Callable[[bytes], None]:
    """Pushes a hostile payload as the chunk that its first byte names, among honest ones; there is always a picture."""

    def feed(data: bytes) -> None:
        header, honest = _layer_chunks(kind)
        index, payload = data[0] if data else 0, data[1:]
        decoder = Decoder(header, limit=LIMIT)
        for chunk in honest:
            if chunk.key == (kind, index):
                break
            decoder.push(chunk)
        decoder.push(Chunk(kind, index, payload, len(payload) + (len(payload) & 1)))
        shown = decoder.picture()
        assert shown.shape == (header.height, header.width, header.channels) and shown.dtype == np.uint8

    return feed


def decode_whole(data: bytes) -> None:
    """A whole file: a picture of the declared size, or FormatError."""
    decoded = codec.decode(data, limit=LIMIT)
    assert decoded.picture.shape == (decoded.header.height, decoded.header.width, decoded.header.channels)


def _packets() -> Sequence[bytes]:
    one, two = wire.Segment(1, 3, 0, b"payload", True), wire.Segment(2, 300, 70, b"x" * 40, False)
    return (
        wire.Data(7, (one,)).encode(),
        wire.Data(1 << 30, (replace(one, cls=0), two, one), number=65535, preamble=b"\xc1\x1a\x00\x04").encode(),
        wire.Data(7, (two, two), coded=(130, 12)).encode(),
        wire.Data(7, (replace(one, cls=2), two), number=7, coded=(3, 0)).encode(),
        wire.Name("G4ABC").encode(),
        symbols.Repair(7, 2, 130, 20, 5, 0xABCD, bytes(range(48))).encode(),
        symbols.Repair(7, 1, 3, 200, 255, 0x0102, bytes(16), number=9).encode(),
        symbols.Rebuilt(((7, 2, 130), (9, 1, 3))).encode(),
        wire.Ack(3, ((0, 2), (5, 9)), 0.1, 500, 4660, 185).encode(),
        control.Request(3, (Level(None, 2), First(7, ((3, range(5, 900, 8)),)), Partial(7, 1, 300, 70))).encode(),
        control.Request(9, (Held(7, ((0, range(1)), (2, range(1, 18, 8)))), Level(7, control.NOTHING))).encode(),
        control.Heard((3, 9)).encode(),
    )


def _weights() -> Sequence[bytes]:
    arrays = {
        "a": np.arange(6, dtype=np.int16).reshape(2, 3),
        "b": np.ones(4, np.float32),
        "none": np.zeros((0, 2), "u1"),
    }
    return save(arrays), save(arrays, metadata={"made": "here"}), save({})


def read_weights(data: bytes) -> None:
    """A file of weights: arrays of the sizes that its head says, or ValueError."""
    try:
        models.read_safetensors(data)
    except ValueError as error:
        raise FormatError(str(error)) from None


def parse_packet(data: bytes) -> None:
    """A packet has one form: what parses must come back."""
    assert wire.parse(data).encode() == data


PARSERS = (
    Parser("header", lambda: [data[:8] for data in streams()], stream.parse_header, 3500),
    Parser("container", streams, read_container, 6000),
    Parser("packet", _packets, parse_packet, 5000),
    Parser("caption", lambda: [caption.encode(text, 0) for text in TEXTS],
           _whole_and_cut(lambda data, whole: caption.decode(data, 0, whole)), 1200),
    Parser("meta", lambda: [meta.encode(FACTS)], _whole_and_cut(meta.decode), 2500),
    Parser("weights", _weights, read_weights, 1500),
    Parser("regions", region_payloads, _whole_and_cut(lambda data, whole: regions.decode(data, 0, whole)), 1000),
    Parser("edges", layer_payloads(Kind.EDGES), feed_layer(Kind.EDGES), 200),
    Parser("latent", layer_payloads(Kind.LATENT), feed_layer(Kind.LATENT), 300),
    Parser("residual", layer_payloads(Kind.RESIDUAL), feed_layer(Kind.RESIDUAL), 250),
    Parser("whole stream", lambda: streams() + 3 * small_streams(), decode_whole, 300),
)  # fmt: skip
ERRORS = (FormatError, wire.WireError)
