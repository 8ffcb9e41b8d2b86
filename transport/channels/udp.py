"""Plain UDP: a client's channel to a server, and a server that gives one channel a peer.

Thin: who may join, what an unconfirmed address may get and what to do when it is quiet are decided in
`transport.admission` and `transport.joining`. A datagram of the session travels as it is; the channel adds nothing to
it. There is no encryption: whoever is on the path can read, and can act for either end.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from transport.admission import Address, Admission, Joined, Left, Limits, Peer
from transport.channels import nothing
from transport.joining import EXPECTED, Joining

LARGEST: Final = {socket.AF_INET: 1472, socket.AF_INET6: 1452}
"""Datagrams that cross an Ethernet in one piece."""
OVERHEAD: Final = {socket.AF_INET: 28, socket.AF_INET6: 48}
INBOX: Final = 1 << 20
"""Bytes that wait to be read by a client; more is dropped."""


class DatagramSocket(Protocol):
    """asyncio's datagram transport, as all event loops have it."""

    def sendto(self, data: bytes, addr: Address | None = None) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def set_write_buffer_limits(self, high: int | None = None) -> None: ...
    def get_extra_info(self, name: str) -> Any: ...
    def close(self) -> None: ...


def prepare(transport: asyncio.BaseTransport) -> tuple[DatagramSocket, int, int]:
    """The socket, set to say when nothing waits in it; the largest datagram; what it adds to each."""
    made = cast(DatagramSocket, transport)
    made.set_write_buffer_limits(high=0)
    family = made.get_extra_info("socket").family
    return made, LARGEST[family], OVERHEAD[family]


class UdpChannel(asyncio.DatagramProtocol):
    """A client's end. Made by `connect`; use inside the running event loop."""

    def __init__(self, joining: Joining) -> None:
        self.wake: Callable[[], None] = nothing
        self.closed: str | None = None
        self.dropped = 0
        self._joining = joining
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._error: OSError | None = None

    @property
    def waiting(self) -> int:
        return 0 if self.closed is not None else self._transport.get_write_buffer_size()

    @property
    def address(self) -> Address:
        """Our own address as the socket has it."""
        found: Address = self._transport.get_extra_info("sockname")
        return found

    async def wait_ready(self) -> None:
        """Until the server has confirmed us; ConnectionError with the reason if it does not. Data need not wait."""
        await asyncio.shield(self._ready)

    def send(self, data: bytes) -> None:
        if len(data) > self.largest:
            raise ValueError(f"a datagram of {len(data)} B on a channel for {self.largest}")
        if self.closed is None:
            self._transport.sendto(data)

    def receive(self) -> bytes | None:
        if not self._inbox:
            return None
        data = self._inbox.popleft()
        self._inbox_bytes -= len(data)
        return data

    def close(self) -> None:
        self._joining.close()
        self._turn()

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.largest, self.overhead = prepare(transport)
        self._turn()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        payload = self._joining.handle_datagram(data, self._loop.time())
        if payload is not None:
            if self._inbox_bytes + len(payload) > INBOX:
                self.dropped += 1
            else:
                self._inbox.append(payload)
                self._inbox_bytes += len(payload)
                self.wake()
        self._turn()

    def error_received(self, exc: Exception) -> None:
        """An ICMP message said that nobody is there. It may be wrong or pass: only told when nobody answers at all."""
        self._error = exc if isinstance(exc, OSError) else None

    def resume_writing(self) -> None:
        self.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.closed is None:
            self._finish(f"the socket closed: {exc}" if exc else "closed here")

    def _turn(self) -> None:
        """Send what is to be said, look at the state, set the timer."""
        if self.closed is not None:
            return
        while (data := self._joining.poll_transmit()) is not None:
            self._transport.sendto(data)
        if self._joining.ready and not self._ready.done():
            self._ready.set_result(None)
        if self._joining.closed is not None:
            told = self._joining.closed == "no answer" and self._error is not None
            self._finish(f"no answer: {self._error}" if told else self._joining.closed)
            return
        if self._timer is not None:
            self._timer.cancel()
        timer = self._joining.next_timer()
        self._timer = None if timer is None else self._loop.call_at(timer, self._timeout)

    def _timeout(self) -> None:
        self._joining.handle_timer(self._loop.time())
        self._turn()

    def _finish(self, why: str) -> None:
        self.closed = why
        if self._timer is not None:
            self._timer.cancel()
        if not self._ready.done():
            self._ready.set_exception(ConnectionError(why))
            self._ready.exception()  # seen: nobody has to wait for it
        self._transport.close()
        self.wake()


