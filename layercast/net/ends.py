"""One end of a transfer at work on a channel: a session, its application and the driver that gives them their turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from layercast.net.endpoints import Link
from layercast.net.feed import Feed, Find
from layercast.net.fetch import Change, Fetch, Region
from layercast.net.parcel import Parcel
from layercast.net.sealing import Unsealing
from layercast.net.store import Store
from transport import WITH_FEEDBACK, Policy, Receiver, ReceiverConfig, Sender, SenderConfig, packet_size
from transport.channels import Channel
from transport.driver import Driver
from transport.events import Event
from transport.log import Log
from transport.pace import PACKET_TIME
from transport.seal import SealKey

REQUEST = 200
"""Largest packet of a request, bytes: a second of a very thin link at most."""
LARGEST = 1125
"""Largest packet, bytes, of a link of which nothing is known."""
GENEROUS = {"max_groups": 1 << 16, "max_items": 1 << 21, "max_bytes": 256 << 20}
"""What a receiver takes from a sender that it has gone to: the first layers of a whole folder come before any other."""
LEAVE_AFTER = 3
"""Ends told (at once, after 1 s, after 2 more) before a sender that leaves by itself has left."""
FIRST_RTT = 1.0
"""Seconds assumed of one."""
_BASE, _STRUCTURE, _LATENT, _RESIDUAL = (replace(policy, code=False) for policy in WITH_FEEDBACK)
UNCODED: tuple[Policy, Policy, Policy, Policy] = (_BASE, _STRUCTURE, _LATENT, _RESIDUAL)
"""For receivers that cannot rebuild packets from repair symbols: what is lost is sent again."""
FOREIGN = "the seal does not open: it was made with another key, or there is none"


class Sending:
    """Sends to the peer of a channel what it asks for. Within a running event loop."""

    def __init__(
        self,
        channel: Channel,
        link: Link,
        find: Find,
        ends: bool = True,
        *,
        leaves: bool = False,
        newest_first: bool = False,
        noted: Callable[[Event], None] | None = None,
        log: Log | None = None,
    ) -> None:
        """`noted` is called with what became of items; `find` and `ends` are those of `Feed`.

        leaves: close once the end was told a few times, where the channel does not tell that the receiver has left.
        """
        size = link.packet or (_size(link.rate, channel.overhead) if link.rate is not None else LARGEST)
        config = SenderConfig(
            packet_size=min(size, channel.largest),
            overhead=channel.overhead,
            rate=link.rate,
            initial_rtt=link.rtt if link.rtt is not None else FIRST_RTT,
            policies=None if getattr(channel, "coded", True) else UNCODED,
            newest_first=newest_first,
            wait_for_request=True,
        )
        self.channel = channel
        self.sender = Sender(config, log)
        self.feed = Feed(self.sender, find, ends, noted)
        self._leaves = leaves
        self._driver = Driver(self.sender, channel, self._after)
        self._driver.start()

    def add(self, parcel: Parcel) -> None:
        """One more stream."""
        self.feed.add(parcel)
        self._driver.wake()

    def cancel(self, group: int) -> None:
        """Send no more of a stream."""
        self.sender.cancel(group)
        self._driver.wake()

    def finish(self) -> None:
        """Nothing will be added any more: the receiver is told when it has all."""
        self.sender.finish()
        self._driver.wake()

    async def wait_closed(self) -> str:
        """Why it ended: the channel's reason."""
        return await self._driver.wait_closed()

    def _after(self) -> None:
        begun = len(self.feed.sent)
        self.feed.take()
        if len(self.feed.sent) > begun:
            self._driver.wake()
        if self._leaves and self.sender.ends_told >= LEAVE_AFTER:
            self.channel.close()


class Receiving:
    """Fetches from the peer of a channel into a store. `changed` is called with everything that comes."""

    def __init__(
        self,
        channel: Channel,
        store: Store,
        changed: Callable[[Change], None],
        upto: int = 3,
        topic: str = "",
        region: Region | None = None,
        stays: bool = False,
        *,
        seal: SealKey | None = None,
        log: Log | None = None,
    ) -> None:
        """`stays`: go on after the sender has told the end. `seal`: what comes is opened with this key."""
        self.channel = channel
        self.receiver = Receiver(ReceiverConfig(packet_size=min(REQUEST, channel.largest), **GENEROUS), log)
        self._unsealing = Unsealing(self.receiver, seal) if seal is not None else None
        self.fetch = Fetch(self._unsealing or self.receiver, store, upto, topic, region)
        self._changed = changed
        self._stays = stays
        self.fetch.begin()
        self._driver = Driver(self.receiver, channel, self._after)
        self._driver.start()

    def ask(self, group: int | None, upto: int, region: Region | None = None) -> None:
        """As `Fetch.ask`, at any time."""
        self.fetch.ask(group, upto, region)
        self._driver.wake()

    async def wait_closed(self) -> str:
        """Why it ended; "complete" when the sender has told that there is no more. Raises OSError or FileError."""
        why = await self._driver.wait_closed()
        return why if self.fetch.ended is None else self.fetch.ended or "complete"

    def _after(self) -> None:
        for change in self.fetch.take():
            self._changed(change)
        if self._unsealing is not None and not self.fetch.ended:
            if self._unsealing.foreign:
                self.fetch.ended = FOREIGN
            elif self.fetch.ended is not None and self._unsealing.damaged:
                self.fetch.ended = f"{self._unsealing.damaged} items came damaged, their seal does not open"
        if self.fetch.ended is not None and not self._stays:
            self.channel.close()


def _size(rate: float, overhead: int) -> int:
    """Packets of 0.2 s, or longer ones where the channel adds so much that short ones would waste the link."""
    return max(packet_size(rate), int(min(5 * overhead, 2 * PACKET_TIME * rate / 8 - overhead)))
