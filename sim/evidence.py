"""What arrived, in figures that two worlds can be compared by: times under way, losses and how they come in rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import groupby
from random import Random

from sim.clock import Clock
from sim.link import Stage
from sim.packet import Packet

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles that are compared."""
LEVEL = 0.99


def quantiles(values: Iterable[float], shares: Sequence[float] = SHARES) -> list[float]:
    """Of one value or more; straight in between."""
    ranked = sorted(values)
    found = []
    for share in shares:
        place = share * (len(ranked) - 1)
        low = int(place)
        high = min(low + 1, len(ranked) - 1)
        found.append(ranked[low] + (place - low) * (ranked[high] - ranked[low]))
    return found


@dataclass(frozen=True)
class Losses:
    """share: of packets lost; run: lost in a row, on average; single: share of those rows that are of one; gap: packets
    that arrive in a row, on average. 0 where there are none."""

    share: float
    run: float
    single: float
    gap: float

    @classmethod
    def of(cls, lost: Sequence[bool]) -> Losses:
        """lost: whether each packet was, in the order of sending; one at least."""
        rows = [(what, sum(1 for _ in row)) for what, row in groupby(lost)]
        runs, gaps = ([length for what, length in rows if what is which] for which in (True, False))
        mean = [sum(each) / len(each) if each else 0.0 for each in (runs, gaps)]
        single = runs.count(1) / len(runs) if runs else 0.0
        return cls(sum(runs) / len(lost), mean[0], single, mean[1])


FIGURES = tuple(each.name for each in fields(Losses))


def losses_of(stage: Stage, count: int, seed: int | str) -> list[bool]:
    """Which of `count` packets a stage loses."""
    lost: list[bool] = []
    stage.start(Clock(), Random(seed))
    for number in range(count):
        stage.push(Packet(number, b"", 0), lambda packet: lost.append(False), lambda packet: lost.append(True))
    return lost


def intervals(
    make: Callable[[], Stage], count: int, draws: int = 1000, level: float = LEVEL
) -> list[tuple[float, float]]:
    """Where each of FIGURES lies with the chance `level`, by so many runs of the model."""
    found = [astuple(Losses.of(losses_of(make(), count, draw))) for draw in range(draws)]
    edge = (1 - level) / 2
    sides = [quantiles(column, (edge, 1 - edge)) for column in zip(*found, strict=True)]
    return [(low, high) for low, high in sides]
