"""What WebTransport adds: a path, HTTP's answers, and the bytes of peers that speak HTTP/3 badly."""

import asyncio
from random import Random

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent

from tests.transport.channels.play import CLIENT, PORT, SERVER, TOKEN, Play, play
from transport.channels import quic, webtransport


class Raw(QuicConnectionProtocol):
    """A client of HTTP/3 that is none of ours, and does not listen."""

    def quic_event_received(self, event: QuicEvent) -> None:
        pass


async def raw_client() -> tuple[Raw, H3Connection]:
    configuration = QuicConfiguration(alpn_protocols=["h3"], verify_mode=0, max_datagram_frame_size=65536)
    connection = QuicConnection(configuration=configuration)
    _, end = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Raw(connection), local_addr=(CLIENT, 0))
    assert isinstance(end, Raw)
    end.connect((SERVER, PORT))
    await end.wait_connected()
    return end, H3Connection(connection, enable_webtransport=True)


def request(**changes: str) -> list[tuple[bytes, bytes]]:
    fields = {"method": "CONNECT", "scheme": "https", "authority": SERVER, "path": f"/layercast?token={TOKEN}"}
    fields |= {"protocol": "webtransport"} | changes
    return [(f":{name}".encode(), value.encode()) for name, value in fields.items()]


def test_a_session_is_at_its_path_only() -> None:
    async def story(story: Play) -> str:
        await story.serve(path="/camera")
        client = await story.connect(path="/camera")
        await story.until(lambda: story.accepted)
        assert client.closed is None
        client = await story.connect(path="/attic")
        await story.until(lambda: client.closed)
        assert len(story.accepted) == 1
        return str(client.closed)

    assert play(story, kind=webtransport) == "the server has no session at /attic"


def test_a_token_of_any_letters_travels_in_the_path() -> None:
    async def story(story: Play) -> None:
        await story.serve()
        await story.connect()
        await story.until(lambda: story.accepted)

    play(story, kind=webtransport, token="ключ & замок=%41 +")


def test_quic_and_webtransport_ends_say_that_they_do_not_understand_each_other() -> None:
    async def story(story: Play) -> str:
        await story.serve()
        story.kind = quic
        client = await story.connect()
        await story.until(lambda: client.closed)
        return str(client.closed)

    assert play(story, kind=webtransport) == "the peer speaks another protocol"


def test_what_is_no_session_is_refused_and_let_go() -> None:
    async def story(story: Play) -> None:
        serving = await story.serve()
        for changes in ({"method": "GET"}, {"protocol": "websocket"}, {"path": "http://[/x"}, {"path": "/layercast"}):
            end, http = await raw_client()
            http.send_headers(0, request(**changes))
            end.transmit()
            await end.wait_closed()
        await story.until(lambda: not serving.peers)
        assert not story.accepted

    play(story, kind=webtransport)


def test_one_session_a_connection() -> None:
    async def story(story: Play) -> None:
        await story.serve()
        end, http = await raw_client()
        for stream in (0, 4):
            http.send_headers(stream, request())
        end.transmit()
        await asyncio.sleep(30)
        assert len(story.accepted) == 1 and story.accepted[0].closed is None

    play(story, kind=webtransport)


def test_ending_or_resetting_the_sessions_stream_ends_the_channel() -> None:
    async def story(story: Play) -> None:
        await story.serve()
        for number in range(2):
            end, http = await raw_client()
            http.send_headers(0, request())
            end.transmit()
            await story.until(lambda number=number: len(story.accepted) > number)
            if number:
                end._quic.reset_stream(0, 1)
            else:
                http.send_data(0, b"\x68\x43\x00", end_stream=True)
            end.transmit()
            await story.until(lambda number=number: story.accepted[number].closed)
            assert story.accepted[number].closed == "closed by the peer"

    play(story, kind=webtransport)


def test_datagrams_of_other_sessions_are_dropped() -> None:
    async def story(story: Play) -> None:
        await story.serve()
        end, http = await raw_client()
        http.send_headers(0, request())
        http.send_datagram(4, b"another session's")
        http.send_datagram(0, b"ours")
        end.transmit()
        await story.until(lambda: story.accepted)
        await asyncio.sleep(1)
        assert list(iter(story.accepted[0].receive, None)) == [b"ours"]

    play(story, kind=webtransport)


def test_garbage_within_the_encryption_never_raises() -> None:
    """Random bytes on streams of every kind, and around a good request; the server serves on."""

    async def story(story: Play) -> None:
        serving = await story.serve(most=1000)
        rng = Random(7)
        for number in range(120):
            end, http = await raw_client()
            for stream in sorted(rng.sample([0, 4, 14, 18, 22], 3)):
                lead = rng.choice(
                    [b"", bytes([rng.randrange(8)]), b"\x40\x41\x00", b"\x40\x54\x00", b"\x01\x10", b"\x33"]
                )
                data = lead + rng.randbytes(rng.randrange(60))
                end._quic.send_stream_data(stream, data, end_stream=rng.random() < 0.5)
            if number % 3 == 0:
                end._quic.send_datagram_frame(rng.randbytes(rng.randrange(3)))
            if number % 4 == 0:
                http.send_headers(8, [*request(), (b"x", rng.randbytes(4).hex().encode())])
            end.transmit()
            await asyncio.sleep(0.3)
        client = await story.connect()
        seen = len(story.accepted)
        await story.until(lambda: len(story.accepted) > seen)
        assert client.closed is None
        await asyncio.sleep(300)
        assert serving.peers == 0

    play(story, kind=webtransport)
