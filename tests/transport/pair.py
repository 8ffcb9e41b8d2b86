"""Two real ends and a middle that the test commands, in virtual time."""

import heapq
from collections.abc import Callable

from transport import Event, Item, ItemReceived, Receiver, ReceiverConfig, Sender, SenderConfig
from transport.schedule import Key

Middle = Callable[[int, bytes], list[float]]
"""(number of the datagram in its direction, from 0; its bytes) -> one delay in seconds for each copy that arrives."""


def steady(delay: float = 0.05) -> Middle:
    return lambda number, data: [delay]


def dropping(*numbers: int, delay: float = 0.05) -> Middle:
    return lambda number, data: [] if number in numbers else [delay]


class Pair:
    """A sender and a receiver; `forward` and `back` decide what becomes of each datagram."""

    def __init__(
        self,
        config: SenderConfig | None = None,
        forward: Middle | None = None,
        back: Middle | None = None,
        receiving: ReceiverConfig | None = None,
    ) -> None:
        self.sender = Sender(config or SenderConfig(rate=50_000))
        self.receiver = Receiver(receiving)
        self.ends = (self.sender, self.receiver)
        self.middles = (forward or steady(), back or steady())
        self.sent: tuple[list[tuple[float, bytes]], list[tuple[float, bytes]]] = ([], [])
        self.now = 0.0
        self.wire: list[tuple[float, int, int, bytes]] = []
        self.events: list[tuple[float, Event]] = []
        self.sender_events: list[tuple[float, Event]] = []

    def submit(self, *items: Item) -> None:
        for item in items:
            self.sender.submit(item)

    def drive(self, until: float = 600.0) -> None:
        """Run until nothing is left to do or the time is up."""
        while True:
            self._turn()
            times = [end.next_timer() for end in self.ends] + [self.wire[0][0] if self.wire else None]
            following = min((time for time in times if time is not None), default=None)
            if following is None or following > until:
                self.now = until if following is not None else self.now
                return
            assert following >= self.now - 1e-9, "a timer in the past that no turn took away"
            self.now = max(self.now, following)
            while self.wire and self.wire[0][0] <= self.now:
                _, _, side, data = heapq.heappop(self.wire)
                self.ends[side].handle_datagram(data, self.now)

    def _turn(self) -> None:
        for side, end in enumerate(self.ends):
            timer = end.next_timer()
            if timer is not None and timer <= self.now:
                end.handle_timer(self.now)
            while (data := end.poll_transmit(self.now)) is not None:
                self._post(side, data)
        self._take()

    def _post(self, side: int, data: bytes) -> None:
        number = len(self.sent[side])
        self.sent[side].append((self.now, data))
        for delay in self.middles[side](number, data):
            heapq.heappush(self.wire, (self.now + delay, len(self.wire), 1 - side, data))

    def _take(self) -> None:
        """The applications take their events."""
        while (event := self.receiver.next_event()) is not None:
            self.events.append((self.now, event))
        while (event := self.sender.next_event()) is not None:
            self.sender_events.append((self.now, event))

    def received(self) -> dict[Key, bytes]:
        """What the receiver has whole."""
        got = [event for _, event in self.events if isinstance(event, ItemReceived) and event.complete]
        assert len({event.key for event in got}) == len(got), "an item was completed twice"
        return {event.key: event.payload for event in got}

    def when(self, key: Key) -> float:
        """When an item was complete."""
        return next(t for t, e in self.events if isinstance(e, ItemReceived) and e.complete and e.key == key)
