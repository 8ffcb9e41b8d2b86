"""Layercast: a photo as a caption, a sketch, a picture and every last bit, each as soon as the link allows.

The front door: everything that users need is a name of this package, loaded when it is first used, so that importing
it costs nothing. `encode` makes a stream of a picture, `decode` a picture of a stream, `Stream` looks into one and cuts
it, `Decoder` takes chunks as they arrive, `send` and `receive` move streams between machines, `watch` receives one into
a `Player`. The packages behind it
are attributes as well: `layercast.codec`, `layercast.transport`, `layercast.player`, `layercast.sim`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0.dev0"

_MODULE_OF = {
    "Decoder": "codec",
    "FileError": "codec.files",
    "FormatError": "codec.stream",
    "Photo": "codec.extract.photo",
    "PhotoError": "codec.extract.photo",
    "Player": "player",
    "Stream": "layercast.stream",
    "decode": "codec",
    "encode": "layercast.encoding",
    "receive": "layercast.net.api",
    "send": "layercast.net.api",
    "read_photo": "codec.extract.photo",
    "watch": "layercast.net.api",
    "write_png": "codec.extract.photo",
}
_PACKAGES = ("codec", "player", "sim", "transport")

__all__ = ["__version__", *sorted((*_MODULE_OF, *_PACKAGES))]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        found: Any = import_module(name)
    elif name in _MODULE_OF:
        found = getattr(import_module(_MODULE_OF[name]), name)
    else:
        raise AttributeError(f"module 'layercast' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
