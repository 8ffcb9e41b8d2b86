"""Streams as pictures of Pillow: after `import layercast.pillow`, `Image.open("photo.lcast")` opens them.

Size and caption come from the first bytes; the picture is decoded when it is first needed. Whatever the stream holds
is a picture: one that was cut is no truncated file. Bytes that are no stream are Pillow's UnidentifiedImageError, what
cannot be decoded is OSError.
"""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageFile

from codec import caption
from codec.decoder import Picture, decode
from codec.stream import FormatError, Kind, frames, parse_header

MODES = ("L", "LA", "RGB", "RGBA")
_FIRST = 1 << 15
"""Bytes in which the caption is looked for; it stands at the start."""


class LayercastImageFile(ImageFile.ImageFile):
    """A stream. `info`: "caption", and whether a program found it: "caption_guessed"."""

    format = "LAYERCAST"
    format_description = "Layercast stream"

    def _open(self) -> None:
        assert self.fp is not None
        head = self.fp.read(_FIRST)
        try:
            header, at = parse_header(head)
        except FormatError as error:
            raise SyntaxError(str(error)) from None  # Pillow asks the next format
        self._size = header.width, header.height
        self._mode = MODES[header.channels - 1]
        self.info.update(_caption_of(head, at, header.weights))
        self._undecoded = True

    def load(self) -> Any:
        """Decodes the picture, once. OSError for one that cannot be decoded."""
        if self._undecoded and self.fp is not None:
            self.fp.seek(0)
            picture = _decoded(self.fp.read())
            self.im = Image.frombytes(self.mode, self.size, picture.tobytes()).im
            self._undecoded = False
            if self._exclusive_fp:
                self.fp.close()
            self.fp = None
        return super().load()


def _decoded(data: bytes) -> Picture:
    limit = Image.MAX_IMAGE_PIXELS
    try:
        return decode(data, limit=2 * limit if limit is not None else 1 << 32).picture
    except FormatError as error:
        raise OSError(f"cannot decode this stream: {error}") from None


def _caption_of(head: bytes, at: int, weights: int) -> dict[str, object]:
    """The caption, if it is in these first bytes and can be read."""
    try:
        for frame in frames(head, at):
            if frame.chunk.kind == Kind.CAPTION and not frame.chunk.cut:
                found = caption.decode(frame.chunk.payload, weights)
                return {"caption": found.text, "caption_guessed": found.guessed}
    except (FormatError, OSError):
        pass
    return {}


def _accept(prefix: bytes) -> bool:
    """Whether a file that begins so may be a stream; 16 bytes, or all of a shorter file."""
    try:
        parse_header(prefix)
    except FormatError:
        return False
    return True


Image.register_open(LayercastImageFile.format, LayercastImageFile, _accept)
Image.register_extension(LayercastImageFile.format, ".lcast")
