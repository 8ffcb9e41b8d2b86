"""A link in virtual time, one way: a row of stages that each packet passes, from the sender's wire to the receiver.

    send ─► Bottleneck ─► Loss ─► Delay ─► arrived
             rate, queue   chance   propagation, jitter

A stage takes a packet and passes it on, now or later, once or never; so traces, bursts, outages or corruption are
further stages of the same kind. All chance comes from the link's seed: the same seed and the same sending times give
the same log, to the last bit.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from sim.clock import Clock
from sim.rates import ConstantRate, Course, Rate

IP_UDP = 28
"""Bytes that IPv4 and UDP add to a datagram."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A datagram under way. `size`: bytes on the wire, headers below us included."""

    number: int
    data: bytes
    size: int


Forward = Callable[[Packet], None]


class Stage(Protocol):
    """One impairment. `start` comes once, before the first packet; `push` passes each on through `forward`, or `drop`s
    it."""

    def start(self, clock: Clock, rng: Random) -> None: ...
    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None: ...


class Bottleneck:
    """Sends one packet after the other at a rate; those that wait stand in a drop-tail queue of so many bytes."""

    def __init__(self, rate: Rate, queue: int = 16_000) -> None:
        self.rate = rate
        self.queue = queue
        self.queued = 0
        self._waiting: deque[tuple[Packet, Forward]] = deque()
        self._busy = False

    def start(self, clock: Clock, rng: Random) -> None:
        self._clock = clock

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        if self._busy and self.queued + packet.size > self.queue:
            drop(packet)
        elif self._busy:
            self.queued += packet.size
            self._waiting.append((packet, forward))
        else:
            self._transmit(packet, forward)

    def _transmit(self, packet: Packet, forward: Forward) -> None:
        self._busy = True
        done = self.rate.finish(self._clock.now, packet.size * 8)
        self._clock.at(done, lambda: self._sent(packet, forward))

    def _sent(self, packet: Packet, forward: Forward) -> None:
        self._busy = False
        if self._waiting:
            following, onward = self._waiting.popleft()
            self.queued -= following.size
            self._transmit(following, onward)
        forward(packet)


class Loss:
    """Loses each packet with the same chance, 0 to 1, independently."""

    def __init__(self, share: float) -> None:
        self.share = share

    def start(self, clock: Clock, rng: Random) -> None:
        self._rng = rng

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        (drop if self._rng.random() < self.share else forward)(packet)


class Bursts:
    """Loses packets in bursts (Gilbert-Elliott): a good state that loses none and a bad one that loses all.

    share: of packets lost in the long run, 0 to less than 1; mean: packets lost in a row on average, 1 or more, and at
    least share / (1 - share). ValueError otherwise. The state is drawn anew for each packet, not with time.
    """

    def __init__(self, share: float, mean: float) -> None:
        if not 0 <= share < 1 or mean < max(1.0, share / (1 - share)):
            raise ValueError(f"no channel loses {share:.0%} in bursts of {mean:g}")
        self.share = share
        self.mean = mean

    def start(self, clock: Clock, rng: Random) -> None:
        self._rng = rng
        self._bad = rng.random() < self.share

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        bad = self._bad
        leaves = 1 / self.mean if bad else self.share / (1 - self.share) / self.mean
        self._bad ^= self._rng.random() < leaves
        (drop if bad else forward)(packet)


class Delay:
    """Propagation: `seconds`, and up to `jitter` more, evenly spread; packets overtake each other only with
    `reorder`."""

    def __init__(self, seconds: float, jitter: float = 0.0, reorder: bool = False) -> None:
        self.seconds = seconds
        self.jitter = jitter
        self.reorder = reorder
        self._last = 0.0

    def start(self, clock: Clock, rng: Random) -> None:
        self._clock = clock
        self._rng = rng

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        arrival = self._clock.now + self.seconds + (self._rng.uniform(0, self.jitter) if self.jitter else 0)
        if not self.reorder:
            arrival = self._last = max(arrival, self._last)
        self._clock.at(arrival, lambda: forward(packet))


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """One line of a link's log. `what`: sent, arrived or dropped; `number`: the packet's place in its direction."""

    time: float
    what: str
    number: int
    size: int


class Link:
    """One direction. `arrived` and `dropped` are called with each packet when that happens to it; `sent`: how many."""

    def __init__(self, clock: Clock, stages: Sequence[Stage], seed: int | str = 0, overhead: int = IP_UDP) -> None:
        self.clock = clock
        self.stages = tuple(stages)
        self.overhead = overhead
        self.arrived: Forward = lambda packet: None
        self.dropped: Forward = lambda packet: None
        self.log: list[LinkEvent] = []
        self.sent = 0
        self._enter: Forward = self._arrive
        for place, stage in reversed(list(enumerate(self.stages))):
            stage.start(clock, Random(f"{seed}/{place}"))
            self._enter = self._chain(stage, self._enter)

    def send(self, data: bytes) -> int:
        """Put a datagram on the wire; its number in this direction, from 0."""
        packet = Packet(self.sent, data, len(data) + self.overhead)
        self.sent += 1
        self._note("sent", packet)
        self._enter(packet)
        return packet.number

    def digest(self) -> str:
        """SHA-256 of the log: the same for the same run."""
        lines = (f"{e.time!r} {e.what} {e.number} {e.size}\n" for e in self.log)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def _chain(self, stage: Stage, onward: Forward) -> Forward:
        return lambda packet: stage.push(packet, onward, self._drop)

    def _arrive(self, packet: Packet) -> None:
        self._note("arrived", packet)
        self.arrived(packet)

    def _drop(self, packet: Packet) -> None:
        self._note("dropped", packet)
        self.dropped(packet)

    def _note(self, what: str, packet: Packet) -> None:
        self.log.append(LinkEvent(self.clock.now, what, packet.number, packet.size))


@dataclass(frozen=True)
class LinkSpec:
    """A simple link in figures; the same both ways. ValueError for figures that no link has.

    Attributes:
        rate: bit/s; where `course` is given, its mean.
        delay: one-way propagation, seconds.
        loss: chance of each packet to be lost, 0 to 1.
        jitter: up to so many seconds more, in order.
        queue: bytes that may wait.
        overhead: bytes that the layers below add to a datagram.
        course: how the rate changes in time, if it does.
    """

    rate: float
    delay: float = 0.05
    loss: float = 0.0
    jitter: float = 0.0
    queue: int = 16_000
    overhead: int = IP_UDP
    course: Course | None = None

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.delay < 0 or not 0 <= self.loss <= 1 or self.jitter < 0 or self.queue < 0:
            raise ValueError(f"no link is like this: {self}")

    def make(self, clock: Clock, seed: int | str = 0) -> Link:
        """One direction of it."""
        bottleneck = Bottleneck(self.rates, self.queue)
        return Link(clock, [bottleneck, Loss(self.loss), Delay(self.delay, self.jitter)], seed, self.overhead)

    @property
    def rates(self) -> Course:
        return self.course or ConstantRate(self.rate)

    def __str__(self) -> str:
        parts = [f"{self.rate / 1000:g} kbit/s", f"{self.delay:g} s delay"]
        return ", ".join(parts + ([f"{self.loss:.0%} loss"] if self.loss else []))
