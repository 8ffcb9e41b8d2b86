"""The QUIC channel: two real ends of aioquic in virtual time, one test for each way in which it could go wrong."""

import asyncio
from random import Random
from types import ModuleType

import pytest
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent

from sim.trouble import Losing, Outage
from tests.transport.channels.play import CERTIFICATE, CLIENT, PORT, SERVER, TOKEN, Play, play, sizes
from transport import Item
from transport.channels import certificate, quic, quic_base, webtransport
from transport.channels.quic_base import LinkProfile, QuicEnd, Settings

BOTH = pytest.mark.parametrize("kind", [quic, webtransport], ids=["quic", "webtransport"])
CAPTION = Item(1, 0, 0, bytes(300))


async def pair(story: Play, **options: object) -> tuple[QuicEnd, QuicEnd]:
    """A client's and a server's channel."""
    await story.serve()
    client = await story.connect(**options)
    await story.until(lambda: story.accepted or client.closed)
    await story.until(lambda: not client.waiting)
    return client, story.accepted[0]


async def exchange(story: Play, sender: QuicEnd, receiver: QuicEnd, data: bytes) -> bytes:
    sender.send(data)
    found: list[bytes] = []
    await story.until(lambda: [found.append(got) for got in [receiver.receive()] if got is not None])
    return found[0]


# --- how large a datagram may be ---


@BOTH
def test_the_largest_datagram_passes_and_a_larger_one_is_refused(kind: ModuleType) -> None:
    async def story(story: Play) -> None:
        for sender, receiver in (ends := await pair(story), ends[::-1]):
            assert sender.largest == 1170 - (kind is webtransport)
            data = bytes(sender.largest)
            assert await exchange(story, sender, receiver, data) == data
            with pytest.raises(ValueError, match="datagram"):
                sender.send(bytes(sender.largest + 1))
            assert not sender.waiting
            assert await exchange(story, sender, receiver, b"after it") == b"after it"

    play(story, kind=kind)


def test_a_peer_with_a_smaller_limit_gets_no_more_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(story: Play) -> None:
        with monkeypatch.context() as changed:
            changed.setattr(quic_base, "MAX_DATAGRAM_FRAME", 500)
            await story.serve()
        client = await story.connect()
        await story.until(lambda: story.accepted)
        assert client.largest == 497
        assert len(await exchange(story, client, story.accepted[0], bytes(497))) == 497
        assert client.closed is None

    play(story)


