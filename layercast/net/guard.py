"""What the peers of a server may cost, on every way: `transport.limits` at work on channels.

accept ─► Guard.admit ─► a Guarded channel, or closed at once
                            └─► each datagram that comes: taken, or dropped unread; silence: closed
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from transport.admission import SILENT, host_of
from transport.channels import Channel
from transport.limits import Admission, Limits, LimitsConfig

LOOK_EVERY = 5.0
"""Seconds between two looks for sessions that have been silent for too long."""


def limits_for(sessions: int, per_peer: int) -> LimitsConfig:
    """The limits of a server whose receivers say little: 100 kB/s each, all together 4 MB/s, 64 MB in a session."""
    return LimitsConfig(
        sessions=per_peer,
        all_sessions=sessions,
        bytes=64_000_000,
        rate=100_000.0,
        burst=1_000_000.0,
        all_rate=4_000_000.0,
        all_burst=8_000_000.0,
        starts=4.0,
        start_burst=64.0,
        peers=4096,
    )


class Guarded:
    """A channel that brings no more than its peer's share."""

    def __init__(self, channel: Channel, admission: Admission, limits: Limits, clock: Callable[[], float]) -> None:
        self.admission = admission
        self._channel = channel
        self._limits = limits
        self._clock = clock
        self.largest = channel.largest
        self.overhead = channel.overhead
        self.coded = getattr(channel, "coded", True)

    @property
    def wake(self) -> Callable[[], None]:
        return self._channel.wake

    @wake.setter
    def wake(self, wake: Callable[[], None]) -> None:
        self._channel.wake = wake

    @property
    def waiting(self) -> int:
        return self._channel.waiting

    @property
    def closed(self) -> str | None:
        return self._channel.closed

    def send(self, data: bytes) -> None:
        self._channel.send(data)

    def receive(self) -> bytes | None:
        """The next datagram that is within the limits; whoever brings too many bytes in all is sent away."""
        while (data := self._channel.receive()) is not None:
            size = len(data) + self._channel.overhead
            if self._limits.take(self.admission, size, self._clock()) is None:
                return data
            if self.admission.bytes + size > self._limits.config.bytes:
                self._channel.close()
        return None

    def close(self) -> None:
        self._channel.close()


class Guard:
    """The limits of one server. Use within the running event loop."""

    def __init__(self, config: LimitsConfig) -> None:
        self._loop = asyncio.get_running_loop()
        self.limits = Limits(config, self._loop.time())
        self._open: dict[Admission, Guarded] = {}
        self._look = self._loop.call_later(LOOK_EVERY, self._close_idle)

    def admit(self, channel: Channel) -> Guarded | str:
        """The channel under the limits, or why there is no room for it: then it is closed soon."""
        peer, now = peer_of(channel), self._loop.time()
        self._make_room(peer, now)
        found = self.limits.open(peer, now)
        if isinstance(found, str):
            self._loop.call_soon(channel.close)
            return found
        self._open[found] = Guarded(channel, found, self.limits, self._loop.time)
        return self._open[found]

    def release(self, guarded: Guarded) -> None:
        """A session is over."""
        self.limits.close(guarded.admission)
        self._open.pop(guarded.admission, None)

    def close(self) -> None:
        self._look.cancel()

    def _make_room(self, peer: Hashable, now: float) -> None:
        """What is closed already takes no place of a peer, and when all are taken its most silent session gives way: it
        may have been restarted, and its old self says no goodbye any more."""
        mine = [guarded for admission, guarded in self._open.items() if admission.peer == peer]
        for guarded in mine:
            if guarded.closed is not None:
                self.release(guarded)
        mine = [guarded for guarded in mine if guarded.closed is None]
        if len(mine) >= self.limits.config.sessions:
            oldest = min(mine, key=lambda guarded: guarded.admission.last)
            if oldest.admission.last < now - SILENT:
                oldest.close()
                self.release(oldest)

    def _close_idle(self) -> None:
        for admission in self.limits.idle(self._loop.time()):
            self._open[admission].close()
        self._look = self._loop.call_later(LOOK_EVERY, self._close_idle)


def peer_of(channel: Channel) -> Hashable:
    """Whom to count a channel to: the peer's host, or the channel itself where that is not known."""
    peer = getattr(channel, "peer", None)
    address = getattr(peer, "address", None) or getattr(channel, "peer_address", None)
    return host_of(address) if address else id(channel)