class PeerChannel:
    """A server's end of one peer. Made by `UdpListener`, which hands it to `accept`."""

    def __init__(self, listener: "UdpListener", peer: Peer, largest: int, overhead: int) -> None:
        self.largest = largest
        self.overhead = overhead
        self.wake: Callable[[], None] = nothing
        self.peer = peer
        self._listener = listener

    @property
    def waiting(self) -> int:
        return 0 if self.closed is not None else self.peer.waiting + self._listener.waiting

    @property
    def closed(self) -> str | None:
        return self.peer.closed

    def send(self, data: bytes) -> None:
        if len(data) > self.largest:
            raise ValueError(f"a datagram of {len(data)} B on a channel for {self.largest}")
        self._listener.send(self.peer, data)

    def receive(self) -> bytes | None:
        return self.peer.receive()

    def close(self) -> None:
        self._listener.close_peer(self.peer)


class UdpListener(asyncio.DatagramProtocol):
    """A server's socket. Made by `listen`; `channels` are those of the peers that have a place now."""

    def __init__(self, admission: Admission, accept: Callable[[PeerChannel], None]) -> None:
        self.channels: dict[Peer, PeerChannel] = {}
        self.admission = admission
        self._accept = accept
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def address(self) -> Address:
        """Where it listens."""
        found: Address = self._transport.get_extra_info("sockname")
        return found

    @property
    def waiting(self) -> int:
        """Bytes of all peers that the system has not taken yet."""
        return self._transport.get_write_buffer_size()

    def send(self, peer: Peer, data: bytes) -> None:
        self.admission.send(peer, data)
        self._transmit()

    def close_peer(self, peer: Peer) -> None:
        self.admission.close(peer, self._loop.time())
        self._turn()

    def close(self) -> None:
        """Say goodbye to all peers and release the socket."""
        for peer in list(self.channels):
            self.admission.close(peer, self._loop.time())
        self._turn()
        self._transport.close()

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._largest, self._overhead = prepare(transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.admission.handle_datagram(data, addr, self._loop.time())
        self._turn()

    def resume_writing(self) -> None:
        for channel in list(self.channels.values()):
            channel.wake()

    def _turn(self) -> None:
        self._transmit()
        while (event := self.admission.next_event()) is not None:
            if isinstance(event, Joined):
                channel = PeerChannel(self, event.peer, self._largest, self._overhead)
                self.channels[event.peer] = channel
                self._accept(channel)
            elif isinstance(event, Left):
                self.channels.pop(event.peer).wake()
            else:
                self.channels[event.peer].wake()
        timer = self.admission.next_timer()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if timer is None else self._loop.call_at(timer, self._timeout)

    def _transmit(self) -> None:
        while (out := self.admission.poll_transmit()) is not None:
            self._transport.sendto(*out)

    def _timeout(self) -> None:
        self.admission.handle_timer(self._loop.time())
        self._turn()


async def connect(
    host: str, port: int, token: str = "", *, expected: int = EXPECTED, rtt: float = 1.0, **settings: Any
) -> UdpChannel:
    """A channel to a server; it may be used at once. OSError if the name or the address cannot be used.

    `expected`, `rtt` and further settings are those of `Joining`. The first datagrams of a client that sends much
    should follow `wait_ready`, since a server that is short of places drops them.
    """
    loop = asyncio.get_running_loop()

    def make() -> UdpChannel:
        return UdpChannel(Joining(token.encode(), loop.time(), expected=expected, rtt=rtt, **settings))

    _, channel = await loop.create_datagram_endpoint(make, remote_addr=(host, port))
    return channel


async def listen(
    host: str, port: int, accept: Callable[[PeerChannel], None], token: str = "", limits: Limits | None = None
) -> UdpListener:
    """A server at an address; port 0 takes a free one. `accept` gets a channel for each peer as it joins.

    With host "::" it serves IPv4 too where the system allows. OSError if the address cannot be used.
    """
    admission = Admission(token.encode(), limits)
    loop = asyncio.get_running_loop()
    _, listener = await loop.create_datagram_endpoint(lambda: UdpListener(admission, accept), local_addr=(host, port))
    return listener
