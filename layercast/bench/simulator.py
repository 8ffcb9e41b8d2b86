"""`layercast bench sim`: the simulator beside theory, real sockets and the kernel's own shaping; and its speed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING

import click

from layercast.bench import netem, virtual_speed, work
from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from sim.clock import Clock
    from sim.link import Link
    from sim.subject import Subject
    from sim.truth import Probe, Schedule

SESSION_BYTES = 40_000
SIZES = (60, 200, 600, 1100)
ALLOWED_S, ALLOWED_SHARE = 0.002, 0.01
"""An arrival may be off by the larger of so many seconds and this share of its time under way."""
LAYER_SHARE = 0.05
LINKS = ((10_000, 0.05, 0.0), (20_000, 0.25, 0.05), (50_000, 0.05, 0.0), (100_000, 0.3, 0.1))
"""bit/s, one-way delay, loss: of whole transfers."""
MEAN, SMALL, NETEM_PACKETS = 0.12, 20, 10_000
"""Seconds between the datagrams of a probe on average; of how many with --small; of how many for netem's losses."""
BUCKET = 3000
"""Bytes that the kernel's token bucket saves up."""


def schedule(count: int, mean: float, seed: str = "probe") -> Schedule:
    """Datagrams of several sizes at random times, `mean` seconds apart on average."""
    rng, found, at = Random(seed), [], 0.0
    for _ in range(count):
        found.append((round(at, 4), rng.choice(SIZES)))
        at += rng.expovariate(1 / mean)
    return found


@click.command("sim", short_help="The simulator beside theory, real sockets and the kernel; its speed.")
@click.option("--packets", default=300, show_default=True, type=click.IntRange(20), help="Of each probe.")
@click.option("--sessions", default=50, show_default=True, type=click.IntRange(1), help="Of the speed of sessions.")
@click.option("--small", is_flag=True, help="Few packets, one transfer, no netem, no speed: half a minute.")
@click.option("--speed", "speed_alone", is_flag=True, help="Only how fast virtual time goes; half a minute.")
@work.options
def command(
    packets: int, sessions: int, small: bool, speed_alone: bool, workers: int, as_json: bool, strict: bool
) -> None:
    """Compare simulated and real arrival times, and measure how fast virtual time goes.

    What needs a TUN link (Linux, iproute2; better as root), the kernel's shaping (root) or netem (Debian's
    user-mode-linux) is left out where that cannot be had, and a note says so. Processor time for speed, the best of
    three; the rest runs in real time: five minutes. --workers is not used.
    """
    found = Report("sim")
    if not speed_alone:
        _theory(found)
        _probes(found, SMALL if small else packets)
        _transfers(found, LINKS[-1:] if small else LINKS)
    if not small and not speed_alone:
        netem.measure(found, schedule(packets, MEAN), NETEM_PACKETS)
    if not small:
        virtual_speed.measure(found, _subject(SESSION_BYTES), sessions)
    found.show(as_json, strict)


def _theory(found: Report) -> None:
    """A link of constant rate against arithmetic: each arrival, and the rate of a full link."""
    from sim.clock import Clock
    from sim.link import LinkSpec

    spec, clock = LinkSpec(50_000, 0.05, queue=10**9), Clock()
    link = spec.make(clock)
    for _ in range(2000):
        link.send(bytes(600))
    clock.run(1e9)
    times = _arrivals(link)
    wire = 628 * 8
    worst = max(abs(time - (number + 1) * wire / 50_000 - 0.05) for number, time in enumerate(times))
    rate = 2000 * wire / (times[-1] - 0.05)
    found.check("theory: rate", f"{rate / 50_000 - 1:+.2e}", "within 0.1%", abs(rate / 50_000 - 1) < 0.001)
    found.check("theory: arrivals", f"{worst:.1e} s off at most", f"<= {ALLOWED_S} s", worst <= ALLOWED_S)


def _arrivals(link: Link) -> list[float]:
    return [event.time for event in link.log if event.what == "arrived"]


