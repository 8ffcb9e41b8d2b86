"""The WebRTC channel on modelled links, in virtual time: what would kill or clog aiortc's own does not."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

import pytest
from aioice import Connection

from sim import virtual
from sim.link import Link, LinkSpec, Packet
from sim.webrtc import Pair, bulk, hosts, time_of, wire_bytes
from transport import Item, SenderConfig
from transport.channels.webrtc import WebRtcChannel, WebRtcConfig
from transport.channels.webrtc_stack import LARGEST_MESSAGE, Association, Path

Result = TypeVar("Result")
SLOW = LinkSpec(50_000, 0.05)


def play(story: Callable[[Pair], Coroutine[Any, Any, Result]], config: WebRtcConfig | None = None) -> Result:
    """Run a story between two ends that are not yet connected; both are closed after it."""

    async def told(network: virtual.Network) -> Result:
        with time_of(asyncio.get_running_loop()):
            pair = Pair.make(network, config)
            try:
                return await story(pair)
            finally:
                await pair.close()

    return virtual.run(told)


async def until(holds: Callable[[], object], seconds: float) -> float:
    """Wait until something holds, so long at most; the time then."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not holds() and loop.time() < end:
        await asyncio.sleep(0.01)
    assert holds(), f"has not happened within {seconds} s"
    return loop.time()


def lose(link: Link, which: Callable[[Packet], bool]) -> None:
    """Lose the packets of a link that a test names, as they arrive."""
    arrived = link.arrived
    link.arrived = lambda packet: None if which(packet) else arrived(packet)


# --- a transfer ---


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_urgent_items_arrive_at_once_among_bulk(loss: float) -> None:
    async def story(pair: Pair) -> tuple[list[float], dict[Any, bytes]]:
        await pair.open()
        pair.join(LinkSpec(50_000, 0.05, loss), seed=3)
        got = pair.receive(pair.near)
        config = SenderConfig(overhead=pair.far.overhead, rate=45_000)
        sender, driver = pair.send(pair.far, config)
        for item in bulk(60_000):
            sender.submit(item)
        waits = []
        for turn in range(1, 4):
            await asyncio.sleep(2.0)
            started = asyncio.get_running_loop().time()
            sender.submit(Item(turn, 0, 0, b"a dog" * 60))
            driver.wake()
            waits.append(await until(lambda turn=turn: (turn, 0, 0) in got, 10) - started)
        await until(lambda: sender.idle, 60)
        return waits, {key: payload for key, (_, payload) in got.items()}

    waits, got = play(story)
    assert sorted(waits)[1] < 0.6 and (loss or max(waits) < 0.6), "both copies of one may be lost"
    assert got == {item.key: item.payload for item in bulk(60_000)} | {(n, 0, 0): b"a dog" * 60 for n in (1, 2, 3)}


def test_wire_bytes_are_what_the_channel_says() -> None:
    async def story(pair: Pair) -> tuple[float, int]:
        await pair.open()
        _, back = pair.join(SLOW)
        got = pair.receive(pair.near)
        sender, _ = pair.send(pair.far, SenderConfig(overhead=pair.far.overhead, rate=45_000))
        for item in bulk(100_000):
            sender.submit(item)
        await until(lambda: sender.idle, 60)
        assert len(got) == 100
        return (wire_bytes(back) - sender.stats.bytes) / sender.stats.packets, pair.far.overhead

    measured, said = play(story)
    assert abs(measured - said) < 8


# --- staying alive ---

ALIVE = {
    "round trip of 1 s": LinkSpec(50_000, 0.5),
    "round trip of 10 s": LinkSpec(50_000, 5.0),
    "20% loss": LinkSpec(50_000, 0.1, 0.2),
    "50% loss": LinkSpec(50_000, 0.1, 0.5),
}


