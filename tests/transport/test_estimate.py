"""A rate that nobody told: found, kept, and given back when the link slows down."""

import random

import pytest

from tests.transport.pair import Pair
from transport import Item, SenderConfig


class Pipe:
    """The middle as a link: one packet after the other at `rate(now)`, then a delay."""

    def __init__(self, rates: list[tuple[float, float]], delay: float, loss: float = 0.0) -> None:
        self.rates, self.delay, self.loss = rates, delay, loss
        self.free_at, self.queued, self.pair = 0.0, [], Pair()
        self.rng = random.Random(1)

    def rate(self) -> float:
        return next(rate for start, rate in reversed(self.rates) if start <= self.pair.now)

    def __call__(self, number: int, data: bytes) -> list[float]:
        now = self.pair.now
        self.free_at = max(self.free_at, now) + (len(data) + 28) * 8 / self.rate()
        self.queued.append((now, self.free_at - now))
        return [] if self.rng.random() < self.loss else [self.free_at - now + self.delay]


def bulk_over(pipe: Pipe, size: int, amount: int, until: float) -> Pair:
    pipe.pair = Pair(SenderConfig(packet_size=size), forward=pipe, back=lambda n, d: [pipe.delay])
    pipe.pair.submit(*(Item(1, 3, n, bytes(10_000), n, may_cut=True) for n in range(amount // 10_000)))
    pipe.pair.drive(until)
    return pipe.pair


@pytest.mark.parametrize(("rate", "size", "loss"), [(10_000, 250, 0.0), (50_000, 1100, 0.0), (100_000, 1100, 0.05)])
def test_found_and_kept(rate: float, size: int, loss: float) -> None:
    pipe = Pipe([(0, rate)], 0.05, loss)
    pair = bulk_over(pipe, size, 4_000_000, 60.0)
    sent = sum(len(data) + 28 for time, data in pair.sent[0] if 10 <= time < 60)
    assert sent * 8 / 50 > 0.85 * rate
    waits = sorted(wait for time, wait in pipe.queued if time >= 10)
    packet = (size + 28) * 8 / rate
    assert waits[len(waits) // 2] < 1.6 * packet, "the median packet hardly waits"
    assert waits[-1] < 4 * packet


def test_a_rate_that_halves_and_doubles() -> None:
    pipe = Pipe([(0, 50_000), (10, 25_000), (20, 50_000), (30, 25_000), (40, 50_000)], 0.05)
    pair = bulk_over(pipe, 600, 4_000_000, 50.0)
    capacity = 3 * 50_000 * 10 + 2 * 25_000 * 10
    assert sum((len(data) + 28) * 8 for _, data in pair.sent[0]) > 0.75 * capacity
    waits = sorted(wait for _, wait in pipe.queued)
    assert waits[int(len(waits) * 0.95)] < 0.8


def test_slow_link_is_found_from_above() -> None:
    pipe = Pipe([(0, 4_000)], 0.5)
    pair = bulk_over(pipe, 200, 200_000, 120.0)
    assert 3_000 < pair.sender.estimate.rate < 5_000
    assert max(wait for time, wait in pipe.queued if time > 60) < 3.0
