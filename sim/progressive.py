"""What a person sees of a progressive JPEG while its bytes arrive: the peer that everybody knows.

The file comes in order (`sim.run.reliable_stream`); any prefix is closed with an end marker and decoded by Pillow,
which shows the scans that are there. Nothing of Pillow's global state is touched.
"""

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image

from sim.metrics import Picture, to_rgb

_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_SCAN, _END = 0xDA, b"\xff\xd9"


def encode(picture: Picture, quality: int = 75) -> bytes:
    """A progressive JPEG of the colours of uint8[H, W, C], with optimised tables."""
    held = io.BytesIO()
    Image.fromarray(to_rgb(picture)).save(held, "JPEG", quality=quality, progressive=True, optimize=True)
    return held.getvalue()


def decode_prefix(data: bytes) -> npt.NDArray[np.uint8] | None:
    """The picture uint8[H, W, 3] that the first bytes of a JPEG give; None before the first scan has begun."""
    usable = _complete_segments(data)
    if usable is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(usable + _END)) as picture:
                return np.asarray(picture.convert("RGB"), np.uint8)
        except (OSError, SyntaxError, ValueError):
            return None


def scans(data: bytes) -> int:
    """How many scans of a JPEG have at least begun."""
    usable = _complete_segments(data)
    return 0 if usable is None else _walk(usable)[1]


def _complete_segments(data: bytes) -> bytes | None:
    """The prefix without the segment that the end cuts in two; None if that leaves no scan."""
    end, begun = _walk(data)
    return data[:end] if begun else None


def _walk(data: bytes) -> tuple[int, int]:
    """(where the last thing that may stand before an end marker ends, scans begun)."""
    at, begun, in_scan = 2, 0, False
    while at + 1 < len(data):
        if in_scan:
            marker = data.find(b"\xff", at)
            if marker < 0:
                return len(data), begun
            if marker + 1 >= len(data):
                return marker, begun
            in_scan = data[marker + 1] == 0 or data[marker + 1] in _STANDALONE
            at = marker + 2 if in_scan else marker
            continue
        kind = data[at + 1]
        if kind in _STANDALONE:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == 0xD9 or at + 4 > len(data) or at + 2 + length > len(data):
            return at, begun
        at += 2 + length
        in_scan = kind == _SCAN
        begun += in_scan
    return min(at, len(data)), begun
