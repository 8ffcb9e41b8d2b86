"""A channel in memory: two ends in one process, nothing lost, nothing delayed. Tests put the losses in the middle."""

from collections import deque
from collections.abc import Callable

from transport.channels import nothing


class MemoryChannel:
    """One end; `pair` makes two that are joined."""

    def __init__(self, largest: int = 65535, overhead: int = 0) -> None:
        self.largest = largest
        self.overhead = overhead
        self.wake: Callable[[], None] = nothing
        self.closed: str | None = None
        self.peer: MemoryChannel | None = None
        self.inbox: deque[bytes] = deque()

    @property
    def waiting(self) -> int:
        """Always 0: what is handed over has arrived."""
        return 0

    def send(self, data: bytes) -> None:
        if len(data) > self.largest:
            raise ValueError(f"a datagram of {len(data)} B on a channel for {self.largest}")
        if self.closed is None and self.peer is not None:
            self.peer.inbox.append(data)
            self.peer.wake()

    def receive(self) -> bytes | None:
        return self.inbox.popleft() if self.inbox else None

    def close(self) -> None:
        for end, why in ((self, "closed here"), (self.peer, "closed by the peer")):
            if end is not None and end.closed is None:
                end.closed = why
                end.wake()


def pair(largest: int = 65535, overhead: int = 0) -> tuple[MemoryChannel, MemoryChannel]:
    """Two ends: what one sends the other receives."""
    here, there = MemoryChannel(largest, overhead), MemoryChannel(largest, overhead)
    here.peer, there.peer = there, here
    return here, there
