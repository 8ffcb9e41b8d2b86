"""A rate that nobody told: found, kept, and given back when the link slows down; what an urgent item waits meanwhile.

Two real ends in virtual time; the middle is a link that sends one packet after the other.
"""

import random

import pytest

from tests.transport.pair import Pair
from transport import Item, SenderConfig

HEADERS = 28


class Pipe:
    """The middle as a link: one packet after the other at `rate(now)`, then a delay; some are lost after that."""

    def __init__(
        self, rates: list[tuple[float, float]], delay: float = 0.05, loss: float = 0.0, jitter: float = 0.0
    ) -> None:
        self.rates, self.delay, self.loss, self.jitter = rates, delay, loss, jitter
        self.free_at, self.latest, self.queued = 0.0, 0.0, []
        self.rng = random.Random(1)
        self.pair = Pair()

    def rate(self) -> float:
        return next(rate for start, rate in reversed(self.rates) if start <= self.pair.now)

    def __call__(self, number: int, data: bytes) -> list[float]:
        now = self.pair.now
        if not self.rate():
            return []
        self.free_at = max(self.free_at, now) + (len(data) + HEADERS) * 8 / self.rate()
        self.queued.append((now, self.free_at - now))
        self.latest = max(self.latest, self.free_at + self.delay + self.rng.uniform(0.0, self.jitter))
        return [] if self.rng.random() < self.loss else [self.latest - now]

    def back(self, number: int, data: bytes) -> list[float]:
        return [self.delay] if self.rate() else []

    def waits(self, after: float = 0.0) -> list[float]:
        """How long packets sent after a time took to pass the link, ascending, seconds."""
        return sorted(wait for time, wait in self.queued if time >= after)

    def used(self, start: float, stop: float) -> float:
        """Share of the capacity that was used between two times, all headers included."""
        sent = sum((len(data) + HEADERS) * 8 for time, data in self.pair.sent[0] if start <= time < stop)
        steps = [max(start, time) for time, _ in self.rates if time < stop] + [stop]
        capacity = sum(
            max(later - earlier, 0.0) * rate
            for earlier, later, (_, rate) in zip(steps, steps[1:], self.rates, strict=False)
        )
        return sent / capacity


