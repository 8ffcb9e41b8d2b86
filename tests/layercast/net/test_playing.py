"""The local player's HTTP on a real loopback socket: who is let in, a body that grows, ranges, what is asked for."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from codec.stream import Header
from layercast.net.growing import Growing
from layercast.net.page import POLICY, Page
from layercast.net.playing import Playing, parse_want
from player import Want
from tests.fuzz.parsers import streams

DATA = streams()[0]
JSON = {"Content-Type": "application/json"}


class Visitor:
    """Asks a player that is served; paths are below its page's folder, or whole ones with a slash in front."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = urlsplit(url)
        self.folder = f"{self.url.scheme}://{self.url.netloc}{self.url.path}"
        self._session = session

    async def __call__(self, path: str, method: str = "GET", **others: Any) -> tuple[int, Any, bytes]:
        base = self.folder if not path.startswith("/") else f"{self.url.scheme}://{self.url.netloc}"
        async with self._session.request(method, base + path, **others) as answer:
            return answer.status, answer.headers, await answer.read()

    async def json(self) -> Any:
        return json.loads((await self("play.json"))[2])


@pytest.fixture
def page(tmp_path: Path) -> Page:
    (tmp_path / "index.html").write_text("<!doctype html><title>a page</title>{weights}")
    (tmp_path / "main-ABCDEFG2.js").write_text("1")
    return Page(tmp_path)


