"""Stages of a link for particular troubles: a path that is down for a while, bytes that change, packets that come
twice, chosen packets lost."""

from collections.abc import Callable, Iterable
from random import Random

from sim.clock import Clock
from sim.packet import Forward, Packet


class Outage:
    """Nothing passes from `start` to `stop`, seconds on the link's clock."""

    def __init__(self, start: float, stop: float) -> None:
        self.begin = start
        self.stop = stop

    def start(self, clock: Clock, rng: Random) -> None:
        self._clock = clock

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        (drop if self.begin <= self._clock.now < self.stop else forward)(packet)


class Corruption:
    """In a share of the packets one bit is the other way round when they arrive."""

    def __init__(self, share: float) -> None:
        self.share = share

    def start(self, clock: Clock, rng: Random) -> None:
        self._rng = rng

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        if not packet.data or self._rng.random() >= self.share:
            forward(packet)
            return
        data = bytearray(packet.data)
        data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
        forward(Packet(packet.number, bytes(data), packet.size))


class Losing:
    """Loses the packets that `lost` says."""

    def __init__(self, lost: Callable[[Packet], bool]) -> None:
        self.lost = lost

    def start(self, clock: Clock, rng: Random) -> None:
        """Nothing to prepare."""

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        (drop if self.lost(packet) else forward)(packet)


class DropList(Losing):
    """Loses exactly the packets of these numbers; the first is 0."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.numbers = frozenset(numbers)
        super().__init__(lambda packet: packet.number in self.numbers)


class Duplication:
    """A share of the packets comes twice."""

    def __init__(self, share: float) -> None:
        self.share = share

    def start(self, clock: Clock, rng: Random) -> None:
        self._rng = rng

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        forward(packet)
        if self._rng.random() < self.share:
            forward(packet)
