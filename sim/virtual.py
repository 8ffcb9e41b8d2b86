"""asyncio in virtual time: an event loop whose clock jumps, and datagram sockets joined by modelled links.

    story ─► VirtualLoop ─► time jumps to the next timer or the next packet
                 │
                 └─ create_datagram_endpoint ─► Network ─► Link ─► the other socket

Real protocol code (aioquic, aiortc, our channels and drivers) runs unchanged; hours pass in milliseconds and the same
seed gives the same run. Nothing real may be waited for: no file descriptors, no threads.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from socket import AF_INET, IPPROTO_UDP, SOCK_DGRAM
from types import SimpleNamespace
from typing import Any, TypeVar

from sim.clock import Clock
from sim.link import Link, LinkSpec
from sim.packet import Packet

Result = TypeVar("Result")
Address = tuple[str, int]
EVERYWHERE = ("", "0.0.0.0", "::")
LATE = 1e-6
"""Seconds that timers are late by, as real ones are: code that compares `now - wait` with the time at which it began to
wait would else set the same timer for ever, where the two differ by rounding."""


class Stalled(RuntimeError):
    """The story waits for something that will never happen."""


class Socket(asyncio.DatagramTransport):
    """A datagram socket of a `Network`. `address` is what others see; a rebinding changes it."""

    def __init__(
        self, network: "Network", protocol: asyncio.DatagramProtocol, address: Address, peer: Address | None
    ) -> None:
        family = SimpleNamespace(family=AF_INET, setsockopt=lambda *options: None)  # its buffers have no limit
        super().__init__({"sockname": address, "peername": peer, "socket": family})
        self.address = address
        self._network = network
        self._protocol = protocol
        self._peer = peer
        self._closing = False

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        target = addr if addr is not None else self._peer
        assert target is not None, "no address to send to"
        if not self._closing:
            self._network.send(self, bytes(data), (target[0], target[1]))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing ever waits in it."""

    def get_write_buffer_size(self) -> int:
        return 0

    def deliver(self, data: bytes, source: Address) -> None:
        """A datagram has come; one from another than the peer of a connected socket is dropped."""
        if not self._closing and (self._peer is None or self._peer == source):
            self._protocol.datagram_received(data, source)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._network.forget(self)
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing


class Network:
    """Hosts, by their IP addresses, and the links between them. Within a host nothing is lost or delayed."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._sockets: dict[Address, Socket] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._under_way: dict[Link, dict[int, tuple[Address, Address]]] = {}
        self._port = 50_000

    def join(self, here: str, there: str, spec: LinkSpec, seed: int | str = 0) -> tuple[Link, Link]:
        """Join two hosts by a link of the same kind both ways; the links from `here` and back."""
        forward, back = spec.make(self.clock, f"{seed}/forward"), spec.make(self.clock, f"{seed}/back")
        self.connect(here, there, forward)
        self.connect(there, here, back)
        return forward, back

    def connect(self, source: str, target: str, link: Link) -> None:
        """Send what goes from one host to another over `link`, in place of what was there before."""
        self._links[source, target] = link
        self._under_way[link] = {}
        link.arrived = lambda packet: self._arrived(link, packet)

    def rebind(self, old: Address, new: Address) -> None:
        """A NAT on the way forgets: the socket seen as `old` is `new` from now on, and nothing reaches `old`."""
        socket = self._sockets.pop(old)
        socket.address = new
        self._sockets[new] = socket

    def open(self, protocol: asyncio.DatagramProtocol, local: Address | None, peer: Address | None) -> Socket:
        """A socket at `local`; port 0 means any."""
        host, port = local or ("", 0)
        if not port:
            self._port += 1
            port = self._port
        if (host, port) in self._sockets:
            raise OSError(f"{host}:{port} is in use")
        socket = Socket(self, protocol, (host, port), peer)
        self._sockets[host, port] = socket
        return socket

    def forget(self, socket: Socket) -> None:
        self._sockets.pop(socket.address, None)

    def send(self, socket: Socket, data: bytes, target: Address) -> None:
        source = socket.address
        if source[0] in EVERYWHERE:
            known = (here for here, there in self._links if there == target[0])
            source = (next(known, target[0]), source[1])
        link = self._links.get((source[0], target[0]))
        if link is None:
            asyncio.get_running_loop().call_soon(self._deliver, data, source, target)
            return
        self._under_way[link][link.sent] = (source, target)
        link.send(data)

    def _arrived(self, link: Link, packet: Packet) -> None:
        self._deliver(packet.data, *self._under_way[link][packet.number])

    def _deliver(self, data: bytes, source: Address, target: Address) -> None:
        places = (target, *((anywhere, target[1]) for anywhere in EVERYWHERE))
        socket = next((self._sockets[place] for place in places if place in self._sockets), None)
        if socket is not None:
            socket.deliver(data, source)


class _Jump(selectors.SelectSelector):
    """In place of waiting: move the clock, or let one thing happen that is due before."""

    def __init__(self, loop: "VirtualLoop") -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        clock = self._loop.clock
        if timeout is None and clock.next_due is None:
            raise Stalled("nothing is left to happen in virtual time")
        if clock.next_due is not None and (timeout is None or clock.next_due <= clock.now + timeout):
            clock.step()
        elif timeout is not None and not self._loop._ready:
            clock.now += timeout + LATE
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that lives in the time of `clock` and opens its datagram sockets on `network`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.network = Network(self.clock)
        super().__init__(_Jump(self))

    def time(self) -> float:
        return self.clock.now

    _ready: Any  # asyncio's own: the calls that are due now

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """Addresses are taken as they are."""
        return [(AF_INET, SOCK_DGRAM, IPPROTO_UDP, "", (host, int(port or 0)))]

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
    """Run a story to its end in a loop of its own; `Stalled` if it waits for ever."""
    loop = VirtualLoop()
    raised: list[Mapping[str, Any]] = []
    loop.set_exception_handler(lambda loop, context: raised.append(context))
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(story(loop.network))
    for context in raised:
        raise context.get("exception") or RuntimeError(context["message"])
    return result
