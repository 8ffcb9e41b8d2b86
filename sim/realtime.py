"""The network of `sim.virtual` in real time, for what keeps a clock of its own: OpenSSL's timers of DTLS.

Links, losses and seeds are the same; seconds take seconds, so many stories are told at once, each between hosts of its
own.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sim.clock import Clock
from sim.virtual import Address, Network, Socket

Result = TypeVar("Result")


EARLY = 1e-6
"""Seconds by which asyncio may call before it is time."""


class LoopClock(Clock):
    """The clock of a running event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        super().__init__()

    @property
    def now(self) -> float:
        return self._loop.time()

    @now.setter
    def now(self, time: float) -> None:
        """Real time goes by itself."""

    def at(self, time: float, action: Callable[[], None]) -> None:
        super().at(time, action)
        self._loop.call_at(time, self._catch_up)

    def _catch_up(self) -> None:
        while self.next_due is not None and self.next_due <= self.now + EARLY:
            self.step()


class RealLoop(asyncio.SelectorEventLoop):
    """An event loop in real time whose datagram sockets are those of `network`."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network(LoopClock(self))

    async def create_datagram_endpoint(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
        **options: Any,
    ) -> tuple[Socket, asyncio.DatagramProtocol]:
        protocol = protocol_factory()
        socket = self.network.open(protocol, local_addr, remote_addr)
        protocol.connection_made(socket)
        return socket, protocol


def run(story: Callable[[Network], Coroutine[Any, Any, Result]]) -> Result:
    """Run a story to its end; it takes as long as it takes."""
    loop = RealLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(story(loop.network))
