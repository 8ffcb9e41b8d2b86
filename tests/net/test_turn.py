"""Through NAT: a STUN server tells an end its address, a TURN server relays; coturn on loopback."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from transport.channels.signalling import Signalling, SignallingError, connect, serve
from transport.channels.webrtc import IceServer, WebRtcChannel, WebRtcConfig

TURNSERVER = shutil.which("turnserver")
pytestmark = pytest.mark.skipif(TURNSERVER is None, reason="no coturn: that a relay leads through NAT was not shown")
NAME, PASSWORD = "layers", "a relay's password"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[str]:
    """HOST:PORT of a coturn that relays on loopback."""
    port = free_port()
    options = (
        f"--listening-ip=127.0.0.1 --relay-ip=127.0.0.1 --listening-port={port} --realm=test --lt-cred-mech --no-tls "
        f"--no-dtls --no-cli --allow-loopback-peers --fingerprint --simple-log --pidfile={tmp_path}/pid "
        f"--userdb={tmp_path}/users --log-file={tmp_path}/log"
    )
    command = [str(TURNSERVER), "-n", *options.split(), f"--user={NAME}:{PASSWORD}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path) as process:
        try:
            asyncio.run(answering(port))
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


async def answering(port: int) -> None:
    """Until the server takes connections."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def exchange(config: WebRtcConfig, server: WebRtcConfig | None = None) -> tuple[WebRtcChannel, WebRtcChannel]:
    """Open a channel between two ends, with the same settings unless the server has its own, and send one datagram
    each way; both ends, closed."""

    async def story() -> tuple[WebRtcChannel, WebRtcChannel]:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[WebRtcChannel] = loop.create_future()
        serving = await serve("127.0.0.1", 0, Signalling(accepted.set_result, config=server or config))
        try:
            near = await connect(f"http://127.0.0.1:{serving.port}", config=config, seconds=20)
            far = await accepted
            for source, target in ((near, far), (far, near)):
                came = asyncio.Event()
                target.wake = came.set
                source.send(b"through")
                async with asyncio.timeout(10):
                    await came.wait()
                assert target.receive() == b"through"
            near.close()
            await near.wait_released()
            return near, far
        finally:
            await serving.wait_closed()

    return asyncio.run(story())


@pytest.mark.parametrize("way", ["udp", "tcp"])
def test_two_ends_that_reach_each_other_only_through_a_relay(relay: str, way: str) -> None:
    server = IceServer(f"turn:{relay}?transport={way}", NAME, PASSWORD)
    near, far = exchange(WebRtcConfig(ice_servers=(server,), relay_only=True))
    plain, _ = exchange(WebRtcConfig(addresses=("127.0.0.1",)))
    assert near.overhead == far.overhead == plain.overhead + 4, "what the relay's framing adds is counted"


def test_a_wrong_password_at_the_relay_is_no_way(relay: str) -> None:
    server = IceServer(f"turn:{relay}", NAME, "another")
    with pytest.raises(SignallingError, match="check its address, user name and password") as caught:
        exchange(WebRtcConfig(ice_servers=(server,), relay_only=True))
    assert "another" not in str(caught.value)


def test_a_stun_server_tells_the_address(relay: str) -> None:
    async def story() -> str:
        channel = WebRtcChannel(WebRtcConfig(ice_servers=(IceServer(f"stun:{relay}"),), addresses=("127.0.0.1",)))
        try:
            return await channel.make_offer()
        finally:
            channel.close()
            await channel.wait_released()

    offer = asyncio.run(story())
    assert "typ srflx raddr 127.0.0.1" in offer


def test_servers_that_do_not_answer_cost_a_bounded_time() -> None:
    servers = (IceServer("stun:127.0.0.1:9"), IceServer("turn:127.0.0.1:9", NAME, PASSWORD))
    here = WebRtcConfig(addresses=("127.0.0.1",))
    exchange(replace(here, ice_servers=servers), here)
