"""`layercast bench net`: what real sockets do over a thin link, each end a process in a namespace of its own."""

from __future__ import annotations

import json
import math
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from layercast.bench import work
from layercast.bench.report import Cell, Report, Table

if TYPE_CHECKING:
    from layercast.bench.net_ends import Job
    from sim.wire import Wire

GRACE = 30.0
"""Seconds that a run may take beyond what its job allows."""


@dataclass(frozen=True)
class Row:
    """One measurement: a link, what the two ends do over it, and the goal.

    Attributes:
        name: as `--row` takes it. what: in words.
        rate, round_trip, loss: of the link, bit/s, s, share.
        job: fields of `net_ends.Job`, without those of the link.
        figure: what is measured: "cold" (s from nothing to the caption), "wait" (s of each caption), "alive" (s that
            the connection lived).
        goals: (which, limit): which is median, p95, max or least.
        runs: by default.
    """

    name: str
    what: str
    rate: float
    round_trip: float
    job: dict[str, Any]
    figure: str = "cold"
    loss: float = 0.0
    goals: tuple[tuple[str, float], ...] = ()
    runs: int = 1


def _cold(name: str, what: str, channel: str, most: float, **job: Any) -> Row:
    return Row(name, what, 10_000, 0.1, {"channel": channel, "packet": 340, **job}, goals=(("max", most),))


def _behind_bulk(name: str, what: str, **job: Any) -> Row:
    beside = {"bulk": 196_000, "captions": 20, "settle": 5.0, "first": 10.0, "every": 1.0, "seconds": 120.0}
    return Row(name, what, 50_000, 0.1, beside | job, "wait", goals=(("p95", 0.3), ("max", 0.5)))


def _echo(size: int) -> Row:
    """The emulated link itself: no faster than its model, and at most 10 ms slower."""
    ideal = 2 * (size + 28) * 8 / 50_000 + 0.1
    job = {"channel": "echo", "caption": size, "captions": 20}
    goals = (("least", ideal), ("median", round(ideal + 0.01, 3)))
    return Row(f"link-{size}", f"the link: echo of {size} B", 50_000, 0.1, job, "wait", goals=goals)


def _behind_slow_bulk(channel: str, title: str) -> Row:
    row = _behind_bulk(f"{channel}-bulk-slow", f"{title}, captions behind 40 kB, rate estimated", channel=channel)
    job = row.job | {"bulk": 40_000, "every": 3.0, "captions": 10, "told": False}
    return replace(row, rate=10_000, job=job, goals=(("p95", 0.9),))


ROWS: tuple[Row, ...] = (
    _echo(100),
    _echo(1200),
    _cold("udp-cold", "UDP, caption of 300 B from nothing", "udp", 0.6),
    _cold("udp-cold-small", "UDP, caption of 16 B from nothing", "udp", 0.6, caption=16),
    replace(
        _cold("udp-cold-250", "UDP, caption of 300 B from nothing, in two packets", "udp", 0.6, packet=250), goals=()
    ),
    _behind_bulk("udp-bulk", "UDP, captions behind 196 kB, rate estimated", channel="udp", told=False),
    _behind_slow_bulk("udp", "UDP"),
    _behind_bulk("udp-bulk-told", "UDP, captions behind 196 kB, rate given", channel="udp"),
    _cold("quic-cold-lossless", "QUIC, caption from nothing, profile without loss", "quic", 3.7, profile="lossless"),
    _cold("quic-cold", "QUIC, caption from nothing, by rule", "quic", 4.8, profile="rule"),
    _cold("quic-0rtt", "QUIC, caption with a ticket", "quic", 2.2, profile="lossless", again=True, captions=1),
    _behind_bulk("quic-bulk", "QUIC, captions behind 196 kB, rate estimated", channel="quic", told=False),
    _behind_slow_bulk("quic", "QUIC"),
    _cold("webrtc-cold", "WebRTC, caption after signalling", "webrtc", 3.7),
    Row(
        "webrtc-cold-lossy",
        "WebRTC, caption after signalling, 5% loss",
        50_000,
        0.5,
        {"channel": "webrtc", "seconds": 120.0},
        loss=0.05,
        goals=(("median", 3.6), ("p95", 6.0)),
        runs=30,
    ),
    Row(
        "webrtc-alive",
        "WebRTC, how long it lives at 1 s",
        50_000,
        1.0,
        {"channel": "webrtc", "captions": 30, "every": 10.0, "seconds": 310.0, "stay": True},
        "alive",
        goals=(("least", 300.0),),
    ),
    _behind_bulk("webrtc-bulk", "WebRTC, captions behind 196 kB, rate estimated", channel="webrtc", told=False),
    _behind_slow_bulk("webrtc", "WebRTC"),
)
BY_NAME = {row.name: row for row in ROWS}


@dataclass(frozen=True)
class Outcome:
    """`values`: seconds, infinite for what never came. `share`: payload over capacity to the last byte of bulk.
    `wire`: bytes on the link both ways, all headers included."""

    values: list[float]
    share: float | None = None
    wire: int = 0


