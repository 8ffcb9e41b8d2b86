"""What one peer may cost, and all of them together: sessions, groups, bytes, rate, idle time. Sans-I/O.

    a datagram, a request, a connection ─► Limits ─► taken or refused, and why

A peer is any hashable name: an address, a token's hash. Memory is bounded: peers without a session are forgotten when
they have been silent for so long that their bucket is full again, and beyond `peers` known ones a stranger is refused
rather than a known one forgotten. A refused peer costs a lookup.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

PRUNE_EVERY = 1.0
"""Seconds between two looks for peers to forget, at least."""


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """What is allowed. Rates are of datagrams taken in, bytes count them and their framing.

    Attributes:
        sessions, all_sessions: open at the same time, of one peer and in all.
        groups: groups that one session may start or ask for.
        bytes: bytes that one session may bring.
        rate, burst: bytes a second that one peer may bring for long, and at once.
        all_rate, all_burst: the same of all peers together.
        starts, start_burst: sessions that one peer may open a second for long, and at once.
        idle: seconds of silence after which a session should be closed.
        peers: peers kept track of.
    """

    sessions: int = 4
    all_sessions: int = 500
    groups: int = 1024
    bytes: int = 1 << 30
    rate: float = 1_000_000.0
    burst: float = 1_000_000.0
    all_rate: float = 20_000_000.0
    all_burst: float = 20_000_000.0
    starts: float = 1.0
    start_burst: float = 8.0
    idle: float = 300.0
    peers: int = 10_000

    def __post_init__(self) -> None:
        counts = (self.sessions, self.all_sessions, self.groups, self.bytes, self.peers)
        rates = (self.rate, self.burst, self.all_rate, self.all_burst, self.starts, self.start_burst, self.idle)
        if min(counts) < 1 or not all(rate > 0 for rate in rates):
            raise ValueError(f"a limit is more than 0: {self}")


class Bucket:
    """A token bucket: `rate` a second flow in, at most `burst` stay. It is full at first."""

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at = now

    def level(self, now: float) -> float:
        """What could be taken at `now`."""
        return min(self._level + max(now - self._at, 0.0) * self.rate, self.burst)

    def take(self, amount: float, now: float) -> bool:
        """Take an amount if it is there; else nothing."""
        level = self.level(now)
        self._at = max(now, self._at)
        self._level = level - amount if amount <= level else level
        return amount <= level

    def give(self, amount: float) -> None:
        """Put back what was taken in vain."""
        self._level = min(self._level + amount, self.burst)

    def full(self, now: float) -> bool:
        return self.level(now) >= self.burst


@dataclass(eq=False, slots=True)
class Admission:
    """An open session of a peer: what it has cost."""

    peer: Hashable
    last: float
    bytes: int = 0
    groups: set[int] = field(default_factory=set)
    closed: bool = False


@dataclass(slots=True)
class _Peer:
    traffic: Bucket
    starts: Bucket
    sessions: int = 0


class Limits:
    """Counts what peers cost. Every question is answered with None (granted) or the limit that was met, in words."""

    def __init__(self, config: LimitsConfig | None = None, now: float = 0.0) -> None:
        self.config = config or LimitsConfig()
        self.refused = 0
        self._peers: dict[Hashable, _Peer] = {}
        self._sessions: dict[int, Admission] = {}
        self._traffic = Bucket(self.config.all_rate, self.config.all_burst, now)
        self._pruned = now

    @property
    def sessions(self) -> int:
        """Sessions open now."""
        return len(self._sessions)

    @property
    def peers(self) -> int:
        """Peers kept track of."""
        return len(self._peers)

    def open(self, peer: Hashable, now: float) -> Admission | str:
        """A peer wants a session: what counts it from now on, or why not."""
        known = self._know(peer, now)
        if known is None:
            return self._refuse("too many peers")
        if len(self._sessions) >= self.config.all_sessions:
            return self._refuse("too many sessions")
        if known.sessions >= self.config.sessions:
            return self._refuse("too many sessions of this peer")
        if not known.starts.take(1.0, now):
            return self._refuse("this peer opens sessions too fast")
        known.sessions += 1
        admission = Admission(peer, now)
        self._sessions[id(admission)] = admission
        return admission

    def close(self, admission: Admission) -> None:
        """A session is over. Again: nothing."""
        if admission.closed:
            return
        admission.closed = True
        del self._sessions[id(admission)]
        self._peers[admission.peer].sessions -= 1

    def take(self, admission: Admission, size: int, now: float) -> str | None:
        """A session brought a datagram of `size` bytes: None to read it, or why to drop it unread."""
        known = self._peers.get(admission.peer)
        if known is None or admission.closed:
            return self._refuse("a session that is closed")
        if admission.bytes + size > self.config.bytes:
            return self._refuse("too many bytes in this session")
        if not known.traffic.take(size, now):
            return self._refuse("this peer sends too fast")
        if not self._traffic.take(size, now):
            known.traffic.give(size)
            return self._refuse("all peers together send too fast")
        admission.bytes += size
        admission.last = now
        return None

    def start_group(self, admission: Admission, group: int) -> str | None:
        """A session starts or asks for a group: None, or why not. The same group again costs nothing."""
        if group not in admission.groups and len(admission.groups) >= self.config.groups:
            return self._refuse("too many groups in this session")
        admission.groups.add(group)
        return None

    def take_stranger(self, peer: Hashable, size: int, now: float) -> str | None:
        """A datagram of a peer that has no session: None to look at it, or why to drop it unread."""
        known = self._know(peer, now)
        if known is None:
            return self._refuse("too many peers")
        if not known.traffic.take(size, now):
            return self._refuse("this peer sends too fast")
        if not self._traffic.take(size, now):
            known.traffic.give(size)
            return self._refuse("all peers together send too fast")
        return None

    def idle(self, now: float) -> Iterator[Admission]:
        """Sessions that have been silent for too long; the caller closes them."""
        return iter([each for each in self._sessions.values() if now - each.last >= self.config.idle])

    def next_timer(self) -> float | None:
        """When the next session will have been silent for too long, if nothing comes; None without sessions."""
        last = min((each.last for each in self._sessions.values()), default=None)
        return None if last is None else last + self.config.idle

    def _know(self, peer: Hashable, now: float) -> _Peer | None:
        """The account of a peer, opened if there is room."""
        known = self._peers.get(peer)
        if known is None:
            if len(self._peers) >= self.config.peers:
                self._prune(now)
            if len(self._peers) >= self.config.peers:
                return None
            traffic = Bucket(self.config.rate, self.config.burst, now)
            known = self._peers[peer] = _Peer(traffic, Bucket(self.config.starts, self.config.start_burst, now))
        return known

    def _prune(self, now: float) -> None:
        """Forget whom forgetting gives nothing: no session, nothing used up."""
        if now < self._pruned + PRUNE_EVERY:
            return
        self._pruned = now
        for name, peer in list(self._peers.items()):
            if not peer.sessions and peer.traffic.full(now) and peer.starts.full(now):
                del self._peers[name]

    def _refuse(self, why: str) -> str:
        self.refused += 1
        return why
