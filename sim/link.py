"""A link in virtual time, one way: a row of stages that each packet passes, from the sender's wire to the receiver.

    send ─► Bottleneck ─► Loss ─► Delay ─► arrived
             rate, queue   chance   propagation, jitter

A stage takes a packet and passes it on, now or later, once or never; `sim.trouble` has more of them, `sim.model` puts
them together as a table of figures says. All chance comes from the link's seed: the same seed and the same sending
times give the same log, to the last bit.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Protocol

from sim.clock import Clock
from sim.packet import Forward, LinkEvent, Packet
from sim.queues import DropTail, Queue
from sim.rates import ConstantRate, Course, Rate

IP_UDP = 28
"""Bytes that IPv4 and UDP add to a datagram."""


class Stage(Protocol):
    """One impairment. `start` comes once, before the first packet; `push` passes each on through `forward`, or `drop`s
    it."""

    def start(self, clock: Clock, rng: Random) -> None: ...
    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None: ...


class Bottleneck:
    """Sends one packet after the other at a rate; those that wait stand in a queue, drop-tail if given in bytes.

    Several links may have the same one: then they share its rate and its queue.
    """

    def __init__(self, rate: Rate, queue: int | Queue = 16_000) -> None:
        self.rate = rate
        self.queue: Queue = DropTail(queue) if isinstance(queue, int) else queue
        self._busy = False

    def start(self, clock: Clock, rng: Random) -> None:
        self._clock = clock

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        if self._busy:
            self.queue.put(packet, forward, drop, self._clock.now)
        else:
            self._transmit(packet, forward)

    def _transmit(self, packet: Packet, forward: Forward) -> None:
        self._busy = True
        done = self.rate.finish(self._clock.now, packet.size * 8)
        self._clock.at(done, partial(self._sent, packet, forward))

    def _sent(self, packet: Packet, forward: Forward) -> None:
        self._busy = False
        following = self.queue.take(self._clock.now)
        if following is not None:
            waited, onward, _, _ = following
            self._transmit(waited, onward)
        forward(packet)


class Loss:
    """Loses each packet with the same chance, 0 to 1, independently."""

    def __init__(self, share: float) -> None:
        self.share = share

    def start(self, clock: Clock, rng: Random) -> None:
        self._rng = rng

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        (drop if self._rng.random() < self.share else forward)(packet)


class GilbertElliott:
    """Two states, each with its chance of losing a packet; the state is drawn anew after each packet, not with time.

    worsens, recovers: chance to go from good to bad and back. good, bad: chance of loss in each. All 0 to 1, and at
    least one of the first two above 0; netem's `gemodel` has them as p, r, 1-k, 1-h. ValueError otherwise.
    """

    def __init__(self, worsens: float, recovers: float, good: float = 0.0, bad: float = 1.0) -> None:
        if not all(0 <= chance <= 1 for chance in (worsens, recovers, good, bad)) or not worsens + recovers:
            raise ValueError("the four chances of a Gilbert-Elliott channel are 0 to 1, and it must change its state")
        self.worsens = worsens
        self.recovers = recovers
        self.good = good
        self.bad = bad

    def start(self, clock: Clock, rng: Random) -> None:
        self._rng = rng
        self._is_bad = rng.random() < self.worsens / (self.worsens + self.recovers)

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        is_bad = self._is_bad
        chance = self.bad if is_bad else self.good
        self._is_bad ^= self._rng.random() < (self.recovers if is_bad else self.worsens)
        lost = chance == 1 or (chance > 0 and self._rng.random() < chance)
        (drop if lost else forward)(packet)


class Bursts(GilbertElliott):
    """Loses packets in bursts: a good state that loses none and a bad one that loses all.

    share: of packets lost in the long run, 0 to less than 1; mean: packets lost in a row on average, 1 or more, and at
    least share / (1 - share). ValueError otherwise.
    """

    def __init__(self, share: float, mean: float) -> None:
        if not 0 <= share < 1 or mean < max(1.0, share / (1 - share)):
            raise ValueError(f"no channel loses {share:.0%} in bursts of {mean:g}")
        super().__init__(share / (1 - share) / mean, 1 / mean)
        self.share = share
        self.mean = mean


class Delay:
    """Propagation: `seconds`, or what a function of the time says, and up to `jitter` more, evenly spread.

    Packets overtake each other only with `reorder`.
    """

    def __init__(self, seconds: float | Callable[[float], float], jitter: float = 0.0, reorder: bool = False) -> None:
        self.seconds = seconds
        self.jitter = jitter
        self.reorder = reorder
        self._last = 0.0

    def start(self, clock: Clock, rng: Random) -> None:
        self._clock = clock
        self._rng = rng

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        now, seconds = self._clock.now, self.seconds
        arrival = now + (seconds(now) if callable(seconds) else seconds)
        if self.jitter:
            arrival += self._rng.uniform(0, self.jitter)
        if not self.reorder:
            if arrival < self._last:
                arrival = self._last
            self._last = arrival
        self._clock.at(arrival, partial(forward, packet))


class Link:
    """One direction. `arrived` and `dropped` are called with each packet when that happens to it; `sent`: how many;
    `beside`: other flows that share its bottleneck; `tap` is told all that goes into the log, with the packet."""

    def __init__(self, clock: Clock, stages: Sequence[Stage], seed: int | str = 0, overhead: int = IP_UDP) -> None:
        self.clock = clock
        self.stages = tuple(stages)
        self.overhead = overhead
        self.arrived: Forward = lambda packet: None
        self.dropped: Forward = lambda packet: None
        self._log: list[tuple[float, str, int, int]] = []  # as plain tuples: there are two a packet
        self.beside: list[object] = []
        self.tap: Callable[[float, str, Packet], None] | None = None
        self.sent = 0
        self._enter: Forward = self._arrive
        for place, stage in reversed(list(enumerate(self.stages))):
            stage.start(clock, Random(f"{seed}/{place}"))
            self._enter = self._chain(stage, self._enter)

    def send(self, data: bytes) -> int:
        """Put a datagram on the wire; its number in this direction, from 0."""
        number = self.sent
        self.relay(Packet(number, data, len(data) + self.overhead))
        return number

    def relay(self, packet: Packet) -> None:
        """Take a packet that has come over another link, with its number and its size."""
        self.sent += 1
        self._note("sent", packet)
        self._enter(packet)

    @property
    def log(self) -> list[LinkEvent]:
        """What happened so far, in order."""
        return list(map(LinkEvent._make, self._log))

    def digest(self) -> str:
        """SHA-256 of the log: the same for the same run."""
        lines = (f"{time!r} {what} {number} {size}\n" for time, what, number, size in self._log)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def _chain(self, stage: Stage, onward: Forward) -> Forward:
        push, drop = stage.push, self._drop
        return lambda packet: push(packet, onward, drop)

    def _arrive(self, packet: Packet) -> None:
        self._note("arrived", packet)
        self.arrived(packet)

    def _drop(self, packet: Packet) -> None:
        self._note("dropped", packet)
        self.dropped(packet)

    def _note(self, what: str, packet: Packet) -> None:
        now = self.clock.now
        self._log.append((now, what, packet.number, packet.size))
        if self.tap is not None:
            self.tap(now, what, packet)


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

    def transmitter(self, seed: int | str = 0) -> Rate:
        """When packets have passed that are sent one after the other; the same seed gives the same."""
        return self.rates

    def make(self, clock: Clock, seed: int | str = 0) -> Link:
        """One direction of it."""
        bottleneck = Bottleneck(self.transmitter(seed), self.queue)
        return Link(clock, [bottleneck, Loss(self.loss), Delay(self.delay, self.jitter)], seed, self.overhead)

    @property
    def rates(self) -> Course:
        return self.course or ConstantRate(self.rate)

    def __str__(self) -> str:
        parts = [f"{self.rate / 1000:g} kbit/s", f"{self.delay:g} s delay"]
        return ", ".join(parts + ([f"{self.loss:.0%} loss"] if self.loss else []))
