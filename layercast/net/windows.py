"""When a link is there: passes, daily windows, a duty cycle. Sans-I/O: times are seconds since 1970 (UTC).

A window is written as one of

    2026-11-24T20:00:00Z/2026-11-24T20:09:00Z     a pass, once; a time without a zone is UTC
    06:00-06:20                                   every day, UTC; 22:00-02:00 goes on past midnight
    mon,fri 06:00-06:20                           on some days: those on which it begins

or in a TOML file, which lists passes and daily windows:

    [[window]]
    start = 2026-11-24T20:00:00Z
    end = 2026-11-24T20:09:00Z

    [[window]]
    daily = "06:00-06:20"
    days = ["mon", "fri"]
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from transport.limits import Bucket

DAY = 86_400
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAILY = re.compile(r"(?:([a-z,]+)\s+)?(\d\d):(\d\d)-(\d\d):(\d\d)")
_FIRST_WEEKDAY = 3  # 1 January 1970 was a Thursday


@dataclass(frozen=True, slots=True)
class Pass:
    """From `start` to `end`, once."""

    start: float
    end: float

    def around(self, now: float) -> Iterator[tuple[float, float]]:
        yield self.start, self.end


@dataclass(frozen=True, slots=True)
class Daily:
    """`length` seconds from `start` seconds after midnight on, on these days of the week (0 is Monday)."""

    start: float
    length: float
    days: frozenset[int] = frozenset(range(7))

    def around(self, now: float) -> Iterator[tuple[float, float]]:
        """Those that can matter at `now`: of yesterday, and of the days to come until a week is full."""
        today = math.floor(now / DAY)
        for day in range(today - 1, today + 9):
            if (day + _FIRST_WEEKDAY) % 7 in self.days:
                begin = day * DAY + self.start
                yield begin, begin + self.length


class Windows:
    """When it is allowed to send; always, if there are no windows."""

    def __init__(self, windows: Iterable[Pass | Daily] = ()) -> None:
        self._windows = tuple(windows)

    def is_open(self, now: float) -> bool:
        return not self._windows or any(start <= now < end for start, end in self._around(now))

    def opens(self, now: float) -> float | None:
        """From when on it is open: `now` if it is, None if it never will be."""
        if self.is_open(now):
            return now
        return min((start for start, _ in self._around(now) if start > now), default=None)

    def closes(self, now: float) -> float | None:
        """Until when it is open from `now` on without a break: None for ever, `now` if it is closed."""
        if not self._windows:
            return None
        at = now
        for _ in range(1000):  # windows that follow each other for ever: what is told is far enough away
            ends = [end for start, end in self._around(at) if start <= at < end]
            if not ends:
                break
            at = max(ends)
        return at

    def _around(self, now: float) -> Iterator[tuple[float, float]]:
        for window in self._windows:
            yield from window.around(now)


def parse_window(text: str) -> Pass | Daily:
    """A window as it is written. Raises ValueError for anything else."""
    start, slash, end = text.partition("/")
    if slash:
        return _pass(_moment(start), _moment(end))
    found = _DAILY.fullmatch(text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is no window: START/END or [DAYS ]HH:MM-HH:MM")
    days, *clock = found.groups()
    return _daily(tuple(map(int, clock)), days.split(",") if days else DAYS)


def parse_windows(text: str) -> list[Pass | Daily]:
    """The windows of a TOML file's text. Raises ValueError."""
    table = tomllib.loads(text)  # its error is a ValueError
    rows = table.get("window")
    if set(table) - {"window"} or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("a file of windows is a list of [[window]]")
    return [_of_table(row) for row in rows]


def _of_table(row: dict[str, Any]) -> Pass | Daily:
    if set(row) == {"start", "end"}:
        return _pass(*(_stamp(row[name]) for name in ("start", "end")))
    if set(row) in ({"daily"}, {"daily", "days"}) and isinstance(row["daily"], str):
        found = parse_window(row["daily"])
        if isinstance(found, Daily):
            days = row.get("days", DAYS)
            if isinstance(days, list | tuple) and all(isinstance(day, str) for day in days):
                return Daily(found.start, found.length, _days(days) if "days" in row else found.days)
    raise ValueError(f"a window has start and end, or daily and perhaps days: {row}")


def _pass(start: float, end: float) -> Pass:
    if not start < end:
        raise ValueError("a window ends after it has started")
    return Pass(start, end)


def _daily(clock: tuple[int, ...], days: Iterable[str]) -> Daily:
    hour, minute, end_hour, end_minute = clock
    if not (hour < 24 and end_hour <= 24 and max(minute, end_minute) < 60) or (end_hour == 24 and end_minute):
        raise ValueError(f"no time of a day: {hour:02}:{minute:02}-{end_hour:02}:{end_minute:02}")
    start, end = 60.0 * (60 * hour + minute), 60.0 * (60 * end_hour + end_minute)
    return Daily(start, end - start if end > start else end - start + DAY, _days(days))


def _days(names: Iterable[str]) -> frozenset[int]:
    found = [name.strip().lower()[:3] for name in names]
    if not found or not set(found) <= set(DAYS):
        raise ValueError(f"days are {', '.join(DAYS)}")
    return frozenset(map(DAYS.index, found))


def _moment(text: str) -> float:
    try:
        return _stamp(datetime.fromisoformat(text.strip()))
    except ValueError:
        raise ValueError(f"{text!r} is no time like 2026-11-24T20:00:00Z") from None


def _stamp(moment: object) -> float:
    if not isinstance(moment, datetime):
        raise ValueError(f"{moment!r} is no time with a date")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class DutyCycle:
    """A share of the time on the air, over `period` seconds: as much as that at once, then as it flows in.

    What was sent before it was made it does not know, so it begins with nothing saved up.
    """

    def __init__(self, share: float, now: float, period: float = 3600.0) -> None:
        if not 0 < share <= 1 or not period > 0:
            raise ValueError("a duty cycle is a share above 0 and at most 1, over more than 0 s")
        self._bucket = Bucket(share, share * period, now)
        self._bucket.take(share * period, now)

    def ready_at(self, airtime: float, now: float) -> float | None:
        """When so many seconds may be sent in one go; None for more than ever are."""
        missing = airtime - self._bucket.level(now)
        if airtime > self._bucket.burst:
            return None
        return now if missing <= 0 else now + missing / self._bucket.rate

    def spend(self, airtime: float, now: float) -> bool:
        """So many seconds are sent now; False, and nothing is counted, if that is too early."""
        return self._bucket.take(airtime * (1 - 1e-9), now)
