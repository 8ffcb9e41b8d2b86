"""WebRTC opened over real HTTP and HTTPS on loopback: who gets in, who does not, and what is said then."""

import asyncio
import hashlib
import json
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from transport import Item, ItemReceived, Receiver, Sender, SenderConfig
from transport.channels import certificate
from transport.channels.signalling import (
    SDP,
    Limits,
    Serving,
    Signalling,
    SignallingError,
    connect,
    host_of,
    serve,
    server_tls,
)
from transport.channels.webrtc import IceServer, WebRtcChannel, WebRtcConfig
from transport.driver import Driver

TOKEN = "a token that nobody must see"
HERE = WebRtcConfig(addresses=("127.0.0.1",))
Story = Callable[[str, Serving, list[WebRtcChannel]], Coroutine[Any, Any, None]]


def told(story: Story, tls: ssl.SSLContext | None = None, **options: Any) -> None:
    """Run a story with a server on loopback: its URL, itself, the channels that it was given."""

    async def run() -> None:
        accepted: list[WebRtcChannel] = []
        options.setdefault("config", HERE)
        serving = await serve("127.0.0.1", 0, Signalling(accepted.append, TOKEN, **options), tls)
        try:
            await story(f"http{'s' * (tls is not None)}://127.0.0.1:{serving.port}", serving, accepted)
        finally:
            await serving.wait_closed()
        assert serving.signalling.sessions == 0

    asyncio.run(run())


async def post(url: str, body: bytes, path: str = "/webrtc", **headers: str) -> tuple[int, str, Any]:
    sent = {"Content-Type": SDP, "Authorization": f"Bearer {TOKEN}"} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    async with aiohttp.ClientSession() as session, session.post(url + path, data=body, headers=sent) as response:
        return response.status, await response.text(), response.headers


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def test_items_go_over_a_channel_that_was_opened_over_http() -> None:
    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        channel = await connect(url, TOKEN, HERE)
        await until(lambda: accepted)
        sender, receiver = Sender(SenderConfig(rate=5e6, overhead=channel.overhead)), Receiver()
        got: dict[int, bytes] = {}

        def take() -> None:
            while (event := receiver.next_event()) is not None:
                if isinstance(event, ItemReceived) and event.complete:
                    got[event.key[2]] = event.payload

        items = [Item(1, 3, n, bytes([n]) * 1500, n) for n in range(20)]
        for item in items:
            sender.submit(item)
        for driver in (Driver(sender, accepted[0]), Driver(receiver, channel, take)):
            driver.start()
        await until(lambda: len(got) == len(items))
        assert got == {item.index: item.payload for item in items}
        channel.close()
        await until(lambda: accepted[0].closed == "closed by the peer" and not serving.signalling.sessions)

    told(story)


def test_https_with_a_certificate_that_the_client_knows(tmp_path: Path) -> None:
    made = certificate.make()
    made.save(tmp_path / "server.pem")

    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        channel = await connect(url, TOKEN, HERE, tls=aiohttp.Fingerprint(made.fingerprint))
        channel.close()
        with pytest.raises(SignallingError, match="another than the pinned one"):
            await connect(url, TOKEN, HERE, tls=aiohttp.Fingerprint(hashlib.sha256(b"").digest()))
        with pytest.raises(SignallingError, match="not trusted"):
            await connect(url, TOKEN, HERE)

    told(story, server_tls(str(tmp_path / "server.pem")))


