"""`layercast bench transport`: how well the sender uses a link, and how long an urgent item waits behind bulk."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

URGENT, EVERY, TIMES = 300, 3.0, 10
"""Bytes of an urgent base item, seconds between two of them, how many."""
PIECE = 1000
MOST_SECONDS = 900.0


@dataclass(frozen=True)
class Case:
    """A link (bit/s, round trip in seconds, share lost), the datagram size and the bytes of bulk."""

    rate: float
    round_trip: float
    loss: float
    packet_size: int
    bulk: int


CASES = (
    Case(50_000, 0.1, 0.0, 1100, 196_000),
    Case(50_000, 0.5, 0.05, 1100, 196_000),
    Case(50_000, 0.5, 0.2, 1100, 196_000),
    Case(10_000, 0.1, 0.0, 250, 40_000),
    Case(10_000, 0.1, 0.05, 250, 40_000),
)


@dataclass(frozen=True)
class Outcome:
    """`share`: payload over capacity until the last byte of bulk. `waits`: seconds of each urgent item, ascending."""

    share: float
    waits: list[float]


def run(case: Case, known: bool, seed: int) -> Outcome:
    """Bulk over the link, an urgent item now and then; `known`: the sender is told the rate."""
    from sim.link import LinkSpec
    from sim.run import Transfer
    from transport import Item, ItemReceived, SenderConfig

    config = SenderConfig(packet_size=case.packet_size, rate=case.rate if known else None)
    transfer = Transfer(LinkSpec(case.rate, case.round_trip / 2, case.loss), seed, config)
    bulk = [Item(0, 3, n, bytes(PIECE), n + 1, may_cut=True) for n in range(case.bulk // PIECE)]
    transfer.submit(0, b"", bulk)
    sent = {}
    for turn in range(1, TIMES + 1):
        transfer.run(turn * EVERY)
        item = Item(turn, 0, 0, bytes(URGENT), 0)
        transfer.submit(turn, b"", [item])
        sent[item.key] = transfer.clock.now
    events = [(arrival.time, arrival.event) for arrival in transfer.run(MOST_SECONDS)]
    done = {event.key: time for time, event in events if isinstance(event, ItemReceived) and event.complete}
    end = max(done[item.key] for item in bulk)
    payload = case.bulk + URGENT * sum(done[key] <= end for key in sent)
    return Outcome(payload * 8 / (case.rate * end), sorted(done[key] - time for key, time in sent.items()))


@click.command("transport", short_help="How well the sender uses a link; how long urgent items wait.")
@click.option("--seed", default=1, show_default=True, help="Chooses which packets are lost.")
@work.options
def command(seed: int, jobs: int, as_json: bool, strict: bool) -> None:
    """Payload over capacity, and the wait of a 300 B base item every 3 s, beside bulk over simulated links.

    Virtual time; every header, copy and resend counts. The rate is given to the sender, or estimated from 16 kbit/s on.
    """
    found = Report("transport")
    for known in (True, False):
        columns = ("kbit/s", "round trip s", "loss", "packets B", "share of capacity", "wait, median s", "longest s")
        table = Table(columns, title="rate given" if known else "rate estimated")
        for case in CASES:
            outcome = run(case, known, seed)
            link = (case.rate / 1000, case.round_trip, f"{case.loss:.0%}", case.packet_size)
            table.rows.append((*link, outcome.share, median(outcome.waits), outcome.waits[-1]))
        found.tables.append(table)
    found.show(as_json, strict)
