"""Who gets in, what strangers cost, and that nobody is an amplifier: a real server in virtual time."""

import random
from dataclasses import dataclass, field

import pytest

from tests.transport.udp_world import GROUP, Choose, World, sending
from transport import Item, SenderConfig, greeting
from transport.admission import SILENT, Address, Admission, Joined, Left, Limits, Peer, host_of
from transport.greeting import Challenge, Close, Echo, Hello, Message, Ping, Ready, echo_proof, hello_proof

TOKEN = b"sesame"


def hello(id: bytes, token: bytes = TOKEN, size: int = 120) -> bytes:
    return Hello(id, hello_proof(token, id), size).encode()


def echo(id: bytes, cookie: bytes, token: bytes = TOKEN) -> bytes:
    return Echo(id, cookie, echo_proof(token, id, cookie)).encode()


def name(number: int) -> bytes:
    return number.to_bytes(8, "big")


@dataclass
class Server:
    """A server asked by hand: `ask` gives its answers as (message or bytes, address)."""

    limits: Limits = field(default_factory=Limits)
    now: float = 0.0
    joined: list[Peer] = field(default_factory=list)
    left: list[Peer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admission = Admission(TOKEN, self.limits, secret=b"s" * 32)

    def ask(self, data: bytes, address: Address = ("192.0.2.1", 1)) -> list[tuple[Message | bytes, Address]]:
        self.admission.handle_datagram(data, address, self.now)
        return self.answers()

    def answers(self) -> list[tuple[Message | bytes, Address]]:
        self.admission.handle_timer(self.now)
        while (event := self.admission.next_event()) is not None:
            self.joined += [event.peer] if isinstance(event, Joined) else []
            self.left += [event.peer] if isinstance(event, Left) else []
        out = []
        while (sent := self.admission.poll_transmit()) is not None:
            out.append((greeting.parse(sent[0]) or sent[0], sent[1]))
        return out

    def cookie(self, id: bytes, address: Address = ("192.0.2.1", 1)) -> bytes:
        (answer, to), *_ = self.ask(hello(id), address)
        assert isinstance(answer, Challenge) and to == address
        return answer.cookie

    def admit(self, id: bytes, address: Address = ("192.0.2.1", 1)) -> Peer:
        assert self.ask(echo(id, self.cookie(id, address)), address)[0] == (Ready(id), address)
        return self.joined[-1]


def test_the_limit_is_three_times_what_came_until_the_echo() -> None:
    server = Server()
    cookie = server.cookie(name(1))
    peer = server.joined[0]
    room = 3 * 120 - greeting.CHALLENGE_SIZE
    server.admission.send(peer, bytes(room - 100))
    server.admission.send(peer, bytes(101))
    server.admission.send(peer, bytes(400))
    assert [len(data) for data, _ in server.answers()] == [room - 100] and peer.waiting == 101 + 400
    assert server.ask(b"\x01")[0][0] == bytes(101), "one byte more came, three more may go"
    assert peer.waiting == 400
    sent = server.ask(echo(name(1), cookie))
    assert [answer for answer, _ in sent] == [Ready(name(1)), bytes(400)] and peer.waiting == 0
    server.admission.send(peer, bytes(100_000))
    assert len(server.answers()) == 1, "no limit any more"


def test_wrong_token_gets_a_refusal_smaller_than_its_question() -> None:
    server = Server()
    for size in (26, 1200):
        assert server.ask(hello(name(1), b"guess", size)) == [(Close(name(1), greeting.WRONG_TOKEN), ("192.0.2.1", 1))]
    cookie = server.cookie(name(2))
    assert server.ask(echo(name(2), cookie, b"guess"), ("192.0.2.9", 1)) == []
    assert len(server.joined) == 1 and not server.joined[0].confirmed and server.admission.stats.refused == 3
    future = bytes([0x40, 1]) + hello(name(3))[2:]
    assert server.ask(future)[0][0] == Close(name(3), greeting.OTHER_VERSION)


def test_the_token_never_travels() -> None:
    world = World(token=b"a rather long token")
    heard: list[bytes] = []
    tap = Choose(lambda time, number, data: heard.append(data) or data)  # type: ignore[func-returns-value]
    world.client(up=[tap], down=[tap])
    world.run(2.0)
    assert len(heard) == 4 and not any(b"rather" in data for data in heard)


def test_a_flood_of_hellos_keeps_few_and_then_none() -> None:
    server = Server(Limits(unconfirmed=10, per_host=1000))
    for number in range(500):
        answers = server.ask(hello(name(number)), (f"198.51.100.{number % 200}", number))
        assert [type(answer) for answer, _ in answers] == [Challenge]
    assert len(server.admission.peers) == len(server.joined) == 10
    honest = ("192.0.2.77", 7)
    cookie = server.cookie(name(1000), honest)
    assert len(server.joined) == 10, "no place is taken by asking"
    server.now = 5.0
    assert server.ask(echo(name(1000), cookie), honest) == [(Ready(name(1000)), honest)]
    assert server.joined[-1].confirmed
    server.now = 15.5
    assert server.answers() == [] and [peer.closed for peer in server.left] == ["the address was not confirmed"] * 10
    assert [peer.id for peer in server.admission.peers] == [name(1000)]


def test_places_in_all_and_of_one_host() -> None:
    server = Server(Limits(sessions=4, per_host=2))
    server.admit(name(1), ("192.0.2.1", 1))
    server.admit(name(2), ("192.0.2.1", 2))
    assert server.ask(hello(name(3)), ("192.0.2.1", 3))[0][0] == Close(name(3), greeting.BUSY)
    server.admit(name(4), ("2001:db8::1", 1, 0, 0))
    server.admit(name(5), ("2001:db8::ffff:2", 1, 0, 0))
    assert server.ask(hello(name(6)), ("2001:db8:1::1", 1, 0, 0))[0][0] == Close(name(6), greeting.BUSY)
    assert server.admission.stats.no_room == 2
    server.admission.close(server.joined[0], server.now)
    assert server.answers() == [(Close(name(1), greeting.DONE), ("192.0.2.1", 1))]
    server.admit(name(3), ("192.0.2.1", 3))


def test_a_peer_that_fell_silent_makes_room_for_its_restarted_self() -> None:
    server = Server(Limits(per_host=2))
    server.admit(name(1), ("192.0.2.1", 1))
    server.admit(name(2), ("192.0.2.1", 2))
    server.now += SILENT + 1
    server.ask(Ping(name(2)).encode(), ("192.0.2.1", 2))
    server.admit(name(3), ("192.0.2.1", 3))
    assert [peer.id for peer in server.left] == [name(1)]
    assert server.ask(hello(name(4)), ("192.0.2.1", 4))[0][0] == Close(name(4), greeting.BUSY)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("::ffff:192.0.2.1", 1, 0, 0), "192.0.2.1"),
        (("2001:db8::5", 1, 0, 0), "20010db800000000"),
        (("fe80::1%eth0", 1, 0, 2), "fe80000000000000"),
        (("a name", 1), "a name"),
    ],
)
def test_whom_a_peer_is_counted_to(address: Address, host: str) -> None:
    assert host_of(address) == host


