"""What a receiver asks of its sender, as bytes and back: control packets of kinds 8 and 9. WIRE.md is normative.

    Request   how far to send groups, which items first, what is held already; repeated until it is heard
    Heard     the sender has taken these requests in
    End       the sender has no more of what is wanted

`parse` is total and canonical like `wire.parse`, on which it builds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from transport.fields import CLASSES, MAX_VARINT, NUMBERS, Reader, put_varint

NOTHING: Final = -1
"""Level of a group of which nothing more is wanted; else the last class wanted, 0 .. 3."""
MAX_ENTRIES: Final = 64
MAX_RUNS: Final = 64
"""Entries in a request; runs in one entry."""
MAX_TEXT: Final = 180
REQUEST: Final = 0x08
HEARD: Final = 0x09
END: Final = 0x0A

_LEVEL, _FIRST, _HELD, _PARTIAL, _TOPIC = 0x00, 0x10, 0x20, 0x30, 0x40
_OF_GROUP = 0x08

Run = tuple[int, range]
"""(class, indices in ascending order)."""


@dataclass(frozen=True, slots=True)
class Level:
    """How far to send: classes up to `upto` (NOTHING: stop) of `group`, or of all groups not named (None)."""

    group: int | None
    upto: int


@dataclass(frozen=True, slots=True)
class First:
    """Items of a group that should go before the rest, with what they need."""

    group: int
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Whole items that the receiver has."""

    group: int
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Partial:
    """An item whose first `size` bytes the receiver has."""

    group: int
    cls: int
    index: int
    size: int


@dataclass(frozen=True, slots=True)
class Topic:
    """What the receiver came for, in the application's own words: up to MAX_TEXT bytes of UTF-8."""

    text: str


Entry = Level | First | Held | Partial | Topic


@dataclass(frozen=True, slots=True)
class Request:
    """Entries of a receiver. `number` (mod 2^16) rises by one a request; the same one may come many times."""

    number: int
    entries: tuple[Entry, ...]

    def encode(self) -> bytes:
        """The packet's bytes. Raises ValueError for fields that the wire cannot carry."""
        if not 1 <= len(self.entries) <= MAX_ENTRIES:
            raise ValueError(f"a request has 1 to {MAX_ENTRIES} entries")
        out = bytearray([REQUEST])
        out += (self.number % NUMBERS).to_bytes(2, "big")
        for entry in self.entries:
            _put_entry(out, entry)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class Heard:
    """Numbers (mod 2^16) of requests that were taken in, 1 to MAX_ENTRIES of them."""

    numbers: tuple[int, ...]

    def encode(self) -> bytes:
        if not 1 <= len(self.numbers) <= MAX_ENTRIES:
            raise ValueError(f"1 to {MAX_ENTRIES} requests are heard at a time")
        return bytes([HEARD]) + b"".join((number % NUMBERS).to_bytes(2, "big") for number in self.numbers)


@dataclass(frozen=True, slots=True)
class End:
    """All that was wanted has been delivered and no more will be submitted. `why`: if that is nothing, a reason."""

    why: str = ""

    def encode(self) -> bytes:
        return bytes([END]) + _text(self.why)


def runs_of(items: Iterable[tuple[int, int]]) -> list[Run]:
    """Items (class, index) as few arithmetic runs, classes and indices ascending, repeats left out."""
    by_class: dict[int, list[int]] = {}
    for cls, index in sorted(set(items)):
        by_class.setdefault(cls, []).append(index)
    return [(cls, run) for cls, indices in by_class.items() for run in _arithmetic(indices)]


def _arithmetic(indices: Sequence[int]) -> list[range]:
    runs: list[range] = []
    at = 0
    while at < len(indices):
        stop = at + 1
        stride = indices[stop] - indices[at] if stop < len(indices) else 1
        while stop < len(indices) and indices[stop] - indices[stop - 1] == stride:
            stop += 1
        if stop - at == 2:  # two that happen to be there are no run: the second may begin a better one
            stop, stride = at + 1, 1
        runs.append(range(indices[at], indices[stop - 1] + 1, stride))
        at = stop
    return runs


def _text(text: str) -> bytes:
    data = text.encode()
    if len(data) > MAX_TEXT:
        raise ValueError(f"a text has {MAX_TEXT} B at most")
    return data


