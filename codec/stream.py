"""The container: a header of 4 or 8 bytes and the chunks behind it, as bytes and back.

Everything that reads or writes a `.lcast` passes through here; what the payloads mean is the layers' affair.
Theory of operation (FORMAT.md is normative):

* The header says size, channels, weights set and base mark. Nothing can be shown before its end, everything after.
* A chunk is framed by two bytes (three where they do not hold it): kind, how many indices to skip, length. There are no
  check bytes and no terminator: the file ends where its bytes end, so cutting a file is cutting its bytes.
* A chunk that the end of the file cuts short is delivered as a cut chunk. Framing that is itself cut is ignored.
* Kind 7 is the seek: it sets the next index of a kind, for indices too far from the one expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

MAGIC = 0xC1  # draft 0; this byte never occurs in UTF-8, so no text file is taken for a stream
EXPLICIT_SIZE = 0xFF
MAX_SIDE = 65536
MAX_WEIGHTS = 15
MAX_BASE = 255
MAX_LENGTH = (1 << 14) - 1  # bytes of one payload
MAX_INDEX = (1 << 24) - 1
MAX_PLAIN = (1 << 11) - 1  # the longest payload that two bytes can name of a chunk whose index is the one expected
_NEAR, _SHORT = 5, 6  # bits of the skip and of the length, where two bytes name both
_FAR = 6  # bits of the skip in three bytes
SEEK = 7

Key = tuple["Kind", int]


class FormatError(ValueError):
    """The bytes are no stream, or a damaged one. The message names the byte offset where that showed."""


class Kind(IntEnum):
    """What a chunk's payload is. 7 is not a kind but the seek of the framing."""

    CAPTION = 0
    META = 1
    REGIONS = 2
    EDGES = 3
    LATENT = 4
    RESIDUAL = 5
    CHECK = 6


# Landscape or square; each that is not square stands in the code table a second time, turned by 90 degrees, right
# behind. The order is part of the format. From 1.0 on sizes are only appended (at most 255 codes in all).
_LANDSCAPE = (
    # test pictures and web data sets
    (768, 512), (480, 320), (480, 360), (480, 270), (640, 480), (500, 375), (500, 333), (500, 334), (500, 332),
    (640, 427), (640, 426), (640, 428), (640, 425), (640, 424), (640, 360), (481, 321), (480, 321), (480, 319),
    # squares
    (64, 64), (96, 96), (128, 128), (224, 224), (256, 256), (320, 320), (384, 384), (480, 480), (500, 500), (512, 512),
    (640, 640), (768, 768), (800, 800), (1000, 1000), (1024, 1024), (1080, 1080), (1200, 1200), (1536, 1536),
    (2048, 2048), (3024, 3024),
    # video and screens
    (160, 120), (176, 144), (320, 180), (320, 240), (352, 288), (426, 240), (512, 288), (720, 480), (720, 576),
    (768, 576), (854, 480), (960, 540), (1024, 576), (1280, 720), (1280, 800), (1366, 768), (1440, 900), (1600, 900),
    (1920, 1080), (1920, 1200), (2560, 1440), (2560, 1600), (3840, 2160), (7680, 4320),
    # 4:3 and 5:4
    (128, 96), (240, 180), (256, 192), (400, 300), (512, 384), (800, 600), (960, 720), (1024, 768), (1152, 864),
    (1280, 960), (1280, 1024), (1400, 1050), (1600, 1200), (2048, 1536), (2560, 1920), (2592, 1944), (3264, 2448),
    (3648, 2736), (4000, 3000), (4032, 3024), (4608, 3456), (5184, 3888), (8000, 6000), (8064, 6048), (9248, 6936),
    # 3:2
    (240, 160), (300, 200), (384, 256), (600, 400), (720, 482), (800, 533), (900, 600), (960, 640), (1024, 683),
    (1024, 682), (1080, 720), (1200, 800), (1280, 853), (1280, 854), (1500, 1000), (1536, 1024), (1600, 1067),
    (1620, 1080), (1920, 1280), (2048, 1365), (3000, 2000), (3072, 2048), (3888, 2592), (4272, 2848), (4608, 3072),
    (4752, 3168), (4928, 3264), (5184, 3456), (5472, 3648), (5616, 3744), (6000, 4000), (6240, 4160), (6720, 4480),
    (7008, 4672), (8192, 5464), (8256, 5504),
    # phones and cameras in 16:9, 20:9
    (4000, 2250), (4032, 2268), (4128, 3096), (4160, 3120), (4624, 3468), (5312, 2988), (2400, 1080), (2340, 1080),
)  # fmt: skip


def _size_table() -> tuple[tuple[int, int], ...]:
    """Every size with a one-byte code, in the order of its code."""
    table: list[tuple[int, int]] = []
    for width, height in _LANDSCAPE:
        table.append((width, height))
        if width != height:
            table.append((height, width))
    return tuple(table)


