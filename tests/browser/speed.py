"""`python -m tests.browser.speed FILE.lcast`: how long decoding takes in Chromium, in a worker, and in <layer-cast>."""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
from pathlib import Path

import click
from aiohttp import web

from tests.browser.chromium import CHROMIUM, browsing
from tests.browser.test_page import PAGE, ROOT


async def measure(data: bytes, profile: str) -> list[tuple[str, str]]:
    """Lines of what and how long, by the page."""
    done: asyncio.Future[list[tuple[str, str]]] = asyncio.get_running_loop().create_future()

    async def page(request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "speed.html")

    async def timing(request: web.Request) -> web.FileResponse:
        return web.FileResponse(ROOT / "tests/page/timing.mjs", headers={"Content-Type": "text/javascript"})

    async def weights(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress((ROOT / "codec/weights" / request.match_info["path"]).read_bytes(), 1))

    async def stream(request: web.Request) -> web.Response:
        return web.Response(body=data)

    async def hear(request: web.Request) -> web.Response:
        done.set_result(json.loads(await request.text()))
        return web.Response()

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/timing.mjs", timing)
    app.router.add_static("/page", PAGE)
    app.router.add_static("/bundle", ROOT / "player/page/bundle")
    app.router.add_get("/weights/{path:.*}.gz", weights)
    app.router.add_get("/stream", stream)
    app.router.add_post("/done", hear)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        async with asyncio.timeout(300), browsing(url, profile):
            return await done
    finally:
        await runner.cleanup()


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(file: Path) -> None:
    """Prints how long decoding FILE takes in Chromium."""
    if CHROMIUM is None:
        raise click.ClickException("no chromium on this machine; install Debian's package of that name")
    with tempfile.TemporaryDirectory() as profile:
        for what, figure in asyncio.run(measure(file.read_bytes(), profile)):
            click.echo(f"{what:56} {figure}")


if __name__ == "__main__":
    main()