def _probes(found: Report, packets: int) -> None:
    """Bare datagrams: the same that a real way carries, in virtual time."""
    from sim.link import Bottleneck, Link, LinkSpec
    from sim.model import LinkModel
    from sim.rates import TokenBucket
    from sim.truth import ETHERNET, probe_kernel, probe_tun, probe_virtual, why_no_kernel
    from sim.wire import why_not

    columns = ("way", "sent", "arrived", "simulated", "median ms", "p95 ms", "max ms", "within the goal", "rate")
    table = Table(columns, title="arrivals: real less simulated")
    sends = schedule(packets, MEAN)
    if (reason := why_not()) is not None:
        found.notes.append(f"Not shown: a TUN link; {reason}.")
    else:
        for name, spec in (
            ("TUN, 50 kbit/s, 0.05 s", LinkModel(rate=50_000, delay=0.05)),
            ("TUN, the same, 10% loss in bursts of 3", LinkModel(rate=50_000, delay=0.05, loss=0.1, burst=3)),
        ):
            real = probe_tun(spec, sends)
            _compare(found, table, name, sends, real, probe_virtual(spec, sends, real.sent, "1/there"))
    if (reason := why_no_kernel()) is not None:
        found.notes.append(f"Not shown: the kernel's token bucket; {reason}.")
    else:

        class Kernel(LinkSpec):
            """tbf as it is: a bucket, Ethernet's bytes, no delay."""

            def make(self, clock: Clock, seed: int | str = 0) -> Link:
                return Link(clock, [Bottleneck(TokenBucket(50_000, BUCKET), 10**6)], seed, 28 + ETHERNET)

        real = probe_kernel(["tbf", "rate", "50kbit", "burst", str(BUCKET), "limit", "1000000"], sends)
        _compare(found, table, "kernel, tbf 50 kbit/s", sends, real, probe_virtual(Kernel(1), sends, real.sent, "1"))
    if table.rows:
        found.tables.append(table)


def _compare(found: Report, table: Table, name: str, sends: Schedule, real: Probe, told: Probe) -> None:
    both = sorted(set(real.arrived) & set(told.arrived))
    errors = [real.arrived[number] - told.arrived[number] for number in both]
    way = [told.arrived[number] - told.sent[number] for number in both]
    good = sum(abs(e) <= max(ALLOWED_S, ALLOWED_SHARE * time) for e, time in zip(errors, way, strict=True)) / len(both)
    ranked = sorted(map(abs, errors))
    # what arrived over the time from the first arrival to the last, in both worlds
    spans = [max(p.arrived.values()) - min(p.arrived.values()) for p in (real, told)]
    rate = spans[1] / spans[0] - 1
    cells = (median(errors), ranked[int(0.95 * len(ranked))], ranked[-1])
    counts = (len(sends), len(real.arrived), len(told.arrived))
    table.rows.append((name, *counts, *(1000 * cell for cell in cells), f"{good:.1%}", f"{rate:+.2%}"))
    same = set(real.arrived) == set(told.arrived)
    found.check(f"{name}: the same are lost", str(same), "True", same)
    found.check(f"{name}: arrivals", f"{good:.1%} within max(2 ms, 1%)", "100%", good == 1)
    found.check(f"{name}: throughput", f"{rate:+.2%}", "within 2%", abs(rate) <= 0.02)


def _transfers(found: Report, links: Sequence[tuple[int, float, float]]) -> None:
    """A stream by the real channel, sender and receiver: time to each layer."""
    from codec import plan
    from codec.stream import read
    from player.items import index_of
    from sim.link import LinkSpec
    from sim.timeline import load_of
    from sim.truth import transfer_tun, transfer_virtual
    from sim.wire import why_not

    if (reason := why_not()) is not None:
        found.notes.append(f"Not shown: whole transfers over a TUN link; {reason}.")
        return
    subject = _subject(SESSION_BYTES)
    load = load_of(subject)
    layers: dict[str, list[int]] = {}
    for chunk in read(subject.stream)[1]:
        if not chunk.cut:
            layers.setdefault(plan.layer_of(chunk.kind), []).append(index_of(chunk.key))
    layers = {name: layers[name] for name in plan.LAYERS if name in layers}
    title = f"whole transfers of {len(subject.stream):,} B over UDP: seconds to each layer, TUN and simulated"
    ways = [f"{name} {way}" for name in layers for way in ("TUN", "sim")]
    table = Table(("kbit/s", "one-way s", "loss", *ways), title=title)
    for rate, delay, loss in links:
        spec = LinkSpec(rate, delay, loss)
        real, told = transfer_tun(load, spec), transfer_virtual(load, spec)
        cells: list[float] = []
        for indices in layers.values():
            cells += [max(way.start, *(way.items[index] for index in indices)) for way in (real, told)]
        table.rows.append((rate / 1000, delay, f"{loss:.0%}", *cells))
        worst = max(abs(one / other - 1) for one, other in zip(cells[::2], cells[1::2], strict=True))
        name = f"transfer, {rate / 1000:g} kbit/s, {loss:.0%} loss: time to each layer"
        found.check(name, f"{worst:.1%} off at most", f"<= {LAYER_SHARE:.0%}", worst <= LAYER_SHARE)
    found.tables.append(table)


def _subject(size: int) -> Subject:
    """The bundled photo's stream, cut."""
    import numpy as np
    from PIL import Image

    from sim.subject import Subject

    path = Path(str(files("layercast") / "assets" / "rocket.webp"))
    with Image.open(path) as image:
        whole = Subject.of_picture(path.name, np.asarray(image.convert("RGB")), "A rocket on its launch pad at dusk.")
    return Subject(whole.name, whole.picture, whole.stream[:size])
