"""Recorded links: reading and writing traces of two kinds, making one of a link's log, drawing one.

    mahimahi   a line = a whole number of ms at which 1,500 bytes may pass; the last line ends the recording
    rows       a line = "seconds Mbit/s": the rate from that time until the next line's

Which kind a file is shows in its first line. What is wrong with a file is told with its name and line.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sim.packet import LinkEvent
from sim.rates import TRACE_BITS, Course, SteppedRate, TraceRate, WrongTrace

KINDS = ("mahimahi", "rows")


@dataclass(frozen=True)
class Trace:
    """A recording. `kind` of KINDS; `rows`: (ms,) or (seconds, Mbit/s) a line, as in the file."""

    kind: str
    rows: Sequence[tuple[float, ...]]

    @property
    def seconds(self) -> float:
        """How long it is; the rate of the last of the rows is taken to last as long as that before it."""
        if self.kind == "mahimahi":
            return self.rows[-1][0] / 1000
        return sum(seconds for seconds, _ in self._steps())

    def course(self, share: float = 1.0) -> Course:
        """The rate in the course of time, `share` of it, over and over."""
        if self.kind == "mahimahi":
            return TraceRate([int(row[0]) for row in self.rows], share)
        return SteppedRate([(seconds, rate * share) for seconds, rate in self._steps()])

    def mean(self) -> float:
        """bit/s over the whole recording."""
        return self.course().bits(0.0, self.seconds) / self.seconds

    def rates(self, every: float = 1.0) -> list[float]:
        """bit/s of each `every` seconds from the start."""
        course, count = self.course(), max(int(self.seconds / every), 1)
        return [course.bits(n * every, (n + 1) * every) / every for n in range(count)]

    def _steps(self) -> list[tuple[float, float]]:
        """(seconds, bit/s); a recording that starts late starts at its first row."""
        times = [row[0] for row in self.rows]
        lengths = [after - before for before, after in pairwise(times)]
        lengths.append(lengths[-1] if lengths else 1.0)
        return [(length, row[1] * 1e6) for length, row in zip(lengths, self.rows, strict=True)]

    def text(self) -> str:
        """The content of a file of its kind."""
        return "".join(" ".join(f"{cell:.10g}" for cell in row) + "\n" for row in self.rows)


def read(path: str | Path) -> Trace:
    """The trace in a file. Raises OSError, and WrongTrace (a ValueError) that names the file and the line."""
    return parse(Path(path).read_text(encoding="utf-8", errors="replace"), str(path))


def parse(text: str, name: str = "trace") -> Trace:
    """The trace in a text; `name`: what errors call it."""
    rows: list[tuple[float, ...]] = []
    kind = ""
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split()
        if not cells or line.lstrip().startswith("#"):
            continue
        where = f"{name}: line {number}"
        kind = kind or (KINDS[0] if len(cells) == 1 else KINDS[1])
        row = _numbers(cells, kind, where, line)
        _check(row, rows[-1] if rows else None, kind, where)
        rows.append(row)
    if not rows:
        raise WrongTrace(f"{name}: no line of a trace in it; a line is ms, or seconds and Mbit/s")
    if kind == "mahimahi" and rows[-1][0] == 0:
        raise WrongTrace(f"{name}: line {len(rows)}: a recording is longer than 0 ms; add a line")
    if kind == "rows" and not any(row[1] for row in rows):
        raise WrongTrace(f"{name}: lets nothing pass; a rate must be above 0 somewhere")
    return Trace(kind, rows)


def _numbers(cells: Sequence[str], kind: str, where: str, line: str) -> tuple[float, ...]:
    wanted = 1 if kind == "mahimahi" else 2
    says = "a whole number of ms" if wanted == 1 else "seconds and Mbit/s"
    try:
        row = tuple(float(int(cell)) if wanted == 1 else float(cell) for cell in cells)
    except ValueError:
        row = ()
    if len(row) != wanted or not all(map(math.isfinite, row)):
        raise WrongTrace(f"{where}: {line.strip()[:40]!r} is not {says}; correct or remove the line")
    return row


def _check(row: tuple[float, ...], before: tuple[float, ...] | None, kind: str, where: str) -> None:
    if min(row) < 0:
        raise WrongTrace(f"{where}: {min(row):g} is below 0; times and rates are not negative")
    if before is not None and (row[0] < before[0] or (kind == "rows" and row[0] == before[0])):
        raise WrongTrace(f"{where}: {row[0]:g} comes after {before[0]:g}; sort the lines by time")


def to_rows(trace: Trace, every: float = 1.0) -> Trace:
    """The same as rows: the mean rate of each `every` seconds."""
    if trace.kind == "rows":
        return trace
    return Trace("rows", [(n * every, rate / 1e6) for n, rate in enumerate(trace.rates(every))])


def to_mahimahi(trace: Trace) -> Trace:
    """The same as moments at which 1,500 bytes may pass, to the millisecond. WrongTrace if not one passes."""
    if trace.kind == "mahimahi":
        return trace
    course, whole = trace.course(), trace.seconds
    count = int(course.bits(0.0, whole) / TRACE_BITS + 1e-6)
    if not count:
        raise WrongTrace("so little passes that no line of a mahimahi trace stands for it; keep the rows")
    ends = (min(course.finish(0.0, (n + 1) * TRACE_BITS), whole) for n in range(count))
    return Trace("mahimahi", [(float(math.ceil(end * 1000 - 1e-6)),) for end in ends])


def of_log(events: Iterable[LinkEvent], every: float = 1.0) -> Trace:
    """What arrived over a link, as rows: goodput of the wire each `every` seconds. WrongTrace if nothing did."""
    sums: dict[int, int] = {}
    for event in events:
        if event.what == "arrived":
            place = int(event.time / every)
            sums[place] = sums.get(place, 0) + event.size
    if not sums:
        raise WrongTrace("nothing arrived in this log; a trace cannot be made of it")
    return Trace("rows", [(n * every, sums.get(n, 0) * 8 / every / 1e6) for n in range(max(sums) + 1)])


def draw(trace: Trace, target: Path, title: str, every: float = 1.0) -> None:
    """A picture (PNG, SVG, PDF by its name) of the rate in time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rates = [rate / 1000 for rate in trace.rates(every)]
    figure, axes = pyplot.subplots(figsize=(9, 3.2), layout="constrained")
    axes.stairs(rates, [n * every for n in range(len(rates) + 1)], fill=True, alpha=0.6)
    axes.axhline(trace.mean() / 1000, color="black", linewidth=0.8, linestyle="--")
    axes.set(
        xlabel="seconds", ylabel="kbit/s", title=f"{title}: mean {trace.mean() / 1000:,.0f} kbit/s", ylim=(0, None)
    )
    axes.grid(alpha=0.3)
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
