"""How fast a link is in the course of time: always the same, in steps, as a recorded trace says, as a fading channel
has it, in windows alone.

A rate says when bits whose sending starts now have passed, a course also how many can pass between two times. All times
are in seconds from the start of the link, all amounts in bits.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from random import Random
from typing import Protocol

TRACE_BITS = 1500 * 8
"""Bits that one line of a mahimahi trace lets pass."""


class WrongTrace(ValueError):
    """A recording that is none; the message names the file and the line."""


class Rate(Protocol):
    """How fast bits pass."""

    def finish(self, start: float, bits: int) -> float:
        """When `bits` whose sending starts at `start` have passed."""
        ...


class Course(Rate, Protocol):
    """A rate that does not depend on what is sent."""

    def bits(self, start: float, stop: float) -> float:
        """How many bits can pass from `start` to `stop`."""
        ...


@dataclass(frozen=True)
class ConstantRate:
    """bit/s, always the same."""

    bits_per_second: float

    def finish(self, start: float, bits: int) -> float:
        return start + bits / self.bits_per_second

    def bits(self, start: float, stop: float) -> float:
        return (stop - start) * self.bits_per_second


class TokenBucket:
    """A kernel's token bucket (tbf): packets wait for their bytes in tokens, and pass at once when there are enough.

    `burst`: bytes of tokens that can be saved up, at least a packet's; the bucket is full at the start.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self._bits = burst * 8.0
        self._at = 0.0

    def finish(self, start: float, bits: int) -> float:
        self._bits = min(self._bits + (start - self._at) * self.rate, self.burst * 8.0)
        done = start + max(bits - self._bits, 0.0) / self.rate
        self._bits += (done - start) * self.rate - bits
        self._at = done
        return done


class _Curve:
    """A rate that changes: `passed[k]` bits can pass by `times[k]`, evenly in between; from the last time on anew."""

    def __init__(self, times: Sequence[float], passed: Sequence[float]) -> None:
        rising = all(a < b for a, b in pairwise(times)) and all(a <= b for a, b in pairwise(passed))
        if len(times) < 2 or len(times) != len(passed) or times[0] != 0 or not rising or passed[-1] <= 0:
            raise ValueError("a course of a rate starts at 0 s, goes on and lets some bits pass")
        self._times = list(times)
        self._passed = list(passed)

    def finish(self, start: float, bits: int) -> float:
        return self._when(self._by(start) + bits)

    def bits(self, start: float, stop: float) -> float:
        return self._by(stop) - self._by(start)

    def _by(self, time: float) -> float:
        """Bits that can pass from 0 to `time`."""
        rounds, rest = divmod(time, self._times[-1])
        return rounds * self._passed[-1] + _between(self._times, self._passed, rest)

    def _when(self, bits: float) -> float:
        rounds, rest = divmod(bits, self._passed[-1])
        return rounds * self._times[-1] + _between(self._passed, self._times, rest)


def _between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """The broken line through (xs, ys) at x, xs[0] <= x <= xs[-1]."""
    place = min(max(bisect_right(xs, x), 1), len(xs) - 1)
    left, right = xs[place - 1], xs[place]
    return ys[place - 1] + (ys[place] - ys[place - 1]) * (x - left) / (right - left) if right > left else ys[place]


class SteppedRate(_Curve):
    """One rate after the other, each for some seconds, then again from the first: [(seconds, bit/s), ...]."""

    def __init__(self, steps: Sequence[tuple[float, float]]) -> None:
        times = [0.0, *accumulate(seconds for seconds, _ in steps)]
        super().__init__(times, [0.0, *accumulate(seconds * rate for seconds, rate in steps)])


class TraceRate(_Curve):
    """A recorded link: each of `milliseconds`, ascending, is a moment at which 1,500 B could pass; over and over.

    `share` scales what passes, not when. Between two moments bits pass evenly, so that small packets are not rounded up
    to whole moments. The recording ends with its last moment.
    """

    def __init__(self, milliseconds: Sequence[int], share: float = 1.0) -> None:
        times, passed = [0.0], [0.0]
        for place, moment in enumerate(milliseconds, start=1):
            if moment / 1000 > times[-1]:
                times.append(moment / 1000)
                passed.append(passed[-1])
            passed[-1] = place * TRACE_BITS * share
        passed[0] = 0.0
        super().__init__(times, passed)

    @classmethod
    def read(cls, path: Path, share: float = 1.0) -> "TraceRate":
        """A mahimahi trace: a whole number of ms a line. Raises OSError, and ValueError for another kind of file."""
        return cls([int(line) for line in path.read_text().split()], share)


@dataclass(frozen=True, kw_only=True)
class Fading:
    """A channel whose rate wanders, as that of a phone on the move does: log-normal, with a memory.

    The logarithm of the rate is a first-order autoregressive process, a value a second, the rate even in between.
    `course` draws one; 20 minutes of it, then again from the start.

    Attributes:
        median: bit/s.
        sigma: standard deviation of the natural logarithm of the rate, above 0.
        memory: seconds after which the correlation has fallen to 1/e, above 0.
        floor: bit/s below which it never falls.
    """

    median: float
    sigma: float
    memory: float
    floor: float = 1000.0

    SECONDS = 1200

    def __post_init__(self) -> None:
        if min(self.median, self.sigma, self.memory, self.floor) <= 0:
            raise ValueError("median, sigma, memory and floor of a fading rate are above 0")

    @property
    def mean(self) -> float:
        """bit/s, floor aside."""
        return self.median * math.exp(self.sigma**2 / 2)

    def course(self, rng: Random) -> SteppedRate:
        """One such rate."""
        keeps = math.exp(-1 / self.memory)
        fresh = math.sqrt(1 - keeps * keeps)
        state, steps = rng.gauss(0, 1), []
        for _ in range(self.SECONDS):
            steps.append((1.0, max(self.median * math.exp(self.sigma * state), self.floor)))
            state = keeps * state + fresh * rng.gauss(0, 1)
        return SteppedRate(steps)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Times at which a transmitter may begin: `open` seconds long, every `every` seconds, the first at `first`."""

    open: float
    every: float
    first: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.open <= self.every or self.first < 0:
            raise ValueError("a window is open for more than 0 s, at most as long as from one to the next; first >= 0")

    def next_open(self, time: float) -> float:
        """`time` if a window is open then, else when the next opens."""
        if time < self.first:
            return self.first
        rounds, since = divmod(time - self.first, self.every)
        return time if since < self.open else self.first + (rounds + 1) * self.every

    def spans(self, start: float, stop: float) -> list[tuple[float, float]]:
        """The open times from `start` to `stop`."""
        found, opens = [], self.next_open(start)
        while opens < stop:
            begin = self.first + math.floor((opens - self.first) / self.every) * self.every
            found.append((opens, min(begin + self.open, stop)))
            opens = begin + self.every
        return found


class WindowedRate:
    """A rate in windows alone: a packet whose sending begins in one is sent to its end, none begins outside."""

    def __init__(self, rate: Rate, windows: Windows) -> None:
        self.rate = rate
        self.windows = windows

    def finish(self, start: float, bits: int) -> float:
        return self.rate.finish(self.windows.next_open(start), bits)