@pytest.mark.parametrize("deaf", ["client", "server"])
def test_both_ends_must_take_datagrams(deaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(story: Play) -> str:
        limits = {"client": 65536, "server": 65536} | {deaf: 0}
        monkeypatch.setattr(quic_base, "MAX_DATAGRAM_FRAME", limits["server"] or None)
        await story.serve()
        monkeypatch.setattr(quic_base, "MAX_DATAGRAM_FRAME", limits["client"] or None)
        client = await story.connect()
        await story.until(lambda: client.closed)
        assert not story.accepted
        return str(client.closed)

    wanted = {"server": "the peer takes no datagrams", "client": "closed by the peer, which needs datagrams"}
    assert play(story) == wanted[deaf]


@BOTH
def test_the_overhead_is_what_the_wire_shows(kind: ModuleType) -> None:
    async def story(story: Play) -> None:
        client, server = await pair(story)
        await asyncio.sleep(5)
        start = asyncio.get_running_loop().time()
        await exchange(story, server, client, bytes(300))
        (size,) = sizes(story.down, start)
        assert size == 352 + (kind is webtransport)
        assert 300 + server.overhead == size + quic_base.ACK, "the pacer counts an acknowledgement with each packet"

    play(story, kind=kind)


# --- opening ---


def test_the_initial_round_trip_follows_the_link() -> None:
    assert LinkProfile().initial_rtt == 0.1
    assert LinkProfile(1e6).initial_rtt == 0.1
    assert LinkProfile(10_000).initial_rtt == 0.5
    assert LinkProfile(2_000, 0.5).initial_rtt == 2.5
    assert LinkProfile(10_000, lossless=True).initial_rtt == 3.0
    assert LinkProfile(2_000, 0.5, lossless=True).initial_rtt > 7


def test_a_link_profile_keeps_a_slow_link_from_being_flooded() -> None:
    """Bytes from the client until the server has its token; 2.4 kB is the least."""

    def opening(profile: LinkProfile) -> int:
        async def story(story: Play) -> int:
            await story.serve()
            await story.connect()
            await story.until(lambda: story.accepted)
            return sum(sizes(story.up))

        return play(story, rate=10_000, settings=Settings(profile))

    assert opening(LinkProfile(10_000, lossless=True)) == 2 * 1228
    assert opening(LinkProfile(10_000)) < 4_000
    assert opening(LinkProfile()) > 6_000


@BOTH
@pytest.mark.parametrize(("token", "early", "trips"), [(TOKEN, False, 2), (TOKEN, True, 1), ("", False, 1)])
def test_a_caption_takes_no_more_round_trips_than_it_must(
    kind: ModuleType, token: str, early: bool, trips: int
) -> None:
    """From nothing two, with a ticket one; without a token the server need not wait for the end of the handshake."""

    async def story(story: Play) -> float:
        story.start = lambda channel: story.send(channel, [CAPTION], rate=1e6)
        await story.serve()
        tickets: dict[str, object] = {}
        for _ in range(1 + early):
            begin = asyncio.get_running_loop().time()
            client = await story.connect(tickets=tickets)
            got = story.receive(client)
            await story.until(lambda got=got: got)
            await asyncio.sleep(1)
            client.close()
        return got[CAPTION.key][0] - begin

    trips = 2 if kind is webtransport and not early else trips  # a session must be asked for
    assert trips * 0.1 <= play(story, kind=kind, token=token) < trips * 0.1 + 0.01


@BOTH
def test_losing_the_end_of_the_handshake_costs_a_twentieth_of_a_second(kind: ModuleType) -> None:
    def admitted(lost: set[int]) -> float:
        async def story(story: Play) -> float:
            await story.serve()
            await story.connect()
            return await story.until(lambda: story.accepted)

        return play(story, kind=kind, up=[Losing(lambda packet: packet.number in lost)], round_trip=0.15)

    assert admitted({1}) - admitted(set()) < quic_base.REPEAT_AFTER + 0.01


# --- what waits ---


def test_a_session_is_not_asked_as_long_as_nothing_can_leave() -> None:
    """What goes first is decided when the handshake is over, not when it begins."""

    async def story(story: Play) -> None:
        got: list[dict[object, object]] = []
        story.start = lambda channel: got.append(story.receive(channel))
        await story.serve()
        client = await story.connect()
        driver = story.send(client, [Item(1, 3, 0, bytes(2000), priority=5)], rate=50_000)
        await asyncio.sleep(0.05)
        assert client.waiting and driver.session.stats.packets == 0
        driver.session.submit(CAPTION)
        driver.wake()
        await story.until(lambda: got and len(got[0]) == 2)
        assert list(got[0]) == [CAPTION.key, (1, 3, 0)]

    play(story)


@BOTH
def test_nothing_queues_in_aioquic_however_much_is_lost(kind: ModuleType) -> None:
    """A dead path neither closes our window nor fills aioquic's queue."""

    async def story(story: Play) -> None:
        deepest = [0]

        def start(channel: QuicEnd) -> None:
            story.send(channel, [Item(1, 3, n, bytes(1000), n) for n in range(60)], rate=100_000)

        story.start = start
        await story.serve()
        client = await story.connect()
        got = story.receive(client)
        await story.until(lambda: story.accepted)
        server = story.accepted[0]

        def watch() -> bool:
            deepest[0] = max(deepest[0], len(server._quic._datagrams_pending))
            return len(got) == 60

        await story.until(watch, 120)
        assert deepest[0] <= 1
        assert server._quic._loss.congestion_window == 1 << 22
        assert server._quic._loss.bytes_in_flight < 10_000

    play(story, kind=kind, down=[Outage(1.0, 7.0)])


def test_a_caption_among_bulk_waits_for_one_packet_at_most() -> None:
    async def story(story: Play) -> None:
        story.start = lambda channel: story.send(
            channel, [Item(0, 3, n, bytes(1000), 9, may_cut=True) for n in range(90)], rate=50_000
        )
        await story.serve()
        client = await story.connect()
        got = story.receive(client)
        for caption in range(1, 4):
            await asyncio.sleep(3)
            begin = asyncio.get_running_loop().time()
            story.drivers[1].session.submit(Item(caption, 0, 0, bytes(300)))
            story.drivers[1].wake()
            await story.until(lambda caption=caption: (caption, 0, 0) in got)
            assert got[caption, 0, 0][0] - begin < 0.05 + (1170 + 370 + 58) * 8 / 50_000
        await story.until(lambda: len(got) == 93)

    play(story, rate=50_000, settings=Settings(LinkProfile(50_000, lossless=True)))


def test_acknowledgements_ride_along() -> None:
    """QUIC's own leave in the packets of the session: on a paced link nothing else goes down, so no queue grows."""

    async def story(story: Play) -> None:
        story.start = lambda channel: story.send(channel, [Item(0, 3, n, bytes(1000), n) for n in range(60)], 50_000)
        await story.serve()
        client = await story.connect()
        got = story.receive(client)
        await story.until(lambda: len(got) == 60)
        settled = sizes(story.down, 3.0, 9.0)
        assert min(settled) > 1000
        assert max(settled) <= 1100 + client.overhead
        assert len(sizes(story.up, 3.0, 9.0)) <= len(settled) + 1

    play(story, rate=50_000, settings=Settings(LinkProfile(50_000, lossless=True)))


# --- idling ---


@BOTH
def test_an_idle_channel_costs_nothing_and_ends_with_the_idle_timeout(kind: ModuleType) -> None:
    async def story(story: Play) -> tuple[str | None, str | None]:
        client, server = await pair(story)
        await asyncio.sleep(10)
        assert not sizes(story.up, 10.0) and not sizes(story.down, 10.0)
        await story.until(lambda: client.closed and server.closed, 70)
        assert not sizes(story.up, 10.0) and not sizes(story.down, 10.0), "both know by themselves"
        return client.closed, server.closed

    for why in play(story, kind=kind):
        assert why is not None and why.startswith("nothing heard from the peer for 6")


def test_a_keepalive_costs_112_bytes_each_time() -> None:
    async def story(story: Play) -> None:
        client, server = await pair(story, settings=Settings(keepalive=25.0))
        await asyncio.sleep(600)
        assert client.closed is None and server.closed is None
        spent = sizes(story.up, 100.0, 600.0) + sizes(story.down, 100.0, 600.0)
        assert len(spent) in (40, 42) and set(spent) == {57, 55}
        assert await exchange(story, server, client, b"still here") == b"still here"

    play(story)


def test_a_server_that_is_not_there_is_reported_in_the_end() -> None:
    async def story(story: Play) -> str:
        client = await story.connect(settings=Settings(idle_timeout=20.0))
        await story.until(lambda: client.closed)
        client.send(b"dropped")
        assert client.receive() is None
        return str(client.closed)

    assert play(story) == "nothing heard from the peer for 20 s"


# --- the certificate ---


@BOTH
def test_another_certificate_is_refused_and_learns_nothing(kind: ModuleType) -> None:
    async def story(story: Play) -> None:
        impostor = certificate.make()
        await story.serve(certificate=impostor)
        tickets: dict[str, object] = {}
        client = await story.connect(tickets=tickets)
        client_got = story.receive(client)
        story.start = lambda channel: story.send(channel, [CAPTION])
        await story.until(lambda: client.closed)
        await asyncio.sleep(5)
        assert client.closed == "the server has another certificate than the pinned one"
        assert not story.accepted and not client_got
        assert not tickets, "a ticket of an impostor would pass for the pinned certificate"

    play(story, kind=kind)


def test_the_dates_of_a_pinned_certificate_do_not_count() -> None:
    async def story(story: Play) -> None:
        import datetime

        old = certificate.make(now=datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC))
        await story.serve(certificate=old)
        await story.connect(pin=old.fingerprint)
        await story.until(lambda: story.accepted)

    play(story)


