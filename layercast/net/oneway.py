"""Ends of a way on which nobody answers: a sender that hears nothing, a listener that never says a word.

    parcels ─► Broadcasting ─► a channel ~~► Listening ─► Store

A listener may run for months and hear anybody. It keeps OPEN unfinished groups in memory; beyond that the one not heard
for the longest is put on disk and taken up again when more of it comes. What is complete is not looked at again. When
the disk has less than RESERVE left, nothing new is begun.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from layercast.net.endpoints import Link
from layercast.net.fetch import Change, Fetch
from layercast.net.parcel import Parcel
from layercast.net.sealing import Unsealing
from layercast.net.store import Store
from transport import PROTECT_ALL, BroadcastConfig, BroadcastSender, Receiver, ReceiverConfig, packet_size, wire
from transport.broadcast import TARGETS
from transport.channels import Channel
from transport.driver import Driver
from transport.log import Log, Trace
from transport.seal import SealKey
from transport.symbols import Repair

BACKLOG = 64
"""Streams that a camera's sender has under way."""
OPEN = 64
"""Unfinished groups that a listener keeps in memory."""
RESERVE = 256_000_000
"""Bytes of the disk that a listener leaves alone."""
SETTLE = 5.0
"""Seconds after which what has come is written as files."""


class _Logged:
    """A one-way sender that tells a log what it sends."""

    def __init__(self, sender: BroadcastSender, log: Log | None) -> None:
        self._sender = sender
        self._trace = Trace(log)
        self.handle_datagram = sender.handle_datagram
        self.handle_timer = sender.handle_timer
        self.next_timer = sender.next_timer

    def poll_transmit(self, now: float) -> bytes | None:
        return self._trace.sent(self._sender.poll_transmit(now), now)


@dataclass(frozen=True)
class OneWay:
    """What is expected of a one-way link and wanted of its sender: see `BroadcastConfig`."""

    loss: float = 0.1
    burst: float | None = None
    name: str = ""
    carousel: bool = False
    newest_first: bool = False
    protect_all: bool = True


def broadcast_config(channel: Channel, link: Link, wishes: OneWay) -> BroadcastConfig:
    """Raises ValueError for figures that cannot be. The link's rate must be known."""
    assert link.rate is not None
    size = link.packet or packet_size(link.rate)
    return BroadcastConfig(
        rate=link.rate,
        packet_size=min(size, channel.largest),
        overhead=channel.overhead,
        loss=wishes.loss,
        burst=wishes.burst,
        turns=None if wishes.carousel else 1,
        name=wishes.name,
        newest_first=wishes.newest_first,
        targets=PROTECT_ALL if wishes.protect_all else TARGETS,
    )


class Broadcasting:
    """Sends streams to whoever listens. Within a running event loop."""

    def __init__(self, channel: Channel, config: BroadcastConfig, log: Log | None = None) -> None:
        self.channel = channel
        self.sender = BroadcastSender(config)
        self.sent: dict[int, None] = {}
        self._sent_all = asyncio.Event()
        self._driver = Driver(_Logged(self.sender, log), channel, self._after)
        self._driver.start()

    def add(self, parcel: Parcel) -> None:
        """One more stream."""
        if parcel.group in self.sent:
            return
        self.sent[parcel.group] = None
        self.sender.start_group(parcel.group, parcel.preamble)
        for item in parcel.items:
            self.sender.submit(item)
        self._sent_all.clear()
        self._driver.wake()

    def add_latest(self, parcel: Parcel) -> None:
        """One more stream; if BACKLOG of them are still being sent, the oldest is given up."""
        under_way = [group for group in self.sent if self.sender.program(group) is not None]
        if len(under_way) >= BACKLOG:
            self.sender.cancel(under_way[0])
        self.add(parcel)

    async def wait_sent(self) -> None:
        """Until everything has left, or the channel has closed."""
        gone = asyncio.ensure_future(self._sent_all.wait())
        closed = asyncio.ensure_future(self._driver.wait_closed())
        try:
            await asyncio.wait((gone, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            closed.cancel()

    async def wait_closed(self) -> str:
        return await self._driver.wait_closed()

    def _after(self) -> None:
        while self.sender.next_event() is not None:
            pass
        if self.sender.idle and not self.channel.waiting:
            self._sent_all.set()


class Listening:
    """Puts what is heard on a channel into a store, and never sends a byte. Within a running event loop."""

    def __init__(
        self,
        channel: Channel,
        store: Store,
        changed: Callable[[Change], None],
        *,
        seal: SealKey | None = None,
        log: Log | None = None,
    ) -> None:
        receiver = Receiver(ReceiverConfig(max_groups=2 * OPEN), log)
        self._receiver = receiver
        self._unsealing = Unsealing(receiver, seal) if seal is not None else None
        self.fetch = Fetch(self._unsealing or receiver, store, listens=True)
        self.channel = channel
        self.refused = 0
        self._store = store
        self._changed = changed
        self._heard: OrderedDict[int, None] = OrderedDict()
        self._fresh: set[int] = set()
        self._loop = asyncio.get_running_loop()
        self._settling = self._loop.call_later(SETTLE, self._settle)
        self._driver = Driver(self, channel, self._after)
        self._driver.start()

    @property
    def foreign(self) -> bool:
        """Whether nothing of what came opened."""
        return self._unsealing is not None and self._unsealing.foreign

    async def wait_closed(self) -> str:
        """Why it ended: the channel's reason. Raises OSError or FileError."""
        try:
            return await self._driver.wait_closed()
        finally:
            self._settling.cancel()

    # --- the session that the driver drives ---

    def handle_datagram(self, data: bytes, now: float) -> None:
        try:
            packet = wire.parse(data)
        except wire.WireError:
            self._receiver.handle_datagram(data, now)  # counted there
            return
        if isinstance(packet, wire.Name) or (isinstance(packet, wire.Data | Repair) and self._follow(packet.group)):
            self._receiver.handle_datagram(data, now)

    def handle_timer(self, now: float) -> None: ...

    def next_timer(self) -> float | None:
        return None

    def poll_transmit(self, now: float) -> bytes | None:
        return None

    # --- groups ---

    def _follow(self, group: int) -> bool:
        """Whether a packet of this group is of use; makes room for it."""
        if group in self._store.done or group in self.fetch.unreadable:
            return False
        if group not in self._heard:
            if shutil.disk_usage(self._store.folder).free < RESERVE:
                self.refused += 1
                return False
            if len(self._heard) >= OPEN:
                self._put_away(next(iter(self._heard)))
            if group in self._store.parked:
                shelf = self._store.shelf(group)
                self.fetch.receiver.resume(group, shelf.preamble, shelf.items)
        self._heard[group] = None
        self._heard.move_to_end(group)
        self._fresh.add(group)
        return True

    def _put_away(self, group: int) -> None:
        del self._heard[group]
        self.fetch.receiver.forget(group)
        self.fetch.put_away(group)

    def _after(self) -> None:
        for change in self.fetch.take():
            self._changed(change)
            if change.what == "complete" and change.shelf is not None:
                self._put_away(change.shelf.group)

    def _settle(self) -> None:
        """What has come may be all that ever will: write it, so that it can be looked at."""
        fresh, self._fresh = self._fresh, set()
        self._settling = self._loop.call_later(SETTLE, self._settle)
        try:
            self.fetch.write(fresh)
        except Exception as error:  # a full disk is no end of listening
            self._changed(Change("unwritten", text=str(error)))
