"""The scenarios of quic-interop-runner, by its names, on QUIC and WebTransport: every item arrives, whole and once."""

import asyncio
from types import ModuleType

import pytest

from sim.link import Loss
from sim.trouble import Corruption, Losing, Outage
from tests.transport.channels.play import CLIENT, Play, play, sizes
from transport import Item
from transport.channels import quic, webtransport
from transport.channels.quic_base import LinkProfile, Settings

pytestmark = pytest.mark.parametrize("kind", [quic, webtransport], ids=["quic", "webtransport"])
CAPTION = Item(1, 0, 0, b"a dog on a beach", priority=0)
BULK = [Item(1, 3, n, bytes([n]) * 1000, priority=1 + n) for n in range(30)]


def fast(rate: float = 100_000) -> Settings:
    return Settings(LinkProfile(rate))


async def transfer(story: Play, rate: float = 100_000, within: float = 120.0) -> float:
    """Caption and bulk from the server to the client; when the last of it had come."""
    story.start = lambda channel: story.send(channel, [CAPTION, *BULK], rate=rate)
    await story.serve()
    client = await story.connect()
    got = story.receive(client)
    end = await story.until(lambda: len(got) == 31 or client.closed, within)
    assert client.closed is None
    assert {key: payload for key, (_, payload) in got.items()} == {item.key: item.payload for item in [CAPTION, *BULK]}
    assert next(iter(got)) == CAPTION.key
    return end


def test_longrtt(kind: ModuleType) -> None:
    """1.5 s of round trip: the handshake does not give up, the caption needs two of them, the rest flows."""

    async def story(story: Play) -> None:
        assert await transfer(story) < 3 * 1.5 + 31 * 1200 * 8 / 100_000 + 1.5

    play(story, kind=kind, round_trip=1.5, settings=fast())


@pytest.mark.parametrize("seed", range(8))
def test_handshakeloss(kind: ModuleType, seed: int) -> None:
    """30% of the packets lost both ways while connections open."""

    async def story(story: Play) -> None:
        story.start = lambda channel: story.send(channel, [CAPTION], rate=100_000)
        await story.serve()
        client = await story.connect()
        got = story.receive(client)
        await story.until(lambda: got)
        assert client.closed is None

    play(story, kind=kind, up=[Loss(0.3)], down=[Loss(0.3)], seed=seed, round_trip=0.03)


@pytest.mark.parametrize("seed", range(8))
def test_handshakecorruption(kind: ModuleType, seed: int) -> None:
    """30% of the packets changed both ways while connections open."""

    async def story(story: Play) -> None:
        story.start = lambda channel: story.send(channel, [CAPTION], rate=100_000)
        await story.serve()
        client = await story.connect()
        got = story.receive(client)
        await story.until(lambda: got)
        assert got[CAPTION.key][1] == CAPTION.payload

    play(story, kind=kind, up=[Corruption(0.3)], down=[Corruption(0.3)], seed=seed, round_trip=0.03)


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_transferloss(kind: ModuleType, share: float) -> None:
    async def story(story: Play) -> None:
        await transfer(story)

    play(story, kind=kind, up=[Loss(share)], down=[Loss(share)], settings=fast())


def test_transfercorruption(kind: ModuleType) -> None:
    async def story(story: Play) -> None:
        await transfer(story)

    play(story, kind=kind, up=[Corruption(0.05)], down=[Corruption(0.05)], settings=fast())


def test_blackhole(kind: ModuleType) -> None:
    """10 s without any packet in the middle of a transfer; it is back soon after."""

    async def story(story: Play) -> None:
        assert await transfer(story) < 11 + 10 + 5

    play(story, kind=kind, up=[Outage(1, 11)], down=[Outage(1, 11)], settings=fast())


@pytest.mark.parametrize("address", [(CLIENT, 60_001), ("10.0.0.3", 50_001)], ids=["port", "address"])
def test_rebinding(kind: ModuleType, address: tuple[str, int]) -> None:
    """A NAT gives the client another port or address in the middle of a transfer: the server follows."""

    async def story(story: Play) -> None:
        story.network.connect(address[0], "10.0.0.2", story.up)
        story.network.connect("10.0.0.2", address[0], story.down)
        asyncio.get_running_loop().call_later(1.0, story.network.rebind, (CLIENT, 50_001), address)
        await transfer(story)
        (server,) = story.accepted
        assert server._quic.get_peer_address() == address
        assert server._quic._network_paths[0].is_validated

    play(story, kind=kind, settings=fast())


def test_amplificationlimit(kind: ModuleType) -> None:
    """A server that hears one packet and no more sends three times its bytes at most."""

    async def story(story: Play) -> None:
        story.start = lambda channel: story.send(channel, [CAPTION, *BULK], rate=100_000)
        await story.serve()
        await story.connect()
        await asyncio.sleep(100)
        sent = [size - 28 for size in sizes(story.down)]
        assert sent and sum(sent) <= 3 * 1200

    play(story, kind=kind, up=[Losing(lambda packet: packet.number > 0)], token="")