def test_a_repeated_hello_or_echo_changes_nothing() -> None:
    server = Server()
    cookie = server.cookie(name(1))
    assert server.cookie(name(1)) == cookie
    for _ in range(3):
        assert server.ask(echo(name(1), cookie))[0][0] == Ready(name(1))
    assert server.ask(hello(name(1)))[0][0] == Ready(name(1))
    assert len(server.joined) == 1 and not server.left


def test_a_stale_cookie_gets_a_fresh_one() -> None:
    server = Server(Limits(confirm=1000.0))
    cookie = server.cookie(name(1))
    server.now = 70.0
    (answer, _), *_ = server.ask(echo(name(1), cookie))
    assert isinstance(answer, Challenge) and answer.cookie != cookie
    assert server.ask(echo(name(1), answer.cookie))[0][0] == Ready(name(1))


def test_a_session_follows_its_client_to_a_new_address_after_an_echo_from_there() -> None:
    server = Server()
    peer = server.admit(name(1))
    there = ("203.0.113.5", 9)
    assert server.ask(b"\x01data from an unknown address", there) == [] and server.admission.stats.strangers == 1
    (answer, to), *_ = server.ask(Ping(name(1)).encode(), there)
    assert isinstance(answer, Challenge) and to == there
    server.admission.send(peer, b"data")
    assert server.answers() == [(b"data", ("192.0.2.1", 1))], "not before it is proved"
    assert server.ask(echo(name(1), answer.cookie, b"guess"), there) == []
    assert server.ask(echo(name(1), answer.cookie), there) == [(Ready(name(1)), there)]
    server.admission.send(peer, b"data")
    assert server.answers() == [(b"data", there)] and server.admission.stats.moved == 1
    assert server.ask(Ping(name(1)).encode(), there) == [(Ready(name(1)), there)]
    assert server.ask(b"\x01late") == [], "the old address is a stranger's now"