def _put_entry(out: bytearray, entry: Entry) -> None:
    match entry:
        case Level(group, upto):
            if not NOTHING <= upto < CLASSES:
                raise ValueError(f"no level {upto}")
            out.append(_LEVEL | (0 if group is None else _OF_GROUP) | upto + 1)
            out += b"" if group is None else group.to_bytes(4, "big")
        case First(group, runs) | Held(group, runs):
            if not 1 <= len(runs) <= MAX_RUNS:
                raise ValueError(f"an entry has 1 to {MAX_RUNS} runs")
            out.append(_FIRST if isinstance(entry, First) else _HELD)
            out += group.to_bytes(4, "big")
            put_varint(out, len(runs) - 1)
            for cls, run in runs:
                _put_run(out, cls, run)
        case Partial(group, cls, index, size):
            if not 0 <= cls < CLASSES or size < 1:
                raise ValueError("a partial item has a class of 0-3 and at least a byte")
            out.append(_PARTIAL | cls)
            out += group.to_bytes(4, "big")
            put_varint(out, index)
            put_varint(out, size)
        case Topic(text):
            data = _text(text)
            out += bytes([_TOPIC, len(data)]) + data


def _put_run(out: bytearray, cls: int, run: range) -> None:
    if not 0 <= cls < CLASSES or len(run) < 1 or run.step < 1 or run[-1] > MAX_VARINT:
        raise ValueError("a run has a class of 0-3 and ascending indices below 2^22")
    one = len(run) == 1
    out.append(cls << 1 | (not one))
    put_varint(out, run.start)
    if not one:
        put_varint(out, run.step - 1)
        put_varint(out, len(run) - 2)


def parse(reader: Reader) -> Request | Heard | End:
    """The request or answer whose kind byte is next. Raises WireError, nothing else."""
    kind = reader.uint(1)
    if kind == HEARD:
        return _parse_heard(reader)
    if kind == END:
        return End(_parse_text(reader, reader.left))
    if kind != REQUEST:
        raise reader.fail(f"control packet of unknown kind {kind}")
    number = reader.uint(2)
    entries: list[Entry] = []
    while not entries or reader.left:
        if len(entries) == MAX_ENTRIES:
            raise reader.fail(f"more than {MAX_ENTRIES} entries")
        entries.append(_parse_entry(reader))
    return Request(number, tuple(entries))


def _parse_heard(reader: Reader) -> Heard:
    numbers: list[int] = []
    while not numbers or reader.left:
        if len(numbers) == MAX_ENTRIES:
            raise reader.fail(f"more than {MAX_ENTRIES} numbers")
        numbers.append(reader.uint(2))
    return Heard(tuple(numbers))


def _parse_entry(reader: Reader) -> Entry:
    tag = reader.uint(1)
    kind, low = tag & 0xF0, tag & 0x0F
    if kind == _LEVEL and low & 0x07 <= CLASSES:
        return Level(reader.uint(4) if low & _OF_GROUP else None, (low & 0x07) - 1)
    if kind in (_FIRST, _HELD) and low == 0:
        group = reader.uint(4)
        count = reader.varint() + 1
        if count > MAX_RUNS:
            raise reader.fail(f"more than {MAX_RUNS} runs")
        runs = tuple(_parse_run(reader) for _ in range(count))
        return First(group, runs) if kind == _FIRST else Held(group, runs)
    if kind == _PARTIAL and low < CLASSES:
        group, index, size = reader.uint(4), reader.varint(), reader.varint()
        if size == 0:
            raise reader.fail("a partial item of no bytes")
        return Partial(group, low, index, size)
    if kind == _TOPIC and low == 0:
        return Topic(_parse_text(reader, reader.uint(1)))
    raise reader.fail(f"an entry of unknown kind {tag}")


def _parse_text(reader: Reader, size: int) -> str:
    if size > MAX_TEXT:
        raise reader.fail(f"a text of {size} bytes")
    try:
        return reader.take(size).decode()
    except UnicodeDecodeError:
        raise reader.fail("a text that is no UTF-8") from None


def _parse_run(reader: Reader) -> Run:
    flags = reader.uint(1)
    if flags >= 2 * CLASSES:
        raise reader.fail("reserved bits")
    start = reader.varint()
    if not flags & 1:
        return flags >> 1, range(start, start + 1)
    step = reader.varint() + 1
    last = start + step * (reader.varint() + 1)
    if last > MAX_VARINT:
        raise reader.fail("a run beyond the largest index")
    return flags >> 1, range(start, last + 1, step)
