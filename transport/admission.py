"""Who may talk to a UDP server, and how much it says before it knows that an address is real.

    datagrams, addresses ─► Admission ─► datagrams, addresses
                                │
                                └─► events: a peer joined, something came from it, it left

Sans-I/O: `now` is an argument, in seconds on any clock that never goes back. The rules:

- Before an address is confirmed, at most three times the bytes that came from it go there. What is beyond waits.
- An unconfirmed peer costs memory, so there are few of them at a time; when their places are taken, a Hello gets a
  cookie and nothing is kept: whoever echoes the cookie gets a place as a confirmed one.
- A peer that comes from a new address (its NAT has forgotten it) keeps its session once it has echoed a cookie from
  there. Until then nothing but the cookie goes to the new address.
- The id of a session that is over is refused while cookies for it may still be about: an old Echo starts nothing.
"""

import hmac
import os
from collections import Counter, deque
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from transport import greeting
from transport.greeting import Challenge, Close, Cookies, Echo, Hello, Message, Ping, Ready

Address = tuple[Any, ...]
"""As sockets give it: host, port and, for IPv6, flow and scope."""

FACTOR: Final = 3
"""Bytes that may go to an unconfirmed address for each byte that came from it."""
ENDED: Final = 4096
"""Ids of ended sessions remembered."""

SILENT: Final = 3.0
"""Seconds without a word after which a peer makes room for another of its host."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What peers may cost.

    Attributes:
        sessions: peers in all.
        per_host: peers of one IPv4 address or one IPv6 /64.
        unconfirmed: peers whose address is not confirmed yet.
        confirm: seconds that they have.
        idle: seconds without a word after which a peer is closed.
        bytes: taken from one peer before it is closed.
        inbox: bytes of one peer that wait to be read; more is dropped.
    """

    sessions: int = 256
    per_host: int = 16
    unconfirmed: int = 64
    confirm: float = 15.0
    idle: float = 60.0
    bytes: int = 1 << 30
    inbox: int = 1 << 18


@dataclass(eq=False)
class Peer:
    """A client with a place. `received` and `sent` count datagrams' bytes at its present address."""

    id: bytes
    address: Address
    heard: float
    confirmed: bool = False
    received: int = 0
    sent: int = 0
    total: int = 0
    closed: str | None = None
    held: deque[bytes] = field(default_factory=deque)
    inbox: deque[bytes] = field(default_factory=deque)
    inbox_bytes: int = 0

    @property
    def waiting(self) -> int:
        """Bytes held back until the address is confirmed or more came from it."""
        return sum(map(len, self.held))

    def receive(self) -> bytes | None:
        """The next datagram that came; None if there is none now."""
        if not self.inbox:
            return None
        data = self.inbox.popleft()
        self.inbox_bytes -= _cost(data)
        return data


@dataclass(frozen=True, slots=True)
class Joined:
    """A peer has a place; its address may still be unconfirmed."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Stirred:
    """Something came from a peer, or nothing of it waits any more."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Left:
    """A peer is gone; `peer.closed` says why."""

    peer: Peer


Event = Joined | Stirred | Left


@dataclass
class AdmissionStats:
    """Counts since the start. `strangers`: datagrams from addresses without a session; `refused`: wrong proofs."""

    malformed: int = 0
    strangers: int = 0
    refused: int = 0
    no_room: int = 0
    overflowed: int = 0
    moved: int = 0


