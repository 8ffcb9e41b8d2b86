"""The scenarios of quic-interop-runner by their names, on the UDP channel and on a pipe, in virtual time.

https://github.com/quic-interop/quic-interop-runner describes them for QUIC; what does not concern us (TLS, streams,
versions) has no test here. A pipe has no handshake and no addresses.
"""

import random
from collections.abc import Callable

import pytest

from sim.link import LinkSpec
from tests.transport.pipe_world import PipeWorld
from tests.transport.udp_world import GROUP, Choose, World, sending
from transport import Item, Receiver, Sender, SenderConfig, greeting

CONFIG = SenderConfig(rate=50_000, packet_size=252)
LINK = LinkSpec(50_000, 0.05)
Rule = Callable[[float, int, bytes], bytes | None]


def picture(size: int = 30_000) -> list[Item]:
    rng = random.Random(size)
    bulk = [Item(GROUP, 3, n, rng.randbytes(1000), 2 + n, may_cut=True) for n in range(size // 1000)]
    return [Item(GROUP, 0, 0, b"a dog on a beach"), Item(GROUP, 1, 1, rng.randbytes(200), 1), *bulk]


def losing(share: float, seed: int) -> Choose:
    rng = random.Random(seed)
    return Choose(lambda time, number, data: None if rng.random() < share else data)


def spoiling(share: float, seed: int, only: Callable[[bytes], bool] = lambda data: True) -> Choose:
    """Flips a bit of a share of the datagrams."""
    rng = random.Random(seed)

    def spoil(time: float, number: int, data: bytes) -> bytes:
        if not only(data) or rng.random() >= share:
            return data
        spoilt = bytearray(data)
        spoilt[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(spoilt)

    return Choose(spoil)


def silent(start: float, stop: float) -> Choose:
    return Choose(lambda time, number, data: None if start <= time < stop else data)


def download(spec: LinkSpec = LINK, size: int = 30_000, config: SenderConfig = CONFIG) -> tuple[World, list[Item]]:
    """A server that sends a picture to whoever joins."""
    items = picture(size)
    return World(spec, serve=sending(items, config)), items


def whole(items: list[Item]) -> dict[tuple[int, int, int], bytes]:
    return {item.key: item.payload for item in items}


def piped(items: list[Item]) -> Sender:
    return sending(items, CONFIG)()


# --- longrtt ---


def test_udp_longrtt() -> None:
    world, items = download(LinkSpec(50_000, 0.75), 10_000)
    client = world.client()
    world.run(60.0)
    assert client.received() == whole(items)
    assert client.when(GROUP, 0, 0) < 1.6, "one round trip, however long"
    hellos = [e for e in client.up.log if e.what == "sent" and e.size == 114 + 28]
    assert len(hellos) == 2, "asked again once before an answer could be there"
    assert len(world.ends) == 1


def test_pipe_longrtt() -> None:
    items = picture(10_000)
    world = PipeWorld(LinkSpec(50_000, 0.75), piped(items))
    world.run(60.0)
    assert world.far.received() == whole(items)


# --- handshakeloss: 30% in each direction, many clients ---


def test_udp_handshakeloss() -> None:
    world, items = download(size=0)
    clients = [world.client(port, up=[losing(0.3, port)], down=[losing(0.3, -port)]) for port in range(1, 13)]
    clients += [
        world.client(port, up=[losing(0.3, port)], down=[losing(0.3, -port)], host="192.0.2.2") for port in range(1, 13)
    ]
    world.run(60.0)
    for client in clients:
        assert client.received() == whole(items) and client.joining.ready and client.closed is None


# --- handshakecorruption: the same with flipped bits; data is left to UDP's checksum and to the pipe's CRC ---


def test_udp_handshakecorruption() -> None:
    world, items = download(size=0)
    ours = greeting.is_message
    clients = [
        world.client(port, up=[spoiling(0.3, port, ours)], down=[spoiling(0.3, -port, ours)]) for port in range(1, 16)
    ]
    world.run(60.0)
    done = [client for client in clients if client.joining.ready]
    assert len(done) >= 14, "two Hellos spoilt in their proof look like a wrong token: once in a hundred"
    assert all(client.received() == whole(items) for client in done)


def test_pipe_corruption() -> None:
    items = picture()
    world = PipeWorld(LINK, piped(items), there=[spoiling(0.2, 1)], back=[spoiling(0.2, 2)])
    world.run(120.0)
    assert world.far.received() == whole(items)
    assert world.far.deframer.stats.damaged > 20 and world.near.deframer.stats.damaged > 2


# --- transferloss ---


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_udp_transferloss(share: float) -> None:
    world, items = download()
    client = world.client(up=[losing(share, 1)], down=[losing(share, 2)])
    world.run(120.0)
    assert client.received() == whole(items)
    end = world.ends[world.admission.peers[0]]
    assert isinstance(end.session, Sender) and end.session.idle and end.session.stats.lost > 0


def test_pipe_transferloss() -> None:
    """A line that drops out for a part of a frame, or for several."""
    rng = random.Random(4)
    line = Choose(lambda time, number, data: data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)
    items = picture()
    world = PipeWorld(LINK, piped(items), there=[line], back=[losing(0.1, 2)])
    world.run(120.0)
    assert world.far.received() == whole(items)


# --- blackhole: nothing passes for 10 s in the middle of a transfer ---


def test_udp_blackhole() -> None:
    world, items = download()
    client = world.client(up=[silent(2.0, 12.0)], down=[silent(2.0, 12.0)])
    world.run(11.9)
    assert 0 < len(client.received()) < len(items)
    world.run(80.0)
    assert client.received() == whole(items) and client.closed is None
    assert len(world.ends) == 1 and not world.left, "the same session goes on"
    end = max(client.when(*item.key) for item in items)
    assert end < 12.0 + 10.0 + 30_000 * 8 / 50_000 * 1.5


def test_pipe_blackhole() -> None:
    items = picture()
    world = PipeWorld(LINK, piped(items), there=[silent(2.0, 12.0)], back=[silent(2.0, 12.0)])
    world.run(80.0)
    assert world.far.received() == whole(items)


# --- rebind-port, rebind-addr: the client's NAT gives it another address in the middle ---


@pytest.mark.parametrize("address", [("192.0.2.1", 2000), ("203.0.113.9", 1000)], ids=["port", "addr"])
def test_udp_rebinding_of_a_client_that_receives(address: tuple[str, int]) -> None:
    world, items = download()
    client = world.client()
    world.clock.at(2.0, lambda: setattr(client, "address", address))
    world.run(80.0)
    assert client.received() == whole(items)
    assert world.admission.stats.moved == 1 and len(world.ends) == 1 and world.admission.peers[0].address == address


@pytest.mark.parametrize("address", [("192.0.2.1", 2000), ("203.0.113.9", 1000)], ids=["port", "addr"])
def test_udp_rebinding_of_a_client_that_sends(address: tuple[str, int]) -> None:
    world, items = World(LINK, serve=Receiver), picture()
    client = world.client(session=sending(items, CONFIG)())
    world.clock.at(2.0, lambda: setattr(client, "address", address))
    world.run(80.0)
    (end,) = world.ends.values()
    got = {event.key: event.payload for event in end.events if getattr(event, "complete", False)}
    assert got == whole(items) and world.admission.stats.moved == 1


# --- amplificationlimit: the client's echoes are lost; the world counts each byte ---


def test_udp_amplificationlimit() -> None:
    world, items = download(size=5000)
    lost: list[float] = []

    def no_echoes(time: float, number: int, data: bytes) -> bytes | None:
        if isinstance(greeting.parse(data), greeting.Echo) and len(lost) < 3:
            lost.append(time)
            return None
        return data

    client = world.client(up=[Choose(no_echoes)])
    world.run(6.5)
    peer = world.admission.peers[0]
    assert len(lost) == 3 and not peer.confirmed and peer.waiting > 0
    assert (GROUP, 0, 0) in client.received(), "the caption needs no confirmed address"
    assert world.sent[client.address] > 2 * world.received[client.address], "the limit is used"
    world.run(60.0)
    assert client.received() == whole(items)
