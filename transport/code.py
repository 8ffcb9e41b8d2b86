"""Coded repair of one block: RaptorQ (RFC 6330, through the package `raptorq`) over the bodies of data packets.

    bodies ─► source symbols (length, body, zeros) ─► BlockEncoder ─► repair symbols
    bodies and repair symbols that arrived ─► rebuild ─► all bodies

Any `sources` symbols of a block give it back, but for about one try in 200, and with one or two more nearly always. The
library takes a wrong symbol for a right one and panics on malformed ones: so it only ever sees symbols of the right
size, and what it gives counts only if every length, all padding and the block's CRC-16 are right. A wrong block gets
through once in 2^16 times; the CRC costs 2 bytes in each repair packet.
"""

from binascii import crc_hqx
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import raptorq

from transport.symbols import ALIGNMENT, MAX_BLOCK_SIZE, MAX_SOURCES, REPAIRS, repair_head_size

MAX_SYMBOL = 65_528
"""Bytes of the largest symbol that the library takes."""
LENGTH_SIZE = 2
"""Bytes before the body in a source symbol."""
_AT_A_TIME = 8
"""Repair symbols made at once, more when more are asked for."""


class WrongSymbol(ValueError):
    """Symbols that contradict each other or the block's check: one of them is false."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a repair packet says of its block: data packets in it, bytes of a symbol, CRC-16 of all source symbols."""

    sources: int
    size: int
    check: int


def largest_symbol(packet_size: int, numbered: bool, block: int) -> int:
    """Bytes of the largest symbol that a repair packet of `packet_size` bytes can carry; may be 0."""
    return max(packet_size - repair_head_size(numbered, block), 0) // ALIGNMENT * ALIGNMENT


def symbol_size(largest_body: int) -> int:
    """Bytes of the symbols of a block whose largest body has so many bytes."""
    return -(-(LENGTH_SIZE + largest_body) // ALIGNMENT) * ALIGNMENT


def most_sources(size: int, most: int) -> int:
    """How many packets a block may have whose symbols have `size` bytes, if not more than `most`."""
    return min(most, MAX_BLOCK_SIZE // size)


class BlockEncoder:
    """Makes repair symbols of a block. ValueError without bodies, for more than 255 or for more than 2 MiB."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        if not 1 <= len(bodies) <= MAX_SOURCES or symbol_size(max(map(len, bodies))) > MAX_SYMBOL:
            raise ValueError(f"a block has 1 to {MAX_SOURCES} packets, symbols at most {MAX_SYMBOL} bytes")
        size = symbol_size(max(map(len, bodies)))
        if len(bodies) * size > MAX_BLOCK_SIZE:
            raise ValueError(f"a block of {len(bodies) * size} B is larger than {MAX_BLOCK_SIZE}")
        block = b"".join(_source_symbol(body, size) for body in bodies)
        self.shape = Shape(len(bodies), size, crc_hqx(block, 0xFFFF))
        self._library = raptorq.Encoder.with_defaults(block, size)
        self._symbols: list[bytes] = []

    def symbol(self, place: int) -> bytes:
        """Repair symbol `place`, 0 .. 255."""
        if not 0 <= place < REPAIRS:
            raise ValueError(f"no repair symbol {place}")
        if place >= len(self._symbols):
            wanted = min(max(place + 1, 2 * len(self._symbols), _AT_A_TIME), REPAIRS)
            packets = self._library.get_encoded_packets(wanted)[self.shape.sources :]
            self._symbols = [packet[4:] for packet in packets]
        return self._symbols[place]


def rebuild(shape: Shape, bodies: Mapping[int, bytes], symbols: Mapping[int, bytes]) -> list[bytes] | None:
    """All bodies of a block, from some of them and some repair symbols, each by its place.

    None if these do not determine it yet. Bodies that the shape has no room for are left out. Raises WrongSymbol.
    """
    fitting = {place: body for place, body in bodies.items() if place < shape.sources and _fits(body, shape)}
    if len(fitting) == shape.sources:
        return [fitting[place] for place in range(shape.sources)]
    sources = ((place, _source_symbol(body, shape.size)) for place, body in fitting.items())
    repairs = ((shape.sources + place, s) for place, s in symbols.items() if place < REPAIRS and len(s) == shape.size)
    block = _solve(shape, [*sources, *repairs])
    if block is None:
        return None
    if len(block) != shape.sources * shape.size or crc_hqx(block, 0xFFFF) != shape.check:
        raise WrongSymbol("the block's check is wrong")
    return [_body_of(block[at : at + shape.size]) for at in range(0, len(block), shape.size)]


def _solve(shape: Shape, symbols: Sequence[tuple[int, bytes]]) -> bytes | None:
    """The library's answer to symbols by their number."""
    if len(symbols) < shape.sources or shape.sources < 1 or shape.size < ALIGNMENT or shape.size % ALIGNMENT:
        return None
    try:
        decoder = raptorq.Decoder.with_defaults(shape.sources * shape.size, shape.size)
        for number, symbol in symbols:
            block = decoder.decode(number.to_bytes(4, "big") + symbol)
            if block is not None:
                return bytes(block)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # its panic is no Exception, and has no name to catch it by
        raise WrongSymbol(f"the library gave up: {error}") from None
    return None


def _fits(body: bytes, shape: Shape) -> bool:
    return LENGTH_SIZE + len(body) <= shape.size


def _source_symbol(body: bytes, size: int) -> bytes:
    return (len(body).to_bytes(LENGTH_SIZE, "big") + body).ljust(size, b"\0")


def _body_of(symbol: bytes) -> bytes:
    length = int.from_bytes(symbol[:LENGTH_SIZE], "big")
    body, padding = symbol[LENGTH_SIZE : LENGTH_SIZE + length], symbol[LENGTH_SIZE + length :]
    if len(body) < length or any(padding):
        raise WrongSymbol("a rebuilt symbol is none")
    return body
