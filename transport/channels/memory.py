"""A channel in memory: two ends in one process, nothing lost, nothing delayed. Tests put the losses in the middle."""

from collections import deque


class MemoryChannel:
    """One end; `pair` makes two that are joined."""

    def __init__(self, largest: int = 65535, overhead: int = 0) -> None:
        self.largest = largest
        self.overhead = overhead
        self.outbox: deque[bytes] = deque()
        self.inbox: deque[bytes] = deque()

    @property
    def waiting(self) -> int:
        """Always 0: what is handed over has arrived."""
        return 0

    def send(self, data: bytes) -> None:
        if len(data) > self.largest:
            raise ValueError(f"a datagram of {len(data)} B on a channel for {self.largest}")
        self.outbox.append(data)

    def receive(self) -> bytes | None:
        return self.inbox.popleft() if self.inbox else None


def pair(largest: int = 65535, overhead: int = 0) -> tuple[MemoryChannel, MemoryChannel]:
    """Two ends: what one sends the other receives."""
    here, there = MemoryChannel(largest, overhead), MemoryChannel(largest, overhead)
    here.outbox, there.outbox = there.inbox, here.inbox
    return here, there
