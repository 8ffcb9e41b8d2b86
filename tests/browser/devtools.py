"""Debian's Chromium over its DevTools protocol: opens a page, runs JavaScript in it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.browser.chromium import browsing


class Tab:
    """A tab. `said`: errors and messages of its console."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.said: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol; what it answers."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=60)
            if message.get("id") == number:
                return dict(message["result"])
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.said.append(str(message["params"]))

    async def run(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        found = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str, seconds: float = 60) -> Any:
        """The first value of an expression that is true."""
        async with asyncio.timeout(seconds):
            while not (value := await self.run(script)):
                await asyncio.sleep(0.05)
        return value


@asynccontextmanager
async def tab(url: str, profile: Path) -> AsyncIterator[Tab]:
    """A Chromium of its own with one page open."""
    async with browsing("about:blank", profile, "--remote-debugging-port=0"):
        port = profile / "DevToolsActivePort"  # it writes there which one it took
        async with asyncio.timeout(60):
            while not port.exists() or not port.read_text():
                await asyncio.sleep(0.05)
        host = f"127.0.0.1:{port.read_text().split()[0]}"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{host}/json") as answer:
                places = [place for place in await answer.json(content_type=None) if place["type"] == "page"]
            async with session.ws_connect(places[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                found = Tab(socket)
                for domain in ("Runtime", "Log", "Page"):
                    await found.call(f"{domain}.enable")
                await found.call("Page.navigate", url=url)
                yield found
