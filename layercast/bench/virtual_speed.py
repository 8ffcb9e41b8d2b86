"""How fast virtual time goes: packets through a link, whole sessions, an hour of a thin link. No picture is decoded."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from sim.subject import Subject

PACKETS = 100_000
TRIES = 3
"""The quickest counts: what else runs on a machine slows a process, and nothing makes it faster."""
GOAL_PACKETS, GOAL_SESSIONS_S, GOAL_HOUR_S = 200_000, 60.0, 5.0
ALL_SESSIONS, CORES = 2000, 2
HOUR = 3600.0


def measure(found: Report, subject: Subject, sessions: int) -> None:
    """Rows and goals of all three; `subject`: what a session sends."""
    table = Table(("what", "processor s", "figure"), title=f"speed, one core, nothing decoded; the best of {TRIES}")
    spent, _ = _quickest(_packets)
    rate = PACKETS / spent
    table.rows.append((f"{PACKETS:,} packets through a lossy link", spent, f"{rate:,.0f} packets/s"))
    found.check("speed: link", f"{rate:,.0f} packets/s", f">= {GOAL_PACKETS:,}", rate >= GOAL_PACKETS)
    spent, sent = _quickest(lambda: _sessions(subject, sessions))
    name = f"{sessions} sessions of {len(subject.stream):,} B, sender and receiver"
    table.rows.append((name, spent, f"{sent / spent:,.0f} packets/s"))
    whole = spent / sessions * ALL_SESSIONS / CORES
    goal = f"< {GOAL_SESSIONS_S:g} s"
    found.check(f"speed: {ALL_SESSIONS:,} sessions on {CORES} cores", f"{whole:.0f} s", goal, whole < GOAL_SESSIONS_S)
    spent, passed = _quickest(_hour)
    table.rows.append(("an hour of a 50 kbit/s link, sender and receiver", spent, f"{passed:,} B of payload"))
    found.check("speed: one hour of 50 kbit/s", f"{spent:.1f} s", f"< {GOAL_HOUR_S:g} s", spent < GOAL_HOUR_S)
    found.tables.append(table)


def _quickest(work: Callable[[], int]) -> tuple[float, int]:
    """Processor seconds, and what came of it."""
    times, came = [], 0
    for _ in range(TRIES):
        start = time.process_time()
        came = work()
        times.append(time.process_time() - start)
    return min(times), came


def _packets() -> int:
    """Packets of 1,000 B through a full link that loses 1%: how many arrive."""
    from sim.clock import Clock
    from sim.link import LinkSpec
    from sim.packet import Packet

    clock, data, arrived = Clock(), bytes(1000), 0

    def count(packet: Packet) -> None:
        nonlocal arrived
        arrived += 1

    link = LinkSpec(50e6, 0.05, 0.01, queue=10**9).make(clock)
    link.arrived = count
    for _ in range(PACKETS // 1000):
        for _ in range(1000):
            link.send(data)
        clock.run(clock.now + 0.18)
    clock.run(1e9)
    return arrived


def _sessions(subject: Subject, count: int) -> int:
    """So many transfers over a lossy link of 50 kbit/s: how many packets they sent."""
    from sim.journey import over_udp
    from sim.presets import parse
    from sim.scenario import SendPolicy
    from sim.timeline import load_of

    load, link = load_of(subject), parse("lossy", {"rate": 50_000, "rtt": 0.2, "loss": 0.05})
    journeys = (over_udp(load, link, SendPolicy(), seed, 600.0) for seed in range(count))
    return sum(event.what == "sent" for journey in journeys for event in journey.there)


def _hour() -> int:
    """Payload that the real sender and receiver move in an hour of a 50 kbit/s link."""
    from sim.link import LinkSpec
    from sim.run import Transfer
    from transport import Item, ItemReceived

    transfer = Transfer(LinkSpec(50_000, 0.05, 0.01), 1)
    items = [Item(1, 3, n, bytes(1000), n, may_cut=True) for n in range(int(50_000 * HOUR / 8000))]
    transfer.submit(1, b"", items)
    whole = (a.event for a in transfer.run(HOUR) if isinstance(a.event, ItemReceived) and a.event.complete)
    return sum(len(event.payload) for event in whole)
