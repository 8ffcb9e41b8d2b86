"""What an outbox does with what waits in it: which picture next, what goes when it is full, how much a day may cost.

Sans-I/O: rows in, decisions out. `spool` keeps the rows and the files.

A stream has three levels: whole; without the residual; caption and thumbnail alone. When room is needed, the residual
of the oldest goes first, then that of the next; only when none is left are pictures thinned to caption and thumbnail,
from the oldest on. Those are never taken away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WHOLE, NO_RESIDUAL, FIRST = 0, 1, 2
"""Levels of thinning."""
DAY = 86_400
_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000_000, "gb": 1000_000_000}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stream that waits: its group, name, when it was put in (s), its level, and its bytes at each of the levels."""

    group: int
    name: str
    created: float
    level: int
    sizes: tuple[int, int, int]

    @property
    def size(self) -> int:
        return self.sizes[self.level]


def in_order(waiting: Iterable[Waiting], newest_first: bool) -> list[Waiting]:
    """The order of sending; of the same age, by group."""
    return sorted(waiting, key=lambda each: (each.created, each.group), reverse=newest_first)


def thin(waiting: Sequence[Waiting], limit: int) -> list[tuple[int, int]] | None:
    """(group, new level) of those that must shrink for all to take at most `limit` bytes; None if they cannot."""
    levels = {each.group: each.level for each in waiting}
    total = sum(each.size for each in waiting)
    for each, level in _steps(waiting):
        if total <= limit:
            break
        if each.sizes[level] < each.sizes[levels[each.group]]:
            total -= each.sizes[levels[each.group]] - each.sizes[level]
            levels[each.group] = level
    if total > limit:
        return None
    return [(each.group, levels[each.group]) for each in waiting if levels[each.group] != each.level]


def _steps(waiting: Sequence[Waiting]) -> Iterator[tuple[Waiting, int]]:
    oldest = in_order(waiting, newest_first=False)
    for level in (NO_RESIDUAL, FIRST):
        yield from ((each, level) for each in oldest)


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes that may be sent in a day (UTC). Raises ValueError for none."""

    bytes: int

    def __post_init__(self) -> None:
        if self.bytes < 1:
            raise ValueError("a budget is at least a byte a day")

    def left(self, used: int) -> int:
        """Bytes that may still be sent in a day in which `used` were."""
        return max(self.bytes - used, 0)


def day_of(now: float) -> int:
    """Days since 1970, UTC."""
    return int(now // DAY)


def next_day(now: float) -> float:
    """When a new day's budget begins (s)."""
    return float((day_of(now) + 1) * DAY)


def parse_budget(text: str) -> Budget:
    """`200kB/day`, `1.5MB`, `50000`: bytes a day. Raises ValueError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)(?:/day|/d)?", text.strip().lower())
    if not found or found.group(2) not in _UNITS:
        raise ValueError(f"{text!r} is no budget like 200kB/day")
    return Budget(round(float(found.group(1)) * _UNITS[found.group(2)]))