SIZES = _size_table()
_CODE = {size: code for code, size in enumerate(SIZES)}


@dataclass(frozen=True)
class Header:
    """What must be known before the first chunk.

    width, height: pixels, 1..65536. channels: 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA. weights: the set of weights (0 tiny,
    1 base). base: how many latent chunks, counted from index 0, form the base that the residual corrects.
    """

    width: int
    height: int
    channels: int = 3
    weights: int = 1
    base: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 1, MAX_SIDE),
            ("height", 1, MAX_SIDE),
            ("channels", 1, 4),
            ("weights", 0, MAX_WEIGHTS),
            ("base", 0, MAX_BASE),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} {value} is not in {low}..{high}")

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    def encode(self) -> bytes:
        """4 bytes for a size in SIZES, otherwise 8."""
        code = _CODE.get((self.width, self.height), EXPLICIT_SIZE)
        head = bytes((MAGIC, self.weights << 4 | (self.channels - 1) << 2, code, self.base))
        if code != EXPLICIT_SIZE:
            return head
        return head + (self.width - 1).to_bytes(2, "big") + (self.height - 1).to_bytes(2, "big")


@dataclass(frozen=True)
class Chunk:
    """A piece of one layer. `length` is the length that the framing declared: more than the payload has if it was cut.

    Left out, `length` is that of the payload.
    """

    kind: Kind
    index: int
    payload: bytes
    length: int = -1

    def __post_init__(self) -> None:
        if self.length == -1:
            object.__setattr__(self, "length", len(self.payload))
        if not 0 <= self.index <= MAX_INDEX:
            raise ValueError(f"chunk index {self.index} is not in 0..{MAX_INDEX}")
        if not len(self.payload) <= self.length <= MAX_LENGTH:
            raise ValueError(f"a chunk of {self.length} bytes with {len(self.payload)} at hand; at most {MAX_LENGTH}")

    @property
    def key(self) -> Key:
        """Kind and index: names the chunk within its stream."""
        return self.kind, self.index

    @property
    def cut(self) -> bool:
        """Whether bytes are missing at the end of the payload."""
        return len(self.payload) < self.length


@dataclass(frozen=True)
class Frame:
    """A chunk and where it lies in the file: framing (a seek included) from `start`, payload from `body` to `end`."""

    chunk: Chunk
    start: int
    body: int
    end: int


def parse_header(data: bytes | bytearray) -> tuple[Header, int]:
    """The header and the offset behind it. Raises FormatError."""
    if not data:
        raise FormatError("offset 0: empty, not a layercast stream")
    if data[0] != MAGIC:
        raise FormatError("offset 0: not a layercast stream (this version reads draft 0 of the format)")
    if len(data) < 4:
        raise FormatError(f"offset {len(data)}: ends inside the header")
    flags, code, base = data[1] & 3, data[2], data[3]
    if flags:
        raise FormatError(f"offset 1: reserved flags {flags} are set; a later version may read this")
    if code == EXPLICIT_SIZE:
        if len(data) < 8:
            raise FormatError(f"offset {len(data)}: ends inside the header")
        width, height = (int.from_bytes(data[at : at + 2], "big") + 1 for at in (4, 6))
    elif code < len(SIZES):
        width, height = SIZES[code]
    else:
        raise FormatError(f"offset 2: unknown size code {code}; a later version may read this")
    header = Header(width, height, (data[1] >> 2 & 3) + 1, data[1] >> 4, base)
    return header, 8 if code == EXPLICIT_SIZE else 4


def _parse_framing(data: bytes | bytearray, at: int) -> tuple[int, int, int, int] | None:
    """Kind, skip, declared length and offset of the payload; None when the framing itself is cut."""
    size = 2 + (at < len(data) and data[at] >> 7)
    if at + size > len(data):
        return None
    word, body = int.from_bytes(data[at : at + size], "big"), at + size
    if size == 3:
        return word >> 20 & 7, _signed(word >> 14, _FAR), word & MAX_LENGTH, body
    kind = word >> 12
    if kind == SEEK:
        return kind, word >> 6 & 63, word & 63, body
    if word >> 11 & 1:
        return kind, _signed(word >> _SHORT, _NEAR), word & ((1 << _SHORT) - 1), body
    return kind, 0, word & MAX_PLAIN, body


def _signed(field: int, bits: int) -> int:
    """The lowest `bits` of `field` in two's complement."""
    half = 1 << bits - 1
    return ((field + half) & (2 * half - 1)) - half


def _parse_seek(data: bytes | bytearray, at: int, target: int, length: int, body: int) -> int:
    """The index that a seek sets. `at` is where its framing starts, for the error."""
    if not 0 <= target < SEEK:
        raise FormatError(f"offset {at}: seek for unknown kind {target}")
    if length > 3:
        raise FormatError(f"offset {at}: seek of {length} bytes; at most 3")
    return int.from_bytes(data[body : body + length], "big")


