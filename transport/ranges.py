"""A set of whole numbers as sorted half-open ranges: bytes still to send, bytes that arrived, packet numbers seen."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class Ranges:
    """Disjoint ranges [start, stop), kept sorted and apart (touching ones are joined)."""

    def __init__(self, start: int = 0, stop: int = 0) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self.add(start, stop)

    def add(self, start: int, stop: int) -> None:
        """Put start .. stop-1 in; nothing happens for stop <= start."""
        if stop <= start:
            return
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first < last:
            start = min(start, self._starts[first])
            stop = max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def remove(self, start: int, stop: int) -> None:
        """Take start .. stop-1 out."""
        first = bisect_right(self._stops, start)
        last = bisect_left(self._starts, stop)
        if stop <= start or first >= last:
            return
        kept = [(self._starts[first], start), (stop, self._stops[last - 1])]
        kept = [(a, b) for a, b in kept if a < b]
        self._starts[first:last] = [a for a, _ in kept]
        self._stops[first:last] = [b for _, b in kept]

    def first(self) -> tuple[int, int]:
        """The lowest range; IndexError when empty."""
        return self._starts[0], self._stops[0]

    def last(self) -> tuple[int, int]:
        """The highest range; IndexError when empty."""
        return self._starts[-1], self._stops[-1]

    def covers(self, start: int, stop: int) -> bool:
        """Whether every number of start .. stop-1 is in."""
        place = bisect_right(self._starts, start) - 1
        return stop <= start or (place >= 0 and stop <= self._stops[place])

    def forget_below(self, number: int) -> None:
        """Drop everything below `number`."""
        if self._starts:
            self.remove(self._starts[0], number)

    def __contains__(self, number: int) -> bool:
        return self.covers(number, number + 1)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._stops, strict=True))

    def __reversed__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(reversed(self._starts), reversed(self._stops), strict=True))

    def __len__(self) -> int:
        """How many ranges, not how many numbers."""
        return len(self._starts)