class _End:
    """A process at one end; its lines go into a queue that both share."""

    def __init__(self, wire: Wire, side: str, job: Job, heard: queue.Queue[tuple[str, dict[str, Any]]]) -> None:
        words = [sys.executable, "-m", "layercast.bench.net_ends", json.dumps(asdict(job))]
        self.process = wire.run_in(side, words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._role = job.role
        threading.Thread(target=self._read, args=(heard,), daemon=True).start()

    def tell(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"text": text}) + "\n")

    def _read(self, heard: queue.Queue[tuple[str, dict[str, Any]]]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            heard.put((self._role, json.loads(line)))
        heard.put((self._role, {"event": "gone"}))


def run(row: Row, seed: int) -> Outcome:
    """One run of a row over a fresh link. Raises WireUnavailable where there can be none."""
    from layercast.bench.net_ends import Job
    from sim.link import LinkSpec
    from sim.wire import Wire

    spec = LinkSpec(row.rate, row.round_trip / 2, row.loss)
    with Wire(spec, seed=seed) as wire:
        job = Job(host=wire.ADDRESSES[0], rate=row.rate, round_trip=row.round_trip, **row.job)
        events = _converse(wire, job)
    bytes_sent = sum(event.size for log in (wire.there, wire.back) for event in log if event.what == "sent")
    return replace(_judge(row, events), wire=bytes_sent)


def _converse(wire: Wire, job: Job) -> list[dict[str, Any]]:
    """Start both ends, carry what they tell each other, and gather what they say until the client ends."""
    heard: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
    ends = {"server": _End(wire, "a", job, heard)}
    events: list[dict[str, Any]] = []
    until = time.monotonic() + job.seconds + GRACE
    while True:
        try:
            role, event = heard.get(timeout=max(until - time.monotonic(), 0.0))
        except queue.Empty:
            return events
        events.append(event)
        if event["event"] == "listening":
            ends["client"] = _End(wire, "b", replace(job, role="client", server=event["server"]), heard)
        elif event["event"] == "signal":
            ends["client" if role == "server" else "server"].tell(event["text"])
        elif event["event"] in ("end", "gone"):
            return events


def _judge(row: Row, events: Sequence[dict[str, Any]]) -> Outcome:
    start = max((e["time"] for e in events if e["event"] == "start"), default=-math.inf)
    sent = {e["caption"]: e["time"] for e in events if e["event"] == "sent"}
    came = {e["caption"]: e["time"] for e in events if e["event"] == "caption" and e["time"] >= start}
    if row.figure == "alive":
        ended = [e for e in events if e["event"] == "end" and start > -math.inf]
        lived = ended[-1]["time"] - start if ended else 0.0
        return Outcome([lived if ended and len(came) > lived // row.job["every"] - 2 else 0.0])
    if row.figure == "cold":
        return Outcome([came.get(0, math.inf) - start])
    values = [came.get(number, math.inf) - time for number, time in sent.items()]
    joined = [e["time"] for e in events if e["event"] == "joined"]
    last = [e["time"] for e in events if e["event"] == "bulk"]
    share = None
    if joined and last:
        payload = row.job["bulk"] + 300 * sum(time <= last[-1] for time in came.values())
        share = payload * 8 / (row.rate * (last[-1] - joined[-1]))
    return Outcome(values or [math.inf], share)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ranked = sorted(values)
    return ranked[max(math.ceil(share * len(ranked)) - 1, 0)]


def figures(values: Sequence[float]) -> dict[str, float]:
    """median, p95, max and least."""
    return {"median": median(values), "p95": quantile(values, 0.95), "max": max(values), "least": min(values)}


@click.command("net", short_help="Real sockets over a thin link: captions cold, behind bulk, and how long it lives.")
@click.option("--row", "rows", multiple=True, type=click.Choice(sorted(BY_NAME)), help="Only this; may be repeated.")
@click.option("--runs", type=click.IntRange(1), default=None, help="Runs of each row instead of its own number.")
@click.option("--seed", default=1, show_default=True, help="Of the first run; chooses which packets are lost.")
@work.options
def command(rows: tuple[str, ...], runs: int | None, seed: int, workers: int, as_json: bool, strict: bool) -> None:
    """Captions through real sockets over an emulated link. Needs Linux, iproute2, /dev/net/tun, and
    root or a kernel that allows user namespaces.

    Each end is a process in a network namespace; times exclude starting it. The rows run one after the other, whatever
    --workers says. Seconds; a caption that never came counts as infinite.
    """
    from sim.wire import why_not

    reason = why_not()
    if reason is not None:
        raise click.ClickException(reason)
    columns = ("row", "what", "kbit/s", "round trip s", "loss", "runs", "median s", "p95 s", "max s", "share", "wire B")
    found = Report("net", tables=[Table(columns)])
    chosen = [BY_NAME[name] for name in rows] if rows else list(ROWS)
    for row in chosen:
        count = runs or row.runs
        outcomes = [run(row, seed + turn) for turn in range(count)]
        held = figures([value for outcome in outcomes for value in outcome.values])
        shares = [outcome.share for outcome in outcomes if outcome.share is not None]
        link: tuple[Cell, ...] = (row.rate / 1000, row.round_trip, f"{row.loss:.0%}", count)
        rest: tuple[Cell, ...] = (median(shares) if shares else None, int(median(o.wire for o in outcomes)))
        found.tables[0].rows.append((row.name, row.what, *link, held["median"], held["p95"], held["max"], *rest))
        for which, limit in row.goals:
            ok = held[which] >= limit if which == "least" else held[which] <= limit
            goal = f"{'>=' if which == 'least' else '<='} {limit:g} s"
            found.check(f"{row.name}, {which}", f"{held[which]:.3f} s", goal, ok)
    found.show(as_json, strict)
