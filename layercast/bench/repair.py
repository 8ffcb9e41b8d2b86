"""`layercast bench repair`: what repair symbols are worth where the receiver answers."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

RATE = 50_000
LOSSES = (0.05, 0.2)
ROUND_TRIPS = (0.1, 0.5, 2.0)
WARM_UP, BULK = 60.0, 40
"""Seconds and items of 1,000 B of the last class before, so that loss and round trip are measured."""
GROUPS, EVERY = 12, 60.0
ITEMS, SIZE = 8, 800
"""A group: so many items of class 2, of so many bytes."""


@dataclass(frozen=True)
class Outcome:
    """`times`: seconds until each group was complete; `wire`: bytes sent for all of them; `rebuilt`: packets."""

    times: list[float]
    wire: int
    rebuilt: int


def run(loss: float, round_trip: float, code: bool, seed: int) -> Outcome:
    """Groups of a middle class over a path that was measured before; `code`: with repair symbols."""
    from sim.link import LinkSpec
    from sim.run import Transfer
    from transport import Item, ItemReceived, Policy, SenderConfig

    middle = Policy(code=code)
    config = SenderConfig(rate=RATE, policies=(Policy(copies=2, must_send=True), middle, middle, Policy()))
    transfer = Transfer(LinkSpec(RATE, round_trip / 2, loss), seed, config)
    transfer.submit(0, b"", [Item(0, 3, n, bytes(1000)) for n in range(BULK)])
    transfer.run(WARM_UP)
    before = transfer.sender.stats.bytes + transfer.sender.stats.packets * config.overhead
    for group in range(1, GROUPS + 1):
        transfer.submit(group, b"", [Item(group, 2, n, bytes(SIZE), n) for n in range(ITEMS)])
        transfer.run(WARM_UP + group * EVERY)
    done = [
        (arrival.event.key[0], arrival.time)
        for arrival in transfer.run(WARM_UP + (GROUPS + 5) * EVERY)
        if isinstance(arrival.event, ItemReceived) and arrival.event.complete
    ]
    times = []
    for group in range(1, GROUPS + 1):
        of_group = [time for which, time in done if which == group]
        assert len(of_group) == ITEMS, "everything arrives"
        times.append(max(of_group) - WARM_UP - (group - 1) * EVERY)
    wire = transfer.sender.stats.bytes + transfer.sender.stats.packets * config.overhead - before
    return Outcome(times, wire, transfer.receiver.stats.rebuilt)


@click.command("repair", short_help="What repair symbols are worth where the receiver answers.")
@click.option("--seeds", type=click.IntRange(1), default=10, show_default=True, help="Runs of each case.")
@work.options
def command(seeds: int, workers: int, as_json: bool, strict: bool) -> None:
    """Eight items of 800 B of a middle class every minute, over simulated links of 50 kbit/s that lose both ways.

    Without and with repair symbols, after some bulk by which the sender measured the path. Virtual time.
    """
    report = Report("repair")
    columns = ("loss", "round trip s", "repair", "complete after s, mean", "longest s", "on the wire B", "rebuilt")
    table = Table(columns, title=f"{GROUPS * seeds} groups of {ITEMS * SIZE} B each line")
    for loss in LOSSES:
        for round_trip in ROUND_TRIPS:
            means = []
            for code in (False, True):
                outcomes = [run(loss, round_trip, code, seed) for seed in range(seeds)]
                times = [time for outcome in outcomes for time in outcome.times]
                means.append(mean(times))
                wire = sum(outcome.wire for outcome in outcomes)
                rebuilt = sum(outcome.rebuilt for outcome in outcomes)
                kind = "coded" if code else "resends"
                table.rows.append((f"{loss:.0%}", round_trip, kind, means[-1], max(times), wire, rebuilt))
            name = f"mean with repair, {loss:.0%}, {round_trip:g} s"
            report.check(name, f"{means[1]:.2f} s", f"<= {means[0]:.2f} s + 3%", means[1] <= means[0] * 1.03)
    report.tables.append(table)
    report.show(as_json, strict)
