"""A picture in, a stream out: every layer in turn, then the order of the file.

The residual corrects the exact picture that a decoder makes of the latents; choosing them goes along with that decoder.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from codec import caption as captions
from codec import latent, plan, residual
from codec.decoder import in_channels
from codec.latent import encoder as latents
from codec.region import Region, boxes
from codec.stream import Chunk, Header, Kind, write
from codec.structure import edges, meta
from codec.structure import regions as described

Progress = Callable[[str, float], None]

_TINY_PICTURE = 64 * 64  # pixels up to which latents beyond the thumbnail cost more than they save


def _base_count(header: Header) -> int:
    """How many latent chunks form the base."""
    return 1 if header.pixels <= _TINY_PICTURE else latent.count(header)


def encode(
    picture: NDArray[np.uint8],
    *,
    caption: str | None = None,
    guessed: bool = False,
    regions: Sequence[described.Region | described.Texture] = (),
    max_bytes: int | None = None,
    lossless: bool = True,
    prefer: str | None = None,
    roi: Sequence[Region] = (),
    base: int | None = None,
    meta_data: dict[str, str] | None = None,
    weights: int = 1,
    progress: Progress | None = None,
) -> bytes:
    """The stream of picture uint8[H,W,C], C = 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA.

    caption: its text; guessed: that text was not given by a person. regions: what stands where. max_bytes: the stream
    is cut there. lossless=False: stops at the base. prefer="structure": structure after 300 bytes of latents. roi:
    regions (x, y, width, height in pixels) that come first. base: how many latent chunks form the base, all that are
    worth it if None. progress: called with a layer's name and the share of the work done. Raises ValueError for a bad
    picture, fewer bytes than the header takes, a region outside the picture.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or not 1 <= picture.shape[2] <= 4:
        raise ValueError("a picture is uint8[height, width, 1 to 4 channels]")
    tell = progress or (lambda stage, share: None)
    height, width, channels = picture.shape
    sized = Header(width, height, channels, weights)
    header = Header(width, height, channels, weights, base or _base_count(sized))
    _check(header, max_bytes, roi)
    tell("latent", 0.0)
    based = latents.encode(picture, header)
    chunks = [Chunk(Kind.LATENT, i, based.payloads[i]) for i in based.order]
    if caption is not None:
        chunks.append(Chunk(Kind.CAPTION, 0, captions.encode(caption, weights, guessed)))
    if meta_data:
        chunks.append(Chunk(Kind.META, 0, meta.encode(meta_data)))
    if regions:
        chunks.append(Chunk(Kind.REGIONS, 0, described.encode(regions, weights)))
    tell("structure", 0.15)
    chunks += _structure(picture, header)
    if lossless and (max_bytes is None or len(write(header, chunks)) < max_bytes):
        tell("residual", 0.25)
        painted = in_channels(based.picture, channels)
        coded = residual.encode(picture, painted, header, lambda share: tell("residual", 0.25 + 0.75 * share))
        chunks += [Chunk(Kind.RESIDUAL, index, payload) for index, payload in coded]
        chunks.append(Chunk(Kind.CHECK, 0, zlib.crc32(picture.tobytes()).to_bytes(4, "big")))
    tell("done", 1.0)
    return write(header, plan.order(header, chunks, prefer, regions=roi))[:max_bytes]


def _check(header: Header, max_bytes: int | None, roi: Sequence[Region]) -> None:
    """ValueError for wishes that no stream of this picture can meet, before any work is done."""
    boxes(header, roi)
    if max_bytes is not None and max_bytes < len(header.encode()):
        raise ValueError(f"{max_bytes} bytes cannot hold the header of {len(header.encode())}")


def _structure(picture: NDArray[np.uint8], header: Header) -> list[Chunk]:
    if header.pixels <= _TINY_PICTURE:
        return []
    base = np.round(latents.base_picture(picture)).astype(np.uint8)
    return [Chunk(Kind.EDGES, i, p) for i, p in enumerate(edges.encode(edges.extract(base, header.weights), header))]
