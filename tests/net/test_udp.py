"""The UDP channel through real sockets on loopback."""

import asyncio
import random
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sim.link import LinkSpec
from sim.wire import Wire, why_not
from tests.net.relay import Relay
from transport import Item, ItemReceived, Receiver, Sender, SenderConfig, greeting
from transport.admission import Limits
from transport.channels import Channel, udp, udp_oneway
from transport.driver import Driver
from transport.greeting import Close, Hello, hello_proof

FAST = SenderConfig(rate=20_000_000, packet_size=1100)
HOSTS = ["127.0.0.1", "::1"]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 30))


def picture() -> list[Item]:
    rng = random.Random(1)
    return [Item(1, 0, 0, b"a dog"), *(Item(1, 3, n, rng.randbytes(1000), n) for n in range(1, 40))]


class End:
    """A driven session; `done` is set when a number of items is whole."""

    def __init__(self, session: Sender | Receiver, channel: Channel, items: int = 0) -> None:
        self.session, self.wanted = session, items
        self.got: dict[tuple[int, int, int], bytes] = {}
        self.done = asyncio.Event()
        self.driver = Driver(session, channel, self._take)
        self.driver.start()

    def _take(self) -> None:
        while (event := self.session.next_event()) is not None:
            if isinstance(event, ItemReceived) and event.complete:
                self.got[event.key] = event.payload
                if len(self.got) == self.wanted:
                    self.done.set()


def serving(items: list[Item], ends: list[End]) -> Callable[[udp.PeerChannel], None]:
    def accept(channel: udp.PeerChannel) -> None:
        sender = Sender(FAST)
        for item in items:
            sender.submit(item)
        ends.append(End(sender, channel))

    return accept


@pytest.mark.parametrize("host", HOSTS)
def test_a_picture_to_a_client(host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("not shown: IPv6, which this machine does not have on loopback")

    async def story() -> None:
        items, ends = picture(), []
        listener = await udp.listen(host, 0, serving(items, ends), "sesame")
        channel = await udp.connect(host, listener.address[1], "sesame")
        assert channel.overhead == (48 if host == "::1" else 28)
        client = End(Receiver(), channel, len(items))
        await client.done.wait()
        assert client.got == {item.key: item.payload for item in items}
        await channel.wait_ready()
        channel.close()
        assert await ends[0].driver.wait_closed() == "closed by the peer"
        assert await client.driver.wait_closed() == "closed here"
        assert not listener.channels
        listener.close()

    run(story)


def test_a_picture_from_a_client_and_a_server_that_closes() -> None:
    async def story() -> None:
        items, ends = picture(), []
        accepted = asyncio.Event()

        def accept(channel: udp.PeerChannel) -> None:
            ends.append(End(Receiver(), channel, len(items)))
            accepted.set()

        listener = await udp.listen("127.0.0.1", 0, accept)
        channel = await udp.connect("127.0.0.1", listener.address[1], expected=0)
        sender = Sender(FAST)
        for item in items:
            sender.submit(item)
        client = End(sender, channel)
        await accepted.wait()
        await ends[0].done.wait()
        assert ends[0].got == {item.key: item.payload for item in items}
        listener.close()
        assert await client.driver.wait_closed() == "closed by the peer"
        assert await ends[0].driver.wait_closed() == "closed here"

    run(story)


def test_rebinding_behind_a_nat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transport.joining.QUIET", 0.05)

    async def story() -> None:
        items, ends = picture(), []
        listener = await udp.listen("127.0.0.1", 0, serving(items[:1], ends), "sesame")
        relay = Relay(listener.address[:2])
        port = await relay.start()
        channel = await udp.connect("127.0.0.1", port, "sesame", rtt=0.2)
        client = End(Receiver(), channel, len(items))
        await channel.wait_ready()
        before = ends[0].driver.channel.peer.address  # type: ignore[attr-defined]
        await relay.rebind()
        sender = ends[0].session
        assert isinstance(sender, Sender)
        for item in items[1:]:
            sender.submit(item)
        ends[0].driver.wake()
        await client.done.wait()
        assert client.got == {item.key: item.payload for item in items}
        assert listener.admission.stats.moved == 1 and len(ends) == 1
        assert ends[0].driver.channel.peer.address != before  # type: ignore[attr-defined]
        channel.close()
        relay.close()
        listener.close()

    run(story)


def test_wrong_token_and_nobody_there() -> None:
    async def story() -> None:
        joined: list[Any] = []
        listener = await udp.listen("127.0.0.1", 0, joined.append, "sesame")
        channel = await udp.connect("127.0.0.1", listener.address[1], "guess", rtt=0.05)
        with pytest.raises(ConnectionError, match="the token is wrong"):
            await channel.wait_ready()
        assert channel.closed == "the token is wrong" and not joined
        channel.send(b"dropped")
        listener.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            nobody = free.getsockname()[1]
        channel = await udp.connect("127.0.0.1", nobody, rtt=0.05, patience=0.2)
        with pytest.raises(ConnectionError, match="no answer"):
            await channel.wait_ready()

    run(story)


def test_an_unconfirmed_address_gets_three_times_what_it_sent() -> None:
    async def story() -> None:
        ends: list[End] = []
        listener = await udp.listen("127.0.0.1", 0, serving(picture(), ends))
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
            victim.setblocking(False)
            victim.connect(listener.address)
            size = 500
            await loop.sock_sendall(victim, Hello(bytes(8), hello_proof(b"", bytes(8)), size).encode())
            assert isinstance(greeting.parse(await loop.sock_recv(victim, 2000)), greeting.Challenge)
            while not ends[0].driver.channel.waiting:
                await asyncio.sleep(0)
            assert 2 * size < listener.admission.peers[0].sent <= 3 * size
        listener.close()

    run(story)


def test_noise_and_strangers_cost_nothing() -> None:
    async def story() -> None:
        rng = random.Random(3)
        joined: list[Any] = []
        listener = await udp.listen("127.0.0.1", 0, joined.append, "sesame", Limits(sessions=4))
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)
            stranger.connect(listener.address)
            for _ in range(300):
                await loop.sock_sendall(stranger, bytes([rng.randrange(64, 80)]) + rng.randbytes(rng.randrange(60)))
                await loop.sock_sendall(stranger, rng.randbytes(rng.randrange(60)))
                await asyncio.sleep(0)  # the server's turn, or its socket would drop what is too much
            await loop.sock_sendall(stranger, Hello(bytes(8), bytes(16), 300).encode())
            while not isinstance(answer := greeting.parse(await loop.sock_recv(stranger, 2000)), Close):
                pass
            assert answer == Close(bytes(8), greeting.WRONG_TOKEN)
        assert not joined and listener.admission.stats.malformed > 100
        listener.close()

    run(story)


