"""When the next packet may leave: as the last one leaves the link, so that the link is busy and nothing waits below us.

A packet handed down while the last one still crosses the link waits where nothing urgent can overtake it any more. So a
packet may leave only when the link is thought to be free, and idle time is never saved up for a burst. When it will be
free follows from what was sent since the last packet of which we know when it came through: each acknowledgement makes
good what was wrong in that, and a queue that it tells of is waited for.

Where the rate is estimated, packets leave a little early in turns, so that some wait in the link for a moment: that
shows the rate. Rarely one leaves late: what it then takes shows whether the rest stood in a queue that we took for part
of the path.
"""

import math
from collections import deque
from typing import Final

from transport.estimate import NOTABLE, Estimate
from transport.repair import Sent

PACKET_TIME: Final = 0.2
"""Seconds that one packet should take at most: what an urgent item waits for."""
LEAST_TIME: Final = 0.1
UNSTEADY: Final = 4.0
"""Where the rate changes all the time packets are smaller, by so many times the error of our forecasts (seconds) beyond
noise."""
SMALLEST: Final = 200
HEADERS: Final = 8
HEADERS_TIME: Final = 0.45
"""Datagrams are not cut below so many bytes, nor below so many times the headers beneath them, as long as that takes
less than so many seconds."""
BURST: Final = 3
"""Packets that start a transfer at once: their spacing at the far end is the first that we learn of the rate."""
BLIND: Final = 6
"""Packets that leave before anything is known."""
FIRST_BYTES: Final = 700
"""About what these are: beyond, what may be under way grows with the square of what has come through."""
BEYOND: Final = 2
"""Packets with base items that may be under way beyond all others."""
UNKNOWN: Final = 8
"""Packets under way that are always allowed on a link of known rate."""
FIRST_LATE: Final = 1.0
BETWEEN_LATE: Final = 30.0
LATE: Final = 0.5
DRAINED: Final = 0.75
MOST_LATE: Final = 1.0
"""When a packet leaves late: after so many seconds without a pause, then so often; by which share of its wire time. If
packets then take less by that share of the delay, more may be gained: the next leaves twice as late, up to so many
seconds."""


def packet_size(rate: float, smallest: int = SMALLEST, largest: int = 1100) -> int:
    """A good datagram size in bytes for a link of `rate` bit/s: 0.2 s of it, within the given bounds."""
    return int(min(max(rate * PACKET_TIME / 8, smallest), largest))


class Pacer:
    """Spaces packets by their wire time. `overhead`: bytes that the layers below add to each (28 for IPv4 and UDP)."""

    def __init__(self, overhead: int) -> None:
        self.overhead = overhead
        self._free_at = 0.0

    def ready_at(self, urgent: bool = False) -> float:
        """When the next packet may leave (seconds); in the past if it may now. `urgent`: it has base items."""
        return self._free_at

    def handle_sent(self, size: int, rate: float, now: float) -> None:
        """A datagram of `size` bytes left at `now`; `rate` in bit/s."""
        self._free_at = max(now, self._free_at) + (size + self.overhead) * 8 / rate


