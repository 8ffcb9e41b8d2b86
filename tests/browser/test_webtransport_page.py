"""A page in Chromium opens a WebTransport session that it knows by the certificate's hash; datagrams go both ways."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.browser.chromium import CHROMIUM, browsing
from transport.channels import certificate, webtransport
from transport.driver import Driver

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
  const first = (await reader.read()).value.byteLength;
  const sizes = [];
  for (let size = 1; size <= PACKETS; size++) {
    await writer.write(new Uint8Array(size));
    sizes.push((await reader.read()).value.byteLength);
  }
  await report({refused, first, sizes});
  wt.close();
})().catch(error => report({failed: String(error)}));
</script>"""


class Answering:
    """A session that speaks first, as a server with a caption does, and then sends back what comes."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self._due = [bytes(300)]

    def handle_datagram(self, data: bytes, now: float) -> None:
        self.got.append(len(data))
        self._due.append(data)

    def handle_timer(self, now: float) -> None:
        """There is none."""

    def next_timer(self) -> float | None:
        return None

    def poll_transmit(self, now: float) -> bytes | None:
        return self._due.pop(0) if self._due else None


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: that a page can open a WebTransport session was not shown")
def test_a_page_exchanges_datagrams(tmp_path: Path) -> None:
    async def story() -> tuple[Any, list[int], str]:
        drivers: asyncio.Queue[Driver] = asyncio.Queue()
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def accept(channel: webtransport.WebTransportChannel) -> None:
            driver = Driver(Answering(), channel)
            driver.start()
            drivers.put_nowait(driver)

        own = certificate.make()
        serving = await webtransport.serve("127.0.0.1", 0, accept, own, TOKEN)
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
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            async with asyncio.timeout(60), browsing(url, tmp_path):
                found = await result
                assert found.get("failed") is None
                driver = await drivers.get()
                assert isinstance(driver.session, Answering)
                return found, driver.session.got, await driver.wait_closed()
        finally:
            await runner.cleanup()
            serving.close()

    found, got, why = asyncio.run(story())
    assert found["refused"], "a wrong token opens nothing"
    assert found["first"] == 300, "what the server sends unasked is not lost"
    assert found["sizes"] == got == list(range(1, PACKETS + 1))
    assert why == "closed by the peer"
