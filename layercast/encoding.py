"""Rate control: a picture to a stream of at most so many bytes, of at least some quality, or to the last bit.

What `layercast encode` and `layercast.encode` share. The codec cuts at a number of bytes; here a wish in other words
becomes such a number. A cut is an encode, so a quality is found by cutting one full stream.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from codec.stream import Chunk, Frame, frames, parse_header

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from codec.decoder import Decoder

    Picture = npt.NDArray[np.uint8]

Judge = Callable[["Picture", "Picture"], float]
Tell = Callable[[str, float], None]


class MissingMetric(RuntimeError):
    """The package that measures SSIMULACRA2 is not installed."""


def encode(
    picture: Picture,
    *,
    max_bytes: int | None = None,
    bpp: float | None = None,
    quality: float | None = None,
    lossless: bool | None = None,
    progress: Tell | None = None,
    **options: Any,
) -> bytes:
    """The stream of picture uint8[H,W,C], C = 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA; to the last bit if nothing is asked.

    At most one of: max_bytes; bpp, bits per pixel; quality, a SSIMULACRA2 of the exact picture (90: not told apart, 70:
    high, 30: low), met with the fewest bytes; lossless=True (False: stop at the last latent). progress: called with the
    name of a stage and the share done. options: as codec.encode takes them (caption, guessed, regions, roi, prefer,
    meta_data). Raises ValueError for a bad picture or for wishes that exclude one another or cannot be met,
    MissingMetric when quality cannot be measured.
    """
    import codec

    if sum((max_bytes is not None, bpp is not None, quality is not None, bool(lossless))) > 1:
        raise ValueError("max_bytes, bpp, quality and lossless exclude one another")
    if bpp is not None:
        max_bytes = bytes_of(bpp, picture)
    if quality is not None:
        judge = _metric(picture)
    rest = {"max_bytes": max_bytes, "lossless": lossless is not False, "progress": progress, **options}
    data = codec.encode(picture, **rest)
    return data if quality is None else shortest(data, picture, quality, judge, progress)


def bytes_of(bpp: float, picture: Picture) -> int:
    """The most bytes of a stream of `picture` at `bpp` bits per pixel. ValueError unless bpp is above 0."""
    if not bpp > 0:
        raise ValueError(f"{bpp} bits per pixel hold nothing")
    return int(bpp * picture.shape[0] * picture.shape[1] / 8)


def _metric(picture: Picture) -> Judge:
    """SSIMULACRA2, or the reason why it cannot be had, before any work is done."""
    from importlib.util import find_spec

    from sim.metrics import ssimulacra2

    if find_spec("ssimulacra2") is None:
        raise MissingMetric("a quality is measured by the package ssimulacra2; pip install ssimulacra2")
    if min(picture.shape[:2]) < 8:
        raise ValueError("below 8x8 pixels SSIMULACRA2 says nothing")
    return ssimulacra2


def shortest(
    data: bytes, picture: Picture, quality: float, judge: Judge | None = None, progress: Tell | None = None
) -> bytes:
    """The shortest prefix of the stream `data` of `picture` whose exact picture `judge` gives at least `quality`.

    Found by bisection, first over the ends of chunks, then over the bytes of one: quality is taken to rise with the
    bytes (it does, within half a point), and what is returned was measured. judge: SSIMULACRA2 unless told. ValueError
    when the whole stream falls short.
    """
    search = _Search(data, picture, judge or _metric(picture), quality, progress or (lambda stage, share: None))
    return data[: search.size()]


class _Search:
    """Two bisections over the cuts of one stream. Keeps the decoder of the longest cut that fell short."""

    def __init__(self, data: bytes, picture: Picture, judge: Judge, quality: float, tell: Tell) -> None:
        from codec.decoder import Decoder

        header, self._start = parse_header(data)
        self._frames = list(frames(data, self._start))
        self._picture, self._judge, self._quality, self._tell = picture, judge, quality, tell
        self._count, self._below = 0, Decoder(header, limit=header.pixels)
        self._steps, self._tried = math.ceil(math.log2(len(self._frames) + 1)) + 10, 0

    def size(self) -> int:
        """Bytes of the shortest cut found."""
        if self._reaches(self._below):
            return self._start
        high = len(self._frames)
        while high - self._count > 1:
            middle = (self._count + high) // 2
            decoder = self._grown(middle)
            if self._reaches(decoder):
                high = middle
            else:
                self._count, self._below = middle, decoder
        if high == len(self._frames) and not self._reaches(self._grown(high)):
            raise ValueError(f"not even the whole stream has SSIMULACRA2 {self._quality:g}")
        return self._within(self._frames[high - 1])

    def _within(self, frame: Frame) -> int:
        """The same within one chunk, of which nothing falls short and everything does not."""
        chunk, low, high = frame.chunk, 0, len(frame.chunk.payload)
        while high - low > 1:
            middle = (low + high) // 2
            decoder = copy.deepcopy(self._below)
            decoder.push(Chunk(chunk.kind, chunk.index, chunk.payload[:middle], chunk.length))
            low, high = (low, middle) if self._reaches(decoder) else (middle, high)
        return frame.body + high

    def _grown(self, count: int) -> Decoder:
        """A decoder that was given the first `count` chunks."""
        decoder = copy.deepcopy(self._below)
        for frame in self._frames[self._count : count]:
            decoder.push(frame.chunk)
        return decoder

    def _reaches(self, decoder: Decoder) -> bool:
        self._tried += 1
        self._tell("quality", min(1.0, self._tried / self._steps))
        return self._judge(self._picture, decoder.picture()) >= self._quality
