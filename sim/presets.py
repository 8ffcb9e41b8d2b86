"""Links as tables of TOML: the presets in `sim/links/`, and those that scenarios write.

    sim/links/gprs.toml ─► Preset ─┬─► link, back_link: LinkModel     for a transfer in virtual time
    [link] of a scenario ─►        └─► config(): SenderConfig         for a sender that knows the link

Both ways are the same but for what a table `back` says of the way back. docs/simulator.md says what each key means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from sim.airtime import Lora
from sim.model import LinkModel
from sim.queues import DISCIPLINES, UNITS, QueueSpec
from sim.rates import Course, Fading, SteppedRate, Windows, WrongTrace
from sim.tables import Pairs, Table, WrongTable
from sim.traces import read as read_trace
from transport import Policy, SenderConfig, packet_size

SINGLE = (Policy(must_send=True), Policy(), Policy(), Policy())
"""Each class once, for links that deliver or say that they did not."""
RATES = ("rate", "lora", "fading", "steps", "trace")
"""Ways to say how fast a link is; exactly one of them."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A link by its figures, as docs/simulator.md lists them. Raises ValueError for impossible ones."""

    name: str
    about: str = ""
    source: str = ""
    rate: float | None = None
    lora: Lora | None = None
    fading: Fading | None = None
    course: Course | None = None
    packet: int | None = None
    overhead: int = 28
    gap: float = 0.0
    rtt: float = 0.0
    delay: float | None = None
    delays: Sequence[tuple[float, float]] | None = None
    jitter: float = 0.0
    reorder: bool = False
    loss: float = 0.0
    burst: float | None = None
    states: tuple[float, float, float, float] | None = None
    drops: Sequence[int] = ()
    duplicate: float = 0.0
    corrupt: float = 0.0
    outages: Sequence[tuple[float, float]] = ()
    windows: Windows | None = None
    queue: QueueSpec | None = None
    cross: int = 0
    duty: float = 1.0
    feedback: bool = True
    copies: bool = True
    billed: int | None = None
    approximate: tuple[str, ...] = ()
    back: Preset | None = None

    def __post_init__(self) -> None:
        if self.rate is None and self.lora is None:
            raise ValueError("a link has a rate or LoRa's settings")
        if self.lora is not None and self.rate is not None:
            raise ValueError("LoRa's settings give the rate: leave one of the two out")
        if not 0 <= self.loss < 1 or (self.billed is not None and self.billed < 1):
            raise ValueError("the share lost is 0 or more and below 1, a unit that is billed at least 1 B")
        _ = self.link, self.config()

    @property
    def link(self) -> LinkModel:
        """The way there, for `sim.run.Transfer`."""
        rate = self.rate if self.rate is not None else 1.0  # LoRa's airtime does not look at it
        return LinkModel(
            rate=rate,
            delay=self.rtt / 2 if self.delay is None else self.delay,
            loss=self.loss,
            jitter=self.jitter,
            overhead=self.overhead,
            course=self.course,
            gap=self.gap,
            duty=self.duty,
            lora=self.lora,
            fading=self.fading,
            windows=self.windows,
            line=self.queue,
            delays=self.delays,
            reorder=self.reorder,
            burst=self.burst,
            states=self.states,
            drops=self.drops,
            outages=self.outages,
            corrupt=self.corrupt,
            duplicate=self.duplicate,
            cross=self.cross,
        )

    @property
    def back_link(self) -> LinkModel:
        """The way back; `drop` and `cross` are told of the way there alone."""
        return self.back.link if self.back is not None else replace(self.link, drops=(), cross=0)

    @property
    def packet_size(self) -> int:
        """Bytes of the largest datagram."""
        return self.packet if self.packet is not None else packet_size(self.rate or 0.0)

    @property
    def round_trip(self) -> float:
        """Propagation there and back, seconds."""
        return self.link.delay + self.back_link.delay

    def config(self) -> SenderConfig:
        """Settings of a sender that knows this link; of one that has to find the rate where that cannot be known."""
        known = not self.link.varies or not self.feedback
        return SenderConfig(
            packet_size=self.packet_size,
            overhead=self.overhead,
            rate=self.link.sustained(self.packet_size) if known else None,
            initial_rtt=max(self.round_trip, 0.05),
            feedback=self.feedback,
            policies=None if self.copies else SINGLE,
        )


@cache
def presets() -> dict[str, Preset]:
    """All presets by name, in the order of their names, numbers in them by value."""
    found = {}
    for file in files("sim").joinpath("links").iterdir():
        name = file.name.removesuffix(".toml")
        found[name] = read_link(Table.parse(file.read_text(encoding="utf-8"), file.name), name)
    return {name: found[name] for name in sorted(found, key=_natural)}


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (0, part) for part in _parts(name))


def _parts(name: str) -> list[str]:
    parts = [""]
    for letter in name:
        if letter.isdigit() != parts[-1].isdigit():
            parts.append("")
        parts[-1] += letter
    return parts


def parse(name: str, table: Mapping[str, Any]) -> Preset:
    """A preset of a table of TOML. Raises WrongTable, a ValueError, for a table that is none."""
    return read_link(Table(table, name), name)


