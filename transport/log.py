"""What a session did, as structured events in the manner of qlog: time, category, name, data.

    Sender, Receiver ─► Trace ─► a `Log`: any callable, for instance one that writes `to_line` to a file

A session calls its `Trace`, which costs next to nothing while there is no log. Packets are described by parsing their
bytes again, so a log tells what travelled and not what the session meant to send. No payload, preamble or secret is
ever part of an event: pieces are told by (class, index, offset, bytes) alone.

    transport  packet_sent, packet_received   kind, bytes; of a data packet: group, number, preamble (bytes), pieces;
                                              of an acknowledgement: largest, runs, delay (s), received (bytes)
               packet_dropped                 bytes, why: it was no packet
               packets_acked                  numbers, each once
    recovery   packets_lost                   numbers
               metrics_updated                rate (bit/s), queue_delay, srtt (s), loss (share); when one changed
               (packets of requests: kind request, heard or end; a topic by its length)
    request    level_wanted                   group (null: all), upto
               topic_wanted                   bytes
               ended                          the sender has no more of what is wanted
    item       group_started                  group
               received                       group, cls, index, bytes, complete
               delivered, dropped             group, cls, index

Packet numbers are counted on beyond the 16 bits that travel, so they name a packet for good.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final, Protocol

from transport import wire
from transport.control import End, Entry, First, Heard, Held, Level, Partial, Request, Topic
from transport.events import (
    Ended,
    Event,
    GroupStarted,
    ItemDelivered,
    ItemDropped,
    ItemReceived,
    LevelWanted,
    TopicWanted,
)

Value = bool | int | float | str | None | list["Value"] | dict[str, "Value"]
Log = Callable[[float, str, str, Mapping[str, Value]], None]
"""(time in seconds, category, name, data)"""

MOST_SECONDS: Final = 1e12
MOST_PIECES: Final = 64
"""Pieces and runs of one packet that an event lists."""


class Numbered(Protocol):
    @property
    def number(self) -> int: ...


class Metrics(Protocol):
    """What is logged of an estimate."""

    rate: float
    queue_delay: float
    srtt: float
    loss: float


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line of a log."""

    time: float
    category: str
    name: str
    data: Mapping[str, Value]


def to_line(time: float, category: str, name: str, data: Mapping[str, Value]) -> str:
    """An event as one line of JSON, without its end of line; times to the microsecond."""
    fields = {"time": round(time, 6), "category": category, "name": name, "data": data}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=True)


def from_line(line: str) -> LogEvent:
    """The event of a line. Raises ValueError for one that is none."""
    try:
        found = json.loads(line)
        time, category, name, data = (found[field.name] for field in fields(LogEvent))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("not a line of a log") from None
    numeric = isinstance(time, int | float) and not isinstance(time, bool) and abs(time) < MOST_SECONDS
    if not (numeric and isinstance(category, str) and isinstance(name, str) and isinstance(data, dict)):
        raise ValueError("not a line of a log")
    return LogEvent(float(time), category, name, data)


def labelled(log: Log, **label: Value) -> Log:
    """The same log with fields added to each event: which peer, which session. They stand before the event's own."""

    def with_label(time: float, category: str, name: str, data: Mapping[str, Value]) -> None:
        log(time, category, name, {**label, **data})

    return with_label


