"""The page over HTTP: types, caching, compression, a strict policy, and nothing beside what was there at the start."""

import asyncio
import gzip
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from codec import models
from layercast.net.page import FOLDER, Page, PageError

Get = Callable[..., Coroutine[Any, Any, tuple[int, Any, bytes]]]
SCRIPT = "console.log('a script that is long enough to be packed');" * 20


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "page"
    (folder / "icons").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Grüße</title>in={weights}")
    (folder / "main-ABCDEFG2.js").write_text(SCRIPT)
    (folder / "worker.js").write_text("1")
    (folder / "kernel-ABCDEFG2.wasm").write_bytes(b"\0asm")
    (folder / "icons/dot.svg").write_text("<svg/>")
    (folder / ".secret").write_text("no")
    (tmp_path / "outside.txt").write_text("no")
    return folder


def served(folder: Path, story: Callable[[Get], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        app = web.Application()
        Page(folder).attach(app)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"

        async def get(path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
            sent = {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
            async with (
                aiohttp.ClientSession(auto_decompress=False) as session,
                session.request(method, base + path, headers=sent) as response,
            ):
                return response.status, response.headers, await response.read()

        try:
            await story(get)
        finally:
            await runner.cleanup()

    asyncio.run(run())


def test_types_caching_and_policy(built: Path) -> None:
    async def story(get: Get) -> None:
        expected = {
            "/": ("text/html; charset=utf-8", "no-cache"),
            "/main-ABCDEFG2.js": ("text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
            "/worker.js": ("text/javascript; charset=utf-8", "no-cache"),
            "/kernel-ABCDEFG2.wasm": ("application/wasm", "public, max-age=31536000, immutable"),
            "/icons/dot.svg": ("image/svg+xml", "no-cache"),
        }
        for path, (type_, cache) in expected.items():
            status, headers, _ = await get(path)
            assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, type_, cache)
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "script-src 'self' 'wasm-unsafe-eval'" in policy
            assert "unsafe-inline" not in policy and "*" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
            status, again, body = await get(path, If_None_Match=headers["ETag"])
            assert (status, body, again["ETag"]) == (304, b"", headers["ETag"])
            status, _, body = await get(path, method="HEAD")
            assert (status, body) == (200, b"")

    served(built, story)


def test_scripts_are_packed_for_whoever_takes_that(built: Path) -> None:
    async def story(get: Get) -> None:
        _, headers, body = await get("/main-ABCDEFG2.js", Accept_Encoding="gzip, deflate")
        assert headers["Content-Encoding"] == "gzip" and headers["Vary"] == "Accept-Encoding"
        assert len(body) < len(SCRIPT) / 4 and gzip.decompress(body).decode() == SCRIPT
        _, headers, body = await get("/main-ABCDEFG2.js")
        assert "Content-Encoding" not in headers and body.decode() == SCRIPT

    served(built, story)


def test_nothing_else_is_served(built: Path) -> None:
    async def story(get: Get) -> None:
        for path in ("/.secret", "/../outside.txt", "/%2e%2e/outside.txt", "/icons/../../outside.txt", "/icons", "//"):
            assert (await get(path))[0] == 404, path
        assert (await get("/", method="POST"))[0] == 405

    served(built, story)


def test_the_weights_that_the_page_needs(built: Path) -> None:
    async def story(get: Get) -> None:
        _, _, body = await get("/")
        folder = "/" + body.decode().partition("in=")[2]
        assert folder.startswith("/weights/")
        status, headers, body = await get(f"{folder}tiny/thumbnail.safetensors.gz")
        assert status == 200 and "immutable" in headers["Cache-Control"] and "Content-Encoding" not in headers
        assert gzip.decompress(body) == (models.FOLDER / "tiny/thumbnail.safetensors").read_bytes()
        for wrong in ("tiny/nothing.safetensors.gz", "research/caption.safetensors.gz", "..%2Fcaption.safetensors.gz"):
            assert (await get(folder + wrong))[0] == 404

    served(built, story)


def test_a_folder_without_a_page_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="build it with `make page`"):
        Page(tmp_path)


def test_the_page_that_comes_with_layercast_is_one() -> None:
    async def story(get: Get) -> None:
        status, _, body = await get("/")
        assert status == 200 and b"<script type=" in body

    served(FOLDER, story)