@pytest.mark.parametrize("token", ["", "another", TOKEN + "x", TOKEN[:-1], "ünïcode"])
def test_a_wrong_token_opens_nothing(token: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        with pytest.raises(SignallingError, match="refused the token; give the one that the server shows") as caught:
            await connect(url, token, HERE)
        assert TOKEN not in str(caught.value) and (not token or token not in str(caught.value))
        assert not accepted

    told(story)
    assert TOKEN not in caplog.text


def test_secrets_stay_out_of_logs_errors_and_representations(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = IceServer("turn:127.0.0.1:1?transport=udp", "name", "a relay's password")

    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        channel = await connect(url.replace("http://", "http://user:word@"), TOKEN, HERE)
        channel.close()
        with pytest.raises(SignallingError) as caught:
            await connect(f"http://user:word@127.0.0.1:1/{'x' * 9}?token={TOKEN}", TOKEN, HERE)
        assert "word" not in str(caught.value) and TOKEN not in str(caught.value) and "\n" not in str(caught.value)

    told(story)
    assert TOKEN not in caplog.text and secret.password not in repr(WebRtcConfig(ice_servers=(secret,)))  # type: ignore[operator]


def test_a_page_is_told_more_beside_the_answer() -> None:
    async def beside(query: Mapping[str, str]) -> dict[str, object]:
        return {"name": query.get("name", ""), "n": 1}

    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        for accept, coded in (("application/json", False), ("*/*", True)):
            channel = WebRtcChannel(HERE)
            offer = (await channel.make_offer()).encode()
            status, text, headers = await post(url, offer, Accept=accept, path="/webrtc?name=a%20b")
            assert status == 201 and headers["Cache-Control"] == "no-store"
            if not coded:
                assert headers["Content-Type"].startswith("application/json")
                found = json.loads(text)
                assert (found["name"], found["n"]) == ("a b", 1)
                text = found["sdp"]
            await channel.take_answer(text)
            await channel.wait_open()
            await until(lambda: accepted)
            assert accepted.pop().coded is coded
            channel.close()
        assert (await post(url, b"v=0", Accept="application/json"))[0] == 400
        assert (await post(url, b"", Accept="application/json", Authorization="Bearer no"))[0] == 401

    told(story, beside=beside)


def test_offers_that_are_none() -> None:
    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        assert (await post(url, b"v=0\r\n"))[0] == 400
        assert (await post(url, b"\xff\xfe"))[0] == 400
        assert (await post(url, b"v=0\r\n" * 100_000))[0] == 413
        assert (await post(url, b"v=0\r\n", Content_Type="text/html"))[0] == 415
        assert (await post(url, b"v=0\r\n", Authorization="Basic eDp5"))[0] == 401
        assert serving.signalling.sessions == 0 and not accepted

    told(story)


def test_an_offer_that_does_not_come_to_an_end() -> None:
    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
        head = f"POST /webrtc HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {SDP}\r\n"
        writer.write(f"{head}Content-Length: 1000\r\n\r\nv=0".encode())
        assert b"408" in await reader.readline()
        writer.close()
        assert serving.signalling.sessions == 0

    told(story, limits=Limits(read_seconds=0.2))


def test_too_many_sessions_of_one_host_and_in_all() -> None:
    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        first, second = await connect(url, TOKEN, HERE), await connect(url, TOKEN, HERE)
        with pytest.raises(SignallingError, match="too many connections; try later"):
            await connect(url, TOKEN, HERE)
        first.close()
        await until(lambda: serving.signalling.sessions == 1)
        third = await connect(url, TOKEN, HERE)
        for channel in (second, third):
            channel.close()

    told(story, limits=Limits(sessions_per_host=2))
    told(story, limits=Limits(sessions=2))


def test_a_host_of_ipv6_is_its_network() -> None:
    assert host_of("2001:db8::1") == host_of("2001:db8::ffff:1") != host_of("2001:db8:0:1::1")
    assert host_of("192.0.2.1") != host_of("192.0.2.2") and host_of(None) == host_of("unix") == ""


def test_an_offer_that_nothing_follows_is_forgotten() -> None:
    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        channel = WebRtcChannel(HERE)
        status, answer, _ = await post(url, (await channel.make_offer()).encode())
        assert status == 201 and "a=candidate" in answer and serving.signalling.sessions == 1
        await until(lambda: not serving.signalling.sessions)
        assert not accepted
        channel.close()
        await channel.wait_released()

    told(story, limits=Limits(open_seconds=0.3))


def test_pages_of_allowed_origins() -> None:
    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        async with aiohttp.ClientSession() as session:
            for origin, allowed in (("https://pages.example", True), ("https://other.example", False)):
                async with session.options(url + "/webrtc", headers={"Origin": origin}) as response:
                    assert response.status == 204
                    assert (response.headers.get("Access-Control-Allow-Origin") == origin) is allowed
        status, _, headers = await post(url, b"", Origin="https://pages.example")
        assert status == 400 and headers["Access-Control-Allow-Origin"] == "https://pages.example"

    told(story, origins=("https://pages.example",))


def test_servers_that_are_others_or_none() -> None:
    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("http://127.0.0.1:1/")

    async def nonsense(request: web.Request) -> web.Response:
        return web.Response(status=201, text="<html>")

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/webrtc", redirect)
        app.router.add_post("/html", nonsense)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        for path, words in (
            ("", "status 307"),
            ("/html", "no answer that can be used"),
            ("/none", "check port and path"),
        ):
            with pytest.raises(SignallingError, match=words):
                await connect(f"http://127.0.0.1:{port}{path}", TOKEN, HERE)
        with pytest.raises(SignallingError, match=r"cannot be reached .*check the address"):
            await connect("http://127.0.0.1:1", TOKEN, HERE)
        for url in ("ftp://x", "nonsense", "http://", "http://[::1"):
            with pytest.raises(SignallingError, match="write http://HOST:PORT"):
                await connect(url, TOKEN, HERE)
        await runner.cleanup()

    asyncio.run(run())


def test_a_server_that_does_not_answer() -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            with pytest.raises(SignallingError, match=r"took more than 0.3 s to answer"):
                await connect(f"http://127.0.0.1:{silent.getsockname()[1]}", TOKEN, HERE, seconds=0.3)

    asyncio.run(run())


def test_no_way_between_the_ends_is_said_with_what_to_do() -> None:
    async def gone(request: web.Request) -> web.Response:
        channel = WebRtcChannel(HERE)
        answer = await channel.make_answer(await request.text())
        channel.close()
        await channel.wait_released()
        return web.Response(status=201, text=answer)

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/webrtc", gone)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        with pytest.raises(SignallingError, match="give both ends the same STUN or TURN server"):
            await connect(f"http://127.0.0.1:{runner.addresses[0][1]}", TOKEN, HERE, seconds=1.0)
        await runner.cleanup()

    asyncio.run(run())


def test_a_server_that_cannot_be_reached_says_so() -> None:
    async def story(url: str, serving: Serving, accepted: list[WebRtcChannel]) -> None:
        with pytest.raises(SignallingError, match="has no way to be reached; look at its log"):
            await connect(url, TOKEN, HERE)
        assert serving.signalling.sessions == 0

    told(story, config=WebRtcConfig(addresses=()))
