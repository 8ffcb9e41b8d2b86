"""What stands before a bottleneck: drop-tail, drop-head, CoDel, limited in bytes or in packets.

    Bottleneck.push ─► put ─► [waiting ...] ─► take ─► on the wire
                        │                       │
                        └───────► drop ◄────────┘

The packet that is on the wire does not count: a queue of 0 is a link that holds one packet.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sim.packet import Forward, Packet

UNITS = ("bytes", "packets")


Waiting = tuple[Packet, Forward, Forward, float]
"""A packet in a queue, where it goes or is dropped, and since when it waits (seconds)."""


class Queue(Protocol):
    """Takes what cannot be sent yet. Both may drop, by calling the packet's own `drop`."""

    def put(self, packet: Packet, forward: Forward, drop: Forward, now: float) -> None: ...
    def take(self, now: float) -> Waiting | None: ...


class DropTail:
    """First in, first out; what does not fit is dropped. `limit` in `unit`, "bytes" or "packets"."""

    def __init__(self, limit: int, unit: str = "bytes") -> None:
        if unit not in UNITS or limit < 0:
            raise ValueError(f"a queue holds 0 or more {' or '.join(UNITS)}, not {limit} {unit}")
        self.limit = limit
        self.level = 0
        self._counted = unit == "packets"
        self._line: deque[Waiting] = deque()

    def put(self, packet: Packet, forward: Forward, drop: Forward, now: float) -> None:
        cost = 1 if self._counted else packet.size
        if self.level + cost > self.limit:
            drop(packet)
            return
        self.level += cost
        self._line.append((packet, forward, drop, now))

    def take(self, now: float) -> Waiting | None:
        if not self._line:
            return None
        waiting = self._line.popleft()
        self.level -= 1 if self._counted else waiting[0].size
        return waiting


def _drop(waiting: Waiting | None) -> None:
    if waiting is not None:
        packet, _, drop, _ = waiting
        drop(packet)


class DropHead(DropTail):
    """First in, first out; what has waited longest makes room for what comes."""

    def put(self, packet: Packet, forward: Forward, drop: Forward, now: float) -> None:
        cost = 1 if self._counted else packet.size
        while self._line and self.level + cost > self.limit:
            _drop(self.take(now))
        super().put(packet, forward, drop, now)


class CoDel(DropTail):
    """CoDel (RFC 8289): drops when packets have waited longer than `target` for all of an `interval`, seconds.

    On a thin link `target` should be the time of a packet or two; RFC 8289 says so too.
    """

    SMALLEST = 1500
    """Bytes of a queue that is never touched: RFC 8289's MTU."""

    def __init__(self, limit: int, unit: str = "bytes", target: float = 0.005, interval: float = 0.1) -> None:
        if not 0 < target <= interval:
            raise ValueError(f"CoDel's target is above 0 and at most its interval, not {target:g} of {interval:g} s")
        super().__init__(limit, unit)
        self.target = target
        self.interval = interval
        self._bytes = 0
        self._above_at: float | None = None  # since when the wait would have been too long for an interval
        self._dropping = False
        self._drop_at = 0.0
        self._count = self._last_count = 0

    def put(self, packet: Packet, forward: Forward, drop: Forward, now: float) -> None:
        before = len(self._line)
        super().put(packet, forward, drop, now)
        if len(self._line) > before:
            self._bytes += packet.size

    def take(self, now: float) -> Waiting | None:
        waiting, late = self._next(now)
        if self._dropping:
            self._dropping = late
            while waiting is not None and self._dropping and now >= self._drop_at:
                _drop(waiting)
                self._count += 1
                waiting, self._dropping = self._next(now)
                if self._dropping:
                    self._drop_at = self._law(self._drop_at)
        elif late and waiting is not None:
            _drop(waiting)
            waiting, _ = self._next(now)
            self._dropping = True
            new = self._count - self._last_count
            self._count = new if new > 1 and now - self._drop_at < 16 * self.interval else 1
            self._drop_at = self._law(now)
            self._last_count = self._count
        return waiting

    def _next(self, now: float) -> tuple[Waiting | None, bool]:
        """The next packet, and whether the wait has been too long for long enough."""
        waiting = super().take(now)
        if waiting is None:
            self._above_at = None
            return None, False
        packet, _, _, since = waiting
        self._bytes -= packet.size
        if now - since < self.target or self._bytes <= self.SMALLEST:
            self._above_at = None
            return waiting, False
        if self._above_at is None:
            self._above_at = now + self.interval
        return waiting, now >= self._above_at

    def _law(self, time: float) -> float:
        return time + self.interval / math.sqrt(self._count)


DISCIPLINES: dict[str, type[DropTail]] = {"drop-tail": DropTail, "drop-head": DropHead, "codel": CoDel}


@dataclass(frozen=True, kw_only=True)
class QueueSpec:
    """A queue in figures. `target` and `interval` (seconds) are CoDel's. ValueError for figures that no queue has."""

    limit: int = 16_000
    unit: str = "bytes"
    discipline: str = "drop-tail"
    target: float = 0.005
    interval: float = 0.1

    def __post_init__(self) -> None:
        if self.discipline not in DISCIPLINES:
            raise ValueError(f"there is no queue {self.discipline!r}; one of {', '.join(DISCIPLINES)}")
        self.make()

    def make(self) -> Queue:
        """An empty one."""
        options: Callable[..., Queue] = DISCIPLINES[self.discipline]
        if self.discipline == "codel":
            return options(self.limit, self.unit, self.target, self.interval)
        return options(self.limit, self.unit)
