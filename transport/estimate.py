"""How fast the link is and how long it takes: from acknowledgements alone, or told.

Rate: the largest rate at which bytes were delivered lately. It is found by doubling, then asked for more now and then
(one phase in eight a quarter faster), and taken back as soon as packets wait in the link. Delay: smoothed round trip as
in RFC 9002, and the part of it that is queue: what a packet took beyond its own wire time and the least that any took.
"""

from collections import deque
from typing import Final

from transport.repair import Sent

STARTUP_GAIN: Final = 2.0
CRUISE: Final = 0.95
PHASES: Final = (1.25, 0.8, CRUISE, CRUISE, CRUISE, CRUISE, CRUISE, CRUISE)
"""Shares of the delivered rate at which a phase sends; the second drains what the first queued."""
DRAIN: Final = 0.7
MIN_RATE: Final = 300.0
_SAMPLES: Final = 64


class Estimate:
    """The sender's view of its path. `rate`: bit/s if known, else None and it is found, from `initial_rate` on."""

    def __init__(self, rate: float | None, initial_rate: float, initial_rtt: float) -> None:
        self.known = rate is not None
        self.srtt = initial_rtt
        self.rttvar = initial_rtt / 2
        self.latest_rtt = initial_rtt
        self.loss = 0.0
        self.in_startup = not self.known
        self._rate = rate if rate is not None else initial_rate
        self._measured = False
        self._trips: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        self._rates: deque[tuple[float, float]] = deque()
        self._delivered = 0
        self._delivered_time = 0.0
        self._first_sent_time = 0.0
        self._phase = 0
        self._phase_end = 0.0
        self._round_end = 0
        self._best_of_startup = 0.0
        self._flat_rounds = 0

    @property
    def rate(self) -> float:
        """The link's rate as known or found, bit/s."""
        return self._rate

    @property
    def pacing_rate(self) -> float:
        """The rate at which to send now, bit/s; never above a known rate."""
        if self.known:
            return self._rate
        if self.in_startup:
            return self._rate * STARTUP_GAIN if self._measured else self._rate
        return max(self._rate * (DRAIN if self._queued() else PHASES[self._phase]), MIN_RATE)

    @property
    def queue_delay(self) -> float:
        """Seconds that the last acknowledged packet waited in the link, about."""
        if not self._trips:
            return 0.0
        least = min(trip - size * 8 / self._rate for trip, size in self._trips)
        trip, size = self._trips[-1]
        return max(trip - size * 8 / self._rate - least, 0.0)

    def packet_time(self, size: int) -> float:
        return size * 8 / self._rate

    def probe_time(self, size: int) -> float:
        """Seconds without any acknowledgement after which packets count as lost; `size`: of a full packet."""
        return self.srtt + max(4 * self.rttvar, 0.05) + 0.1 + 2 * self.packet_time(size)

    def handle_sent(self, packet: Sent, in_flight: int, idle: bool) -> None:
        """Note on a packet what had been delivered when it left; `idle`: there was nothing more to send."""
        if not in_flight:
            self._delivered_time = self._first_sent_time = packet.time
        packet.delivered = self._delivered
        packet.delivered_time = self._delivered_time
        packet.first_sent_time = self._first_sent_time
        packet.idle = idle

    def handle_lost(self, count: int) -> None:
        for _ in range(count):
            self.loss += (1 - self.loss) / 32

    def handle_acked(self, packets: list[Sent], trip: bool, held: float, now: float) -> None:
        """Packets acknowledged at `now`; `trip`: the newest gives a round trip, `held` by the peer for some seconds."""
        if not packets:
            return
        newest = max(packets, key=lambda packet: packet.number)
        self.loss *= (31 / 32) ** len(packets)
        self._delivered += sum(packet.size for packet in packets)
        self._delivered_time = now
        self._first_sent_time = newest.time
        if trip:
            self._note_trip(max(now - newest.time - held, 1e-4), newest.size)
        if not self.known:
            self._note_rate(newest, now)

    def _note_trip(self, trip: float, size: int) -> None:
        self.latest_rtt = trip
        if not self._trips:
            self.srtt, self.rttvar = trip, trip / 2
        else:
            self.rttvar += (abs(self.srtt - trip) - self.rttvar) / 4
            self.srtt += (trip - self.srtt) / 8
        self._trips.append((trip, size))

    def _note_rate(self, newest: Sent, now: float) -> None:
        span = max(now - newest.delivered_time, newest.time - newest.first_sent_time)
        if span <= 0:
            return
        sample = (self._delivered - newest.delivered) * 8 / span
        if newest.idle and self._measured and sample <= self._rate:
            return
        self._rates.append((now, sample))
        window = self._window(newest.size) if not self._queued() else self.srtt + 2 * self.packet_time(newest.size)
        while self._rates[0][0] < now - window:
            self._rates.popleft()
        self._measured = True
        self._rate = max(max(rate for _, rate in self._rates), MIN_RATE)
        if self.in_startup:
            self._leave_startup(newest)
        elif now >= self._phase_end:
            self._phase = (self._phase + 1) % len(PHASES)
            self._phase_end = now + self._window(newest.size) / (len(PHASES) + 2)

    def _leave_startup(self, newest: Sent) -> None:
        """Doubling ends when it no longer helps for three rounds, or when packets begin to wait."""
        if newest.delivered >= self._round_end:
            self._round_end = self._delivered
            grew = self._rate > 1.2 * self._best_of_startup
            self._best_of_startup = max(self._best_of_startup, self._rate)
            self._flat_rounds = 0 if grew or newest.idle else self._flat_rounds + 1
        self.in_startup = self._flat_rounds < 3 and not self._queued()

    def _queued(self) -> bool:
        full = max((size for _, size in self._trips), default=0)
        return self.queue_delay > 0.05 + 1.5 * self.packet_time(full)

    def _window(self, size: int) -> float:
        """Seconds over which the best delivered rate counts: a whole round of phases and two more."""
        return (len(PHASES) + 2) * max(self.srtt, 4 * self.packet_time(size))
