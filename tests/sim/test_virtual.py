"""asyncio in virtual time: hours pass at once, packets take what their link takes, and nothing waits for ever."""

import asyncio

import pytest

from sim import virtual
from sim.link import LinkSpec

Got = list[tuple[float, bytes, tuple[str, int]]]


class Ear(asyncio.DatagramProtocol):
    """Notes what comes, and answers if told to."""

    def __init__(self, answer: bytes | None = None) -> None:
        self.got: Got = []
        self.answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, virtual.Socket)
        self.socket = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append((asyncio.get_running_loop().time(), data, addr))
        if self.answer is not None:
            self.socket.sendto(self.answer, addr)


async def ear(host: str, port: int = 0, answer: bytes | None = None, peer: tuple[str, int] | None = None) -> Ear:
    loop = asyncio.get_running_loop()
    _, made = await loop.create_datagram_endpoint(
        lambda: Ear(answer), local_addr=(host, port) if host else None, remote_addr=peer
    )
    assert isinstance(made, Ear)
    return made


def test_hours_pass_at_once_and_in_order() -> None:
    async def story(network: virtual.Network) -> list[str]:
        told: list[str] = []

        async def tell(after: float, what: str) -> None:
            await asyncio.sleep(after)
            told.append(f"{what} at {asyncio.get_running_loop().time():.3f}")

        await asyncio.gather(tell(7200, "late"), tell(0.5, "soon"), tell(3600, "noon"))
        return told

    assert virtual.run(story) == ["soon at 0.500", "noon at 3600.000", "late at 7200.000"]


def test_a_packet_takes_what_its_link_takes() -> None:
    async def story(network: virtual.Network) -> tuple[Got, Got]:
        network.join("a", "b", LinkSpec(8_000, 0.25))
        there = await ear("b", 9, b"yes")
        here = await ear("")
        here.socket.sendto(bytes(972), ("b", 9))
        await asyncio.sleep(10)
        return there.got, here.got

    there, here = virtual.run(story)
    assert [(time, len(data)) for time, data, _ in there] == [(1.25, 972)]
    assert there[0][2][0] == "a", "the end of the link that leads there"
    assert [(time, data, source) for time, data, source in here] == [(1.25 + 0.25 + 31 / 1000, b"yes", ("b", 9))]


def test_within_a_host_nothing_is_delayed() -> None:
    async def story(network: virtual.Network) -> Got:
        there, here = await ear("a", 9), await ear("a", 8)
        here.socket.sendto(b"hello", ("a", 9))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return there.got

    assert virtual.run(story) == [(0.0, b"hello", ("a", 8))]


def test_a_connected_socket_hears_its_peer_only_and_a_closed_one_nobody() -> None:
    async def story(network: virtual.Network) -> Got:
        there = await ear("a", 9, peer=("a", 8))
        friend, stranger = await ear("a", 8), await ear("a", 7)
        stranger.socket.sendto(b"no", ("a", 9))
        friend.socket.sendto(b"yes", ("a", 9))
        there.socket.sendto(b"to the peer")
        await asyncio.sleep(1)
        there.socket.close()
        friend.socket.sendto(b"too late", ("a", 9))
        await asyncio.sleep(1)
        assert [data for _, data, _ in friend.got] == [b"to the peer"]
        with pytest.raises(OSError):
            await ear("a", 8)
        return there.got

    assert [data for _, data, _ in virtual.run(story)] == [b"yes"]


def test_a_rebinding_changes_what_others_see() -> None:
    async def story(network: virtual.Network) -> Got:
        network.join("a", "b", LinkSpec(1e6))
        there, here = await ear("b", 9, b"echo"), await ear("a", 8)
        here.socket.sendto(b"1", ("b", 9))
        await asyncio.sleep(1)
        network.rebind(("a", 8), ("a", 80))
        here.socket.sendto(b"2", ("b", 9))
        there.socket.sendto(b"to the old address", ("a", 8))
        await asyncio.sleep(1)
        assert [data for _, data, _ in here.got] == [b"echo", b"echo"]
        return there.got

    assert [source for _, _, source in virtual.run(story)] == [("a", 8), ("a", 80)]


def test_a_story_that_waits_for_nothing_is_ended() -> None:
    async def story(network: virtual.Network) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(virtual.Stalled):
        virtual.run(story)


def test_what_a_callback_raises_is_raised() -> None:
    async def story(network: virtual.Network) -> None:
        asyncio.get_running_loop().call_later(1, lambda: 1 / 0)
        await asyncio.sleep(2)

    with pytest.raises(ZeroDivisionError):
        virtual.run(story)


def test_a_timer_that_asks_for_the_same_time_again_does_not_hang() -> None:
    """`now - wait < start` may hold at `start + wait`, by rounding; a real clock would be past it."""

    async def story(network: virtual.Network) -> int:
        loop = asyncio.get_running_loop()
        start, wait, turns = 2.11388, 0.07142, [0]
        done = loop.create_future()

        def due() -> None:
            turns[0] += 1
            if start < loop.time() - wait:
                done.set_result(None)
            else:
                loop.call_at(start + wait, due)

        loop.call_at(start + wait, due)
        await done
        return turns[0]

    assert virtual.run(story) < 5