async def lifetime(pair: Pair, spec: LinkSpec, seconds: float, flood: int = 0) -> float:
    """Seconds for which an idle connection, or one into which `flood` bytes are thrown at once, lives on a link."""
    loop = asyncio.get_running_loop()
    await pair.open()
    pair.join(spec, seed=1)
    start = loop.time()
    for _ in range(flood // 1000):
        pair.far.send(bytes(1000))
    while pair.near.closed is None and pair.far.closed is None and loop.time() < start + seconds:
        await asyncio.sleep(1.0)
        while pair.near.receive() is not None:
            pass
    return loop.time() - start


@pytest.mark.parametrize("name", ALIVE)
def test_lives_for_hours(name: str) -> None:
    assert play(lambda pair: lifetime(pair, ALIVE[name], 7200)) >= 7200


def test_lives_under_its_own_bulk() -> None:
    assert play(lambda pair: lifetime(pair, SLOW, 300, flood=400_000)) >= 300


@pytest.mark.parametrize("name", ["round trip of 1 s", "50% loss"])
def test_the_library_alone_would_be_dead(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cure is for: aioice's own check of consent ends the same connections."""
    monkeypatch.setattr(Path, "query_consent", Connection.query_consent)
    assert play(lambda pair: lifetime(pair, ALIVE[name], 7200)) < 3600


def test_silence_ends_it() -> None:
    async def story(pair: Pair) -> tuple[float, str | None, str | None]:
        await pair.open()
        await asyncio.sleep(100)
        assert pair.near.closed is None
        start = asyncio.get_running_loop().time()
        pair.join(LinkSpec(1e6, 0.0, loss=1.0))
        await asyncio.gather(pair.near.wait_closed(), pair.far.wait_closed())
        return asyncio.get_running_loop().time() - start, pair.near.closed, pair.far.closed

    seconds, near, far = play(story, WebRtcConfig(keepalive=5.0, silence=20.0))
    assert 15 < seconds < 21 and near == far == "nothing heard for 20 s"


def test_idle_costs_little() -> None:
    async def story(pair: Pair) -> int:
        await pair.open()
        links = pair.join(SLOW)
        await asyncio.sleep(1000)
        return sum(map(wire_bytes, links))

    assert play(story) < 1000 * 20


def test_a_client_whose_address_changes_is_found_again() -> None:
    async def story(pair: Pair) -> bytes | None:
        await pair.open()
        old = pair.near._path._nominated[1].local_addr
        pair.network.rebind(old, ("10.0.0.9", 1234))
        pair.far.send(b"to where it was")
        await asyncio.sleep(20)
        assert pair.near.receive() is None
        pair.far.send(b"to where it is")
        await asyncio.sleep(1)
        return pair.near.receive()

    assert play(story) == b"to where it is"


# --- the queues below, and time-outs ---


def test_waiting_counts_what_has_not_left_and_wake_tells_when_all_has() -> None:
    async def story(pair: Pair) -> None:
        assert pair.far.waiting, "nothing is to be handed over before it is open"
        await pair.open()
        pair.join(SLOW)
        assert pair.far.waiting == 0
        seen: list[int] = []
        pair.far.wake = lambda: seen.append(pair.far.waiting)
        for _ in range(400):
            pair.far.send(bytes(1000))
        assert pair.far.waiting == 400_000
        await asyncio.sleep(1)
        assert 0 < pair.far.waiting < 400_000, "what is beyond SCTP's window waits"
        await until(lambda: seen and seen[-1] == 0, 120)
        assert pair.far.waiting == 0

    play(story)


@pytest.mark.parametrize("size", [250, 1100])
def test_slow_links_do_not_look_like_losses(size: int) -> None:
    """At 10 kbit/s a packet of 1,100 B takes a second: with the library's own time-out each would be given up, and the
    round trip be measured no more."""

    async def story(pair: Pair) -> tuple[float, float | None]:
        await pair.open()
        pair.join(LinkSpec(10_000, 0.05))
        pair.receive(pair.near)
        sender, _ = pair.send(pair.far, SenderConfig(size, pair.far.overhead, rate=9_000))
        for item in bulk(30_000):
            sender.submit(item)
        await until(lambda: sender.idle, 120)
        assert pair.links is not None
        return wire_bytes(pair.links[1]) / sender.stats.bytes, pair.far._sctp._srtt

    share, round_trip = play(story, WebRtcConfig(rate=10_000, round_trip=0.1))
    assert share < 1.1 * (size + 115) / size
    assert round_trip is not None and round_trip < 3


def test_lost_messages_are_given_up_without_a_stall() -> None:
    async def story(pair: Pair) -> tuple[int, float, int]:
        await pair.open()
        pair.join(LinkSpec(50_000, 0.05, 0.2), seed=2)
        waits = []
        for number in range(400):
            pair.far.send(number.to_bytes(2) + bytes(298))
            started = asyncio.get_running_loop().time()
            await asyncio.sleep(0.2)
            while (data := pair.near.receive()) is not None:
                assert int.from_bytes(data[:2]) == number, "late"
                waits.append(asyncio.get_running_loop().time() - started)
        await asyncio.sleep(20)
        return len(waits), max(waits), len(pair.far._sctp._sent_queue)

    got, _, held = play(story)
    assert 290 < got < 350 and held == 0


def test_a_message_is_one_packet() -> None:
    async def story(pair: Pair) -> list[int]:
        await pair.open()
        _, back = pair.join(LinkSpec(1e6, 0.05))
        assert pair.far.largest == LARGEST_MESSAGE
        with pytest.raises(ValueError, match="on a channel for"):
            pair.far.send(bytes(LARGEST_MESSAGE + 1))
        for data in (bytes(LARGEST_MESSAGE), b"", bytearray(b"any bytes")):
            pair.far.send(data)
        await asyncio.sleep(0.3)
        assert [pair.near.receive() for _ in range(4)] == [bytes(LARGEST_MESSAGE), b"", b"any bytes", None]
        return [event.size for event in back.log if event.what == "sent"]

    assert play(story)[0] == LARGEST_MESSAGE + 93


# --- beginning and end ---


def test_two_lost_answers_do_not_end_the_opening() -> None:
    """aiortc repeats an INIT with a tag that the peer must ignore, once it has heard the peer's own."""

    async def story(pair: Pair) -> float:
        links = pair.join(LinkSpec(1e6, 0.05))
        for link in links:
            lost = []
            lose(link, lambda packet, lost=lost: packet.size == 137 and not lost and not lost.append(packet))
        await pair.open()
        return asyncio.get_running_loop().time()

    assert play(story) < 5


def test_an_opening_without_a_way_fails_in_words() -> None:
    async def story(pair: Pair) -> None:
        answer = await pair.far.make_answer(await pair.near.make_offer())
        pair.join(LinkSpec(1e6, 0.0, loss=1.0))
        await pair.near.take_answer(answer)
        with pytest.raises(ConnectionError, match="no connection after 20 s"):
            await pair.far.wait_open(20)
        with pytest.raises(ConnectionError, match="no way to the peer"):
            await pair.near.wait_open(600)
        assert pair.near.closed and pair.far.closed

    play(story)


def test_a_close_is_heard() -> None:
    async def story(pair: Pair) -> tuple[str | None, str | None]:
        await pair.open()
        pair.join(SLOW)
        woken: list[str | None] = []
        pair.near.wake = lambda: woken.append(pair.near.closed)
        pair.far.close()
        pair.far.close()
        pair.far.send(b"too late")
        await asyncio.sleep(1)
        assert woken[-1] == "closed by the peer"
        assert not pair.network._sockets, "the sockets are released"
        return pair.far.closed, pair.near.closed

    assert play(story) == ("closed here", "closed by the peer")


def test_a_goodbye_leaves_even_if_the_loop_ends_with_it() -> None:
    async def story(pair: Pair) -> str | None:
        await pair.open()
        pair.far.close()
        assert pair.far._release is not None
        pair.far._release.cancel()  # as asyncio.run does with all that is left
        await asyncio.sleep(1)
        return pair.near.closed

    assert play(story) == "closed by the peer"


# --- hostile peers ---


def test_anybodys_datagrams_change_nothing() -> None:
    async def story(pair: Pair) -> None:
        await pair.open()
        random, target = Random(1), pair.near._path._nominated[1].local_addr
        stranger, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("10.0.0.66", 666)
        )
        for size in range(300):
            first = bytes([random.choice((0, 1, 22, 23, 128, 200))])
            stranger.sendto((first + random.randbytes(size))[:size], target)
        for _ in range(5000):
            stranger.sendto(bytes([22]) * 40, target)
        await asyncio.sleep(1)
        pair.far.send(b"still here")
        await asyncio.sleep(1)
        assert pair.near.receive() == b"still here"
        stranger.close()

    play(story)


def test_a_peer_that_speaks_nonsense_costs_itself_at_most_its_connection() -> None:
    async def story(pair: Pair) -> int:
        await pair.open()
        random, bad, good = Random(2), pair.far._sctp, pair.near._sctp
        send = bad._RTCSctpTransport__transport._send_data  # type: ignore[attr-defined]
        from aiortc.rtcsctptransport import CHUNK_TYPES, Chunk, serialize_packet

        for _ in range(2000):
            chunk = Chunk(flags=random.randrange(256), body=random.randbytes(random.choice((0, 3, 4, 8, 12, 16, 40))))
            chunk.type = random.choice([kind for kind in CHUNK_TYPES if kind not in (6, 7, 8, 14)])
            await send(serialize_packet(5000, 5000, good._local_verification_tag, chunk))
            if random.random() < 0.05:
                await asyncio.sleep(0.01)
        await asyncio.sleep(5)
        assert len(good._sack_misordered) <= 4096 and len(good._data_channels) <= 1
        return good.malformed

    assert play(story) > 0


def test_fragments_without_end_are_not_kept() -> None:
    async def story(pair: Pair) -> int:
        await pair.open()
        bad: Association = pair.far._sctp
        from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, SCTP_DATA_UNORDERED, DataChunk

        for number in range(3000):
            chunk = DataChunk(flags=SCTP_DATA_UNORDERED | (SCTP_DATA_FIRST_FRAG if not number else 0))
            chunk.tsn, chunk.protocol, chunk.user_data = (bad._local_tsn + number) % 2**32, 53, bytes(1100)
            await bad._send_now(chunk)
            if number % 100 == 0:
                await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        streams = pair.near._sctp._inbound_streams.values()
        return sum(len(chunk.user_data) for stream in streams for chunk in stream.reassembly)

    assert play(story) <= 1 << 20


def test_acknowledgements_of_what_was_never_sent_are_dropped() -> None:
    async def story(pair: Pair) -> None:
        await pair.open()
        from aiortc.rtcsctptransport import SackChunk

        pair.near.send(b"first")
        await asyncio.sleep(2)
        lie = SackChunk()
        lie.cumulative_tsn, lie.advertised_rwnd = pair.near._sctp._last_sacked_tsn, 0
        lie.gaps = [(1, 65535)] * 200
        for _ in range(500):  # aiortc would count to 6.5 milliards
            await pair.far._sctp._send_now(lie)
        await asyncio.sleep(1)
        pair.near.send(b"second")
        await asyncio.sleep(1)
        assert [pair.far.receive() for _ in range(3)] == [b"first", b"second", None]

    play(story)


def test_a_peer_cannot_open_more_channels_or_send_text() -> None:
    async def story(pair: Pair) -> None:
        await pair.open()
        pair.far._peer.createDataChannel("another")
        pair.far._data.send("text")
        await asyncio.sleep(1)
        assert len(pair.near._sctp._data_channels) == 1
        assert pair.near.receive() is None and pair.near.dropped == 1
        for number in range(3000):
            pair.far.send(b"x")
            if number % 100 == 0:
                await asyncio.sleep(0.1)
        assert pair.near.dropped > 1000, "whoever does not read loses, and holds no more"

    play(story)


# --- settings ---


def test_settings_that_cannot_be() -> None:
    for wrong in ({"rate": 0.0}, {"keepalive": 60.0}, {"round_trip": -1.0}, {"relay_only": True}):
        with pytest.raises(ValueError):
            WebRtcConfig(**wrong)  # type: ignore[arg-type]


def test_nothing_global_is_touched() -> None:
    """Other users of the library in the same process keep what it does."""
    import aioice.ice
    import aioice.stun
    import aiortc.rtcsctptransport as sctp

    def state() -> tuple[object, ...]:
        ice = (aioice.ice.CONSENT_FAILURES, aioice.ice.get_host_addresses, aioice.ice.Connection.query_consent)
        return (*ice, aioice.stun.RETRY_RTO, sctp.SCTP_RTO_MIN, sctp.SCTP_RTO_INITIAL, sctp.SCTP_MAX_INIT_RETRANS)

    before = state()

    async def story(pair: Pair) -> None:
        await pair.open()
        assert state() == before

    play(story)


def test_no_server_is_asked_by_default() -> None:
    async def story(network: virtual.Network) -> tuple[Any, Any]:
        channel = WebRtcChannel(WebRtcConfig(addresses=hosts()[:1]))
        offer = await channel.make_offer()
        path = channel._path
        assert "10.0.0.1" in offer and asyncio.get_running_loop().time() < 0.1
        channel.close()
        await channel.wait_released()
        return path.stun_server, path.turn_server

    assert virtual.run(story) == (None, None)