def served(playing: Playing, story: Callable[[Visitor], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with playing.serving() as url, aiohttp.ClientSession() as session:
            assert url.startswith("http://127.0.0.1:") and url.endswith("/?src=picture.lcast")
            await story(Visitor(url, session))

    asyncio.run(run())


def whole() -> Growing:
    return Growing.of_file("photo.lcast", DATA)


def test_page_and_stream_under_the_policy(page: Page) -> None:
    async def story(get: Visitor) -> None:
        status, headers, body = await get("?src=picture.lcast")
        assert status == 200 and b"a page" in body and b"weights/" in body
        assert headers["Content-Security-Policy"] == POLICY and headers["Referrer-Policy"] == "no-referrer"
        assert (await get("main-ABCDEFG2.js"))[0] == 200
        status, headers, body = await get("picture.lcast")
        assert (status, body, int(headers["Content-Length"])) == (200, DATA, len(DATA))
        assert headers["Content-Security-Policy"] == POLICY and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Type"] == "application/octet-stream" and headers["Cache-Control"] == "no-store"
        state = await get.json()
        assert state["name"] == "photo.lcast" and state["bytes"] == state["arrived"] == len(DATA)
        assert (state["wants"], state["renderers"], state["state"]) == (False, ["exact"], "ended")

    served(Playing(whole(), page), story)


def test_nobody_else_is_let_in(page: Page) -> None:
    playing = Playing(whole(), page, asks=lambda want: pytest.fail("asked by a stranger"))

    async def story(get: Visitor) -> None:
        other = "".join("ab"[c == "a"] for c in playing.token)
        for path in ("/", "/picture.lcast", "/play.json", f"/{other}/", f"/{playing.token[:-1]}/play.json", "//"):
            status, _, body = await get(path)
            assert status == 403 and DATA not in body, path
        for host in (
            "evil.example",
            f"evil.example:{get.url.port}",
            "127.0.0.1.evil.example",
            "192.168.0.7",
            "[::1",
            "",
        ):
            assert (await get("picture.lcast", headers={"Host": host}))[0] in (400, 403), host
        for host in ("localhost", "127.0.0.1:8000", "[::1]:1"):  # forwarded by ssh -L
            assert (await get("picture.lcast", headers={"Host": host}))[0] == 200
        asked = json.dumps({"stop": True})
        assert (await get("want", "POST", data=asked, headers={**JSON, "Origin": "http://evil.example"}))[0] == 403
        assert (await get("want", "POST", data=asked, headers={"Content-Type": "text/plain"}))[0] == 415

    served(playing, story)


@pytest.mark.parametrize(
    ("asked", "status", "expected", "told"),
    [
        ("bytes=0-3", 206, DATA[:4], f"bytes 0-3/{len(DATA)}"),
        ("bytes=10-", 206, DATA[10:], f"bytes 10-{len(DATA) - 1}/{len(DATA)}"),
        ("bytes=-5", 206, DATA[-5:], f"bytes {len(DATA) - 5}-{len(DATA) - 1}/{len(DATA)}"),
        ("bytes=0-9999999", 206, DATA, f"bytes 0-{len(DATA) - 1}/{len(DATA)}"),
        (f"bytes={len(DATA)}-", 416, None, f"bytes */{len(DATA)}"),
        ("bytes=9-2", 200, DATA, None),
        ("lines=1", 200, DATA, None),
    ],
)
def test_ranges_of_a_file(page: Page, asked: str, status: int, expected: bytes | None, told: str | None) -> None:
    async def story(get: Visitor) -> None:
        found, headers, body = await get("picture.lcast", headers={"Range": asked})
        assert (found, headers.get("Content-Range")) == (status, told)
        assert expected is None or body == expected

    served(Playing(whole(), page), story)


def test_a_body_grows_until_the_end(page: Page) -> None:
    growing = Growing("photo.lcast", len(DATA))

    async def story(get: Visitor) -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{get.folder}picture.lcast") as answer:
            assert "Content-Length" not in answer.headers
            for at in range(0, len(DATA), 500):
                growing.write(DATA[at : at + 500])
                assert await answer.content.readexactly(len(DATA[at : at + 500])) == DATA[at : at + 500]
            state = await get.json()
            assert state["arrived"] == len(DATA) and state["state"] == "connected" and state["rate"] > 0
            growing.end()
            assert await answer.content.read() == b""
        assert (await get("picture.lcast", "HEAD"))[1]["Content-Length"] == str(len(DATA))

    served(Playing(growing, page), story)


def test_a_body_that_fails_does_not_look_whole(page: Page) -> None:
    growing = Growing("photo.lcast", len(DATA))

    async def story(get: Visitor) -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{get.folder}picture.lcast") as answer:
            growing.write(DATA[:50])
            assert await answer.content.readexactly(50) == DATA[:50]
            growing.end(failed="the sender is gone")
            with pytest.raises(aiohttp.ClientError):
                await answer.content.read()
        state = await get.json()
        assert (state["state"], state["text"]) == ("closed", "the sender is gone")

    served(Playing(growing, page), story)


def test_what_a_person_wants_reaches_the_sender(page: Page) -> None:
    wants: list[Want] = []

    def ask(want: Want) -> None:
        if not want.upto:
            raise ValueError("no")
        wants.append(want)

    growing = Growing()

    async def story(get: Visitor) -> None:
        async def post(want: object) -> int:
            return (await get("want", "POST", data=json.dumps(want), headers=JSON))[0]

        assert await post({"region": [0, 0, 1, 1]}) == 400  # of what size, nobody knows yet
        growing.write(Header(80, 56).encode())
        assert (await get.json())["wants"] is True
        assert [await post({"lossless": True}), await post({"region": [0.5, 0.25, 0.25, 0.5]})] == [204, 204]
        assert wants == [Want(), Want("residual", (40, 14, 20, 28))]
        assert await post({"stop": True}) == 400 and await post({"region": [2, 0, 1, 1]}) == 400
        assert (await get("want", "POST", data=b"x" * 2000, headers=JSON))[0] == 413
        assert (await get("want"))[0] == 405

    served(Playing(growing, page, ask, lambda: {"state": "waiting", "text": "soon", "loss": 0.5}), story)


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", "null", "{}", '{"stop": false}', '{"stop": 1}', '{"lossless": "yes"}', '{"region": [0, 0, 1]}',
     '{"region": [0, 0, 0, 1]}', '{"region": [NaN, 0, 1, 1]}', '{"region": [true, 0, 1, 1]}',
     '{"region": [-1, 0, 1, 1]}', '{"region": ["0", 0, 1, 1]}', '{"region": {"x": 0}}', "[" * 900],
)  # fmt: skip
def test_what_is_no_want(text: str) -> None:
    with pytest.raises(ValueError, match="a want is"):
        parse_want(text, DATA)