def read_link(table: Table, name: str = "link", folder: Path | None = None, like: Preset | None = None) -> Preset:
    """A link of a table, its values in place of those of `like` or of the preset that it names.

    folder: what the path of a trace is relative to. Raises WrongTable.
    """
    base = table.text("preset", among=list(presets()) if table.has("preset") else ())
    like = presets()[base] if base is not None else like
    name = base or name
    changes = {**_rate(table, folder), **_shape(table), **_troubles(table), **_terms(table)}
    back = table.sub("back")
    table.done()
    changes = {key: value for key, value in changes.items() if value is not None}
    if any(key in changes for key in ("rate", "lora", "fading", "course")):
        changes = {"rate": None, "lora": None, "fading": None, "course": None, **changes}
    if "rtt" in changes:
        changes.setdefault("delay", None)
    known = {field.name: getattr(like, field.name) for field in fields(Preset)} if like is not None else {}
    try:
        preset = Preset(**{**known, "name": name, **changes})
        if back is not None:
            there = replace(preset, back=None, drops=(), cross=0)
            preset = replace(preset, back=read_link(back, f"{name}, back", folder, preset.back or there))
    except WrongTable:
        raise
    except ValueError as error:
        raise WrongTable(f"{table.name}: {f'{table.path}: ' if table.path else ''}{error}") from None
    return preset


def _rate(table: Table, folder: Path | None) -> dict[str, Any]:
    """How fast it is."""
    given = [key for key in RATES if table.has(key)]
    if len(given) > 1:
        table.fail(given[1], f"stands beside {given[0]}; a link has one of {', '.join(RATES)}")
    share = table.number("share", 1.0, above=0)
    rate = table.number("rate", above=0)
    course: Course | None = None
    lora, fading = table.sub("lora"), table.sub("fading")
    steps = table.pairs("steps", "seconds, bit/s")
    path = table.text("trace")
    if path is not None:
        trace = _read_trace(table, path, folder)
        course, rate = trace.course(share), trace.mean() * share
    if steps is not None:
        course = _made(table, "steps", SteppedRate, steps)
        rate = sum(seconds * each for seconds, each in steps) / sum(seconds for seconds, _ in steps)
    wanders = _from(fading, Fading, ("median", "sigma", "memory", "floor"))
    return {
        "rate": wanders.mean if wanders is not None else rate,
        "course": course,
        "fading": wanders,
        "lora": _from(lora, Lora, ("spreading", "bandwidth", "coding", "preamble")),
    }


def _read_trace(table: Table, path: str, folder: Path | None) -> Any:
    where = (folder or Path()) / path
    try:
        return read_trace(where)
    except WrongTrace as error:
        raise WrongTable(str(error)) from None
    except OSError as error:
        table.fail("trace", f"names {str(where)!r}, which cannot be read ({error.strerror}); check the name")


def _shape(table: Table) -> dict[str, Any]:
    """What every packet meets."""
    return {
        "packet": table.number("packet", low=40, high=65507, whole=True),
        "overhead": table.number("overhead", low=0, high=1000, whole=True),
        "gap": table.number("gap", low=0),
        "duty": table.number("duty", above=0, high=1),
        "rtt": table.number("rtt", low=0),
        "delay": table.number("delay", low=0),
        "delays": table.pairs("delays", "seconds, one-way delay"),
        "jitter": table.number("jitter", low=0),
        "reorder": table.flag("reorder"),
        "windows": _from(table.sub("windows"), Windows, ("open", "every", "first")),
        "queue": _queue(table.sub("queue")),
        "cross": table.number("cross", low=0, high=100, whole=True),
    }


def _queue(table: Table | None) -> QueueSpec | None:
    if table is None:
        return None
    values = {
        "limit": table.number("limit", low=0, whole=True),
        "unit": table.text("unit", among=UNITS),
        "discipline": table.text("discipline", among=list(DISCIPLINES)),
        "target": table.number("target", above=0),
        "interval": table.number("interval", above=0),
    }
    table.done()
    try:
        return QueueSpec(**{key: value for key, value in values.items() if value is not None})
    except ValueError as error:
        raise WrongTable(f"{table.name}: {table.path}: {error}") from None


def _troubles(table: Table) -> dict[str, Any]:
    """What only some packets meet."""
    drops = table.numbers("drop", whole=True)
    gilbert = table.sub("gilbert")
    states = None
    if gilbert is not None:
        chances = [gilbert.number(key, value, low=0, high=1) for key, value in _STATES]
        gilbert.done()
        states = tuple(chances)
    return {
        "loss": table.number("loss", low=0, below=1),
        "burst": table.number("burst", low=1),
        "states": states,
        "drops": tuple(int(number) for number in drops) if drops is not None else None,
        "duplicate": table.number("duplicate", low=0, high=1),
        "corrupt": table.number("corrupt", low=0, high=1),
        "outages": table.pairs("outages", "from, to in seconds"),
    }


_STATES = (("worsens", 0.0), ("recovers", 0.0), ("good", 0.0), ("bad", 1.0))


def _terms(table: Table) -> dict[str, Any]:
    """What a sender has to know of it, and a reader."""
    approximate = table.texts("approximate") if table.has("approximate") else None
    return {
        "about": table.text("about"),
        "source": table.text("source"),
        "feedback": table.flag("feedback"),
        "copies": table.flag("copies"),
        "billed": table.number("billed", low=1, whole=True),
        "approximate": approximate,
    }


def _from(table: Table | None, kind: type[Any], keys: Sequence[str]) -> Any:
    """An object of the numbers in a table; None without a table."""
    if table is None:
        return None
    values = {key: value for key in keys if (value := table.number(key)) is not None}
    table.done()
    try:
        return kind(**values)
    except TypeError:
        missing = [key for key in keys if key not in values]
        raise WrongTable(f"{table.name}: {table.path} needs {', '.join(missing)}") from None
    except ValueError as error:
        raise WrongTable(f"{table.name}: {table.path}: {error}") from None


def _made(table: Table, key: str, kind: type[Any], value: Pairs) -> Any:
    try:
        return kind(value)
    except ValueError as error:
        table.fail(key, f"cannot be: {error}")
