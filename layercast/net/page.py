"""The web page that plays streams, served beside the route that answers its offers.

    GET /                    the page; it, and nothing else, is asked for anew each time. Where it says {weights}, the
                             folder of the weights is written
    GET /NAME-HASH.js ...    what the page is made of; a name holds the hash of its content, so it never changes
    GET /weights/HASH/SET/NAME.safetensors.gz    the codec's weights, of which the page takes what it needs

All is public and the same for everybody, so it takes no token: the page sends its token with its offer, from the part
of the URL behind `#`, which a browser keeps to itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import mimetypes
import re
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from codec import models

FOLDER: Final = Path(__file__).parents[2] / "player/page/dist"
INDEX: Final = "index.html"
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",  # the decoder is WebAssembly
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FOREVER: Final = "public, max-age=31536000, immutable"
ANEW: Final = "no-cache"
SHARE: Final = 0.8
"""Of a link whose rate is known, that a file takes."""
_SO_MAX_PACING_RATE: Final = 47  # of Linux; bytes a second
MAX_FILE: Final = 16 << 20
MAX_FILES: Final = 256
_HASHED = re.compile(r"-[A-Za-z0-9]{8,}\.[a-z0-9.]+$")
_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
}
_WORTH_PACKING = ("text/", "application/wasm", "application/json", "application/manifest", "image/svg")


class PageError(ValueError):
    """There is no page where one should be; the message says what to do."""


@dataclass(frozen=True)
class Asset:
    """A file as it is served: its bytes, and gzipped where that pays."""

    data: bytes
    packed: bytes | None
    type: str
    cache: str
    etag: str


class Page:
    """A built page, read into memory once: a request's path only chooses among what was there. Raises PageError."""

    def __init__(self, folder: Path = FOLDER, rate: float | None = None) -> None:
        """rate: bit/s of the link, where it is known; files then leave room on it for the channel."""
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
        if not (folder / INDEX).is_file():
            raise PageError(f"there is no page in {folder}; build it with `make page`")
        if len(paths) > MAX_FILES or any(path.stat().st_size > MAX_FILE for path in paths):
            raise PageError(f"{folder} is no page: too many files, or too large ones")
        self._assets = {f"/{path.relative_to(folder).as_posix()}": read_asset(path) for path in paths}
        index = self._assets.pop(f"/{INDEX}").data.replace(b"{weights}", weights_folder().encode())
        self._assets["/"] = _asset(index, _TYPES[".html"], ANEW, pack=True)
        self._rate = rate
        self._weights = lru_cache(maxsize=32)(_read_weights)

    def attach(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get(rf"/{weights_folder()}{{set:\w+}}/{{name:\w+}}.safetensors.gz", self._weights_file)
        for path, asset in self._assets.items():
            app.router.add_get(path, self._serving(asset))

    def _serving(self, asset: Asset) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.Response:
            self._pace(request)
            return respond(request, asset)

        return serve

    async def _weights_file(self, request: web.Request) -> web.Response:
        self._pace(request)
        found = await asyncio.to_thread(self._weights, request.match_info["set"], request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound(headers=HEADERS)
        return respond(request, found)

    def _pace(self, request: web.Request) -> None:
        """Have TCP send no faster than a share of the link. It would fill the queue before a thin one with half a
        minute of data; a channel that waits behind that is given up."""
        sock = None if request.transport is None else request.transport.get_extra_info("socket")
        if sock is not None and self._rate is not None and sys.platform == "linux":
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, max(1, int(SHARE * self._rate / 8)))


def read_asset(path: Path) -> Asset:
    """A file of the page."""
    type_ = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    cache = FOREVER if _HASHED.search(path.name) else ANEW
    return _asset(path.read_bytes(), type_, cache, type_.startswith(_WORTH_PACKING))


def respond(request: web.Request, asset: Asset) -> web.Response:
    """The answer to a GET or HEAD: 304 where the browser has it, gzipped where it takes that."""
    known: dict[str, str] = {hdrs.CACHE_CONTROL: asset.cache, hdrs.ETAG: asset.etag, hdrs.VARY: "Accept-Encoding"}
    if asset.etag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=known)  # the rest it has as well; a thin link is spared half a second
    headers = HEADERS | known
    data, charset = asset.data, "utf-8" if asset.type.startswith("text/") else None
    if asset.packed is not None and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        data = asset.packed
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=data, headers=headers, content_type=asset.type, charset=charset)


@cache
def weights_folder() -> str:
    """Where the weights are, below the page; it changes when any of them does."""
    return f"weights/{hashlib.sha256(models.SUMS.read_bytes()).hexdigest()[:16]}/"


def _asset(data: bytes, type_: str, cache: str, pack: bool) -> Asset:
    packed = gzip.compress(data, 9, mtime=0) if pack else None
    if packed is not None and len(packed) >= len(data):
        packed = None
    return Asset(data, packed, type_, cache, f'"{hashlib.sha256(data).hexdigest()[:16]}"')


def _read_weights(set_: str, name: str) -> Asset | None:
    """A file of weights, gzipped as the page expects it; None for one that there is not."""
    if set_ not in models.SETS.values() or name not in {
        path.stem for path in (models.FOLDER / set_).glob("*.safetensors")
    }:
        return None
    data = gzip.compress((models.FOLDER / set_ / f"{name}.safetensors").read_bytes(), 9, mtime=0)
    return _asset(data, "application/gzip", FOREVER, pack=False)
