"""What a person sees of a JPEG 2000 file while its bytes arrive: quality layers, each prefix decoded.

The file is a bare codestream of one tile whose packets stand in the order of the layers. A prefix is closed by empty
packets (a zero byte each) in place of those that are missing; so any decoder shows what is there, strict ones too.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sim.metrics import Picture, to_rgb

LAYERS = tuple(8 * 2**n for n in range(10, -1, -1))
"""Compression ratios of the quality layers; the last is the whole file's: 3 bits per pixel of RGB."""
_SOT, _SOD, _PLT, _END = b"\xff\x90", b"\xff\x93", b"\xff\x58", b"\xff\xd9"
_SOT_SIZE = 12


@dataclass(frozen=True)
class Codestream:
    """data: the bytes that are sent. head: bytes before the first packet; packets: bytes of each."""

    data: bytes
    head: int
    packets: tuple[int, ...]

    def decode_prefix(self, size: int) -> Picture | None:
        """The picture uint8[H, W, 3] of the first `size` bytes; None before the first packet is whole."""
        end, whole = self.head, 0
        while whole < len(self.packets) and end + self.packets[whole] <= size:
            end += self.packets[whole]
            whole += 1
        if not whole:
            return None
        closed = bytearray(self.data[:end]) + bytes(len(self.packets) - whole)
        tile = closed.index(_SOT)
        closed[tile + 6 : tile + 10] = (len(closed) - tile).to_bytes(4, "big")
        with Image.open(io.BytesIO(bytes(closed) + _END)) as picture:
            return np.asarray(picture.convert("RGB"), np.uint8)


def encode(picture: Picture) -> Codestream:
    """A codestream of the colours of uint8[H, W, C]: irreversible 9/7, progressive by quality."""
    held = io.BytesIO()
    Image.init()
    options = {"no_jp2": True, "mct": 1, "irreversible": True, "progression": "LRCP", "plt": True}
    Image.fromarray(to_rgb(picture)).save(
        held, "JPEG2000", quality_mode="rates", quality_layers=list(LAYERS), **options
    )
    return _without_lengths(held.getvalue())


def _without_lengths(data: bytes) -> Codestream:
    """The lengths of the packets are read from the PLT markers, which nobody needs to send."""
    start = data.index(_SOT) + _SOT_SIZE
    at, packets = start, list[int]()
    while data[at : at + 2] != _SOD:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at : at + 2] == _PLT:
            packets += _lengths(data[at + 5 : at + 2 + length])
        at += 2 + length
    sent = bytearray(data[:start] + data[at:])
    tile = start - _SOT_SIZE
    sent[tile + 6 : tile + 10] = (len(sent) - tile - len(_END)).to_bytes(4, "big")
    return Codestream(bytes(sent), start + len(_SOD), tuple(packets))


def _lengths(coded: bytes) -> list[int]:
    """Numbers of seven bits a byte, the upper bit set in all but the last."""
    found, value = [], 0
    for byte in coded:
        value = value << 7 | byte & 127
        if not byte & 128:
            found.append(value)
            value = 0
    return found
