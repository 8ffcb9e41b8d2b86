"""The model beside the kernel's own netem, in user-mode Linux: arrivals, delays, losses. A part of `bench sim`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import TYPE_CHECKING

from layercast.bench.report import Interval, Report, Table

if TYPE_CHECKING:
    from sim.link import Stage
    from sim.truth import Probe, Schedule

RATE, DELAY = 50_000, 0.05
JITTER_BASE, JITTER = 0.08, 0.04
"""netem's `delay 100ms 20ms` is 80 to 120 ms, evenly spread."""
THROUGHPUT, QUANTILES = 0.02, 0.05
"""Shares that throughput and quantiles of the delay may be off by."""
SPACING = 0.001
"""Seconds between the packets whose losses are counted."""


def stages() -> dict[str, Callable[[], Stage]]:
    """How netem is told to lose packets -> the model of it."""
    from sim.link import GilbertElliott, Loss

    return {
        "loss 10%": lambda: Loss(0.1),
        "loss gemodel 3% 30%": lambda: GilbertElliott(0.03, 0.3),
        "loss gemodel 5% 20% 70% 1%": lambda: GilbertElliott(0.05, 0.2, good=0.01, bad=0.7),
    }


def measure(found: Report, sends: Schedule, count: int) -> None:
    """Rows and checks. sends: the datagrams of the link with a rate; count: of each of the others."""
    from sim.netem import NetemUnavailable
    from sim.truth import probe_netem

    losing = stages()
    steady = [(SPACING * number, 100) for number in range(count)]
    cases = [
        (f"rate {RATE // 1000}kbit delay {DELAY * 1000:g}ms limit 10000", sends),
        (f"delay {(JITTER_BASE + JITTER / 2) * 1000:g}ms {JITTER * 500:g}ms limit 10000", steady),
        *((f"{shaping} limit 10000", steady) for shaping in losing),
    ]
    try:
        bottleneck, jitter, *lossy = probe_netem(cases)
    except NetemUnavailable as error:
        found.notes.append(f"Not shown: netem; {error}.")
        return
    _delays(found, sends, bottleneck, steady, jitter)
    table = Table(("netem", "packets", "share lost", "mean run", "runs of one", "mean gap"))
    table.title = "losses: netem's, and between which figures the model's lie 99 times of 100"
    for (name, stage), probe in zip(losing.items(), lossy, strict=True):
        _losses(found, table, name, stage, probe)
    found.tables.append(table)


def _delays(found: Report, sends: Schedule, bottleneck: Probe, steady: Schedule, jitter: Probe) -> None:
    from sim.evidence import SHARES, quantiles
    from sim.link import IP_UDP, LinkSpec
    from sim.model import LinkModel
    from sim.truth import ETHERNET, probe_virtual

    table = Table(("netem", *(f"{share:.0%} ms" for share in SHARES), "throughput"), title="times under way")
    models = (
        ("rate 50kbit delay 50ms", sends, bottleneck, LinkSpec(RATE, DELAY, queue=10**9, overhead=IP_UDP + ETHERNET)),
        ("delay 100ms 20ms", steady, jitter, LinkModel(rate=1e9, delay=JITTER_BASE, jitter=JITTER, reorder=True)),
    )
    for name, schedule, real, model in models:
        told = probe_virtual(model, schedule, real.sent, "1")
        both = [quantiles(probe.late()) for probe in (real, told)]
        spans = [max(probe.arrived.values()) - min(probe.arrived.values()) for probe in (real, told)]
        rate = spans[1] / spans[0] - 1
        table.rows.append((name, *(1000 * time for time in both[0]), f"{rate:+.2%}"))
        table.rows.append(("the model", *(1000 * time for time in both[1]), ""))
        worst = max(abs(one / other - 1) for one, other in zip(*both, strict=True))
        whole = len(real.arrived) == len(told.arrived) == len(schedule)
        found.check(f"netem {name}: all arrive", str(len(real.arrived)), str(len(schedule)), whole)
        goal = f"within {THROUGHPUT:.0%}"
        found.check(f"netem {name}: throughput", f"{rate:+.2%}", goal, abs(rate) <= THROUGHPUT)
        goal = f"within {QUANTILES:.0%}"
        found.check(f"netem {name}: quantiles of the delay", f"{worst:.2%} off at most", goal, worst <= QUANTILES)
    found.tables.append(table)


def _losses(found: Report, table: Table, name: str, stage: Callable[[], Stage], probe: Probe) -> None:
    from sim.evidence import FIGURES, LEVEL, Losses, intervals

    count = len(probe.sent)
    real = astuple(Losses.of([number not in probe.arrived for number in range(count)]))
    bounds = intervals(stage, count)
    within = [low <= figure <= high for figure, (low, high) in zip(real, bounds, strict=True)]
    cells = [Interval(figure, *bound) for figure, bound in zip(real, bounds, strict=True)]
    table.rows.append((name, count, *cells))
    outside = [figure for figure, good in zip(FIGURES, within, strict=True) if not good]
    figure = f"{len(within) - len(outside)} of {len(within)} inside"
    found.check(f"netem {name}: losses", figure, f"inside the {LEVEL:.0%} interval", not outside)