class Trace:
    """What a session calls at its edges; without a log it does nothing. `now` is the last time that a call named."""

    def __init__(self, log: Log | None = None) -> None:
        self.now = 0.0
        self._log = log
        self._newest = {"packet_sent": -1, "packet_received": -1}
        self._metrics: dict[str, Value] = {}

    def note(self, category: str, name: str, **data: Value) -> None:
        """Any event at the time of the last call."""
        if self._log is not None:
            self._log(self.now, category, name, data)

    def sent(self, data: bytes | None, now: float) -> bytes | None:
        """Note what is about to leave, if anything is, and pass it on."""
        self.now = now
        if self._log is not None and data is not None:
            self._packet("packet_sent", data)
        return data

    def received(self, data: bytes, now: float) -> None:
        self.now = now
        if self._log is not None:
            self._packet("packet_received", data)

    def acked(self, packets: Iterable[Numbered], metrics: Metrics) -> None:
        """Packets were acknowledged, and what is now thought of the link."""
        if self._log is None:
            return
        if numbers := _numbers(packets):
            self.note("transport", "packets_acked", numbers=numbers)
        values: dict[str, Value] = {
            "rate": round(metrics.rate),
            "queue_delay": round(metrics.queue_delay, 3),
            "srtt": round(metrics.srtt, 4),
            "loss": round(metrics.loss, 4),
        }
        if values != self._metrics:
            self._metrics = values
            self.note("recovery", "metrics_updated", **values)

    def lost(self, packets: Iterable[Numbered]) -> None:
        if self._log is not None and (numbers := _numbers(packets)):
            self.note("recovery", "packets_lost", numbers=numbers)

    def told(self, event: Event | None) -> Event | None:
        """Note what the application is being given, if anything, and pass it on."""
        if self._log is not None and event is not None:
            self._item(event)
        return event

    def _packet(self, name: str, data: bytes) -> None:
        try:
            packet = wire.parse(data)
        except wire.WireError as error:
            self.note("transport", "packet_dropped", bytes=len(data), why=str(error))
            return
        described = _describe(packet)
        if isinstance(packet, wire.Data) and packet.number is not None:
            described["number"] = self._unwrapped(name, packet.number)
        self.note("transport", name, bytes=len(data), **described)

    def _unwrapped(self, name: str, low: int) -> int:
        """The whole number of a packet, of which the low 16 bits travel: the one nearest to the largest so far."""
        largest = self._newest[name]
        number = low if largest < 0 else largest + (low - largest + wire.MAX_SPAN) % wire.NUMBERS - wire.MAX_SPAN
        self._newest[name] = max(largest, number)
        return number

    def _item(self, event: Event) -> None:
        match event:
            case GroupStarted(group):
                self.note("item", "group_started", group=group)
            case ItemReceived((group, cls, index), payload, complete):
                size = len(payload)
                self.note("item", "received", group=group, cls=cls, index=index, bytes=size, complete=complete)
            case ItemDelivered((group, cls, index)):
                self.note("item", "delivered", group=group, cls=cls, index=index)
            case ItemDropped((group, cls, index)):
                self.note("item", "dropped", group=group, cls=cls, index=index)
            case LevelWanted(group_or_all, upto):
                self.note("request", "level_wanted", group=group_or_all, upto=upto)
            case TopicWanted(text):
                self.note("request", "topic_wanted", bytes=len(text.encode()))
            case Ended():
                self.note("request", "ended")


def _numbers(packets: Iterable[Numbered]) -> list[Value]:
    return [packet.number for packet in packets]


def _describe(packet: object) -> dict[str, Value]:
    """A packet's fields without any of its content."""
    match packet:
        case wire.Data(group, segments, number, preamble):
            pieces: list[Value] = [[s.cls, s.index, s.offset, len(s.payload)] for s in segments[:MOST_PIECES]]
            return {"kind": "data", "group": group, "number": number, "preamble": len(preamble), "pieces": pieces}
        case wire.Ack(largest, ranges, delay, received):
            runs: list[Value] = [[near, far] for near, far in ranges[:MOST_PIECES]]
            return {"kind": "ack", "largest": largest, "runs": runs, "delay": delay, "received": received}
        case Request(number, entries):
            return {"kind": "request", "number": number, "entries": [_entry(entry) for entry in entries]}
        case Heard(numbers):
            return {"kind": "heard", "numbers": list(numbers)}
        case End():
            return {"kind": "end"}
    return {"kind": type(packet).__name__.lower()}


def _entry(entry: Entry) -> list[Value]:
    """A request's entry; of a topic only how long it is, for it is the application's business."""
    match entry:
        case Level(group, upto):
            return ["level", group, upto]
        case First(group, runs):
            return ["first", group, len(runs)]
        case Held(group, runs):
            return ["held", group, len(runs)]
        case Partial(group, cls, index, size):
            return ["partial", group, cls, index, size]
        case Topic(text):
            return ["topic", len(text.encode())]
