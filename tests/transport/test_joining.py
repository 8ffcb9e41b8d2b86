"""A client in virtual time: what it says when, and how it notices that nobody is there."""

import pytest

from tests.transport.udp_world import GROUP, Choose, World, sending
from transport import Item, SenderConfig, greeting
from transport.greeting import Close, Hello
from transport.joining import Joining


def times(joining: Joining, until: float) -> list[float]:
    """When an unanswered client speaks."""
    said: list[float] = []
    now = 0.0
    while True:
        while joining.poll_transmit() is not None:
            said.append(now)
        timer = joining.next_timer()
        if timer is None or timer > until:
            return said
        now = timer
        joining.handle_timer(now)


def test_an_unanswered_hello_goes_again_each_time_later_and_is_given_up() -> None:
    joining = Joining()
    assert times(joining, 100.0) == [0, 1, 3, 7, 15, 23]
    assert joining.closed == "no answer" and joining.next_timer() is None
    assert times(Joining(rtt=4.0), 25.0) == [0, 4, 12, 20]


def test_a_hello_is_a_third_of_what_is_expected() -> None:
    for expected, size in ((320, 114), (0, 26), (10**6, 1200)):
        data = Joining(expected=expected).poll_transmit()
        message = greeting.parse(data or b"")
        assert isinstance(message, Hello) and message.size == size


def test_joined_in_one_round_trip_and_a_half() -> None:
    world = World()
    client = world.client()
    world.run(0.14)
    assert not client.joining.ready
    world.run(0.25)
    assert client.joining.ready and world.admission.peers[0].confirmed
    assert [(e.what, e.size - 28) for e in client.up.log if e.what == "sent"] == [("sent", 114), ("sent", 37)]


def test_a_wrong_token_ends_it_after_a_second_refusal() -> None:
    world = World()
    client = world.client(token=b"guess")
    world.run(0.9)
    assert client.closed is None
    world.run(5.0)
    assert client.closed == "the token is wrong" and not world.admission.peers


def test_a_single_damaged_hello_ends_nothing() -> None:
    world = World()
    client = world.client(up=[Choose(lambda time, n, data: data[:12] + b"?" + data[13:] if n < 1 else data)])
    world.run(5.0)
    assert client.joining.ready and client.closed is None


def test_pings_when_it_is_quiet_ever_more_rarely_and_none_while_data_comes() -> None:
    items = [Item(GROUP, 3, n, bytes(200), n) for n in range(200)]
    world = World(serve=sending(items, SenderConfig(rate=32_000, packet_size=300)))
    pings: list[float] = []

    def listen(time: float, number: int, data: bytes) -> bytes:
        if isinstance(greeting.parse(data), greeting.Ping):
            pings.append(time)
        return data

    client = world.client(up=[Choose(listen)])
    world.run(70.0)
    end = max(client.when(*item.key) for item in items)
    assert end > 10.0
    quiet = [time - end for time in pings]
    assert quiet[:4] == pytest.approx([3.0, 9.1, 21.2, 36.3], abs=0.5)
    assert client.closed is None and world.admission.peers


def test_a_server_that_is_gone_is_noticed() -> None:
    world = World()
    dead = Choose(lambda time, number, data: None if time > 5.0 else data)
    client = world.client(up=[dead])
    world.run(59.0)
    assert client.closed is None
    world.run(200.0)
    assert client.closed == "nothing was heard for 60 s"
    assert [peer.closed for peer in world.left] == ["nothing was heard for too long"]


def test_a_server_that_was_restarted_says_that_it_knows_nobody() -> None:
    world = World()
    client = world.client()
    world.run(2.0)
    world.admission = World().admission
    world.run(20.0)
    assert client.closed == "the server does not know this session"


def test_goodbye_reaches_the_other_end_either_way() -> None:
    world = World()
    one, other = world.client(1), world.client(2)
    world.run(1.0)
    one.close()
    one.turn()
    for peer in world.admission.peers:
        if peer.address[1] == 2:
            world.admission.close(peer, world.clock.now)
    world.turn()
    world.run(2.0)
    assert (one.closed, other.closed) == ("closed here", "closed by the peer")
    assert sorted(peer.closed or "" for peer in world.left) == ["closed by the peer", "closed here"]
    one.close()
    assert one.joining.poll_transmit() is None


def test_what_strangers_send_changes_nothing() -> None:
    joining = Joining(id=b"12345678")
    for data in (Close(b"87654321", 0).encode(), b"\x4f", b"\x41" + bytes(5)):
        assert joining.handle_datagram(data, 0.1) is None
    assert joining.closed is None
    assert joining.handle_datagram(b"\x80data", 0.1) == b"\x80data"
    assert joining.handle_datagram(b"", 0.1) == b""
