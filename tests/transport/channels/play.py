"""A server and its clients on a modelled link, in virtual time: what the tests of the QUIC channels are played with."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from types import ModuleType
from typing import Any, TypeVar

from sim import virtual
from sim.link import Bottleneck, ConstantRate, Delay, Link, Stage
from transport import Item, ItemReceived, Receiver, Sender, SenderConfig
from transport.channels import certificate, quic
from transport.channels.quic_base import QuicEnd, Settings
from transport.driver import Driver
from transport.schedule import Key

Result = TypeVar("Result")
CLIENT, SERVER, PORT = "10.0.0.1", "10.0.0.2", 443
CERTIFICATE = certificate.make()
TOKEN = "open sesame"


class Play:
    """One server, any number of clients. `up` and `down`: the link from the clients and to them."""

    def __init__(
        self,
        network: virtual.Network,
        kind: ModuleType = quic,
        rate: float = 1e9,
        round_trip: float = 0.1,
        up: Sequence[Stage] = (),
        down: Sequence[Stage] = (),
        seed: int = 1,
        settings: Settings | None = None,
        token: str = TOKEN,
    ) -> None:
        self.network = network
        self.kind = kind
        self.settings = settings or Settings()
        self.token = token
        self.up, self.down = (
            Link(network.clock, [Bottleneck(ConstantRate(rate)), *extra, Delay(round_trip / 2)], f"{seed}/{name}")
            for name, extra in (("up", up), ("down", down))
        )
        network.connect(CLIENT, SERVER, self.up)
        network.connect(SERVER, CLIENT, self.down)
        self.accepted: list[QuicEnd] = []
        self.drivers: list[Driver] = []
        self.start: Callable[[QuicEnd], None] = lambda channel: None

    async def serve(self, **options: Any) -> quic.QuicServing:
        def accept(channel: QuicEnd) -> None:
            self.accepted.append(channel)
            self.start(channel)

        options = {"certificate": CERTIFICATE, "token": self.token, "settings": self.settings} | options
        serving = await self.kind.serve(SERVER, PORT, accept, **options)
        assert isinstance(serving, quic.QuicServing)
        return serving

    async def connect(self, **options: Any) -> QuicEnd:
        options = {"pin": CERTIFICATE.fingerprint, "token": self.token, "settings": self.settings} | options
        channel = await self.kind.connect(SERVER, PORT, local=(CLIENT, 0), **options)
        assert isinstance(channel, QuicEnd)
        return channel

    async def until(self, holds: Callable[[], object], within: float = 60.0) -> float:
        """Wait until something holds; when it did."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while not holds():
            assert loop.time() < end, f"has not happened within {within} s"
            await asyncio.sleep(0.001)
        return loop.time()

    def drive(self, session: Sender | Receiver, channel: QuicEnd, after: Callable[[], None]) -> Driver:
        driver = Driver(session, channel, after)
        driver.start()
        self.drivers.append(driver)
        return driver

    def send(self, channel: QuicEnd, items: Sequence[Item], rate: float | None = None, size: int = 1100) -> Driver:
        """A sender on a channel, with items to send."""
        config = SenderConfig(packet_size=min(size, channel.largest), overhead=channel.overhead, rate=rate)
        sender = Sender(config)
        for item in items:
            sender.submit(item)
        return self.drive(sender, channel, lambda: None)

    def receive(self, channel: QuicEnd) -> dict[Key, tuple[float, bytes]]:
        """A receiver on a channel; the dict fills with what is complete and when."""
        receiver = Receiver()
        got: dict[Key, tuple[float, bytes]] = {}

        def take() -> None:
            while (event := receiver.next_event()) is not None:
                if isinstance(event, ItemReceived) and event.complete:
                    got[event.key] = (asyncio.get_running_loop().time(), event.payload)

        self.drive(receiver, channel, take)
        return got


def sizes(link: Link, since: float = 0.0, until: float = 1e9) -> list[int]:
    """Wire bytes of each packet sent over a link in a span of time."""
    return [event.size for event in link.log if event.what == "sent" and since <= event.time <= until]


def play(story: Callable[[Play], Coroutine[Any, Any, Result]], **options: Any) -> Result:
    """Run a story; the options are those of `Play`."""

    async def told(network: virtual.Network) -> Result:
        return await story(Play(network, **options))

    return virtual.run(told)
