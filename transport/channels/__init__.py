"""Channels: how datagrams leave and come. Thin, one file each, no decisions.

Every channel offers `Channel`; `pump` is all that a driver does with one, `transport.driver` does it in real time.
`waiting` is the second half of pacing: a session is asked for a packet only when nothing that it handed over still
stands in the channel's own queues.
"""

from collections.abc import Callable
from typing import Protocol


class Channel(Protocol):
    """A way to one peer for whole datagrams that may be lost, doubled and reordered."""

    largest: int
    """Largest datagram that `send` takes, bytes."""
    overhead: int
    """Bytes that this channel and all below it add to a datagram on the wire."""
    wake: Callable[[], None]
    """Called when something came, when nothing waits any more, and when the channel has closed. The driver sets it; it
    must be cheap and may be called too often."""

    @property
    def waiting(self) -> int:
        """Bytes handed over that have not left the channel's own queues."""
        ...

    @property
    def closed(self) -> str | None:
        """Why the channel is closed, in a few words; None while it is open."""
        ...

    def send(self, data: bytes) -> None:
        """Hand a datagram over; ValueError if it is larger than `largest`. On a closed channel it is dropped."""
        ...

    def receive(self) -> bytes | None:
        """The next datagram that came; None if there is none now."""
        ...

    def close(self) -> None:
        """Say goodbye where the protocol below can, and release everything. Again: nothing."""
        ...


class Session(Protocol):
    """What a driver needs of a Sender or a Receiver."""

    def handle_datagram(self, data: bytes, now: float) -> None: ...
    def handle_timer(self, now: float) -> None: ...
    def next_timer(self) -> float | None: ...
    def poll_transmit(self, now: float) -> bytes | None: ...


def pump(session: Session, channel: Channel, now: float) -> None:
    """One turn: give the session what came and what time it is, send what it wants sent."""
    while (data := channel.receive()) is not None:
        session.handle_datagram(data, now)
    timer = session.next_timer()
    if timer is not None and now >= timer:
        session.handle_timer(now)
    while not channel.waiting and channel.closed is None and (data := session.poll_transmit(now)) is not None:
        channel.send(data)


def nothing() -> None:
    """What `wake` is until a driver sets it."""