def test_a_pin_has_32_bytes() -> None:
    async def story(story: Play) -> None:
        with pytest.raises(ValueError, match="pin"):
            await story.connect(pin=b"")

    play(story)


# --- the token ---


@BOTH
@pytest.mark.parametrize("token", ["", "open sesam", "open sesame ", "é"])
def test_a_wrong_token_gets_a_reason_and_nothing_else(kind: ModuleType, token: str) -> None:
    async def story(story: Play) -> None:
        story.start = lambda channel: story.send(channel, [CAPTION])
        await story.serve()
        client = await story.connect(token=token)
        got = story.receive(client)
        await story.until(lambda: client.closed)
        assert client.closed == "the server refused the token"
        assert not story.accepted and not got

    play(story, kind=kind)


@BOTH
def test_a_wrong_token_in_early_data_gets_the_same(kind: ModuleType) -> None:
    async def story(story: Play) -> None:
        await story.serve()
        tickets: dict[str, object] = {}
        client = await story.connect(tickets=tickets)
        await story.until(lambda: tickets)
        client.close()
        await asyncio.sleep(5)
        client = await story.connect(tickets=tickets, token="guess")
        await story.until(lambda: client.closed, 15)
        assert client.closed == "the server refused the token"
        assert len(story.accepted) == 1

    play(story, kind=kind)


