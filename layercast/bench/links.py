"""What `bench transport` runs: bulk over a simulated link with urgent items beside it, and urgent items alone.

All in virtual time, with the real sender and receiver; every header, copy, resend and report counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from sim.link import LinkSpec
from sim.run import Transfer
from transport import Item, ItemReceived, SenderConfig, packet_size
from transport.schedule import Key

URGENT = 300
"""Bytes of an urgent base item."""
PIECE = 1000
START = 10.0
"""Seconds that count as the start of a transfer."""
FLOOR_PAYLOAD, FLOOR_HEADERS = 1172, 28
"""Datagrams of the leanest way to send the same: plain UDP."""


@dataclass(frozen=True)
class Case:
    """Bulk over a link, and an urgent item about every so many seconds as long as it lasts.

    times: how many urgent items at most. packet_size: largest datagram. initial_rate: what the sender starts from.
    """

    link: LinkSpec
    packet_size: int = 1125
    bulk: int = 196_000
    every: float = 3.0
    times: int = 10
    initial_rate: float = 16_000.0


@dataclass(frozen=True)
class Outcome:
    """One run or several put together.

    shares: payload over capacity until the last byte of bulk, one a run. waits: (seconds from the start, seconds that
    an urgent item took), all runs, by duration. wire, reports: bytes there and back. floor: bytes of plain UDP that
    carry the same payload once.
    """

    shares: Sequence[float]
    waits: Sequence[tuple[float, float]]
    wire: int = 0
    reports: int = 0
    floor: int = 0

    @property
    def share(self) -> float:
        return sum(self.shares) / len(self.shares)

    def wait(self, quantile: float, start: bool = False) -> float | None:
        """Seconds that this share of the urgent items took at most; of those submitted at the start, or later."""
        of_these = [wait for time, wait in self.waits if (time < START) == start]
        return of_these[min(int(quantile * len(of_these)), len(of_these) - 1)] if of_these else None


@dataclass
class _Urgent:
    """The urgent items of a run: when each was submitted."""

    transfer: Transfer
    sent: dict[Key, float] = field(default_factory=dict)

    def submit(self) -> None:
        item = Item(len(self.sent) + 1, 0, 0, bytes(URGENT))
        self.transfer.submit(item.group, b"", [item])
        self.sent[item.key] = self.transfer.clock.now

    def waits(self, done: dict[Key, float]) -> list[tuple[float, float]]:
        return sorted(((time, done[key] - time) for key, time in self.sent.items()), key=lambda wait: wait[1])


def _config(case: Case, known: bool) -> SenderConfig:
    """A sender that is told the rate gets datagrams for it, since it does not fit them to the rate by itself."""
    size = min(case.packet_size, packet_size(case.link.rate)) if known else case.packet_size
    return SenderConfig(size, case.link.overhead, case.link.rate if known else None, case.initial_rate)


def _done(transfer: Transfer) -> dict[Key, float]:
    """When each item was complete, once nothing is left to do."""
    while not transfer.sender.idle:
        transfer.run(transfer.clock.now + 10.0)
    transfer.run(transfer.clock.now + 10.0)
    events = ((arrival.time, arrival.event) for arrival in transfer.arrivals)
    return {event.key: time for time, event in events if isinstance(event, ItemReceived) and event.complete}


def run(case: Case, known: bool, seed: int) -> Outcome:
    """Bulk over the link, an urgent item now and then; `known`: the sender is told the rate."""
    transfer = Transfer(case.link, seed, _config(case, known))
    bulk = [Item(0, 3, n, bytes(PIECE), n + 1, may_cut=True) for n in range(case.bulk // PIECE)]
    transfer.submit(0, b"", bulk)
    urgent, rng = _Urgent(transfer), Random(f"{seed}/urgent")
    for turn in range(case.times):
        transfer.run((turn + rng.random()) * case.every)
        if transfer.sender.idle:
            break
        urgent.submit()
    done = _done(transfer)
    end = max(done[item.key] for item in bulk)
    payload = case.bulk + URGENT * sum(done[key] <= end for key in urgent.sent)
    share = payload * 8 / case.link.rates.bits(0.0, end)
    whole = case.bulk + URGENT * len(urgent.sent)
    floor = whole + -(-whole // FLOOR_PAYLOAD) * FLOOR_HEADERS
    wire, reports = (sum(e.size for e in way.log if e.what == "sent") for way in (transfer.forward, transfer.back))
    return Outcome([share], urgent.waits(done), wire, reports, floor)


def runs(case: Case, known: bool, seeds: Sequence[int]) -> Outcome:
    """The same with several seeds, put together."""
    found = [run(case, known, seed) for seed in seeds]
    waits = sorted((wait for one in found for wait in one.waits), key=lambda wait: wait[1])
    sums = (sum(getattr(one, name) for one in found) for name in ("wire", "reports", "floor"))
    return Outcome([one.share for one in found], waits, *sums)


def alone(case: Case, seeds: Sequence[int]) -> Outcome:
    """Urgent items on a link that carries nothing else, `case.times` a run; the rate is not told."""
    waits: list[tuple[float, float]] = []
    for seed in seeds:
        transfer = Transfer(case.link, seed, _config(case, known=False))
        urgent = _Urgent(transfer)
        for turn in range(case.times):
            transfer.run((turn + 1) * case.every)
            urgent.submit()
        waits += urgent.waits(_done(transfer))
    return Outcome([0.0], sorted(waits, key=lambda wait: wait[1]))


def floor_wait(link: LinkSpec, ahead: int, count: int = 2000) -> list[float]:
    """Seconds that an urgent item takes at least on a link that is never free, ascending.

    Ahead of it is what is left of a packet of `ahead` bytes, as much as chance wants; nothing else.
    """
    rng, found = Random("floor"), []
    for _ in range(count):
        time = rng.uniform(0.0, 300.0)
        bits = int(rng.random() * ahead + URGENT + 8 + link.overhead) * 8
        found.append(link.rates.finish(time, bits) - time + link.delay)
    return sorted(found)


def told(link: LinkSpec, age: float, seed: int, seconds: float = 360.0) -> Outcome:
    """What a sender achieves that is told the course of the rate up to `age` seconds ago, all of it, and nothing else.

    It takes the rate of the 0.1 s before for the present one too, and sends packets of 0.1 s of that whenever the link
    should be free by it, urgent items, twice, before all else. Nothing is lost.
    """
    course, rng, window = link.rates, Random(f"{seed}/told"), 0.1
    due = deque((turn + rng.random()) * 2.0 for turn in range(int(seconds / 2.0)))
    under_way: deque[tuple[float, float, int]] = deque()  # when its sending began, when it ended, bits
    copies: deque[float] = deque()  # of urgent items to be sent once more: when each was due
    waits: list[tuple[float, float]] = []
    now, free, payload = 0.5, 0.5, 0
    while now < seconds:
        now += 0.005
        seen = now - age
        rate = max(course.bits(seen - window, seen) / window, 300.0)
        while under_way and under_way[0][1] <= seen:
            under_way.popleft()
        if under_way:
            began = under_way[0][0]
            left = sum(bits for _, _, bits in under_way) - course.bits(min(began, seen), seen)
            if left > rate * (now - max(began, seen)):
                continue
        size, began = URGENT, max(free, now)
        if not copies and not (due and due[0] <= now):
            size = int(min(max(rate * window / 8 - link.overhead, 200), 1125))
            payload += size
        bits = (size + 8 + link.overhead) * 8
        free = course.finish(began, bits)
        under_way.append((began, free, bits))
        if copies:
            copies.popleft()
        elif due and due[0] <= now:
            copies.append(due.popleft())
            waits.append((copies[-1], free + link.delay - copies[-1]))
            payload += URGENT
    waits.sort(key=lambda wait: wait[1])
    return Outcome([payload * 8 / course.bits(0.5, free)], waits)
