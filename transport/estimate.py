"""How fast the link is and how long it takes: from acknowledgements alone, or told.

What a packet takes to the far end is a constant, its own wire time (size over rate) and the time that it waited for
others. The receiver says when packets arrived, so for one that arrives some time after another

    rate >= what was sent after the first, up to the second / time between their arrivals

always, with equality if the second waited for those before. Whatever shows more than we thought raises the rate at
once. What shows less lowers it only if the second took longer than the first, though it is no larger: then it waited.
Losses play no part in this, nor do times in which there was nothing to send.

Arrivals are off by some noise (the receiver's clock, jitter), so a rate is measured over many times that, and what
packets took counts as different only beyond it.
"""

import math
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final

from transport.repair import Sent
from transport.wire import CLOCK, Ack

MIN_RATE: Final = 300.0
MAX_RATE: Final = 1e10
TICK: Final = 1e-3
"""Resolution of the receiver's clock, seconds."""
MAX_NOISE: Final = 0.01
"""Arrivals that are off by more than that tell of a rate that changes, seconds."""
RUN: Final = 20
MIN_RUN: Final = 0.03
LONG: Final = 4
"""A rate is measured over so many times the noise, and so many seconds, where packets come so fast; and again over so
many times that, which noise blurs less, but only to raise it, since a longer run tells later of one that fell."""
NOTABLE: Final = 3
"""What takes so many times the noise longer has waited."""
EARLY: Final = 0.04
NOISY_EARLY: Final = 4
MAX_EARLY: Final = 0.6
"""Packets leave early, in turns, by a share of their wire time, or by so many times the noise if that is more; by ever
more, up to a share or 0.05 s, while nothing waits although it should."""
STANDING: Final = 1.5
MAX_STANDING: Final = 0.15
"""Where the rate changes all the time, packets leave earlier by so many times the error of our forecasts (seconds)."""
SILENCE: Final = 0.02
"""So unlikely must it be that nothing is heard of some packets until we believe that they have not come through."""
BEST_OF: Final = 4.0
"""Seconds for which a rate once reached counts as possible."""
ARRIVALS: Final = 256


@dataclass(eq=False)
class _Arrival:
    """A packet that came through.

    `time`: on the receiver's clock, seconds. `took`: seconds, the difference of the two clocks included. `rate`: the
    best of that time, bit/s. `finish`: when it had passed the link, on our clock but for a constant.
    """

    packet: Sent
    time: float
    took: float
    rate: float = 0.0
    finish: float = 0.0

    def constant(self, rate: float) -> float:
        """What it took beyond its own wire time, if the link has at least a rate."""
        return self.took - self.packet.size * 8 / max(self.rate, rate)


def _bits_between(first: _Arrival, last: _Arrival) -> int:
    """What was sent after `first`, up to `last`."""
    return (last.packet.total - first.packet.total) * 8


class _Quickest:
    """The arrival that waited least, of the last `span` seconds to twice that."""

    def __init__(self, span: float) -> None:
        self._span = span
        self._start = -math.inf
        self._now: _Arrival | None = None
        self._before: _Arrival | None = None

    def add(self, arrival: _Arrival, now: float) -> None:
        if now >= self._start + self._span:
            self._before = self._now if now < self._start + 2 * self._span else None
            self._now, self._start = None, now
        if self._now is None or arrival.constant(0.0) < self._now.constant(0.0):
            self._now = arrival

    def seen(self) -> list[_Arrival]:
        return [arrival for arrival in (self._now, self._before) if arrival is not None]