class GuidedPacer(Pacer):
    """One that follows what an estimate learns of the link, and bounds what is under way.

    `largest`: bytes of the largest datagram; `overhead`: bytes that the layers below add to each (28: IPv4 and UDP).
    """

    def __init__(self, largest: int, overhead: int, estimate: Estimate) -> None:
        super().__init__(overhead)
        self._largest = largest
        self._estimate = estimate
        self._ahead = 0.0
        self._count = 0
        self._total = 0
        self._reached = 0
        self._turn_end = 0.0
        self._early = False
        self._late = self._left_late = False
        self._late_at = FIRST_LATE
        self._lateness = LATE
        self._late_packet: tuple[int, float] | None = None
        self._unreached: deque[Sent] = deque()

    @property
    def size(self) -> int:
        """Bytes of a good datagram now: short in time, with the headers of an urgent one that waits for it, but not all
        headers."""
        estimate = self._estimate
        if estimate.known:
            return self._largest
        if not estimate.measured:
            return min(SMALLEST, self._largest)
        time = max(PACKET_TIME - UNSTEADY * max(estimate.spread - estimate.noise, 0.0), LEAST_TIME)
        short = int(estimate.rate * time / 8) - 2 * self.overhead
        bearable = min(HEADERS * self.overhead, int(estimate.rate * HEADERS_TIME / 8) - self.overhead)
        return min(max(short, bearable, SMALLEST), self._largest)

    @property
    def wire_size(self) -> int:
        """Bytes that such a datagram takes on the wire."""
        return self.size + self.overhead

    def ready_at(self, urgent: bool = False) -> float:
        estimate = self._estimate
        if estimate.known:
            return self._free_at
        if self._count < BURST:
            return 0.0
        if self._late and not urgent:
            return self._free_at + self._late_time
        return self._free_at - estimate.standing - (estimate.early(self.wire_size) if self._early else 0.0)

    def handle_sent(self, size: int, rate: float, now: float) -> None:
        wire = size + self.overhead
        self._left_late = self._late and now >= self._free_at + self._late_time
        if now > self._free_at + self._estimate.packet_time(wire):
            self._handle_pause(now)
        self._count += 1
        self._total += wire
        self._ahead = max(self._free_at - now, 0.0)
        super().handle_sent(size, rate, now)
        if now >= self._turn_end:
            self._early = not self._early
            self._turn_end = now + self._estimate.turn

    def _handle_pause(self, now: float) -> None:
        """There was nothing to send for a while: what goes now waits for nothing, so the next may well leave early."""
        self._late_at = max(self._late_at, now + FIRST_LATE)
        self._early = False
        self._turn_end = now
        if not self._estimate.measured:
            self._count = 0

    def handle_numbered(self, packet: Sent) -> None:
        """The datagram that just left is this packet, and is to be acknowledged."""
        packet.total = self._total
        packet.early = self._ahead
        self._unreached.append(packet)
        if self._left_late:
            self._late_packet = packet.number, self._estimate.constant
            self._late_at = packet.time + BETWEEN_LATE
        self._late = packet.time >= self._late_at

    def handle_acked(self, largest: int) -> None:
        """Packets up to number `largest` have come through, as the estimate knows by now."""
        while self._unreached and self._unreached[0].number <= largest:
            self._reached = self._unreached.popleft().total
        free = self._estimate.last_finish
        if free is None:
            return
        for packet in self._unreached:
            free = max(free, packet.time) + self._estimate.packet_time(packet.size)
        self._free_at = free
        if self._late_packet is not None and largest >= self._late_packet[0]:
            fallen = self._late_packet[1] - self._estimate.constant
            self._late_packet = None
            if fallen > max(DRAINED * self._late_time, NOTABLE * self._estimate.noise):
                self._late_at = -math.inf
                self._lateness *= 2
            else:
                self._lateness = LATE

    @property
    def _late_time(self) -> float:
        """Seconds by which a packet leaves late when it does."""
        wire = self._estimate.packet_time(self.wire_size)
        return min(self._lateness * wire, max(LATE * wire, MOST_LATE))

    def window_open(self, in_flight: int, urgent: bool = False) -> bool:
        """Whether as little is under way as a working path can hold: a link that slows down or dies is not fed on.

        The first rate is measured over three packets, and jitter can bring them in together, so at the start no more is
        under way than has come through already, then as many times that as it is more than the first packets were.
        `in_flight`: bytes neither acknowledged nor lost. `urgent`: base items are next; their copies may go beyond.
        """
        estimate = self._estimate
        if estimate.known:
            path = estimate.srtt + 4 * estimate.rttvar + 1.0
            return in_flight < max(estimate.rate / 8 * path, UNKNOWN * (self._largest + self.overhead))
        while self._unreached and self._unreached[0].lost:
            self._unreached.popleft()
        if not estimate.measured:
            return len(self._unreached) < BLIND
        unheard = estimate.unheard + (BEYOND if urgent else 0)
        if len(self._unreached) <= unheard:
            return True
        beyond = self._unreached[-1].total - self._unreached[unheard - 1].total
        held = estimate.rate / 8 * (estimate.path + estimate.standing + estimate.early(self.wire_size))
        return beyond <= min(held, self._reached * max(self._reached / FIRST_BYTES, 1.0))
