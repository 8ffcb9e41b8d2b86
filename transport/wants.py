"""What a receiver wants: `Asking` is its own end, which repeats each request until it is heard; `Wants` is what its
sender makes of the requests.

A level says up to which class a group, or every group not named, is to be sent; it may be raised ("more"), lowered or
set to nothing ("stop") at any time, and the newest counts. What the receiver holds from before is told once and counts
as delivered. All of it is bounded: a request beyond a limit is neither taken in nor answered.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from transport.control import MAX_ENTRIES, MAX_RUNS, Entry, First, Heard, Held, Level, Partial, Request, Topic
from transport.fields import CLASSES, NUMBERS
from transport.ranges import Ranges

MAX_GROUPS = 4096
MAX_HELD = 1 << 15
"""Groups, and runs and partial items held from before, that a sender keeps note of."""
REPEAT_AFTER, REPEAT_AT_MOST = 1.0, 16.0
"""Seconds until a request goes again: the first time, and in the end (each time twice as long)."""
_NEWEST = 1024
"""Requests back from the newest that can still be told apart."""


@dataclass
class _Asked:
    request: Request
    due: float = -math.inf
    wait: float = REPEAT_AFTER


class Asking:
    """Requests on their way to the sender. `packet_size`: largest packet, bytes."""

    def __init__(self, packet_size: int) -> None:
        self._size = packet_size
        self._open: dict[int, _Asked] = {}
        self._count = 0

    def ask(self, entries: Iterable[Entry]) -> None:
        """Queue entries, in as few packets as they fit in."""
        packed: list[Entry] = []
        for entry in self._split(entries):
            if packed and (len(packed) == MAX_ENTRIES or len(Request(0, (*packed, entry)).encode()) > self._size):
                self._queue(packed)
                packed = []
            packed.append(entry)
        if packed:
            self._queue(packed)

    def handle_heard(self, heard: Heard) -> None:
        for number in heard.numbers:
            self._open.pop(number, None)

    def next_timer(self) -> float | None:
        return min((asked.due for asked in self._open.values()), default=None)

    def poll_transmit(self, now: float) -> bytes | None:
        """A request that is due at `now`."""
        for asked in self._open.values():
            if asked.due <= now:
                asked.due = now + asked.wait
                asked.wait = min(2 * asked.wait, REPEAT_AT_MOST)
                return asked.request.encode()
        return None

    def _queue(self, entries: Sequence[Entry]) -> None:
        number = self._count % NUMBERS
        self._open[number] = _Asked(Request(number, tuple(entries)))
        self._count += 1

    def _split(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Entries that fit in a packet each; a run takes up to 10 B, what stands around it up to 12."""
        most = max(1, min(MAX_RUNS, (self._size - 12) // 10))
        for entry in entries:
            if isinstance(entry, First | Held):
                for at in range(0, len(entry.runs), most):
                    yield type(entry)(entry.group, entry.runs[at : at + most])
            else:
                yield entry


@dataclass
class _Group:
    level: int | None = None
    level_from: int = -1
    held: list[Held] = field(default_factory=list)
    partial: dict[tuple[int, int], int] = field(default_factory=dict)


class Wants:
    """A sender's note of what its receiver asked for."""

    def __init__(self) -> None:
        self._groups: dict[int, _Group] = {}
        self._level, self._level_from = CLASSES - 1, -1
        self._held = 0
        self._seen = Ranges()
        self._unanswered: deque[int] = deque()

    @property
    def begun(self) -> bool:
        """Whether the receiver has said how far it wants all groups, and nothing that it said before is missing."""
        return self._level_from >= 0 and self._seen.covers(0, self._level_from + 1)

    def handle_request(self, request: Request) -> tuple[Entry, ...]:
        """The entries that are new; none for a repeated request. One beyond a limit is not heard."""
        newest = self._seen.last()[1] - 1 if len(self._seen) else -1
        number = newest + (request.number - newest + NUMBERS // 2) % NUMBERS - NUMBERS // 2
        if number < 0 or number < newest - _NEWEST or self._beyond_limits(request):
            return ()
        if len(self._unanswered) < MAX_ENTRIES and request.number not in self._unanswered:
            self._unanswered.append(request.number)
        if number in self._seen:
            return ()
        self._seen.add(number, number + 1)
        for entry in request.entries:
            self._take(entry, number)
        return request.entries

    def poll_heard(self) -> bytes | None:
        """The answer to requests that came, if any is due."""
        if not self._unanswered:
            return None
        numbers = tuple(self._unanswered)
        self._unanswered.clear()
        return Heard(numbers).encode()

    @property
    def to_answer(self) -> bool:
        return bool(self._unanswered)

    def wanted(self, group: int, cls: int) -> bool:
        known = self._groups.get(group)
        level = self._level if known is None or known.level is None else known.level
        return cls <= level

    def held(self, group: int, cls: int, index: int) -> int | None:
        """Bytes from the start of an item that the receiver has from before; None if it has all of it."""
        known = self._groups.get(group)
        if known is None:
            return 0
        if any(cls == c and index in run for entry in known.held for c, run in entry.runs):
            return None
        return known.partial.get((cls, index), 0)

    def _beyond_limits(self, request: Request) -> bool:
        groups = {e.group for e in request.entries if not isinstance(e, Topic) and e.group is not None}
        held = sum(len(e.runs) if isinstance(e, Held) else isinstance(e, Partial) for e in request.entries)
        return len(self._groups.keys() | groups) > MAX_GROUPS or self._held + held > MAX_HELD

    def _take(self, entry: Entry, number: int) -> None:
        if isinstance(entry, Level) and entry.group is None:
            if number > self._level_from:
                self._level, self._level_from = entry.upto, number
            return
        if isinstance(entry, Topic) or entry.group is None:
            return
        group = self._groups.setdefault(entry.group, _Group())
        match entry:
            case Level(_, upto) if number > group.level_from:
                group.level, group.level_from = upto, number
            case Held(_, runs):
                group.held.append(entry)
                self._held += len(runs)
            case Partial(_, cls, index, size):
                self._held += (cls, index) not in group.partial
                group.partial[cls, index] = max(size, group.partial.get((cls, index), 0))
