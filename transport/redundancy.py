"""How much to send beyond the data so that nobody has to ask: exact chances instead of rules of thumb.

A `Channel` loses packets independently or in bursts (Gilbert-Elliott: a good and a bad state, every packet of the bad
one is lost). What arrives of packets at given places of a sequence is computed by dynamic programming over the
channel's state and the number that arrived, so interleaving counts for what it is worth. All functions are pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from transport.symbols import REPAIRS

SOLVED: Final = (0.99, 0.9999, 0.999999)
"""Chance that a block is solved with 0, 1, 2 or more symbols beyond the least number (RFC 6330; measured: better)."""
MAX_COPIES: Final = 64


@dataclass(frozen=True, slots=True)
class Channel:
    """What is expected of a path. ValueError for figures that no channel has.

    Attributes:
        loss: share of packets lost, 0 to less than 1.
        burst: mean number of packets lost in a row, 1 or more; None: each is lost by itself.
    """

    loss: float = 0.0
    burst: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.loss < 1 or (self.burst is not None and (self.burst < 1 or abs(self.memory) >= 1)):
            raise ValueError(f"no channel is like this: {self}")

    @property
    def memory(self) -> float:
        """How much of one packet's fate is left in the next one's: 0 for independent losses, towards 1 for bursts."""
        if self.burst is None or not self.loss:
            return 0.0
        return 1 - 1 / self.burst - self.loss / (1 - self.loss) / self.burst

    def lost_after(self, lost: bool, gap: int) -> float:
        """Chance that a packet is lost, when the one `gap` places before was lost, or was not."""
        return float(self.loss + ((1 if lost else 0) - self.loss) * self.memory**gap)

    def merged(self, receivers: int) -> "Channel":
        """What several such receivers, independent of each other, miss together; about, where losses come in bursts."""
        loss = self.loss**receivers
        if self.burst is None:
            return Channel(loss)
        return Channel(loss, max(1 / (1 - (1 - 1 / self.burst) ** receivers), 1.0))


def chance_missed(channel: Channel, places: Sequence[int]) -> float:
    """Chance that the packets at all these places (ascending) are lost."""
    chance = channel.loss if places else 1.0
    for before, place in pairwise(places):
        chance *= channel.lost_after(True, place - before)
    return chance


class _Arrivals:
    """Chances of how many packets arrived, the last one lost or not, as packets are added one by one."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._place: int | None = None
        self._lost = [1.0]
        self._got = [0.0]

    def add(self, place: int) -> None:
        if self._place is None:
            from_lost = from_got = self._channel.loss
        else:
            from_lost = self._channel.lost_after(True, place - self._place)
            from_got = self._channel.lost_after(False, place - self._place)
        self._place = place
        pairs = list(zip(self._lost, self._got, strict=True))
        self._lost = [a * from_lost + b * from_got for a, b in pairs] + [0.0]
        self._got = [0.0] + [a * (1 - from_lost) + b * (1 - from_got) for a, b in pairs]

    def chances(self) -> list[float]:
        """Of 0, 1, 2, ... arrived."""
        return [a + b for a, b in zip(self._lost, self._got, strict=True)]


def chances_of_arrivals(channel: Channel, places: Iterable[int]) -> list[float]:
    """Chance that 0, 1, 2, ... of the packets at these places (ascending) arrive."""
    arrivals = _Arrivals(channel)
    for place in places:
        arrivals.add(place)
    return arrivals.chances()


def chance_complete(channel: Channel, sources: int, places: Iterable[int]) -> float:
    """Chance that a block of `sources` packets is complete when its packets and repair stand at these places."""
    return _complete(chances_of_arrivals(channel, places), sources)


def _complete(chances: Sequence[float], sources: int) -> float:
    if sources == 1:
        return sum(chances[1:])
    enough = enumerate(chances[sources:])
    return sum(chance * SOLVED[min(extra, len(SOLVED) - 1)] for extra, chance in enough)


@lru_cache(maxsize=4096)
def repairs_needed(channel: Channel, sources: int, target: float, stride: int = 1) -> int:
    """Repair symbols that make a block of `sources` packets complete with a chance of `target`.

    All its packets stand `stride` places apart. At most 256, even where these are not enough.
    """
    arrivals = _Arrivals(channel)
    for place in range(sources + REPAIRS):
        arrivals.add(place * stride)
        if place >= sources - 1 and _complete(arrivals.chances(), sources) >= target:
            return place + 1 - sources
    return REPAIRS


@lru_cache(maxsize=4096)
def repairs_that_pay(channel: Channel, sources: int, wait: int) -> int:
    """Repair symbols with which a block of `sources` packets is complete soonest, on average.

    wait: packets that could be sent while one hears that something is missing and sends it again. 0 symbols: coding
    does not pay.
    """
    arrivals = _Arrivals(channel)
    best, least = 0, float("inf")
    for place in range(sources + REPAIRS):
        repairs = place + 1 - sources
        if repairs >= least:
            break
        arrivals.add(place)
        if repairs >= 0:
            chances = arrivals.chances()
            takes = repairs + wait * (1 - (_complete(chances, sources) if repairs else chances[sources]))
            least, best = min((least, best), (takes, repairs))
    return best


def copies_needed(channel: Channel, packets: int, target: float, gap: int = 1) -> int:
    """How often to send each of so many packets, copies `gap` places apart, so that all arrive with this chance.

    A lower bound of the chance is used where losses come in bursts, which hit neighbours together. At most 64.
    """
    for copies in range(1, MAX_COPIES):
        if (1 - chance_missed(channel, range(0, copies * gap, gap))) ** packets >= target:
            return copies
    return MAX_COPIES
