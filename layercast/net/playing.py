"""The page on this machine alone, with one picture behind it: what `layercast play` serves.

    GET  /TOKEN/?src=picture.lcast   the page (`page`), all that it is made of below the same folder
    GET  /TOKEN/picture.lcast        the stream; while it grows a chunked body that ends with it, else ranges are served
    GET  /TOKEN/play.json            what is known of it and of the link (docs/player.md)
    POST /TOKEN/want                 {"region": [x, y, w, h]} in shares, {"stop": true} or {"lossless": true}

The token is made anew each time and stands in the path, so whatever the page asks for carries it; a request without it
is refused, and one that names another host than this machine (a name that was made to point here), and a want that
comes from another page.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import json
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from codec.stream import parse_header
from layercast.net.growing import Growing
from layercast.net.page import HEADERS, Page
from player import Want

HOST: Final = "127.0.0.1"
NAME: Final = "picture.lcast"
MOST_ASKED: Final = 1000
"""Bytes of a want."""
_PLAIN: Final = {**HEADERS, hdrs.CACHE_CONTROL: "no-store"}
Asks = Callable[[Want], None]
"""Raises ValueError."""
Facts = Callable[[], dict[str, object]]


class Playing:
    """The routes. `asks`: where wants go, None where there is nobody; `facts`: more of what play.json tells."""

    def __init__(self, growing: Growing, page: Page, asks: Asks | None = None, facts: Facts = dict) -> None:
        self.token = secrets.token_urlsafe(16)
        self._growing = growing
        self._asks = asks
        self._facts = facts
        inner = web.Application()
        page.attach(inner)
        inner.router.add_get(f"/{NAME}", self._picture)
        inner.router.add_get("/play.json", self._state)
        inner.router.add_post("/want", self._want)
        self.app = web.Application(middlewares=[self._guard], client_max_size=MOST_ASKED)
        self.app.add_subapp(f"/{self.token}", inner)

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[str]:
        """Serves while the body runs; gives the page's address. Raises OSError for a port that is taken."""
        runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
            yield f"http://{HOST}:{runner.addresses[0][1]}/{self.token}/?src={NAME}"
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = request.path.split("/")[1]
        if not _is_this_machine(request.host) or not hmac.compare_digest(given.encode(), self.token.encode()):
            raise web.HTTPForbidden(text="open the address that `layercast play` printed", headers=_PLAIN)
        return await handler(request)

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        headers = {**_PLAIN, hdrs.CONTENT_TYPE: "application/octet-stream"}
        if self._growing.ended and not self._growing.failed:
            return _part(request, bytes(self._growing.data), headers)
        answer = web.StreamResponse(headers=headers)
        if request.method == hdrs.METH_HEAD:
            return answer
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            async for data in self._growing.reads():
                await answer.write(data)
            if self._growing.failed and request.transport is not None:
                request.transport.abort()  # so that nobody takes this for the end of the picture
        return answer

    async def _state(self, request: web.Request) -> web.Response:
        growing = self._growing
        rate = 0.0 if growing.ended else growing.rate()
        left = max(growing.size - len(growing.data), 0) if growing.size is not None else None
        state = "closed" if growing.failed else "ended" if growing.ended else "connected"
        found: dict[str, object] = {
            "name": growing.name,
            "wants": self._asks is not None,
            "renderers": ["exact"],
            "bytes": growing.size,
            "arrived": len(growing.data),
            "rate": rate,
            "loss": None,
            "eta": left / rate if left is not None and rate else None,
            "state": state,
            "text": growing.failed,
        }
        if not growing.ended:
            found |= self._facts()
        return web.json_response(found, headers=_PLAIN)

    async def _want(self, request: web.Request) -> web.Response:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="this comes from another page", headers=_PLAIN)
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="a want is application/json", headers=_PLAIN)
        if self._asks is None:
            raise web.HTTPConflict(text="the picture comes from a file: there is nobody to ask", headers=_PLAIN)
        try:
            self._asks(parse_want(await request.text(), self._growing.data))
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error), headers=_PLAIN) from None
        return web.Response(status=204, headers=_PLAIN)


def parse_want(text: str, stream: bytes | bytearray) -> Want:
    """What a page asks for of a stream that has begun. Raises ValueError."""
    try:
        given: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("a want is JSON") from None
    match given:
        case {"stop": True}:
            return Want("")
        case {"lossless": True}:
            return Want()
        case {"region": [x, y, width, height]}:
            if all(type(share) in (int, float) and 0 <= share <= 1 for share in (x, y, width, height)):
                header, _ = parse_header(stream)
                left, top = int(x * header.width), int(y * header.height)
                right, bottom = math.ceil((x + width) * header.width), math.ceil((y + height) * header.height)
                if right > left and bottom > top:
                    return Want(region=(left, top, right - left, bottom - top))
    raise ValueError(
        'a want is {"region": [x, y, width, height]} in shares of 0..1, {"stop": true}, {"lossless": true}'
    )


def _is_this_machine(host: str) -> bool:
    """Whether a Host header names loopback; its port may be another, where it is forwarded (ssh -L)."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _part(request: web.Request, data: bytes, headers: dict[str, str]) -> web.Response:
    """All of a file, or the range that was asked for."""
    headers = {**headers, hdrs.ACCEPT_RANGES: "bytes"}
    try:
        asked = request.http_range
    except ValueError:
        asked = slice(None)
    if asked.start is None and asked.stop is None:
        return web.Response(body=data, headers=headers)
    start, stop, _ = asked.indices(len(data))
    if start >= stop:
        raise web.HTTPRequestRangeNotSatisfiable(headers={**_PLAIN, hdrs.CONTENT_RANGE: f"bytes */{len(data)}"})
    headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{stop - 1}/{len(data)}"
    return web.Response(status=206, body=data[start:stop], headers=headers)