def test_a_hello_heard_by_another_gives_a_cookie_and_no_more() -> None:
    server = Server()
    peer = server.admit(name(1))
    answers = server.ask(hello(name(1)), ("203.0.113.66", 6))
    assert [type(answer) for answer, _ in answers] == [Challenge]
    assert peer.address == ("192.0.2.1", 1) and len(server.admission.peers) == 1


def test_an_echo_of_a_session_that_is_over_starts_nothing() -> None:
    server = Server()
    cookie = server.cookie(name(1))
    server.ask(echo(name(1), cookie))
    server.ask(Close(name(1), greeting.DONE).encode())
    assert server.left[0].closed == "closed by the peer"
    for replayed in (echo(name(1), cookie), hello(name(1))):
        assert server.ask(replayed) == [(Close(name(1), greeting.UNKNOWN), ("192.0.2.1", 1))]
    assert not server.admission.peers
    server.now = 61.0
    (answer, _), *_ = server.ask(echo(name(1), cookie))
    assert isinstance(answer, Challenge) and not server.admission.peers, "later the cookie itself is stale"


def test_a_new_client_at_an_address_replaces_the_old_one_only_by_an_echo() -> None:
    server = Server()
    old = server.admit(name(1))
    cookie = server.cookie(name(2))
    assert old.closed is None and len(server.joined) == 1
    assert server.ask(echo(name(2), cookie))[0][0] == Ready(name(2))
    assert old.closed == "another session came from the same address" and server.admission.peers[0].id == name(2)


def test_only_a_peer_itself_closes_its_session() -> None:
    server = Server()
    peer = server.admit(name(1))
    server.ask(Close(name(1), 0).encode(), ("203.0.113.66", 6))
    server.ask(Close(name(9), 0).encode())
    assert peer.closed is None
    assert server.ask(Ping(name(9)).encode(), ("203.0.113.66", 6))[0][0] == Close(name(9), greeting.UNKNOWN)


def test_idle_peers_and_greedy_peers_are_closed() -> None:
    server = Server(Limits(idle=60.0, bytes=5000))
    quiet = server.admit(name(1))
    greedy = server.admit(name(2), ("192.0.2.2", 2))
    for _ in range(5):
        server.ask(bytes([0x80]) * 1000, ("192.0.2.2", 2))
    assert greedy.closed == "more bytes than the server takes from one peer"
    server.now = server.admission.next_timer() or 0.0
    server.answers()
    assert quiet.closed is None, "the first look is early"
    server.now = 60.0
    assert server.answers() == [(Close(name(1), greeting.IDLE), ("192.0.2.1", 1))]
    assert quiet.closed == "nothing was heard for too long" and server.admission.next_timer() is None


def test_a_peer_that_is_not_read_is_bounded() -> None:
    server = Server(Limits(inbox=2000))
    peer = server.admit(name(1))
    for number in range(100):
        server.ask(bytes([0x80, number]))
    assert peer.inbox_bytes <= 2000 and server.admission.stats.overflowed > 60
    taken = [peer.receive() for _ in range(len(peer.inbox))]
    assert taken[:2] == [b"\x80\x00", b"\x80\x01"] and peer.inbox_bytes == 0 and peer.receive() is None


def test_noise_raises_nothing_and_keeps_nothing() -> None:
    rng = random.Random(5)
    server = Server(Limits(sessions=20, unconfirmed=5))
    seeds = [hello(name(1)), echo(name(1), bytes(12)), Ping(name(1)).encode(), Close(name(1), 0).encode()]
    asked, answered = 0, 0
    for _ in range(5000):
        data = bytearray(rng.choice(seeds))
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        data = data[: rng.randint(0, len(data))] if rng.random() < 0.3 else data
        asked += len(data)
        address = (f"198.51.100.{rng.randrange(9)}", rng.randrange(9))
        answered += sum(len(a if isinstance(a, bytes) else a.encode()) for a, _ in server.ask(bytes(data), address))
    assert answered < asked and len(server.admission.peers) <= 5
    assert server.admission.stats.malformed > 500 and len(server.admission._ended) <= 4096


def test_a_caption_comes_back_at_once_and_one_too_large_waits_a_round_trip() -> None:
    for size, expected in ((300, 0.1), (600, 0.2)):
        config = SenderConfig(rate=1_000_000, packet_size=1100)
        world = World(serve=sending([Item(GROUP, 0, 0, bytes(size))], config))
        client = world.client()
        world.run(5.0)
        assert client.when(GROUP, 0, 0) == pytest.approx(expected, abs=0.02)
    assert world.admission.peers[0].confirmed
