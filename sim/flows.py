"""A greedy flow beside ours: as TCP does, it takes what it can of a bottleneck and halves when something is lost.

New Reno's window (RFC 5681, RFC 6582) without its details: slow start, one packet more a round trip, half of it at a
loss and at most once a round trip, a timeout of 1 s and more (RFC 6298). Every packet is acknowledged by itself, its
number included, over a way back that loses nothing; nothing is sent again, since nobody reads what it carries.
"""

from sim.clock import Clock
from sim.link import Link
from sim.packet import Packet

SEGMENT = 1448
"""Bytes of payload of a packet."""
_LATER = 3
"""Packets that are acknowledged beyond one that is then taken for lost."""
_SHORTEST_TIMEOUT = 1.0


class GreedyFlow:
    """Sends over `link` from `start` (seconds) on, for ever. `back`: seconds an acknowledgement takes.

    `delivered`: bytes of payload that have arrived; `window`: packets that may be under way.
    """

    def __init__(self, clock: Clock, link: Link, back: float, start: float = 0.0) -> None:
        self.window = 2.0
        self.delivered = 0
        self._clock = clock
        self._link = link
        self._back = back
        self._threshold = 64.0
        self._sent: dict[int, float] = {}  # when each packet under way was sent
        self._recovering = -1  # losses of packets up to this one have been answered
        self._trip: float | None = None
        self._progress = start
        self._data = bytes(SEGMENT)
        link.arrived = self._arrived
        clock.at(start, self._begin)

    def _begin(self) -> None:
        self._send()
        self._watch()

    def _arrived(self, packet: Packet) -> None:
        self.delivered += len(packet.data)
        number = packet.number
        self._clock.at(self._clock.now + self._back, lambda: self._acknowledged(number))

    def _acknowledged(self, number: int) -> None:
        now = self._clock.now
        self._progress = now
        since = self._sent.pop(number, None)
        if since is not None:
            self._trip = now - since if self._trip is None else 0.875 * self._trip + 0.125 * (now - since)
            self.window += 1.0 if self.window < self._threshold else 1.0 / self.window
        lost = [each for each in self._sent if each <= number - _LATER]
        for each in lost:
            del self._sent[each]
        if lost and lost[-1] > self._recovering:
            self._halve(self.window / 2)
        self._send()

    def _halve(self, window: float) -> None:
        self._threshold = max(self.window / 2, 2.0)
        self.window = max(window, 1.0)
        self._recovering = self._link.sent - 1

    def _send(self) -> None:
        while len(self._sent) < int(self.window):
            self._sent[self._link.send(self._data)] = self._clock.now

    def _watch(self) -> None:
        """The timeout: when nothing was heard for long, all that was under way is lost."""
        patience = max(_SHORTEST_TIMEOUT, 3 * (self._trip or _SHORTEST_TIMEOUT))
        if self._sent and self._clock.now >= self._progress + patience:
            self._sent.clear()
            self._halve(1.0)
            self._progress = self._clock.now
            self._send()
        self._clock.at(self._clock.now + patience / 2, self._watch)
