"""Logs of sessions on disk: written a line an event, read back, summed up. `transport.log` says what the events are.

Sender, Receiver ─► LogFile ─► FILE ─► read ─► summarise ─► table
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from transport.log import LogEvent, Value, from_line, to_line

VERSION = 1


class LogFile:
    """A log that writes to a file, a line an event, from its first line on; give it to a session as its `log`.

    Lines are handed to the operating system at least every `every` seconds of the session's time. Raises OSError.
    """

    def __init__(self, path: str | Path, title: str = "", every: float = 1.0) -> None:
        self._file = open(path, "w", encoding="ascii")
        self._every = every
        self._flushed = 0.0
        self(0.0, "log", "opened", {"version": VERSION, "title": title})
        self._file.flush()

    def __call__(self, time: float, category: str, name: str, data: Mapping[str, Value]) -> None:
        self._file.write(to_line(time, category, name, data) + "\n")
        if time >= self._flushed + self._every:
            self._flushed = time
            self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> LogFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(path: str | Path) -> Iterator[LogEvent]:
    """The events of a log. A last line that was cut short is left out; ValueError for any other that is no event."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                return
            try:
                yield from_line(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None


@dataclass
class Traffic:
    """Packets one way: how many, their bytes, by kind, and bytes of pieces by class of protection."""

    packets: int = 0
    bytes: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    classes: Counter[int] = field(default_factory=Counter)


@dataclass
class Summary:
    """What happened in a session. Times in seconds of the session's clock, rates in bit/s."""

    first: float = 0.0
    last: float = 0.0
    sent: Traffic = field(default_factory=Traffic)
    received: Traffic = field(default_factory=Traffic)
    dropped: int = 0
    lost: int = 0
    delivered: int = 0
    given_up: int = 0
    complete: dict[tuple[int, int, int], float] = field(default_factory=dict)
    """(group, class, index) -> when the item had arrived, or was known to have."""
    groups: dict[int, float] = field(default_factory=dict)
    """group -> when its first base packet came."""
    rates: list[tuple[float, float]] = field(default_factory=list)
    """(time, rate) of the sender's estimate, as it changed."""
    round_trip: float | None = None

    @property
    def seconds(self) -> float:
        return self.last - self.first


def summarise(events: Iterable[LogEvent]) -> Summary:
    """Sum a log up. Events of kinds not known are passed over; so are fields that are not what they should be."""
    found, begun = Summary(), False
    for event in events:
        if event.category == "log":
            continue
        found.first, begun = (found.first, True) if begun else (event.time, True)
        found.last = max(found.last, event.time)
        _count(found, event)
    return found


def _count(found: Summary, event: LogEvent) -> None:
    data = event.data
    match event.category, event.name:
        case "transport", "packet_sent":
            _count_packet(found.sent, data)
        case "transport", "packet_received":
            _count_packet(found.received, data)
        case "transport", "packet_dropped":
            found.dropped += 1
        case "recovery", "packets_lost":
            found.lost += len(_list(data.get("numbers")))
        case "recovery", "metrics_updated":
            found.rates.append((event.time, _number(data.get("rate"))))
            found.round_trip = _number(data.get("srtt"))
        case "item", "group_started":
            found.groups.setdefault(int(_number(data.get("group"))), event.time)
        case "item", "delivered":
            found.delivered += 1
            found.complete.setdefault(_key(data), event.time)
        case "item", "received" if data.get("complete") is True:
            found.complete.setdefault(_key(data), event.time)
        case "item", "dropped":
            found.given_up += 1


def _count_packet(traffic: Traffic, data: Mapping[str, Value]) -> None:
    traffic.packets += 1
    traffic.bytes += int(_number(data.get("bytes")))
    traffic.kinds[str(data.get("kind"))] += 1
    for piece in _list(data.get("pieces")):
        values = _list(piece)
        if len(values) == 4:
            traffic.classes[int(_number(values[0]))] += int(_number(values[3]))


def table(found: Summary) -> str:
    """A summary for a person, line by line."""
    rows = [("time", f"{found.seconds:.1f} s from {found.first:.1f} s on")]
    for way, traffic in (("sent", found.sent), ("received", found.received)):
        if not traffic.packets:
            continue
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in traffic.kinds.most_common())
        rate = f", {traffic.bytes * 8 / found.seconds / 1000:.1f} kbit/s" if found.seconds else ""
        rows.append((way, f"{traffic.packets:,} packets ({kinds}), {traffic.bytes:,} B{rate}"))
        rows += [(f"  class {cls}", f"{size:,} B") for cls, size in sorted(traffic.classes.items())]
    if found.sent.packets and found.lost:
        rows.append(("lost", f"{found.lost:,} packets, {found.lost / found.sent.packets:.1%}"))
    if found.dropped:
        rows.append(("no packets", f"{found.dropped:,} datagrams dropped unread"))
    rows.append(("items", f"{len(found.complete):,} complete, {found.given_up:,} given up"))
    for group, time in found.groups.items():
        whole = sum(key[0] == group for key in found.complete)
        rows.append((f"  {group:08x}", f"begun at {time:.2f} s, {whole:,} items complete"))
    if found.rates:
        values = [rate for _, rate in found.rates]
        trip = f", round trip {found.round_trip:.3f} s" if found.round_trip is not None else ""
        rows.append(("estimate", f"{values[-1] / 1000:.1f} kbit/s, at most {max(values) / 1000:.1f}{trip}"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {text}" for name, text in rows)


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e15 else 0.0


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def _key(data: Mapping[str, Value]) -> tuple[int, int, int]:
    group, cls, index = (int(_number(data.get(name))) for name in ("group", "cls", "index"))
    return group, cls, index
