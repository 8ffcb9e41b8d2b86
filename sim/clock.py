"""Virtual time: a heap of what happens when. Hours pass in milliseconds, and the same run gives the same times."""

from collections.abc import Callable
from heapq import heappop, heappush


class Clock:
    """`now` is in seconds from 0. What is due at the same time happens in the order in which it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Do something at `time`, or now if that has passed."""
        self._count += 1
        heappush(self._due, (time if time > self.now else self.now, self._count, action))

    def run(self, until: float) -> None:
        """Let things happen up to and including `until`; `now` is `until` afterwards."""
        due = self._due
        while due and due[0][0] <= until:
            self.now, _, action = heappop(due)
            action()
        self.now = max(self.now, until)

    def step(self) -> None:
        """Let the next thing happen, now or later."""
        self.now, _, action = heappop(self._due)
        action()

    @property
    def next_due(self) -> float | None:
        """When the next thing happens; None if nothing is left."""
        return self._due[0][0] if self._due else None

    @property
    def idle(self) -> bool:
        """Whether nothing is left to happen."""
        return not self._due
