"""The streams that the benchmarks measure: made by the public codec, kept on disk while the codec is the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercast.bench.work import load

if TYPE_CHECKING:
    from sim.metrics import Picture

THUMBNAIL_INDEX = 0  # the latent chunk that is the thumbnail


def guess(picture: Picture) -> str:
    """The caption that `layercast encode` sends when none is given."""
    from codec.extract.caption import guess_caption

    return guess_caption(picture)


def encode(picture: Picture, caption: str | None = None, **options: Any) -> bytes:
    """The stream of a picture, to its last bit if no option says otherwise, with a guessed caption or none."""
    import codec

    return codec.encode(picture, caption=caption, guessed=caption is not None, **options)


def stream_of(path: Path) -> bytes:
    """The stream that `layercast encode` makes of a picture file, from the disk if this very codec made it before."""
    from sim.subject import kept_stream

    picture = load(path)
    return kept_stream(picture, "guessed", lambda: encode(picture, guess(picture)))


def picture_of(data: bytes) -> Picture:
    """The exact picture of a stream or of a part of one, uint8[H, W, C]."""
    import codec

    return codec.decode(data).picture


def thumbnail_end(data: bytes) -> int:
    """Bytes of a stream up to the end of its thumbnail."""
    from codec import stream

    _, at = stream.parse_header(data)
    for frame in stream.frames(data, at):
        if frame.chunk.key == (stream.Kind.LATENT, THUMBNAIL_INDEX):
            return frame.end
    return len(data)
