"""A page in Chromium opens a WebTransport session that it knows by the certificate's hash; datagrams go both ways."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from transport.channels import certificate, webtransport

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync"
).split()
TOKEN = "a token"
PACKETS = 50
PAGE = """<!doctype html><script>
const report = what => fetch("/result", {method: "POST", body: JSON.stringify(what)});
const open = async token => {
  const hash = {algorithm: "sha-256", value: new Uint8Array(PIN)};
  const wt = new WebTransport("https://127.0.0.1:PORT/layercast?token=" + encodeURIComponent(token),
                              {serverCertificateHashes: [hash]});
  await wt.ready;
  return wt;
};
(async () => {
  let refused = false;
  try { await open("a guess"); } catch (error) { refused = true; }
  const wt = await open("TOKEN");
  const writer = wt.datagrams.writable.getWriter(), reader = wt.datagrams.readable.getReader();
  await writer.write(new Uint8Array([1, 2, 3]));
  const sizes = [];
  while (sizes.length < PACKETS) {
    const {value} = await reader.read();
    sizes.push(value.byteLength);
  }
  await report({refused, sizes, largest: wt.datagrams.maxDatagramSize});
  wt.close();
})().catch(error => report({failed: String(error)}));
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: that a page can open a WebTransport session was not shown")
def test_a_page_exchanges_datagrams(tmp_path: Path) -> None:
    async def story() -> tuple[Any, list[bytes], str | None]:
        loop = asyncio.get_running_loop()
        opened: asyncio.Queue[webtransport.WebTransportChannel] = asyncio.Queue()
        result: asyncio.Future[Any] = loop.create_future()
        own = certificate.make()
        serving = await webtransport.serve("127.0.0.1", 0, opened.put_nowait, own, TOKEN)
        text = PAGE.replace("PIN", str(list(own.fingerprint))).replace("PORT", str(serving.port))
        text = text.replace("TOKEN", TOKEN).replace("PACKETS", str(PACKETS))

        async def page(request: web.Request) -> web.Response:
            return web.Response(text=text, content_type="text/html")

        async def report(request: web.Request) -> web.Response:
            result.set_result(json.loads(await request.text()))
            return web.Response()

        app = web.Application()
        app.router.add_get("/", page)
        app.router.add_post("/result", report)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        browser = await asyncio.create_subprocess_exec(
            str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path}", f"http://127.0.0.1:{runner.addresses[0][1]}/",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(60):
                channel = await opened.get()
                woken = asyncio.Event()
                channel.wake = woken.set
                got: list[bytes] = []
                for number in range(PACKETS):
                    channel.send(bytes(number + 1))
                while channel.closed is None:
                    woken.clear()
                    await woken.wait()
                    got += iter(channel.receive, None)
                return await result, got, channel.closed
        finally:
            browser.kill()
            await browser.wait()
            await runner.cleanup()
            serving.close()

    found, got, why = asyncio.run(story())
    assert found.get("failed") is None and found["refused"], "a wrong token opens nothing"
    assert sorted(found["sizes"]) == list(range(1, PACKETS + 1))
    assert got == [bytes([1, 2, 3])] and why == "closed by the peer"