class Estimate:
    """The sender's view of its path. `rate`: bit/s if known, else None and it is found, from `initial_rate` on.

    Attributes:
        rate: the link's rate as known or found, bit/s.
        measured: whether it is known or has been found.
        queue_delay: seconds that the newest packet waited in the link, about.
        constant: what packets take beyond wire time and waiting, and the difference of the clocks, seconds.
        last_finish: when the newest packet had left the link, seconds on our clock; None before any has.
        standing: seconds of a queue that pays where the rate changes all the time.
        loss: share of packets lost lately.
    """

    def __init__(self, rate: float | None, initial_rate: float, initial_rtt: float) -> None:
        self.known = rate is not None
        self.measured = self.known
        self.rate = rate if rate is not None else initial_rate
        self.srtt = initial_rtt
        self.rttvar = initial_rtt / 2
        self.latest_rtt = initial_rtt
        self.loss = 0.0
        self.queue_delay = 0.0
        self.constant = 0.0
        self.last_finish: float | None = None
        self.standing = 0.0
        self.noise = TICK / 2
        self.spread = 0.0
        self._boldness = 1.0
        self._path: float | None = None
        self._path_var = 0.0
        self._slowest = 0.0
        self._silent = 0.0
        self._largest = -1
        self._clock: tuple[int, float] | None = None
        self._arrivals: deque[_Arrival] = deque(maxlen=ARRIVALS)
        self._recent: deque[_Arrival] = deque()
        self._quickest = _Quickest(5.0)
        self._best: deque[tuple[float, float]] = deque()
        self._errors: deque[float] = deque(maxlen=11)

    # --- what others ask ---

    @property
    def path(self) -> float:
        """Seconds from a packet's leaving the link to its acknowledgement, about."""
        return (self.srtt if self._path is None else self._path) + 2 * self._path_var + self.noise

    @property
    def turn(self) -> float:
        """Seconds for which packets leave early, then for which they do not; one packet each if that takes longer."""
        return 8 * self.noise

    @property
    def unheard(self) -> int:
        """So many packets may have come through without our knowing."""
        if self._silent <= SILENCE:
            return 1
        return min(math.ceil(math.log(SILENCE) / math.log(min(self._silent, 0.8))), 16)

    def early(self, size: int) -> float:
        """Seconds before the link is free at which packets leave in turns; `size`: wire bytes of a full packet."""
        wire = self.packet_time(size)
        least = self._least_early(wire)
        return max(min(least * self._boldness, max(MAX_EARLY * wire, 0.05)), least)

    def packet_time(self, size: int) -> float:
        return size * 8 / self.rate

    def probe_time(self, size: int) -> float:
        """Seconds without any acknowledgement after which packets count as lost; `size`: of a full packet."""
        return max(self.srtt + max(4 * self.rttvar, 0.05), self._slowest) + 0.1 + 2 * self.packet_time(size)

    # --- what comes in ---

    def handle_lost(self, count: int) -> None:
        for _ in range(count):
            self.loss += (1 - self.loss) / 32

    def handle_acked(self, packets: list[Sent], largest: int, ack: Ack, now: float) -> None:
        """An acknowledgement came at `now`, the first of `packets`; `largest`: the highest number that has arrived."""
        if not packets:
            return
        self.loss *= (31 / 32) ** len(packets)
        by_number = {packet.number: packet for packet in packets}
        newest = by_number.get(largest)
        if newest is None:
            return
        if not self.known:
            self._note_arrivals(by_number, ack, largest, now)
        oldest = max(now - min(packet.time for packet in packets), 0.0)
        self._slowest = max(oldest, self._slowest + (oldest - self._slowest) / 8)
        self._note_trip(max(now - newest.time - ack.delay, TICK / 10), newest.size)

    def _note_trip(self, trip: float, size: int) -> None:
        """A round trip (seconds), without the time for which the acknowledgement was held back."""
        self.latest_rtt = trip
        path = max(trip - self.queue_delay - self.packet_time(size), 0.0)
        if self._path is None:
            self.srtt, self.rttvar, self._path = trip, trip / 2, path
        else:
            self.rttvar += (abs(self.srtt - trip) - self.rttvar) / 4
            self.srtt += (trip - self.srtt) / 8
            self._path_var += (abs(self._path - path) - self._path_var) / 8
            self._path += (path - self._path) / 8

    def _note_arrivals(self, packets: dict[int, Sent], ack: Ack, largest: int, now: float) -> None:
        """The packets whose time of arrival an acknowledgement tells: the newest, and perhaps the one before."""
        advance = min(max(largest - self._largest, 1), 64)
        self._largest = largest
        self._silent += ((advance - 1) / advance - self._silent) * (1 - (31 / 32) ** advance)
        time = self._unwrap(ack.arrived, now)
        if largest - 1 in packets and ack.ranges[0][1]:
            self._note_arrival(packets[largest - 1], time - ack.spacing / 1000, ack, largest, now)
        self._note_arrival(packets[largest], time, ack, largest, now)

    def _unwrap(self, low: int, now: float) -> float:
        """The receiver's clock in seconds, from its low bits: the nearest to what it should be by our own."""
        last, then = self._clock or (low, now)
        guess = last + round((now - then) * 1000)
        clock = guess + (low - guess + CLOCK // 2) % CLOCK - CLOCK // 2
        self._clock = clock, now
        return clock / 1000

    def _note_arrival(self, packet: Sent, time: float, ack: Ack, largest: int, now: float) -> None:
        before = self._arrivals[-1] if self._arrivals else None
        if before is not None and packet.number <= before.packet.number:
            return
        arrival = _Arrival(packet, time, time - packet.time)
        span = max(RUN * self.noise, MIN_RUN)
        first = self._first_of_run(arrival, span, ack, largest)
        if first is not None:
            self._note_rate(first, arrival, now)
        longer = self._first_of_run(arrival, LONG * span, ack, largest)
        if longer is not None:
            self._raise_rate(longer, arrival, now)
        self._arrivals.append(arrival)
        self._note_constant(arrival, now)
        self._note_queue(arrival, before)

    # --- the rate ---

    def _first_of_run(self, last: _Arrival, span: float, ack: Ack, largest: int) -> _Arrival | None:
        """The earlier arrival from which to measure the rate up to `last`: `span` seconds back or as far as there are
        any, with few losses between."""
        first = None
        for first in reversed(self._arrivals):
            if last.time - first.time >= span:
                break
        if first is None:
            return None
        low, high = first.packet.number + 1, last.packet.number
        known = (min(largest - near, high) - max(largest - far, low) + 1 for near, far in ack.ranges)
        lost = high - low + 1 - sum(max(count, 0) for count in known)
        return first if lost * 4 <= high - low else None

    def _note_rate(self, first: _Arrival, last: _Arrival, now: float) -> None:
        """What passed after `first` arrived and until `last` did."""
        bits, span = _bits_between(first, last), last.time - first.time
        waited = last.packet.size <= 1.1 * first.packet.size and last.took - first.took > NOTABLE * self.noise
        if not self._raise_rate(first, last, now) and waited and (bits < self.rate * span or not self.measured):
            trust = span / (span + 8 * self.noise) if self.measured else 1.0
            self._set_rate(self.rate + (bits / span - self.rate) * trust, now)
        if waited:
            self._boldness = 1.0

    def _raise_rate(self, first: _Arrival, last: _Arrival, now: float) -> bool:
        """Take the rate at which that passed if it is more than we thought; whether it is."""
        shown = _bits_between(first, last) / (
            max(last.time - first.time, last.packet.time - first.packet.time) + 2 * self.noise
        )
        if shown > self.rate:
            self._set_rate(min(shown, 2 * self.rate) if self.measured else shown, now)
            return True
        return False

    def _set_rate(self, rate: float, now: float) -> None:
        self.rate = min(max(rate, MIN_RATE), MAX_RATE)
        while self._best and self._best[-1][1] <= self.rate:
            self._best.pop()
        self._best.append((now, self.rate))
        for arrival in self._recent:
            arrival.rate = max(arrival.rate, self.rate) if self.measured else self.rate
        self.measured = True

    # --- the constant and the queue ---

    def _note_constant(self, arrival: _Arrival, now: float) -> None:
        """Learn what packets take at least, and from that that the link is as fast again as it was a moment ago.

        Wire times are those of the best rate of the time: a packet that went while the link was slow proves nothing.
        """
        while self._recent and (len(self._recent) > 16 or self._recent[0].time < arrival.time - 2.0):
            self._quickest.add(self._recent.popleft(), now)
        self._recent.append(arrival)
        while len(self._best) > 1 and self._best[0][0] < now - BEST_OF:
            self._best.popleft()
        best = max(self.rate, self._best[0][1] if self._best else 0.0)
        arrival.rate = best
        self.constant = min(seen.constant(best) for seen in (*self._quickest.seen(), *self._recent))
        least = arrival.packet.size * 8 / max(arrival.took - self.constant, TICK)
        if self.rate < min(least, best):
            self._set_rate(min(least, best), now)

    def _note_queue(self, arrival: _Arrival, before: _Arrival | None) -> None:
        """How long the newest packet waited, how far that is from what was foreseen, and what it means."""
        packet = arrival.packet
        wire = self.packet_time(packet.size)
        wait = max(arrival.took - wire - self.constant, 0.0)
        if self.measured and before is not None and before.packet.number == packet.number - 1:
            self._errors.append(abs(wait - max(before.finish - packet.time, 0.0)))
            self.spread = median(self._errors)
            self.noise = min(max(self.spread, TICK / 2), MAX_NOISE)
            self.standing = min(STANDING * max(self.spread - TICK / 2, 0.0), MAX_STANDING)
        if packet.early > NOTABLE * self.noise:
            bolder = max(self._boldness, 2 * packet.early / self._least_early(wire))
            self._boldness = min(bolder, 8.0) if wait < packet.early / 2 else 1.0
        self.queue_delay = wait
        arrival.finish = packet.time + wait + wire
        self.last_finish = packet.time + max(wait - 1.5 * self.noise, 0.0) + wire

    def _least_early(self, wire: float) -> float:
        return max(EARLY * wire, NOISY_EARLY * self.noise)
