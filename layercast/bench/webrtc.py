"""`layercast bench webrtc`: how soon a WebRTC channel opens on thin links, how long it lives, what it adds in bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from sim.link import LinkSpec
    from sim.virtual import Network
    from sim.webrtc import Pair
    from transport.channels.webrtc import WebRtcConfig
    from transport.schedule import Key

Result = TypeVar("Result")
URGENT, EVERY, TIMES, PIECE = 300, 3.0, 10, 1000
"""Bytes of an urgent base item, seconds between two, how many; bytes of an item of bulk."""
CAPTION = 16
FLOOR_PACKET, IP_UDP = 1172, 28
"""Plain UDP for comparison: payload of its packets, and the headers of each."""
MOST_SECONDS = 900.0
COLD_RUNS = 30


@dataclass(frozen=True)
class Cold:
    """A link (bit/s, round trip in seconds, share lost) and the goal in seconds: median, 95%."""

    rate: float
    round_trip: float
    loss: float = 0.0
    goals: tuple[float, float] | None = None


COLD = (Cold(10_000, 0.1, 0.0, (3.7, 3.7)), Cold(50_000, 0.1), Cold(50_000, 0.5), Cold(50_000, 1.0), Cold(2_000, 1.0))
COLD_LOSSY = (Cold(50_000, 0.5, 0.05, (3.6, 6.0)), Cold(10_000, 0.1, 0.05), Cold(50_000, 0.5, 0.2))


@dataclass(frozen=True)
class Case:
    """A link, the datagram size, the bytes of bulk, the goal for the share of the capacity."""

    rate: float
    round_trip: float
    loss: float
    size: int
    bulk: int
    goal: float


CASES = (
    Case(50_000, 0.1, 0.0, 1125, 196_000, 0.81),
    Case(50_000, 0.5, 0.05, 1125, 196_000, 0.0),
    Case(50_000, 0.5, 0.2, 1125, 196_000, 0.58),
    Case(10_000, 0.1, 0.0, 1125, 40_000, 0.70),
)
MOST_BEYOND_FLOOR = 0.115


@dataclass(frozen=True)
class Outcome:
    """`share`: payload over capacity until the last byte of bulk; `waits`: seconds of each urgent item, ascending;
    `beyond`: wire bytes over those of plain UDP, less 1; `back`: wire bytes the other way over those."""

    share: float
    waits: list[float]
    beyond: float
    back: float


def _link(case: Cold | Case) -> LinkSpec:
    from sim.link import LinkSpec

    return LinkSpec(case.rate, case.round_trip / 2, case.loss)


def _config(case: Cold | Case) -> WebRtcConfig:
    from transport.channels.webrtc import WebRtcConfig

    return WebRtcConfig(rate=case.rate, round_trip=case.round_trip)


def _virtually(story: Callable[[Network], Coroutine[Any, Any, Result]]) -> Result:
    from sim import virtual
    from sim.webrtc import time_of

    async def timed(network: Network) -> Result:
        with time_of(asyncio.get_running_loop()):
            return await story(network)

    return virtual.run(timed)


async def cold(network: Network, case: Cold, size: int, seed: int, place: int = 0) -> float:
    """Seconds from the answer's arrival until an item of the answering end is complete at the other."""
    from sim.webrtc import Pair
    from transport import Item, SenderConfig

    pair = Pair.make(network, _config(case), place)
    pair.join(_link(case), seed)
    got = pair.receive(pair.near)
    sender, _ = pair.send(pair.far, SenderConfig(overhead=pair.far.overhead, rate=case.rate))
    sender.submit(Item(1, 0, 0, bytes(size)))
    loop = asyncio.get_running_loop()
    answer = await pair.far.make_answer(await pair.near.make_offer())
    await asyncio.sleep(case.round_trip / 2)
    start = loop.time()
    await pair.near.take_answer(answer)
    while not got and loop.time() < start + MOST_SECONDS / 10 and pair.near.closed is None:
        await asyncio.sleep(0.002)
    await pair.close()
    return next(iter(got.values()))[0] - start if got else MOST_SECONDS