def test_datagrams_that_overtake_the_token_are_kept_but_not_many() -> None:
    async def story(story: Play) -> None:
        await story.serve()
        client = await story.connect()
        for number in range(20):
            client.send(bytes([number]) * 10)
        assert client.waiting
        await story.until(lambda: story.accepted)
        await asyncio.sleep(1)
        got = [data[0] for data in iter(story.accepted[0].receive, None)]
        assert got == list(range(16))

    play(story)


class Raw(QuicConnectionProtocol):
    """A client that is none of ours, and does not listen."""

    def quic_event_received(self, event: QuicEvent) -> None:
        pass


async def raw_client(story: Play) -> Raw:
    configuration = QuicConfiguration(alpn_protocols=[quic.ALPN], verify_mode=0, max_datagram_frame_size=65536)
    quic_connection = QuicConnection(configuration=configuration)
    loop = asyncio.get_running_loop()
    _, end = await loop.create_datagram_endpoint(lambda: Raw(quic_connection), local_addr=(CLIENT, 0))
    assert isinstance(end, Raw)
    end.connect((SERVER, PORT))
    await end.wait_connected()
    return end


def test_a_peer_that_shows_no_token_is_let_go() -> None:
    async def story(story: Play) -> None:
        serving = await story.serve()
        end = await raw_client(story)
        for _ in range(15):
            await asyncio.sleep(10)
            end._quic.send_datagram_frame(bytes(1000))
            end.transmit()
        await story.until(lambda: not serving.peers)
        assert not story.accepted

    play(story)


def test_a_peer_that_pours_bytes_into_streams_is_let_go() -> None:
    async def story(story: Play) -> None:
        serving = await story.serve()
        end = await raw_client(story)
        for stream in range(0, 400, 4):
            end._quic.send_stream_data(stream, bytes(200))
            end.transmit()
            await asyncio.sleep(0.01)
        await story.until(lambda: not serving.peers)
        assert not story.accepted

    play(story)


# --- tickets ---


def test_a_recorded_first_flight_gets_nothing_when_it_comes_again() -> None:
    async def story(story: Play) -> None:
        story.start = lambda channel: story.send(channel, [CAPTION], rate=1e6)
        serving = await story.serve()
        tickets: dict[str, object] = {}
        recorded: list[bytes] = []
        for turn in range(2):
            if turn:
                story.up.stages[1].lost = lambda packet: recorded.append(packet.data)  # type: ignore[attr-defined]
            client = await story.connect(tickets=tickets)
            got = story.receive(client)
            await story.until(lambda got=got: got)
            await asyncio.sleep(5)
            client.close()
            await asyncio.sleep(60)
        assert len(story.accepted) == 2 and serving.peers == 0
        story.accepted.clear()
        socket, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=(CLIENT, 7)
        )
        for data in recorded[:6]:
            socket.sendto(data, (SERVER, PORT))
        await asyncio.sleep(100)
        assert not story.accepted

    play(story, up=[Losing(lambda packet: False)])


def test_a_ticket_that_the_server_does_not_know_costs_a_round_trip_and_no_more() -> None:
    async def story(story: Play) -> float:
        story.start = lambda channel: story.send(channel, [CAPTION], rate=1e6)
        serving = await story.serve()
        tickets: dict[str, object] = {}
        client = await story.connect(tickets=tickets)
        await story.until(lambda: tickets)
        client.close()
        serving.close()
        await asyncio.sleep(5)
        await story.serve()
        begin = asyncio.get_running_loop().time()
        client = await story.connect(tickets=tickets)
        got = story.receive(client)
        await story.until(lambda: got)
        return got[CAPTION.key][0] - begin

    assert play(story) < 0.2 + quic_base.REPEAT_AFTER + 0.01


