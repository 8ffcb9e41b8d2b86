"""QUIC and WebTransport channels through real sockets on loopback: addresses of both families, sessions, goodbyes."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import pytest

from transport import Item, ItemReceived, Receiver, Sender, SenderConfig
from transport.channels import certificate, quic, webtransport
from transport.channels.quic_base import QuicEnd
from transport.channels.tickets import TicketFile
from transport.driver import Driver

BOTH = pytest.mark.parametrize("kind", [quic, webtransport], ids=["quic", "webtransport"])
CERTIFICATE = certificate.make()
TOKEN = "open sesame"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 30))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
@BOTH
def test_a_picture_arrives(kind: ModuleType, host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("no IPv6 here: that it works over IPv6 was not shown")
    items = [Item(1, 0, 0, b"a dog"), *(Item(1, 3, n, bytes([n]) * 1000, n) for n in range(1, 200))]

    async def story() -> None:
        drivers: list[Driver] = []
        got: dict[tuple[int, int, int], bytes] = {}
        whole = asyncio.Event()

        def accept(channel: QuicEnd) -> None:
            sender = Sender(SenderConfig(rate=20e6, packet_size=channel.largest, overhead=channel.overhead))
            for item in items:
                sender.submit(item)
            drivers.append(Driver(sender, channel))
            drivers[-1].start()

        def take() -> None:
            while (event := receiver.next_event()) is not None:
                if isinstance(event, ItemReceived) and event.complete:
                    got[event.key] = event.payload
            if len(got) == len(items):
                whole.set()

        serving = await kind.serve("::" if has_ipv6() else "127.0.0.1", 0, accept, CERTIFICATE, TOKEN)
        channel = await kind.connect(host, serving.port, CERTIFICATE.fingerprint, TOKEN)
        receiver = Receiver()
        driver = Driver(receiver, channel, take)
        driver.start()
        await whole.wait()
        assert got == {item.key: item.payload for item in items}
        channel.close()
        assert await drivers[0].wait_closed() == "closed by the peer"
        assert await driver.wait_closed() == "closed here"
        serving.close()

    run(story)


@BOTH
def test_reasons_on_real_sockets(kind: ModuleType) -> None:
    async def story() -> None:
        serving = await kind.serve("127.0.0.1", 0, lambda channel: None, CERTIFICATE, TOKEN)
        wrong = [
            (CERTIFICATE.fingerprint, "guess", "the server refused the token"),
            (bytes(32), TOKEN, "the server has another certificate than the pinned one"),
        ]
        for pin, token, why in wrong:
            channel = await kind.connect("127.0.0.1", serving.port, pin, token)
            driver = Driver(Receiver(), channel)
            driver.start()
            assert await driver.wait_closed() == why
        with pytest.raises(OSError):
            await kind.serve("127.0.0.1", serving.port, lambda channel: None, CERTIFICATE)
        serving.close()

    run(story)


@BOTH
def test_a_ticket_in_a_file_lets_data_go_with_the_first_packet(kind: ModuleType, tmp_path: Path) -> None:
    async def story() -> None:
        accepted: asyncio.Queue[QuicEnd] = asyncio.Queue()
        serving = await kind.serve("127.0.0.1", 0, accepted.put_nowait, CERTIFICATE, TOKEN)
        for early in (False, True):
            tickets = TicketFile(tmp_path / "tickets")
            assert len(tickets) == early
            channel = await kind.connect("127.0.0.1", serving.port, CERTIFICATE.fingerprint, TOKEN, tickets=tickets)
            assert not channel.waiting if early else channel.waiting
            channel.send(b"hello")
            other = await accepted.get()
            came = asyncio.Event()
            other.wake = came.set
            while (data := other.receive()) is None:
                came.clear()
                await came.wait()
            assert data == b"hello"
            while not len(tickets):
                await asyncio.sleep(0)
            channel.close()
        serving.close()

    run(story)


def test_a_client_that_moves_to_another_port_is_followed() -> None:
    async def story() -> None:
        accepted: asyncio.Queue[QuicEnd] = asyncio.Queue()
        serving = await quic.serve("127.0.0.1", 0, accepted.put_nowait, CERTIFICATE, TOKEN)
        client = await quic.connect("127.0.0.1", serving.port, CERTIFICATE.fingerprint, TOKEN)
        server = await accepted.get()
        before = server._quic.get_peer_address()

        class Relay(asyncio.DatagramProtocol):
            """Stands for the network that the client now comes through."""

            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                client.datagram_received(data, addr)

        for sender, receiver, data in ((client, server, b"1"), (client, server, b"2"), (server, client, b"3")):
            if data == b"2":
                moved, _ = await asyncio.get_running_loop().create_datagram_endpoint(Relay, local_addr=("127.0.0.1", 0))
                client._transport = moved
            came = asyncio.Event()
            receiver.wake = came.set
            sender.send(data)
            while (got := receiver.receive()) is None:
                came.clear()
                await came.wait()
            assert got == data
        assert server._quic.get_peer_address() not in (None, before)
        client.close()
        serving.close()

    run(story)