def test_too_large_a_datagram_is_the_callers_fault() -> None:
    async def story() -> None:
        joined: list[udp.PeerChannel] = []
        listener = await udp.listen("127.0.0.1", 0, joined.append)
        channel = await udp.connect("127.0.0.1", listener.address[1])
        await channel.wait_ready()
        sender = await udp_oneway.open_sender("127.0.0.1", 9)
        for each in (channel, joined[0], sender):
            with pytest.raises(ValueError, match="a datagram of 1473 B"):
                each.send(bytes(1473))
            each.close()
            each.close()
            each.send(b"dropped")
            assert each.receive() is None and each.waiting == 0 and each.closed is not None
        listener.close()

    run(story)


@pytest.mark.parametrize(
    ("to", "at", "interface"),
    [
        ("127.0.0.1", "127.0.0.1", None),
        ("127.255.255.255", "", None),
        ("239.255.7.7", "239.255.7.7", "lo"),
        ("::1", "::1", None),
    ],
    ids=["host", "broadcast", "multicast", "host-6"],
)
def test_one_way(to: str, at: str, interface: str | None) -> None:
    if ":" in to and not has_ipv6():
        pytest.skip("not shown: IPv6, which this machine does not have on loopback")

    async def story() -> None:
        listener = await udp_oneway.open_listener(at, 0, interface=interface)
        try:
            channel = await udp_oneway.open_sender(to, listener.address[1], interface=interface)
        except OSError as error:
            pytest.skip(f"not shown: sending to {to} on loopback ({error.strerror})")
        items = picture()
        receiver = End(Receiver(), listener, len(items))
        sender = Sender(SenderConfig(rate=5_000_000, packet_size=1100, feedback=False))
        for item in items:
            sender.submit(item)
        driver = Driver(sender, channel)
        driver.start()
        await receiver.done.wait()
        assert receiver.got == {item.key: item.payload for item in items}
        listener.send(b"says nothing")
        listener.close()
        channel.close()
        assert await driver.wait_closed() == "closed here"

    run(story)


GROUP_OF_SIX = """
import asyncio, subprocess, sys
from transport.channels import udp_oneway

async def story(device):
    subprocess.run(["ip", "addr", "add", "fd00::1/64", "dev", device, "nodad"], check=True)
    listener = await udp_oneway.open_listener("ff15::7", 0, interface=device)
    came = asyncio.Event()
    listener.wake = came.set
    sender = await udp_oneway.open_sender("ff15::7", listener.address[1], interface=device)
    sender.send(b"to all")
    await asyncio.wait_for(came.wait(), 10)
    print(listener.receive().decode())

asyncio.run(story(sys.argv[1]))
"""


@pytest.mark.skipif(why_not() is not None, reason=f"not shown: IPv6 multicast; {why_not()}")
def test_one_way_to_an_ipv6_group() -> None:
    with Wire(LinkSpec(1_000_000)) as wire:
        words = [sys.executable, "-c", GROUP_OF_SIX, wire._plan.names[0]]
        process = wire.run_in("a", words, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
        said, _ = process.communicate(timeout=30)
    assert said == "to all\n"
