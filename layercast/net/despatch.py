"""An outbox at work: what waits in a `Spool` goes to a peer, within windows and a day's budget, until none is left.

    Spool ─► Despatch.top_up ─► Sending ~~► the peer
       ▲                           │
       └─── delivered, finished ◄──┘

At most AHEAD streams are submitted at a time. What the peer has is noted item by item, so a session that ends at any
moment costs sending what was under way again, no more; the receiver leaves out what it holds all the same.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from layercast.net.ends import Sending
from layercast.net.outbox import next_day
from layercast.net.parcel import ItemKey, Parcel
from layercast.net.spool import Spool
from layercast.net.windows import Windows
from transport import ItemDelivered, ItemDropped
from transport.channels import Channel
from transport.control import NOTHING
from transport.events import Event

AHEAD = 32
TURN = 0.1
"""Seconds between two looks at what has become of a session."""


class Metered:
    """A channel that takes bytes as long as the day's budget holds them; framing below is counted."""

    def __init__(self, channel: Channel, spool: Spool, clock: Callable[[], float]) -> None:
        self.largest = channel.largest
        self.overhead = channel.overhead
        self.exhausted = False
        self._channel = channel
        self._spool = spool
        self._clock = clock

    @property
    def wake(self) -> Callable[[], None]:
        return self._channel.wake

    @wake.setter
    def wake(self, wake: Callable[[], None]) -> None:
        self._channel.wake = wake

    @property
    def waiting(self) -> int:
        return 1 if self.exhausted else self._channel.waiting

    @property
    def closed(self) -> str | None:
        return self._channel.closed

    def send(self, data: bytes) -> None:
        """Once the budget is used up the datagram is dropped, as on a link that has just ended."""
        if self.exhausted or not self._spool.spend(len(data) + self.overhead, self._clock()):
            self.exhausted = True
            return
        self._channel.send(data)

    def receive(self) -> bytes | None:
        return self._channel.receive()

    def close(self) -> None:
        self._channel.close()


class Despatch:
    """One session of an outbox. `wrap` is done to each parcel; `clock` gives seconds since 1970."""

    def __init__(self, spool: Spool, wrap: Callable[[Parcel], Parcel], clock: Callable[[], float]) -> None:
        self.finished = 0
        self._spool = spool
        self._wrap = wrap
        self._clock = clock
        self._open: dict[int, set[ItemKey]] = {}
        self._noted: dict[int, list[ItemKey]] = defaultdict(list)
        self._told_end = False

    def next_parcels(self) -> list[Parcel]:
        """Of the next AHEAD streams those that are not under way yet."""
        found = []
        for each in self._spool.waiting()[:AHEAD]:
            if each.group not in self._open:
                parcel = self._wrap(self._spool.parcel(each.group))
                self._open[each.group] = {(item.cls, item.index) for item in parcel.items}
                found.append(parcel)
        return found

    def handle(self, event: Event) -> None:
        """What became of an item."""
        if isinstance(event, ItemDelivered | ItemDropped):
            group, cls, index = event.key
            if isinstance(event, ItemDelivered) and group in self._open:
                self._noted[group].append((cls, index))

    def note(self) -> None:
        """Write down what was delivered, and finish the streams of which all was."""
        noted, self._noted = self._noted, defaultdict(list)
        for group, keys in noted.items():
            self._open[group].difference_update(keys)
            if self._open[group]:
                self._spool.mark_delivered(group, keys)
            else:
                self._finish(group)

    def turn(self, sending: Sending, looks: bool) -> None:
        """Look what has become of the session: once the peer has all that it wants, go on with the next, or end.

        `looks`: see also what was put into the outbox meanwhile.
        """
        self.note()
        level = sending.feed.level
        if looks and level is not None and not self._told_end:
            for parcel in self.next_parcels():
                sending.add(parcel)
        if level is None or level == NOTHING or not sending.sender.idle or self._told_end:
            return
        for group in list(self._open):  # it wants no more of these
            self._finish(group)
        parcels = self.next_parcels()
        for parcel in parcels:
            sending.add(parcel)
        if not parcels:
            self._told_end = True
            sending.finish()

    def _finish(self, group: int) -> None:
        self._spool.finish(group, self._clock())
        del self._open[group]
        self.finished += 1


async def run_session(
    despatch: Despatch, sending: Sending, channel: Metered, windows: Windows, clock: Callable[[], float]
) -> str:
    """Drive a session until it ends, the window closes or the budget is used up; why. Closes the channel."""
    ended = asyncio.ensure_future(sending.wait_closed())
    try:
        turns = 0
        while not ended.done():
            turns += 1
            despatch.turn(sending, looks=turns % 20 == 0)
            if channel.exhausted:
                return "budget"
            closes = windows.closes(clock())
            if closes is not None and closes <= clock():
                return "window"
            await asyncio.wait((ended,), timeout=TURN)
        return ended.result()
    finally:
        despatch.note()
        ended.cancel()
        channel.close()


def pause_for(windows: Windows, why: str, attempt: int, now: float) -> float | None:
    """Seconds to wait before the next session; None: there will never be one."""
    at = next_day(now) if why == "budget" else now + (min(2.0**attempt, 300.0) if attempt else 0.0)
    opens = windows.opens(at)
    return None if opens is None else max(opens - now, 0.0)
