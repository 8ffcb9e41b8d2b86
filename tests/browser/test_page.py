"""<layer-cast> in Chromium, under a strict policy: at every moment the pixels that Python decodes from the same bytes.

LAYERCAST_STREAMS says how many streams (of 20 pictures, good links and lossy ones in turn); a few where it is not set.
"""

import asyncio
import gzip
import hashlib
import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from numpy.typing import NDArray

from codec import Decoder, Kind, stream
from codec.encoder import encode
from tests.browser.chromium import CHROMIUM, browsing
from tests.page.streams import CAPTIONS, SHAPES, arrivals, picture

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
LOOKS = 6
SCRIPT = '<script>alert(1)</script><img src="x" onerror="alert(2)">'
STREAMS = int(os.environ.get("LAYERCAST_STREAMS", "0"))
SMALL = [(17, 33, 1, 0), (120, 90, 3, 0), (140, 20, 2, 0), (97, 130, 3, 1)]


def rgba(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    channels = pixels.shape[2]
    colour = pixels[..., :1].repeat(3, 2) if channels < 3 else pixels[..., :3]
    alpha = pixels[..., -1:] if channels in (2, 4) else np.full_like(pixels[..., :1], 255)
    return np.concatenate([colour, alpha], axis=2)


def moments(data: bytes) -> list[tuple[int, str]]:
    """Ends of chunks, and the SHA-256 of the picture that all bytes until there make."""
    header, at = stream.parse_header(data)
    frames = [frame for frame in stream.frames(data, at) if not frame.chunk.cut]
    chosen = sorted({round(len(frames) * (i / LOOKS) ** 2) for i in range(LOOKS + 1)})
    decoder, found = Decoder(header), []
    for first, last in pairwise(chosen):
        for frame in frames[first:last]:
            decoder.push(frame.chunk)
        shown = rgba(decoder.picture())
        found.append((frames[last - 1].end, hashlib.sha256(shown.tobytes()).hexdigest()))
    return found


def streams() -> dict[str, tuple[bytes, str, bool]]:
    """Name to bytes, caption and whether the picture is opaque: its canvas then holds the very pixels."""
    shapes = [shape[:4] for shape in SHAPES[:STREAMS]] if STREAMS else SMALL
    found = {}
    for number, (width, height, channels, weights) in enumerate(shapes):
        rng = np.random.default_rng([3, number])
        caption = SCRIPT if number == 0 else CAPTIONS[number % 3]
        pixels = picture(width, height, channels, weights, rng)
        header, chunks = stream.read(encode(pixels, caption=caption, weights=weights))
        if number % 2:
            chunks = [chunk for chunk in arrivals(chunks, rng, "lossy") if not chunk.cut]
        found[f"{number}.lcast"] = stream.write(header, chunks), caption, channels % 2 == 1
    return found


class Site:
    """Serves the bundle, the weights and the streams; a stream goes on when the page has said what it shows."""

    def __init__(self) -> None:
        self.streams = streams()
        self.moments = {name: moments(data) for name, (data, _, _) in self.streams.items()}
        self.seen: dict[tuple[str, int], dict[str, Any]] = {}
        self.ended: dict[str, dict[str, Any]] = {}
        self.failed: list[Any] = []
        self.parts: list[tuple[int, int]] = []  # of a stream that was asked for in parts
        self.done: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._looked: dict[tuple[str, int], asyncio.Event] = {
            (name, end): asyncio.Event() for name, found in self.moments.items() for end, _ in found
        }

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._strict])
        app.router.add_get("/", self._page)
        app.router.add_static("/page", PAGE)
        app.router.add_static("/bundle", ROOT / "player/page/bundle")
        app.router.add_get("/weights/{path:.*}.gz", self._weights)
        app.router.add_get("/streams", self._list)
        app.router.add_get("/streams/{name}", self._stream)
        app.router.add_post("/{what:look|ended|failed|done}", self._hear)
        return app

    @web.middleware
    async def _strict(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = POLICY
        return response

    async def _page(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "element.html")

    async def _weights(self, request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress((ROOT / "codec/weights" / request.match_info["path"]).read_bytes(), 1))

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(
            [
                {"name": name, "size": len(data), "moments": [end for end, _ in self.moments[name]], "opaque": opaque}
                for name, (data, _, opaque) in self.streams.items()
            ]
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        data, at = self.streams[name][0], 0
        if "Range" in request.headers:
            return self._part(request, data)
        response = web.StreamResponse(headers={"Content-Length": str(len(data))})
        await response.prepare(request)
        for end, _ in self.moments[name]:
            await response.write(data[at:end])
            at = end
            if at < len(data):  # else the response is complete, and its connection free for what the page says
                await self._looked[name, end].wait()
        await response.write(data[at:])
        return response

    def _part(self, request: web.Request, data: bytes) -> web.Response:
        asked = request.http_range
        start, stop = asked.start or 0, min(asked.stop or len(data), len(data))
        self.parts.append((start, stop))
        if start >= len(data):
            return web.Response(status=416)
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
        return web.Response(status=206, body=data[start:stop], headers=headers)

    async def _hear(self, request: web.Request) -> web.Response:
        what, told = request.match_info["what"], json.loads(await request.text())
        if what == "look":
            self.seen[told["name"], told["bytes"]] = told
            self._looked[told["name"], told["bytes"]].set()
        elif what == "ended":
            self.ended[told["name"]] = told
        elif what == "failed":
            self.failed.append(told)
            for key, event in self._looked.items():
                if key[0] == told["name"]:
                    event.set()
        else:
            self.done.set_result(told)
        return web.Response()


async def show(profile: Path) -> Site:
    """Has Chromium show all streams of a site."""
    site = Site()
    runner = web.AppRunner(site.app(), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        async with asyncio.timeout(60 + 30 * len(site.streams)), browsing(url, profile):
            await site.done
    finally:
        await runner.cleanup()
    return site


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: that a page shows Python's pixels was not shown")
def test_a_page_shows_the_pixels_of_python(tmp_path: Path) -> None:
    site = asyncio.run(show(tmp_path))
    assert not site.failed
    for name, (_, caption, opaque) in site.streams.items():
        for end, expected in site.moments[name]:
            seen = site.seen[name, end]
            assert seen["pixels"] == expected, (name, end)
            assert seen["painted"] == expected or not opaque, (name, end)
        assert site.ended[name]["ariaLabel"] == caption  # as text, whatever it says
        assert (site.ended[name]["role"], site.ended[name]["children"]) == ("img", 1)
    assert site.ended["0.lcast"]["verified"]
    told = site.done.result()
    assert not told["violations"]
    last = max(site.streams, key=lambda name: len(site.streams[name][0]))
    header, chunks = stream.read(site.streams[last][0])
    decoder = Decoder(header)
    for chunk in chunks[: next(i for i, chunk in enumerate(chunks) if chunk.kind == Kind.RESIDUAL)]:
        decoder.push(chunk)
    expected = hashlib.sha256(rgba(decoder.picture()).tobytes()).hexdigest()
    assert told["parts"] == [expected, expected]  # upto="latent", and shown small
    assert len(site.parts) == 2 * len(set(site.parts)) and max(stop for _, stop in site.parts) < len(
        site.streams[last][0]
    )