def frames(data: bytes | bytearray, at: int, next_index: list[int] | None = None) -> Iterator[Frame]:
    """The chunks of `data` from offset `at` (the header's end) on, with their places. Raises FormatError.

    `next_index`: the next index of each kind, where reading goes on from an earlier `at`; it is kept up to date.
    """
    next_index = [0] * SEEK if next_index is None else next_index
    start = at
    while (framing := _parse_framing(data, at)) is not None:
        kind, skip, length, body = framing
        end = min(body + length, len(data))
        if kind == SEEK:
            if body + length > len(data):
                return
            target = _parse_seek(data, at, skip, length, body)
            next_index[skip] = target
            at = end
            continue
        index = next_index[kind] + skip
        if not 0 <= index <= MAX_INDEX:
            raise FormatError(f"offset {at}: chunk index {index} is not in 0..{MAX_INDEX}")
        next_index[kind] = index + 1
        yield Frame(Chunk(Kind(kind), index, bytes(data[body:end]), length), start, body, end)
        start = at = end


def read(data: bytes, strict: bool = False) -> tuple[Header, list[Chunk]]:
    """Header and chunks in the order of the file; only the last chunk can be cut.

    Repeated and missing chunks are ordinary input and passed on as they are. `strict` refuses what a finished file
    never has: a repeated or a cut chunk, bytes left over at the end. Raises FormatError and nothing else.
    """
    header, at = parse_header(data)
    end, found, seen = at, [], set()
    for frame in frames(data, at):
        if strict and frame.chunk.cut:
            raise FormatError(f"offset {frame.end}: ends inside a chunk of {frame.chunk.length} bytes")
        if strict and frame.chunk.key in seen:
            raise FormatError(f"offset {frame.start}: {frame.chunk.kind.name} {frame.chunk.index} stands twice")
        seen.add(frame.chunk.key)
        found.append(frame.chunk)
        end = frame.end
    if strict and end < len(data):
        raise FormatError(f"offset {end}: ends inside the framing of a chunk")
    return header, found


class Reader:
    """Reads a stream while its bytes come. `header`: as soon as it is there."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self._data = bytearray()
        self._at = 0
        self._next = [0] * SEEK
        self._rest: Chunk | None = None

    def push(self, data: bytes) -> list[Chunk]:
        """The chunks that are whole now. Raises FormatError."""
        self._data += data
        if self.header is None:
            needed = 8 if self._data[2:3] == bytes([EXPLICIT_SIZE]) else 4
            if len(self._data) < needed and self._data[:1] in (b"", bytes([MAGIC])):
                return []
            self.header, self._at = parse_header(self._data)
        found, following = [], self._next.copy()
        self._rest = None
        for frame in frames(self._data, self._at, following):
            if frame.chunk.cut:
                self._rest = frame.chunk
                break
            found.append(frame.chunk)
            self._at, self._next = frame.end, following.copy()
        return found

    def rest(self) -> Chunk | None:
        """What is there of the chunk that is not whole yet, as a cut one: of use where the stream ends here."""
        return self._rest


def _encode_framing(kind: int, skip: int, length: int) -> bytes:
    """The shortest form; `skip` fits the longest."""
    if skip == 0 and length <= MAX_PLAIN:
        return (kind << 12 | length).to_bytes(2, "big")
    if _fits(skip, _NEAR) and length >> _SHORT == 0:
        return (kind << 12 | 1 << 11 | (skip & 31) << _SHORT | length).to_bytes(2, "big")
    return (1 << 23 | kind << 20 | (skip & 63) << 14 | length).to_bytes(3, "big")


def _fits(skip: int, bits: int) -> bool:
    return -(1 << bits - 1) <= skip < 1 << bits - 1


class Framer:
    """Writes chunks one after the other; keeps the next index of each kind."""

    def __init__(self) -> None:
        self._next = [0] * SEEK

    def framing(self, chunk: Chunk) -> bytes:
        """The bytes before the chunk's payload, with a seek where its index is too far from the one expected."""
        skip = chunk.index - self._next[chunk.kind]
        seek = b""
        if not _fits(skip, _FAR):
            target = chunk.index.to_bytes(3, "big").lstrip(b"\0")
            seek, skip = (SEEK << 12 | chunk.kind << 6 | len(target)).to_bytes(2, "big") + target, 0
        self._next[chunk.kind] = chunk.index + 1
        return seek + _encode_framing(int(chunk.kind), skip, chunk.length)


def write(header: Header, chunks: Iterable[Chunk]) -> bytes:
    """The file of these chunks in this order. Only the last may be cut (ValueError otherwise)."""
    parts, framer, cut = [header.encode()], Framer(), False
    for chunk in chunks:
        if cut:
            raise ValueError("only the last chunk of a file can be a cut one")
        parts += [framer.framing(chunk), chunk.payload]
        cut = chunk.cut
    return b"".join(parts)
