"""A page in Chromium opens a data channel to our server over the signalling route, and both ends hear each other."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.browser.chromium import CHROMIUM, browsing
from transport.channels.signalling import Signalling
from transport.channels.webrtc import WebRtcChannel, WebRtcConfig

TOKEN = "a token"
PACKETS = 50
PAGE = """<!doctype html><script>
(async () => {
  const peer = new RTCPeerConnection();
  const items = peer.createDataChannel("items", {negotiated: true, id: 0, ordered: false, maxRetransmits: 0});
  items.binaryType = "arraybuffer";
  const sizes = [];
  const started = performance.now();
  let open = null;
  items.onopen = () => { open = performance.now() - started; items.send(new Uint8Array([1, 2, 3])); };
  items.onmessage = async ({data}) => {
    sizes.push(data.byteLength);
    if (sizes.length < PACKETS) return;
    await fetch("/result", {method: "POST", body: JSON.stringify({sizes, open, local: OFFER.includes(".local")})});
    items.close();
  };
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise(done => {
    if (peer.iceGatheringState == "complete") done();
    peer.onicegatheringstatechange = () => peer.iceGatheringState == "complete" && done();
  });
  const OFFER = peer.localDescription.sdp;
  const answer = await fetch("/webrtc", {
    method: "POST", body: OFFER, headers: {"Content-Type": "application/sdp", "Authorization": "Bearer TOKEN"},
  });
  if (!answer.ok) await fetch("/result", {method: "POST", body: JSON.stringify({failed: await answer.text()})});
  await peer.setRemoteDescription({type: "answer", sdp: await answer.text()});
})();
</script>""".replace("PACKETS", str(PACKETS)).replace("TOKEN", TOKEN)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: that a page can open a channel was not shown")
def test_a_page_receives_packets(tmp_path: Path) -> None:
    async def story() -> tuple[Any, bytes | None, str | None]:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[WebRtcChannel] = loop.create_future()
        result: asyncio.Future[Any] = loop.create_future()

        async def page(request: web.Request) -> web.Response:
            return web.Response(text=PAGE, content_type="text/html")

        async def report(request: web.Request) -> web.Response:
            result.set_result(json.loads(await request.text()))
            return web.Response()

        app = web.Application()
        app.router.add_get("/", page)
        app.router.add_post("/result", report)
        Signalling(opened.set_result, TOKEN, WebRtcConfig(addresses=("127.0.0.1",))).attach(app)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            async with asyncio.timeout(60), browsing(url, tmp_path, "--disable-quic"):
                channel = await opened
                came = asyncio.Event()
                channel.wake = came.set
                for number in range(PACKETS):
                    channel.send(bytes(number + 1))
                found = await result
                while (first := channel.receive()) is None:
                    came.clear()
                    await came.wait()
                return found, first, await channel.wait_closed()
        finally:
            await runner.cleanup()

    found, first, why = asyncio.run(story())
    assert sorted(found["sizes"]) == list(range(1, PACKETS + 1))
    assert found["open"] < 1000 or not found["local"], "a hidden name costs no look-up"
    assert first == bytes([1, 2, 3]) and why == "closed by the peer"
