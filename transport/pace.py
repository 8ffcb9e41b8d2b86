"""When the next packet may leave: never faster than the link, so that no queue stands before the wire.

A packet handed down while the last one still crosses the link waits below us, where nothing urgent can overtake it any
more. So a packet may leave only when the wire time of the one before has passed, and idle time is never saved up for a
burst: at most one packet is below us.
"""

PACKET_TIME = 0.2
"""Seconds that one packet should take at most: what an urgent item waits for."""


def packet_size(rate: float, smallest: int = 200, largest: int = 1100) -> int:
    """A good datagram size in bytes for a link of `rate` bit/s: 0.2 s of it, within the given bounds."""
    return int(min(max(rate * PACKET_TIME / 8, smallest), largest))


class Pacer:
    """Spaces packets by their wire time. `overhead`: bytes that the layers below add to each (28 for IPv4 and UDP)."""

    def __init__(self, overhead: int) -> None:
        self.overhead = overhead
        self._free_at = 0.0

    def ready(self, now: float) -> bool:
        return now >= self._free_at

    def ready_at(self) -> float:
        """When the next packet may leave (seconds); in the past if it may now."""
        return self._free_at

    def handle_sent(self, size: int, rate: float, now: float) -> None:
        """A datagram of `size` bytes left at `now`; `rate` in bit/s."""
        self._free_at = max(now, self._free_at) + (size + self.overhead) * 8 / rate
