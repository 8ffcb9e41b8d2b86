"""The codec: a picture to a stream of chunks and back. Imports none of the other packages.

Names are resolved when first used, so that reading a container loads no layer.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codec.decoder import Decoded, Decoder, decode
    from codec.encoder import encode
    from codec.stream import Chunk, FormatError, Header, Kind

_HOME = {
    "Chunk": "codec.stream",
    "Decoded": "codec.decoder",
    "Decoder": "codec.decoder",
    "FormatError": "codec.stream",
    "Header": "codec.stream",
    "Kind": "codec.stream",
    "decode": "codec.decoder",
    "encode": "codec.encoder",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'codec' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


__all__ = ["Chunk", "Decoded", "Decoder", "FormatError", "Header", "Kind", "decode", "encode"]
