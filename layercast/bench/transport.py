"""`layercast bench transport`: how well the sender uses a link that nobody told it the rate of, and how long an urgent
item waits behind bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from layercast.bench import work
from layercast.bench.links import Case, Outcome, alone, floor_wait, runs, told
from layercast.bench.report import Cell, Report, Table
from sim.link import LinkSpec
from sim.rates import Course, SteppedRate, TraceRate

UDP, QUIC, CHANNEL = 28, 60, 101
"""Bytes around a datagram of ours, IPv4's and the acknowledgement that rides along included: plain UDP, QUIC datagrams,
a WebRTC data channel."""
NAMES = {UDP: "UDP", QUIC: "QUIC", CHANNEL: "data channel"}


@dataclass(frozen=True)
class Goal:
    """What a case should reach: share at least; seconds at most (p95, longest, longest at the start); bytes beyond the
    floor, as a share, at most."""

    share: float
    p95: float | None = None
    longest: float | None = None
    start: float | None = None
    beyond: float | None = None


def _link(rate: float, trip: float, loss: float = 0.0, overhead: int = QUIC, queue: int = 16_000) -> LinkSpec:
    return LinkSpec(rate, trip / 2, loss, queue=queue, overhead=overhead)


THIN: tuple[tuple[Case, Goal | None], ...] = (
    (Case(_link(50_000, 0.1, overhead=UDP)), None),
    (Case(_link(50_000, 0.1)), Goal(0.84, 0.30, 0.50, 1.5, 0.065)),
    (Case(_link(50_000, 0.1, overhead=CHANNEL)), Goal(0.81, 0.30, 0.50, 1.5, 0.115)),
    (Case(_link(50_000, 0.1, 0.05)), None),
    (Case(_link(50_000, 0.5, 0.05)), None),
    (Case(_link(50_000, 0.5, 0.2)), Goal(0.66)),
    (Case(_link(50_000, 0.5, 0.2, CHANNEL)), Goal(0.58)),
    (Case(_link(10_000, 0.1, overhead=UDP), bulk=40_000), None),
    (Case(_link(10_000, 0.1), bulk=40_000), Goal(0.76, 0.9)),
    (Case(_link(10_000, 0.1, overhead=CHANNEL), bulk=40_000), Goal(0.70, 0.9)),
)
STARTS = (2_000.0, 16_000.0, 100_000.0, 1_000_000.0)
OTHERS: tuple[tuple[str, Case], ...] = (
    ("2 kbit/s, 1 s", Case(_link(2_000, 1.0, overhead=UDP), bulk=20_000, every=20.0)),
    ("2 kbit/s, 0.1 s, 51 B", Case(_link(2_000, 0.1, overhead=UDP), 51, 10_000, every=20.0)),
    ("10 kbit/s, 0.1 s, 200 B", Case(_link(10_000, 0.1, overhead=UDP), 200, 40_000)),
    ("50 kbit/s, 0.02 s", Case(_link(50_000, 0.02))),
    ("50 kbit/s, 1 s", Case(_link(50_000, 1.0))),
    ("50 kbit/s, 0.1 s, queue of 6 kB", Case(_link(50_000, 0.1, queue=6_000))),
    ("50 kbit/s, 0.1 s, queue of 64 kB", Case(_link(50_000, 0.1, queue=64_000))),
    ("50 kbit/s, 0.1 s, 20% loss", Case(_link(50_000, 0.1, 0.2))),
    ("50 kbit/s, 0.1 s, jitter 0.05 s", Case(LinkSpec(50_000, 0.05, jitter=0.05, overhead=QUIC))),
    ("100 kbit/s, 0.1 s, 340 B", Case(_link(100_000, 0.1, overhead=UDP), 340, 400_000)),
    ("100 kbit/s, 0.1 s, 340 B, jitter 0.05 s", Case(LinkSpec(100_000, 0.05, jitter=0.05), 340, 400_000)),
    ("1 Mbit/s, 0.1 s", Case(_link(1e6, 0.1), bulk=2_000_000, every=1.5)),
    ("1 Mbit/s, 0.1 s, 5% loss", Case(_link(1e6, 0.1, 0.05), bulk=2_000_000, every=1.5)),
    (
        "1 Mbit/s, 0.1 s, jitter 0.02 s",
        Case(LinkSpec(1e6, 0.05, jitter=0.02, overhead=QUIC), bulk=2_000_000, every=1.5),
    ),
    ("10 Mbit/s, 0.1 s", Case(_link(1e7, 0.1, queue=64_000), bulk=8_000_000, every=0.5)),
)
STEPS: tuple[tuple[str, Course, float], ...] = (
    ("50, 25 kbit/s, 10 s each", SteppedRate([(10, 50_000), (10, 25_000)]), 50_000),
    ("25, 50, 100, 50 kbit/s, 10 s each", SteppedRate([(10, r) for r in (25e3, 50e3, 100e3, 50e3)]), 50_000),
)
SHARE_OF_TRACE = 0.01


def _waits(outcome: Outcome) -> list[Cell]:
    return [*(outcome.wait(share) for share in (0.5, 0.95, 0.99, 1.0)), outcome.wait(1.0, start=True)]


WAITS = ("median s", "p95 s", "p99 s", "longest s", "longest of the first 10 s")


def _thin(found: Report, seeds: Sequence[int]) -> None:
    columns = ("link", "headers", "share", "rate given", *WAITS, "beyond the floor", "back")
    table = Table(columns, title="bulk and urgent items, the rate estimated")
    for case, goal in THIN:
        outcome, given = runs(case, False, seeds), runs(case, True, seeds)
        link = f"{case.link.rate / 1000:g} kbit/s, {2 * case.link.delay:g} s"
        name = link + (f", {case.link.loss:.0%} loss" if case.link.loss else "")
        beyond = outcome.wire / outcome.floor - 1
        sizes = (f"{beyond:.1%}", f"{outcome.reports / outcome.wire:.1%}")
        table.rows.append((name, NAMES[case.link.overhead], outcome.share, given.share, *_waits(outcome), *sizes))
        if goal:
            _check(found, f"{name}, {NAMES[case.link.overhead]}", outcome, goal, beyond)
    found.tables.append(table)


def _check(found: Report, name: str, outcome: Outcome, goal: Goal, beyond: float) -> None:
    found.check(f"{name}: share", f"{outcome.share:.3f}", f">= {goal.share}", outcome.share >= goal.share)
    p95, longest, start = outcome.wait(0.95), outcome.wait(1.0), outcome.wait(1.0, start=True)
    waits = (("p95", p95, goal.p95), ("longest", longest, goal.longest), ("longest at the start", start, goal.start))
    for what, figure, most in waits:
        if most is not None and figure is not None:
            found.check(f"{name}: {what}", f"{figure:.3f} s", f"<= {most} s", figure <= most)
    if goal.beyond is not None:
        found.check(f"{name}: beyond the floor", f"{beyond:.1%}", f"<= {goal.beyond:.1%}", beyond <= goal.beyond)


def _starts(found: Report, seeds: Sequence[int]) -> None:
    table = Table(("starts from kbit/s", "share", *WAITS), title="50 kbit/s, 0.1 s, QUIC, from other initial rates")
    for rate in STARTS:
        outcome = runs(Case(_link(50_000, 0.1), initial_rate=rate), False, seeds)
        table.rows.append((rate / 1000, outcome.share, *_waits(outcome)))
        longest = outcome.wait(1.0, start=True)
        if longest is not None:
            found.check(f"from {rate / 1000:g} kbit/s: start", f"{longest:.3f} s", "<= 1.5 s", longest <= 1.5)
    found.tables.append(table)


def _alone(found: Report, seeds: Sequence[int]) -> None:
    columns = ("headers", "items", "at once", "median s", "p99 s", "longest s")
    table = Table(columns, title="urgent items alone, 50 kbit/s, 0.1 s, 5% loss")
    for overhead in (UDP, QUIC, CHANNEL):
        outcome = alone(Case(_link(50_000, 0.1, 0.05, overhead), times=200), seeds)
        waits = [wait for _, wait in outcome.waits]
        at_once = sum(wait <= 0.2 for wait in waits) / len(waits)
        p99 = waits[int(0.99 * len(waits))]
        table.rows.append((NAMES[overhead], len(waits), at_once, waits[len(waits) // 2], p99, waits[-1]))
        if overhead != UDP:
            found.check(f"alone, {NAMES[overhead]}: p99", f"{p99:.3f} s", "<= 0.2 s", p99 <= 0.2)
            found.check(f"alone, {NAMES[overhead]}: at once", f"{at_once:.2%}", ">= 99.5%", at_once >= 0.995)
    found.tables.append(table)


def _changing(found: Report, seeds: Sequence[int], traces: Sequence[Path]) -> None:
    columns = ("rate", "share", *WAITS, "p95 if foreseen s", "share if told late", "p95 if told late s")
    table = Table(columns, title="rates that change, 0.1 s, QUIC")
    courses = list(STEPS)
    for path in traces:
        trace = TraceRate.read(path, SHARE_OF_TRACE)
        courses.append((f"{path.name}, a hundredth", trace, trace.bits(0.0, 1000.0) / 1000.0))
    for name, course, mean in courses:
        link = LinkSpec(mean, 0.05, overhead=QUIC, course=course)
        outcome = runs(Case(link, bulk=400_000, every=2.0, times=200), False, seeds)
        foreseen = floor_wait(link, 600)
        late = told(link, 2 * link.delay, seeds[0])
        bounds = (foreseen[int(0.95 * len(foreseen))], late.share, late.wait(0.95))
        table.rows.append((name, outcome.share, *_waits(outcome), *bounds))
        _check(found, name, outcome, Goal(0.75, 1.0), 0.0)
    found.tables.append(table)


def _others(found: Report, seeds: Sequence[int]) -> None:
    table = Table(("link", "share", *WAITS, "back"), title="other links, the rate estimated")
    for name, case in OTHERS:
        outcome = runs(case, False, seeds)
        table.rows.append((name, outcome.share, *_waits(outcome), f"{outcome.reports / outcome.wire:.1%}"))
    found.tables.append(table)


@click.command("transport", short_help="How well the sender uses a link; how long urgent items wait.")
@click.option("--seed", default=1, show_default=True, help="The first seed: chooses what is lost, and when items come.")
@click.option("--runs", "count", type=click.IntRange(1), default=20, show_default=True, help="Seeds a row.")
@click.option(
    "--trace",
    "traces",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A mahimahi trace, run at a hundredth of its rate; may be given again.",
)
@work.options
def command(seed: int, count: int, traces: Sequence[Path], workers: int, as_json: bool, strict: bool) -> None:
    """Payload over capacity, and the wait of a 300 B base item about every 3 s, beside bulk over simulated links.

    Virtual time; every header, copy and resend counts. Nobody tells the sender the rate, but for one column.
    """
    found, seeds = Report("transport"), range(seed, seed + count)
    _thin(found, seeds)
    _starts(found, seeds)
    _alone(found, seeds[: max(count // 4, 1)])
    _changing(found, seeds[: max(count // 2, 1)], traces)
    _others(found, seeds[: max(count // 10, 1)])
    found.show(as_json, strict)
