"""Many rows in few: what a contender reached at a point of a sweep, over all images and seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from sim.measure import MARKS, Row


@dataclass(frozen=True)
class Summary:
    """All runs of one contender at one point.

    times: median seconds until a mark over all runs, one that never was counting as never; inf if most never were.
    reached: share of the runs that got there. Other figures are means; None where there are none.
    """

    point: dict[str, Any]
    codec: str
    runs: int
    times: dict[str, float]
    reached: dict[str, float]
    area: float | None
    regressions: int | None
    goodput: float | None
    overhead: float | None
    wasted: float | None
    fairness: float | None
    held: float
    wire: float

    def plain(self) -> dict[str, Any]:
        """As plain values for JSON; never is null."""
        times = {mark: time if math.isfinite(time) else None for mark, time in self.times.items()}
        return {**self.__dict__, "times": times}


def summarise(rows: Iterable[Row]) -> list[Summary]:
    """A summary for each point and contender, in the order of the rows."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((repr(sorted(row.point.items())), row.codec), []).append(row)
    return [_summary(group) for group in groups.values()]


def _summary(rows: Sequence[Row]) -> Summary:
    times = {mark: median(row.times.get(mark, math.inf) for row in rows) for mark in MARKS}
    return Summary(
        point=rows[0].point,
        codec=rows[0].codec,
        runs=len(rows),
        times=times,
        reached={mark: sum(mark in row.times for row in rows) / len(rows) for mark in MARKS},
        area=_mean(rows, lambda row: row.area),
        regressions=_total(row.regressions for row in rows),
        goodput=_mean(rows, lambda row: row.goodput),
        overhead=_mean(rows, lambda row: row.overhead),
        wasted=_mean(rows, lambda row: row.wasted),
        fairness=_mean(rows, lambda row: row.fairness),
        held=fmean(row.held for row in rows),
        wire=fmean(row.wire for row in rows),
    )


def _mean(rows: Sequence[Row], of: Callable[[Row], float | None]) -> float | None:
    found = [value for row in rows if (value := of(row)) is not None]
    return fmean(found) if found else None


def _total(values: Iterable[int | None]) -> int | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None
