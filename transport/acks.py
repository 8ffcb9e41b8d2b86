"""What a receiver reports of the packets that came, and when: the receiving half of `estimate`.

A report carries when the newest packet arrived and how long after the one before it, on the receiver's own clock. So
the sender sees what each packet took on its way there, without the way back in it, and how fast two packets that
followed each other closely came through: that is the link's rate.
"""

from itertools import islice
from typing import Final

from transport import wire
from transport.ranges import Ranges

ACK_RUNS: Final = 16
ACK_MEMORY: Final = 1024
"""Packets back from the newest that acknowledgements still speak of."""
SPARSE: Final = 0.05
"""Seconds between packets from which each is reported, if it is large enough."""
PATIENCE: Final = 1.5
"""A report waits for one more packet for this many times as long as the last one took to come."""


class Acknowledger:
    """Notes numbered packets and says when a report of them is due.

    What is urgent, opens or fills a gap, has come before, or comes after a long silence is reported at once. All else
    when `packets` have come that hold `enough` bytes together (on a slow link one packet may do): reports of the small
    packets of a thin link would otherwise cost as much as the packets. Never later than after `longest` seconds.
    """

    def __init__(self, packets: int, enough: int, longest: float) -> None:
        self._packets = packets
        self._enough = enough
        self._longest = longest
        self._numbers = Ranges()
        self._bytes = 0
        self._largest_time = 0.0
        self._before: float | None = None
        self._last_time = -longest
        self._oldest = 0.0
        self._waiting: list[int] = []
        self._due: float | None = None

    def next_timer(self) -> float | None:
        """When the next report is due; None if none is."""
        return self._due

    @property
    def loss(self) -> float | None:
        """Share that is missing of the packets up to the newest, of `ACK_MEMORY` at most; None before the first."""
        if not len(self._numbers):
            return None
        first, newest = self._numbers.first()[0], self._numbers.last()[1]
        return 1 - sum(stop - start for start, stop in self._numbers) / (newest - first)

    def handle_number(self, low: int, urgent: bool, size: int, now: float) -> bool:
        """A packet of `size` bytes whose number has these low 16 bits came at `now`; whether it had come before."""
        self._bytes += size
        largest = self._numbers.last()[1] - 1 if len(self._numbers) else low
        number = largest + (low - largest + wire.MAX_SPAN) % wire.NUMBERS - wire.MAX_SPAN
        in_order = number == largest + 1
        seen = number in self._numbers
        if not len(self._numbers) or number > largest:
            self._before = self._largest_time if in_order else None
            self._largest_time = now
        self._numbers.add(number, number + 1)
        self._numbers.forget_below(max(number, largest) - ACK_MEMORY)
        self._plan(urgent or not in_order or seen, size, now)
        return seen

    def poll_transmit(self, now: float) -> bytes | None:
        """The report, if one is due."""
        if self._due is None or now < self._due:
            return None
        self._due = None
        self._waiting.clear()
        largest = self._numbers.last()[1] - 1
        newest = islice(reversed(self._numbers), ACK_RUNS)
        runs = [(largest - (stop - 1), largest - start) for start, stop in newest]
        arrived = round(self._largest_time * 1000)
        spacing = arrived - round(self._before * 1000) if self._before is not None else 0
        held = now - self._largest_time
        return wire.Ack(largest % wire.NUMBERS, tuple(runs), held, self._bytes, arrived, spacing).encode()

    def _plan(self, at_once: bool, size: int, now: float) -> None:
        took, self._last_time = now - self._last_time, now
        if not self._waiting:
            self._oldest = now
        self._waiting.append(size)
        many = len(self._waiting) >= self._packets or took >= SPARSE
        if at_once or took >= self._longest or (many and sum(self._waiting) >= self._enough):
            self._due = now
        else:
            patience = min(max(PATIENCE * took, SPARSE), self._longest)
            self._due = min(now + patience, self._oldest + self._longest)