class Admission:
    """The server's side of the channel for all its peers."""

    def __init__(self, token: bytes = b"", limits: Limits | None = None, secret: bytes | None = None) -> None:
        """`token`: what peers must know, b"" for anyone; `secret`: 32 random bytes that make the cookies."""
        self.limits = limits or Limits()
        self.stats = AdmissionStats()
        self._token = token
        self._cookies = Cookies(secret or os.urandom(32))
        self._by_address: dict[Address, Peer] = {}
        self._by_id: dict[bytes, Peer] = {}
        self._hosts: Counter[str] = Counter()
        self._ended: dict[bytes, float] = {}
        self._check_at: float | None = None
        self._out: deque[tuple[bytes, Address]] = deque()
        self._events: deque[Event] = deque()

    @property
    def peers(self) -> list[Peer]:
        return list(self._by_id.values())

    def handle_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take a datagram from anybody."""
        peer = self._by_address.get(address)
        if peer is not None:
            self._count(peer, len(data), now)
            if peer.closed is not None:
                return
        if greeting.is_message(data):
            message = greeting.parse(data)
            if message is None:
                self.stats.malformed += 1
            else:
                self._handle_message(message, peer, address, now)
        elif peer is None:
            self.stats.strangers += 1
        elif peer.inbox_bytes + _cost(data) > self.limits.inbox:
            self.stats.overflowed += 1
        else:
            peer.inbox.append(data)
            peer.inbox_bytes += _cost(data)
            self._events.append(Stirred(peer))

    def handle_timer(self, now: float) -> None:
        """`next_timer()` has passed: close who has been silent or unconfirmed for too long."""
        if self._check_at is None or now < self._check_at:
            return
        for peer in self.peers:
            if now >= self._deadline(peer):
                self._end(peer, greeting.IDLE if peer.confirmed else None, now)
        self._check_at = min(map(self._deadline, self._by_id.values()), default=None)

    def next_timer(self) -> float | None:
        return self._check_at

    def poll_transmit(self) -> tuple[bytes, Address] | None:
        """The next datagram to send and where to."""
        return self._out.popleft() if self._out else None

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def send(self, peer: Peer, data: bytes) -> None:
        """Hand over a datagram for a peer: it goes, or is held until it may. To one that is gone: nothing."""
        if peer.closed is not None:
            return
        if peer.held or not self._may_send(peer, len(data)):
            peer.held.append(data)
        else:
            self._transmit(peer, data)

    def close(self, peer: Peer, now: float) -> None:
        """Say goodbye and forget the peer."""
        if peer.closed is None:
            self._end(peer, greeting.DONE, now, "closed here")

    # --- messages ---

    def _handle_message(self, message: Message, peer: Peer | None, address: Address, now: float) -> None:
        known = self._by_id.get(message.id)
        if isinstance(message, Hello):
            self._handle_hello(message, known, peer, address, now)
        elif isinstance(message, Echo):
            self._handle_echo(message, known, address, now)
        elif isinstance(message, Ping):
            self._handle_ping(message, known, peer, address, now)
        elif isinstance(message, Close) and known is not None and known is peer:
            self._end(known, None, now, greeting.REASONS[greeting.DONE])

    def _handle_hello(self, hello: Hello, known: Peer | None, peer: Peer | None, address: Address, now: float) -> None:
        if hello.version != greeting.VERSION:
            self._answer(Close(hello.id, greeting.OTHER_VERSION), peer, address)
        elif not hmac.compare_digest(hello.proof, greeting.hello_proof(self._token, hello.id)):
            self.stats.refused += 1
            self._answer(Close(hello.id, greeting.WRONG_TOKEN), peer, address)
        elif self._over(hello.id, now):
            self._answer(Close(hello.id, greeting.UNKNOWN), peer, address)
        elif known is not None and known is peer:
            self._answer(Ready(hello.id) if known.confirmed else self._challenge(hello.id, address, now), peer, address)
        elif known is not None or peer is not None or self._unconfirmed >= self.limits.unconfirmed:
            self._answer(self._challenge(hello.id, address, now), peer, address)
        elif not self._room(address, now):
            self._answer(Close(hello.id, greeting.BUSY), peer, address)
        else:
            joined = self._open(hello.id, address, now)
            self._count(joined, hello.size, now)
            self._answer(self._challenge(hello.id, address, now), joined, address)

    def _handle_echo(self, echo: Echo, known: Peer | None, address: Address, now: float) -> None:
        here = self._by_address.get(address)
        if not hmac.compare_digest(echo.proof, greeting.echo_proof(self._token, echo.id, echo.cookie)):
            self.stats.refused += 1
            return
        if self._over(echo.id, now):
            self._answer(Close(echo.id, greeting.UNKNOWN), here, address)
            return
        if not self._cookies.good(echo.cookie, address, echo.id, now):
            self._answer(self._challenge(echo.id, address, now), here, address)
            return
        if here is not None and here is not known:
            self._end(here, None, now, greeting.REASONS[greeting.REPLACED])
        if known is None:
            if not self._room(address, now):
                self._answer(Close(echo.id, greeting.BUSY), None, address)
                return
            known = self._open(echo.id, address, now)
        elif known.address != address:
            self._move(known, address)
        known.heard = now
        known.confirmed = True
        self._answer(Ready(echo.id), known, address)
        self._release(known)

    def _handle_ping(self, ping: Ping, known: Peer | None, peer: Peer | None, address: Address, now: float) -> None:
        if known is None:
            self._answer(Close(ping.id, greeting.UNKNOWN), peer, address)
        elif known is peer and known.confirmed:
            self._answer(Ready(ping.id), peer, address)
        else:
            self._answer(self._challenge(ping.id, address, now), peer, address)

    def _challenge(self, id: bytes, address: Address, now: float) -> Challenge:
        return Challenge(id, self._cookies.make(address, id, now))

    def _answer(self, message: Message, peer: Peer | None, address: Address) -> None:
        """Each answer is smaller than three times what it answers, so it may always go; a peer's count knows of it."""
        data = message.encode()
        if peer is None:
            self._out.append((data, address))
        elif self._may_send(peer, len(data)):
            self._transmit(peer, data)

    # --- peers ---

    @property
    def _unconfirmed(self) -> int:
        return sum(not peer.confirmed for peer in self._by_id.values())

    def _room(self, address: Address, now: float) -> bool:
        """Whether one more from this address has a place.

        A peer of its host that has fallen silent makes room: it may have been restarted, and says no goodbye any more.
        """
        host = host_of(address)
        if self._hosts[host] >= self.limits.per_host:
            oldest = min((p for p in self._by_id.values() if host_of(p.address) == host), key=lambda peer: peer.heard)
            if oldest.heard < now - SILENT:
                self._end(oldest, None, now, greeting.REASONS[greeting.REPLACED])
        free = len(self._by_id) < self.limits.sessions and self._hosts[host_of(address)] < self.limits.per_host
        self.stats.no_room += not free
        return free

    def _open(self, id: bytes, address: Address, now: float) -> Peer:
        peer = Peer(id, address, now)
        self._by_id[id] = self._by_address[address] = peer
        self._hosts[host_of(address)] += 1
        due = now + self.limits.confirm
        self._check_at = due if self._check_at is None else min(due, self._check_at)
        self._events.append(Joined(peer))
        return peer

    def _move(self, peer: Peer, address: Address) -> None:
        self._leave_address(peer)
        peer.address = address
        self._by_address[address] = peer
        self._hosts[host_of(address)] += 1
        self.stats.moved += 1

    def _leave_address(self, peer: Peer) -> None:
        del self._by_address[peer.address]
        host = host_of(peer.address)
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]

    def _end(self, peer: Peer, reason: int | None, now: float, why: str | None = None) -> None:
        if reason is not None:
            self._answer(Close(peer.id, reason), peer, peer.address)
        peer.closed = why or greeting.REASONS[greeting.UNCONFIRMED if reason is None else reason]
        peer.held.clear()
        self._leave_address(peer)
        del self._by_id[peer.id]
        if peer.confirmed:  # an unconfirmed one may still be trying: its next Hello or Echo begins anew
            self._ended[peer.id] = now + 2 * Cookies.WINDOW
        while len(self._ended) > ENDED:
            del self._ended[next(iter(self._ended))]
        self._events.append(Left(peer))

    def _over(self, id: bytes, now: float) -> bool:
        return self._ended.get(id, now) > now

    def _deadline(self, peer: Peer) -> float:
        return peer.heard + (self.limits.idle if peer.confirmed else self.limits.confirm)

    # --- counting ---

    def _count(self, peer: Peer, size: int, now: float) -> None:
        peer.received += size
        peer.total += size
        if peer.confirmed:
            peer.heard = now
        if peer.total > self.limits.bytes:
            self._end(peer, greeting.TOO_MUCH, now)
        elif peer.held:
            self._release(peer)

    def _may_send(self, peer: Peer, size: int) -> bool:
        return peer.confirmed or peer.sent + size <= FACTOR * peer.received

    def _transmit(self, peer: Peer, data: bytes) -> None:
        peer.sent += len(data)
        self._out.append((data, peer.address))

    def _release(self, peer: Peer) -> None:
        """Send what was held, as far as it may go now."""
        while peer.held and self._may_send(peer, len(peer.held[0])):
            self._transmit(peer, peer.held.popleft())
        if not peer.held:
            self._events.append(Stirred(peer))


def _cost(data: bytes) -> int:
    return len(data) + 64  # what an object of bytes costs beside its content, about


def host_of(address: Address) -> str:
    """Whom to count a peer to: its IPv4 address, or its IPv6 /64, of which one host commonly has all."""
    try:
        ip = ip_address(str(address[0]).partition("%")[0])
    except ValueError:
        return str(address[0])
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped) if ip.ipv4_mapped else ip.packed[:8].hex()
    return str(ip)
