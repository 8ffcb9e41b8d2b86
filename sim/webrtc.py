"""Two ends of a WebRTC channel between hosts of a `sim.virtual.Network`: real aiortc, modelled links.

    offering end (10.N.0.1) ◄══ network.join ══► answering end (10.N.0.2)

SCTP's clock becomes that of the loop, and so do the timers of DTLS (`sim.dtls`).
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from sim.dtls import TimedConnection
from sim.link import Link, LinkSpec
from sim.virtual import Network
from transport import Item, ItemReceived, Receiver, ReceiverConfig, Sender, SenderConfig
from transport.channels.webrtc import WebRtcChannel, WebRtcConfig
from transport.driver import Driver
from transport.schedule import Key


@contextmanager
def time_of(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """SCTP measures round trips and DTLS repeats flights in the loop's time for as long as the body runs."""
    sctp: Any = import_module("aiortc.rtcsctptransport")
    dtls: Any = import_module("aiortc.rtcdtlstransport")
    time, ssl = sctp.time, dtls.SSL
    sctp.time = SimpleNamespace(time=loop.time)
    dtls.SSL = SimpleNamespace(**{**vars(ssl), "Connection": TimedConnection})
    try:
        yield
    finally:
        sctp.time, dtls.SSL = time, ssl


def hosts(place: int = 0) -> tuple[str, str]:
    """Addresses of a pair of hosts, other ones for each `place`."""
    return f"10.{place}.0.1", f"10.{place}.0.2"


@dataclass
class Pair:
    """A channel's two ends, `near` made the offer. `links` (from near, back) once there are any."""

    network: Network
    near: WebRtcChannel
    far: WebRtcChannel
    place: int = 0
    links: tuple[Link, Link] | None = None
    drivers: list[Driver] = field(default_factory=list)

    @classmethod
    def make(cls, network: Network, config: WebRtcConfig | None = None, place: int = 0) -> "Pair":
        """Two ends that do not know of each other yet."""
        ends = [WebRtcChannel(replace(config or WebRtcConfig(), addresses=(host,))) for host in hosts(place)]
        return cls(network, ends[0], ends[1], place)

    async def open(self, signal_time: float = 0.0, seconds: float = 600.0) -> None:
        """Exchange offer and answer, the answer `signal_time` late, and wait until both ends are open."""
        answer = await self.far.make_answer(await self.near.make_offer())
        await asyncio.sleep(signal_time)
        await self.near.take_answer(answer)
        await asyncio.gather(self.near.wait_open(seconds), self.far.wait_open(seconds))

    def join(self, spec: LinkSpec, seed: int | str = 0) -> tuple[Link, Link]:
        """From now on there is such a link between the two."""
        self.links = self.network.join(*hosts(self.place), spec, seed)
        return self.links

    def send(self, channel: WebRtcChannel, config: SenderConfig | None = None) -> tuple[Sender, Driver]:
        """A sender at work on an end."""
        sender = Sender(config or SenderConfig(overhead=channel.overhead))

        def forget() -> None:
            while sender.next_event() is not None:
                pass

        return sender, self._drive(Driver(sender, channel, forget))

    def receive(self, channel: WebRtcChannel, config: ReceiverConfig | None = None) -> dict[Key, tuple[float, bytes]]:
        """A receiver at work on an end; what is complete and when appears in the dict."""
        receiver = Receiver(config)
        got: dict[Key, tuple[float, bytes]] = {}

        def take() -> None:
            while (event := receiver.next_event()) is not None:
                if isinstance(event, ItemReceived) and event.complete:
                    got[event.key] = (asyncio.get_running_loop().time(), event.payload)

        self._drive(Driver(receiver, channel, take))
        return got

    async def close(self) -> None:
        """Close both ends and release what they hold."""
        for driver in self.drivers:
            driver.stop()
        for channel in (self.near, self.far):
            channel.close()
            await channel.wait_released()

    def _drive(self, driver: Driver) -> Driver:
        driver.start()
        self.drivers.append(driver)
        return driver


def wire_bytes(link: Link) -> int:
    """All that was put on a link, headers included."""
    return sum(event.size for event in link.log if event.what == "sent")


def bulk(size: int, piece: int = 1000, group: int = 0) -> Sequence[Item]:
    """Items of a large transfer, in order."""
    return [Item(group, 3, n, bytes([n % 251]) * piece, n + 1, may_cut=True) for n in range(size // piece)]
