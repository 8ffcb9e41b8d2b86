"""What a scenario sends: a photo as pixels and as a stream, encoded once and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from sim.metrics import Picture
from sim.peers import default_cache, keep_file


@cache
def codec_digest() -> str:
    """Names the codec as it lies here: a digest of its code and weights."""
    import codec

    folder = Path(codec.__file__).parent
    held = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".safetensors")):
        held.update(f"{path.relative_to(folder)} {path.stat().st_size} ".encode() + path.read_bytes())
    return held.hexdigest()


def kept_stream(picture: Picture, how: str, make: Callable[[], bytes]) -> bytes:
    """What `make` encodes of a picture; from the disk if this very codec did so before, under the same words `how`."""
    text = f"{codec_digest()} {picture.shape} {how} "
    name = hashlib.sha256(text.encode() + picture.tobytes()).hexdigest()
    kept = default_cache() / "streams" / name[:2] / name
    if kept.is_file():
        return kept.read_bytes()
    stream = make()
    keep_file(kept, stream)
    return stream


@dataclass(frozen=True, eq=False)
class Subject:
    """A photo. picture: uint8[H, W, C], what it is measured against; stream: the bytes that are sent."""

    name: str
    picture: Picture
    stream: bytes

    @classmethod
    def of_picture(cls, name: str, picture: Picture, caption: str | None = None) -> Subject:
        """A picture, encoded to its last bit."""
        import codec

        return cls(name, picture, kept_stream(picture, repr(caption), lambda: codec.encode(picture, caption=caption)))

    @classmethod
    def of_stream(cls, name: str, stream: bytes) -> Subject:
        """A stream, measured against its own whole picture. Raises FormatError."""
        import codec

        return cls(name, codec.decode(stream).picture, stream)

    @classmethod
    def load(cls, path: Path, caption: str | None = None) -> Subject:
        """A photo or a stream in a file. Raises OSError, and what the readers of either raise."""
        if path.suffix == ".lcast":
            return cls.of_stream(path.name, path.read_bytes())
        from codec.extract.photo import read_photo

        return cls.of_picture(path.name, np.ascontiguousarray(read_photo(path).picture), caption)

    @cached_property
    def fingerprint(self) -> str:
        """Of the picture."""
        return hashlib.sha256(repr(self.picture.shape).encode() + self.picture.tobytes()).hexdigest()