def test_tickets_are_used_once_by_the_client_too() -> None:
    async def story(story: Play) -> None:
        await story.serve()
        tickets: dict[str, object] = {}
        await story.connect(tickets=tickets)
        await story.until(lambda: tickets)
        await story.connect(tickets=tickets)
        assert not tickets
        await story.until(lambda: tickets)

    play(story)


# --- limits and ends ---


def test_there_is_room_for_so_many_peers_and_half_of_it_for_proved_addresses() -> None:
    async def story(story: Play) -> None:
        serving = await story.serve(most=2)
        first = await story.connect()
        await story.until(lambda: len(story.accepted) == 1)
        begin = asyncio.get_running_loop().time()
        await story.connect()
        took = await story.until(lambda: len(story.accepted) == 2) - begin
        assert took > 0.25, "the second has shown that it receives what goes to its address"
        third = await story.connect(settings=Settings(idle_timeout=5.0))
        await story.until(lambda: third.closed)
        assert len(story.accepted) == 2
        first.close()
        await story.until(lambda: serving.peers == 1)
        await story.connect()
        await story.until(lambda: len(story.accepted) == 3)

    play(story)


@BOTH
@pytest.mark.parametrize("who", [0, 1])
def test_a_goodbye_is_heard_at_once_even_if_it_is_lost_once(kind: ModuleType, who: int) -> None:
    async def story(story: Play) -> None:
        ends = await pair(story)
        lose = [True]
        for link in (story.up, story.down):
            link.stages[1].lost = lambda packet: lose and lose.pop()  # type: ignore[attr-defined]
        woken: list[bool] = []
        ends[1 - who].wake = lambda: woken.append(True)
        ends[who].close()
        ends[who].close()
        assert ends[who].closed == "closed here"
        await asyncio.sleep(0.06)
        assert ends[1 - who].closed == "closed by the peer" and woken

    play(story, kind=kind, up=[Losing(lambda packet: False)], down=[Losing(lambda packet: False)])


def test_closing_the_server_says_goodbye_to_all() -> None:
    async def story(story: Play) -> None:
        serving = await story.serve()
        clients = [await story.connect() for _ in range(3)]
        await story.until(lambda: len(story.accepted) == 3)
        serving.close()
        await asyncio.sleep(0.1)
        assert [client.closed for client in clients] == ["closed by the peer"] * 3

    play(story)


@BOTH
def test_hostile_datagrams_neither_raise_nor_disturb(kind: ModuleType) -> None:
    async def story(story: Play) -> None:
        seen: list[bytes] = []
        for link in (story.up, story.down):
            link.stages[1].lost = lambda packet: seen.append(packet.data)  # type: ignore[attr-defined]
        client, server = await pair(story)
        await asyncio.sleep(1)
        for link in (story.up, story.down):
            link.stages[1].lost = lambda packet: False  # type: ignore[attr-defined]
        rng = Random(3)
        attacker, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=(CLIENT, 7)
        )
        for _ in range(3000):
            data = bytearray(rng.choice(seen) if rng.random() < 0.8 else rng.randbytes(rng.choice((1, 20, 1200))))
            for _ in range(rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            cut = bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)
            attacker.sendto(cut, (SERVER, PORT))
            client.datagram_received(cut, (SERVER, PORT))
            server.datagram_received(cut, (CLIENT, 50_001))
            if rng.random() < 0.05:
                await asyncio.sleep(0.001)
        await asyncio.sleep(1)
        assert await exchange(story, client, server, b"still here") == b"still here"

    play(story, kind=kind, up=[Losing(lambda packet: False)], down=[Losing(lambda packet: False)])


def test_only_so_many_untaken_datagrams_are_kept() -> None:
    async def story(story: Play) -> None:
        client, server = await pair(story)
        for number in range(400):
            client.send(number.to_bytes(2))
            await story.until(lambda: not client.waiting)
        await asyncio.sleep(1)
        kept = list(iter(server.receive, None))
        assert len(kept) == quic_base.MAX_INBOX
        assert kept[-1] == (399).to_bytes(2), "the newest count"

    play(story)


def test_the_certificate_is_small() -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    assert len(CERTIFICATE.certificate.public_bytes(Encoding.DER)) < 325, "the server's first flight is one packet"
