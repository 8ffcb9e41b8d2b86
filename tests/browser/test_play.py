"""`layercast play` in Chromium: the page shows what Python decodes while it grows, and its buttons reach the sender."""

import asyncio
import hashlib
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

import codec
from layercast.net.endpoints import Address, Link
from layercast.net.ends import Sending
from layercast.net.growing import Growing, replay
from layercast.net.page import Page
from layercast.net.parcel import pack
from layercast.net.playing import Playing
from layercast.net.reception import Reception
from layercast.net.store import Store
from tests.browser.chromium import CHROMIUM
from tests.browser.devtools import Tab, tab
from tests.browser.test_page import SCRIPT, rgba
from tests.fuzz.parsers import picture
from transport.channels import udp

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium: what the page of `layercast play` shows is not seen"
)
PIXELS = picture(200, 150, 3)
DATA = codec.encode(PIXELS, caption=SCRIPT, weights=0)
HASH = """document.querySelector("layer-cast").pixels()
    .then(({ data }) => crypto.subtle.digest("SHA-256", data))
    .then((found) => Array.from(new Uint8Array(found), (byte) => byte.toString(16).padStart(2, "0")).join(""))"""
STOPPED = 'fetch("play.json").then((answer) => answer.json()).then(({ state }) => state === "stopped")'
VERIFIED = 'document.querySelector("layer-cast")?.verified === true'


async def shows_all(page: Tab) -> None:
    """The picture to the last bit, its caption as text; nothing went against the policy."""
    await page.until(VERIFIED)
    assert await page.run(HASH) == hashlib.sha256(rgba(PIXELS).tobytes()).hexdigest()
    assert await page.until('document.getElementById("caption").textContent') == SCRIPT
    assert await page.run('document.querySelector("layer-cast").getAttribute("aria-label")') == SCRIPT
    assert page.said == []


def played(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 120))


def test_a_file_that_grows(tmp_path: Path) -> None:
    async def story() -> None:
        growing = Growing("photo.lcast", len(DATA))
        work = asyncio.create_task(replay(growing, DATA, 8 * len(DATA) / 4))
        async with Playing(growing, Page()).serving() as url, tab(url, tmp_path) as page:
            await page.until('document.querySelector("layer-cast")?.naturalWidth === 200')
            await shows_all(page)
            assert await page.run('document.getElementById("ask").hidden'), "there is nobody to ask"
        await work

    played(story())


def test_the_buttons_reach_the_sender(tmp_path: Path) -> None:
    async def story() -> None:
        parcel = pack(DATA, "photo.lcast")
        sent: list[Sending] = []
        link = Link(rate=8 * len(DATA) / 6)
        listener = await udp.listen(
            "127.0.0.1", 0, lambda channel: sent.append(Sending(channel, link, lambda topic: [parcel]))
        )
        growing = Growing()
        reception = Reception(Address("udp", *listener.address), Store(tmp_path / "store"), [growing])
        playing = Playing(growing, Page(), reception.want, reception.facts)
        async with playing.serving() as url, tab(url, tmp_path / "profile") as page:
            await page.until('document.readyState === "complete" && location.protocol === "http:"')
            work = asyncio.create_task(reception.run())
            await page.until('document.getElementById("ask")?.checkVisibility()')
            await page.run('document.getElementById("ask").click()')
            await page.until(
                'fetch("play.json").then((answer) => answer.json()).then(({ state }) => state === "stopped")'
            )
            held = len(growing.data)
            assert held < len(DATA)
            await page.run('document.getElementById("ask").click()')
            await work
            growing.end()
            await shows_all(page)
        listener.close()

    played(story())