async def _many(network: Network, case: Cold, size: int) -> list[float]:
    """Many openings side by side, each on a link of its own, begun one after the other to spread the work."""

    async def one(number: int) -> float:
        await asyncio.sleep(0.2 * number)
        return await cold(network, case, size, number, number)

    return sorted(await asyncio.gather(*map(one, range(COLD_RUNS))))


def transfer(case: Case, known: bool, seed: int) -> Outcome:
    """Bulk over an open channel, an urgent item now and then; `known`: the sender is told the rate."""

    async def story(network: Network) -> Outcome:
        from sim.webrtc import Pair

        pair = Pair.make(network, _config(case))
        await pair.open()
        try:
            return await _transfer(pair, case, known, seed)
        finally:
            await pair.close()

    return _virtually(story)


async def _transfer(pair: Pair, case: Case, known: bool, seed: int) -> Outcome:
    from sim.webrtc import bulk, wire_bytes
    from transport import Item, SenderConfig

    loop = asyncio.get_running_loop()
    back, forward = pair.join(_link(case), seed)
    got = pair.receive(pair.near)
    rate = case.rate if known else None
    sender, driver = pair.send(pair.far, SenderConfig(case.size, pair.far.overhead, rate))
    start = loop.time()
    items = bulk(case.bulk, PIECE)
    for item in items:
        sender.submit(item)
    driver.wake()
    submitted: dict[Key, float] = {}
    for turn in range(1, TIMES + 1):
        await asyncio.sleep(EVERY)
        urgent = Item(turn, 0, 0, bytes(URGENT))
        sender.submit(urgent)
        submitted[urgent.key] = loop.time()
        driver.wake()
    while not sender.idle and loop.time() < start + MOST_SECONDS:
        await asyncio.sleep(0.1)
    end = max(got[item.key][0] for item in items) - start
    payload = case.bulk + URGENT * sum(got[key][0] - start <= end for key in submitted)
    floor = case.bulk + URGENT * len(submitted)
    floor += -(-floor // FLOOR_PACKET) * IP_UDP
    waits = sorted(got[key][0] - time for key, time in submitted.items())
    sent = wire_bytes(forward)
    return Outcome(payload * 8 / (case.rate * end), waits, sent / floor - 1, wire_bytes(back) / floor)


@dataclass(frozen=True)
class Life:
    """A link on which a connection idles, or has bulk thrown into it at once, and the seconds that it must live."""

    name: str
    rate: float
    round_trip: float
    loss: float
    seconds: float
    flood: int = 0


LIVES = (
    Life("round trip of 1 s", 50_000, 1.0, 0.0, 7200),
    Life("20% loss", 50_000, 0.2, 0.2, 7200),
    Life("50% loss", 50_000, 0.2, 0.5, 7200),
    Life("400 kB of its own bulk at once", 50_000, 0.1, 0.0, 7200, 400_000),
)


def life(case: Life, seed: int) -> tuple[float, int]:
    """How long a connection lives, at most as long as it must; wire bytes both ways meanwhile."""

    async def story(network: Network) -> tuple[float, int]:
        from sim.link import LinkSpec
        from sim.webrtc import Pair, wire_bytes

        pair, loop = Pair.make(network), asyncio.get_running_loop()
        await pair.open()
        links = pair.join(LinkSpec(case.rate, case.round_trip / 2, case.loss), seed)
        start = loop.time()
        for _ in range(case.flood // PIECE):
            pair.far.send(bytes(PIECE))
        while not (pair.near.closed or pair.far.closed) and loop.time() < start + case.seconds:
            await asyncio.sleep(1.0)
            while pair.near.receive() is not None:
                pass
        lived = min(loop.time() - start, case.seconds)
        await pair.close()
        return lived, sum(map(wire_bytes, links))

    return _virtually(story)


def _cold_tables(found: Report, seed: int, lossy: bool) -> None:
    from sim import realtime

    table = Table(("kbit/s", "round trip s", f"{URGENT} B s", f"{CAPTION} B s"), title="first item, nothing lost")
    for case in COLD:
        times = [_virtually(lambda net, c=case, s=size: cold(net, c, s, seed)) for size in (URGENT, CAPTION)]  # type: ignore[misc]
        table.rows.append((case.rate / 1000, case.round_trip, *times))
        if case.goals:
            name = f"first item, {case.rate / 1000:g} kbit/s, {case.round_trip:g} s"
            found.check(name, f"{times[0]:.2f} s", f"<= {case.goals[0]} s", times[0] <= case.goals[0])
    found.tables.append(table)
    if not lossy:
        return
    columns = ("kbit/s", "round trip s", "loss", "median s", "95% s", "longest s")
    table = Table(columns, title=f"first item of {URGENT} B, {COLD_RUNS} runs in real time")
    for case in COLD_LOSSY:
        times = realtime.run(lambda net, c=case: _many(net, c, URGENT))  # type: ignore[misc]
        middle, most = median(times), times[int(0.95 * COLD_RUNS)]
        table.rows.append((case.rate / 1000, case.round_trip, f"{case.loss:.0%}", middle, most, times[-1]))
        if case.goals:
            name = f"first item, {case.rate / 1000:g} kbit/s, {case.round_trip:g} s, {case.loss:.0%} loss"
            held = middle <= case.goals[0] and most <= case.goals[1]
            found.check(name, f"{middle:.2f}, {most:.2f} s", f"<= {case.goals[0]}, {case.goals[1]} s", held)
    found.tables.append(table)


def _transfer_table(found: Report, seed: int, known: bool) -> None:
    columns = (
        *("kbit/s", "round trip s", "loss", "datagrams B", "share of capacity", "wait, median s", "longest s"),
        *("beyond the UDP floor", "bytes back"),
    )
    table = Table(columns, title="bulk and urgent items, rate " + ("given" if known else "estimated"))
    for case in CASES:
        outcome = transfer(case, known, seed)
        link = (case.rate / 1000, case.round_trip, f"{case.loss:.0%}", case.size)
        waits = (median(outcome.waits), outcome.waits[-1])
        table.rows.append((*link, outcome.share, *waits, f"{outcome.beyond:+.1%}", f"{outcome.back:.1%}"))
        name = f"{case.rate / 1000:g} kbit/s, {case.round_trip:g} s, {case.loss:.0%} loss"
        if not known and case.goal:
            found.check(f"share, {name}", f"{outcome.share:.3f}", f">= {case.goal}", outcome.share >= case.goal)
        if not known and case.rate == 50_000 and not case.loss:
            figure, goal = f"{outcome.beyond:+.1%}", f"<= {MOST_BEYOND_FLOOR:+.1%}"
            found.check(f"wire bytes, {name}", figure, goal, outcome.beyond <= MOST_BEYOND_FLOOR)
    found.tables.append(table)


def _life_table(found: Report, seed: int) -> None:
    columns = ("link", "kbit/s", "round trip s", "lived s", "bytes both ways")
    table = Table(columns, title="how long a connection lives")
    for case in LIVES:
        lived, spent = life(case, seed)
        table.rows.append((case.name, case.rate / 1000, case.round_trip, lived, spent))
        found.check(f"lives, {case.name}", f"{lived:.0f} s", f">= {case.seconds:.0f} s", lived >= case.seconds)
    found.tables.append(table)


@click.command("webrtc", short_help="WebRTC on thin links: opening, staying alive, bytes.")
@click.option("--seed", default=1, show_default=True, help="Chooses which packets are lost.")
@click.option("--virtual", "virtual_only", is_flag=True, help="Leave out what takes real time (half a minute).")
@work.options
def command(seed: int, virtual_only: bool, workers: int, as_json: bool, strict: bool) -> None:
    """How soon the first item arrives after signalling, how long a connection lives, what a transfer achieves.

    Real aiortc over modelled links in virtual time; openings with loss in real time, since DTLS keeps its own. Every
    byte on the wire counts, both copies of the urgent items too.
    """
    found = Report("webrtc")
    _cold_tables(found, seed, not virtual_only)
    for known in (False, True):
        _transfer_table(found, seed, known)
    _life_table(found, seed)
    found.show(as_json, strict)
