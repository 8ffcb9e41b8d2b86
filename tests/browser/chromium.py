"""Debian's Chromium, started on a page and ended with the test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --allow-loopback-in-peer-connection"
).split()


@asynccontextmanager
async def browsing(url: str, profile: str | Path, *more: str) -> AsyncIterator[None]:
    """The browser shows `url` while the body runs; `profile`: an empty folder for it; `more`: further flags."""
    browser = await asyncio.create_subprocess_exec(
        str(CHROMIUM), *FLAGS, *more, f"--user-data-dir={profile}", url,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        browser.kill()
        await browser.wait()
