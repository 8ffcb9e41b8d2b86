"""A link in figures, with every impairment there is: what presets and scenarios make, one direction of it.

LinkModel.make ─► Link: [Bottleneck, DropList, Outage ..., GilbertElliott | Loss, Corruption, Duplication, Delay]
                          rate, queue,
                          greedy flows
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from sim.airtime import ENDLESS, AirLink
from sim.clock import Clock
from sim.flows import GreedyFlow
from sim.link import Bottleneck, Bursts, Delay, GilbertElliott, Link, Loss, Stage
from sim.queues import DropTail, Queue, QueueSpec
from sim.rates import Fading, Rate, WindowedRate, Windows
from sim.trouble import Corruption, DropList, Duplication, Outage


@dataclass(frozen=True, kw_only=True)
class LinkModel(AirLink):
    """A link by all its figures. ValueError for figures that no link has.

    Attributes:
        fading: how the rate wanders, in place of a constant one; each seed draws its own.
        windows: when the transmitter may begin.
        line: the queue; None for one of `queue` bytes, or without an end where a transmitter waits for its turn.
        delays: (seconds, one-way delay) in place of `delay`, straight in between, over and over.
        reorder: whether jitter lets packets overtake each other.
        burst: packets lost in a row on average; None for independent losses.
        states: a Gilbert-Elliott channel in full, in place of `loss` and `burst`: worsens, recovers, good, bad.
        drops: numbers of packets that are lost, from 0.
        outages: (from, to) in seconds: what arrives at the channel in between is lost.
        corrupt, duplicate: shares of the packets that one bit of is changed, that come twice.
        cross: greedy flows that share the bottleneck.
    """

    fading: Fading | None = None
    windows: Windows | None = None
    line: QueueSpec | None = None
    delays: Sequence[tuple[float, float]] | None = None
    reorder: bool = False
    burst: float | None = None
    states: tuple[float, float, float, float] | None = None
    drops: Sequence[int] = ()
    outages: Sequence[tuple[float, float]] = ()
    corrupt: float = 0.0
    duplicate: float = 0.0
    cross: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.corrupt <= 1 or not 0 <= self.duplicate <= 1 or self.cross < 0:
            raise ValueError(f"no link is like this: {self}")
        self._path()

    @property
    def varies(self) -> bool:
        """Whether nobody can know the rate at which our packets will pass."""
        return self.course is not None or self.fading is not None or self.cross > 0

    def transmitter(self, seed: int | str = 0) -> Rate:
        rate = self.fading.course(Random(f"{seed}/rate")) if self.fading else super().transmitter(seed)
        return WindowedRate(rate, self.windows) if self.windows else rate

    def make(self, clock: Clock, seed: int | str = 0) -> Link:
        bottleneck = Bottleneck(self.transmitter(seed), self._queue())
        link = Link(clock, [bottleneck, *self._path()], seed, self.overhead)
        for number in range(self.cross):
            beside = Link(clock, [bottleneck, *replace(self, drops=())._path()], f"{seed}/cross/{number}", overhead=40)
            link.beside.append(GreedyFlow(clock, beside, self.delay))
        return link

    def transmitting(self, clock: Clock, seed: int | str = 0) -> Link:
        """What all receivers of a broadcast share of it: the rate and the queue."""
        return Link(clock, [Bottleneck(self.transmitter(seed), self._queue())], seed, self.overhead)

    def receiving(self, clock: Clock, seed: int | str = 0) -> Link:
        """What each receiver of a broadcast has of its own: losses and delay."""
        return Link(clock, self._path(), seed, overhead=0)

    def _queue(self) -> Queue:
        if self.line is not None:
            return self.line.make()
        return DropTail(ENDLESS if self.waits or self.windows else self.queue)

    def _path(self) -> list[Stage]:
        """The stages behind the bottleneck."""
        stages: list[Stage] = [DropList(self.drops)] if self.drops else []
        stages += [Outage(start, stop) for start, stop in self.outages]
        if self.states is not None:
            stages.append(GilbertElliott(*self.states))
        elif self.burst is not None and self.loss:
            stages.append(Bursts(self.loss, self.burst))
        elif self.loss:
            stages.append(Loss(self.loss))
        stages += [Corruption(self.corrupt)] if self.corrupt else []
        stages += [Duplication(self.duplicate)] if self.duplicate else []
        delay = _Wandering(self.delays) if self.delays is not None else self.delay
        return [*stages, Delay(delay, self.jitter, self.reorder)]


class _Wandering:
    """A delay that changes: straight lines through (seconds, delay), over and over."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self._times = [time for time, _ in points]
        self._delays = [delay for _, delay in points]
        rising = all(before < after for before, after in zip(self._times, self._times[1:], strict=False))
        if len(points) < 2 or self._times[0] != 0 or not rising or min(self._delays) < 0:
            raise ValueError("delays are two or more (seconds, delay): the first at 0 s, in order, none below 0")

    def __call__(self, time: float) -> float:
        now = time % self._times[-1]
        right = bisect_right(self._times, now)
        left = right - 1
        share = (now - self._times[left]) / (self._times[right] - self._times[left])
        return self._delays[left] + share * (self._delays[right] - self._delays[left])