def bulk(amount: int) -> list[Item]:
    return [Item(1, 3, n, bytes(10_000), n + 1, may_cut=True) for n in range(amount // 10_000)]


def over(pipe: Pipe, size: int = 1100, initial_rate: float = 16_000.0) -> Pair:
    config = SenderConfig(packet_size=size, initial_rate=initial_rate)
    pipe.pair = Pair(config, forward=pipe, back=pipe.back)
    return pipe.pair


def bulk_over(pipe: Pipe, until: float, size: int = 1100, initial_rate: float = 16_000.0) -> Pair:
    pair = over(pipe, size, initial_rate)
    pair.submit(*bulk(4_000_000))
    pair.drive(until)
    return pair


def urgent_waits(pair: Pair, times: list[float], size: int = 300) -> list[float]:
    """Submit an urgent item at each time; how long each took."""
    for place, time in enumerate(times):
        pair.drive(time)
        pair.now = time
        pair.submit(Item(100 + place, 0, 0, bytes(size)))
    pair.drive(times[-1] + 30.0)
    return [pair.when((100 + place, 0, 0)) - time for place, time in enumerate(times)]


@pytest.mark.parametrize(
    ("rate", "size", "loss"),
    [(10_000, 250, 0.0), (50_000, 1100, 0.0), (50_000, 1100, 0.2), (100_000, 340, 0.05), (100_000, 51, 0.0)],
)
def test_found_and_kept(rate: float, size: int, loss: float) -> None:
    pipe = Pipe([(0, rate)], loss=loss)
    pair = bulk_over(pipe, 60.0, size)
    assert 0.9 * rate < pair.sender.estimate.rate < 1.1 * rate, "loss is not taken for slowness"
    assert pipe.used(5, 60) > 0.92
    waits = pipe.waits(after=10)
    packet = (size + HEADERS) * 8 / rate
    assert waits[len(waits) // 2] < packet + max(0.2 * packet, 0.005), "the median packet hardly waits"
    assert waits[-1] < packet + max(1.5 * packet, 0.02)


@pytest.mark.parametrize("initial_rate", [2_000.0, 16_000.0, 1_000_000.0])
def test_quick_where_it_can_be(initial_rate: float) -> None:
    pipe = Pipe([(0, 1_000_000)])
    bulk_over(pipe, 3.0, initial_rate=initial_rate)
    assert pipe.used(0, 1) > 0.5
    assert pipe.used(1, 3) > 0.85


def test_a_fast_link_is_used_within_a_second() -> None:
    pipe = Pipe([(0, 10_000_000)])
    bulk_over(pipe, 1.5)
    assert pipe.used(0.8, 1.5) > 0.7


@pytest.mark.parametrize("initial_rate", [2_000.0, 16_000.0, 1_000_000.0])
def test_harmless_where_it_must_be(initial_rate: float) -> None:
    pipe = Pipe([(0, 2_000)], delay=0.5)
    pair = bulk_over(pipe, 60.0, initial_rate=initial_rate)
    assert pipe.waits()[-1] < 6.0, "what is sent blindly drains in seconds"
    assert pipe.waits(after=20)[-1] < 2.0
    assert 1_800 < pair.sender.estimate.rate < 2_200
    assert max(len(data) for _, data in pair.sent[0]) <= 200, "datagrams are short where the link is slow"


def test_an_urgent_item_behind_bulk() -> None:
    pipe = Pipe([(0, 50_000)])
    pair = over(pipe)
    pair.submit(*bulk(400_000))
    times = [0.3 + 1.37 * n for n in range(40)]
    waits = urgent_waits(pair, times)
    alone = (300 + 8 + HEADERS) * 8 / 50_000 + 0.05
    packet = (1100 + HEADERS) * 8 / 50_000
    assert max(waits[:7]) < 0.6
    assert max(waits[7:]) < alone + 1.2 * packet
    assert min(waits) > alone - 1e-6, "nothing is faster than the link"


def test_an_urgent_item_alone_loses_a_copy() -> None:
    """What is lost of two copies costs no round trip, though the rate is known from such items alone."""
    pipe = Pipe([(0, 50_000)], loss=0.05)
    waits = sorted(urgent_waits(over(pipe), [1.0 + 3 * n for n in range(200)]))
    assert waits[int(0.98 * len(waits))] < 0.2


@pytest.mark.parametrize("rates", [(50_000, 25_000), (25_000, 100_000), (10_000, 40_000)])
def test_a_rate_that_falls_and_rises(rates: tuple[float, float]) -> None:
    pipe = Pipe([(10.0 * n, rates[n % 2]) for n in range(6)])
    bulk_over(pipe, 60.0)
    assert pipe.used(0, 60) > 0.85
    waits = pipe.waits()
    assert waits[int(len(waits) * 0.95)] < 0.8


def test_jitter_is_not_taken_for_a_queue() -> None:
    pipe = Pipe([(0, 50_000)], jitter=0.05)
    pair = bulk_over(pipe, 60.0)
    assert 40_000 < pair.sender.estimate.rate < 65_000
    assert pipe.used(5, 60) > 0.92
    assert pipe.waits(after=10)[-1] < 0.6


def test_a_longer_way_is_not_taken_for_a_queue() -> None:
    pipe = Pipe([(0, 50_000)])
    pair = bulk_over(pipe, 20.0)
    pipe.delay = 0.4
    pair.drive(60.0)
    assert pipe.used(35, 60) > 0.9
    assert 45_000 < pair.sender.estimate.rate < 55_000


@pytest.mark.parametrize("rate", [2_000, 10_000, 50_000])
def test_a_wait_that_all_packets_share_is_found(rate: float) -> None:
    """The first packets are lost behind the bottleneck, so no packet that arrives has not waited for one before."""
    pipe = Pipe([(0, rate)])
    pair = over(pipe)
    pair.middles = (lambda number, data: [] if number < 2 and pipe(number, data) else pipe(number, data), pipe.back)
    pair.submit(*bulk(4_000_000))
    pair.drive(120.0)
    size = max(len(data) for _, data in pair.sent[0])
    packet = (size + HEADERS) * 8 / rate
    assert pipe.waits(after=100)[-1] < 1.3 * packet


def test_a_dead_link_is_not_fed() -> None:
    pipe = Pipe([(0, 50_000), (10, 0), (70, 50_000)])
    pair = bulk_over(pipe, 100.0)
    into_nothing = sum(len(data) + HEADERS for time, data in pair.sent[0] if 10 <= time < 70)
    assert into_nothing < 20 * (1100 + HEADERS)
    assert pipe.used(82, 100) > 0.85, "and it is used again when it is back"


def test_an_urgent_item_does_not_wait_for_what_is_unheard() -> None:
    """Nothing more of the bulk leaves where nothing is heard of it, but both copies of an urgent item do."""
    pipe = Pipe([(0, 50_000), (10, 0)])
    pair = bulk_over(pipe, 11.0)
    pair.now = 11.0
    pair.submit(Item(2, 0, 0, bytes(300)))
    pair.drive(11.5)
    assert [len(data) for time, data in pair.sent[0] if time >= 10.9] == [308, 308]


def test_pauses_do_not_lower_the_rate() -> None:
    pipe = Pipe([(0, 50_000)])
    pair = over(pipe)
    pair.submit(*bulk(50_000))
    pair.drive(30.0)
    pair.now = 30.0
    found = pair.sender.estimate.rate
    urgent_waits(pair, [31.0 + 5 * n for n in range(10)])
    assert abs(pair.sender.estimate.rate / found - 1) < 0.1


def test_reports_that_get_lost_or_come_late() -> None:
    rng = random.Random(2)
    pipe = Pipe([(0, 50_000)])

    def late(number: int, data: bytes) -> list[float]:
        return [] if rng.random() < 0.3 else [0.05 + rng.uniform(0.0, 0.1)]

    pipe.pair = Pair(SenderConfig(), forward=pipe, back=late)
    pipe.pair.submit(*bulk(4_000_000))
    pipe.pair.drive(60.0)
    assert pipe.used(5, 60) > 0.9
    assert pipe.waits(after=10)[-1] < 0.6, "what the way back does plays no part in what we know of the way there"


@pytest.mark.parametrize("seed", range(3))
def test_a_receiver_that_lies_about_time_does_no_more_than_that(seed: int) -> None:
    """Any arrival times: no exception, a rate within bounds; and once they are true again, so is the rate."""
    rng = random.Random(seed)
    pipe = Pipe([(0, 50_000)])
    pair = over(pipe)
    take = pair.sender.handle_datagram
    lies = 0

    def take_lies(data: bytes, now: float) -> None:
        nonlocal lies
        lying = now < 20.0
        lies += lying
        take(data[:7] + rng.randbytes(2) + data[9:] if lying else data, now)  # the time of arrival of a report

    pair.sender.handle_datagram = take_lies  # type: ignore[method-assign]
    pair.submit(*bulk(100_000))
    pair.drive(20.0)
    assert lies > 1 and 300.0 <= pair.sender.estimate.rate <= 1e10
    pair.drive(600.0)
    assert len(pair.received()) == 10
