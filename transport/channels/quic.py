"""QUIC: our packets as datagrams of a connection that is encrypted, admitted by a token and known by its certificate.

The client's first stream holds the token and nothing else. It goes with the first bytes that can be encrypted, that is
with the end of the handshake, or with its beginning where there is a ticket (0-RTT): the server has a caption on its
way after one and a half round trips, or after half of one. A server that asks for no token sends before it has heard
the end of the handshake; it then speaks to an address that nobody has proved yet, and aioquic sends it three times as
many bytes as came from there at most.
"""

import asyncio
import hmac
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import pull_quic_header
from aioquic.quic.retry import QuicRetryTokenHandler
from aioquic.tls import SessionTicket

from transport.channels.certificate import Certificate
from transport.channels.quic_base import TOO_LATE, WRONG_TOKEN, QuicEnd, Settings
from transport.channels.tickets import Issued, Tickets

__all__ = ["QuicChannel", "QuicServing", "connect", "serve"]

ALPN: Final = "layercast/0"
MAX_TOKEN: Final = 256
MAX_STREAMS: Final = 4
HELD: Final = 16
"""Datagrams that may overtake the token."""
OWN_ID: Final = 2
"""Bytes of a client's connection id, which every packet to it carries. aioquic makes 8, for ends that share a port."""
PATIENCE: Final = 120.0
"""Seconds from a peer's first packet to its token."""


class Gate(QuicEnd):
    """An end whose server half yields it to `accept` once, when the peer is admitted, and not before."""

    def __init__(
        self,
        quic: QuicConnection,
        settings: Settings,
        pin: bytes | None = None,
        token: str = "",
        accept: Callable[[Any], None] | None = None,
    ) -> None:
        super().__init__(quic, settings, pin)
        self.admitted = accept is None
        self._accept = accept
        self._token = token.encode()
        self._refused: tuple[str, int] | None = None
        if accept is not None:
            self._later(PATIENCE, lambda: self._refuse("no token came", TOO_LATE))

    def quic_event_received(self, event: events.QuicEvent) -> None:
        if self._refused and isinstance(event, events.HandshakeCompleted):
            self._end(*self._refused)
        elif not self._refused or isinstance(event, events.ConnectionTerminated):
            super().quic_event_received(event)

    def handle_datagram(self, data: bytes) -> None:
        """A packet of ours came; as long as the token has not, a few are kept."""
        if self.admitted or len(self._inbox) < HELD:
            self._take(data)

    def _is_token(self, offered: bytes) -> bool:
        return hmac.compare_digest(offered, self._token)

    def _admit(self) -> None:
        """Yield this end to whoever serves."""
        if self.admitted or self._refused or self.closed is not None or not self._set_limits():
            return
        assert self._accept is not None
        self.admitted = True
        self._accept(self)

    def _refuse(self, why: str, code: int) -> None:
        """Close, with a reason that the peer can read: so not before it has the keys."""
        if self.admitted or self._refused or self.closed is not None:
            return
        self._refused = (why, code)
        if self._quic._handshake_complete:
            self._end(why, code)


class QuicChannel(Gate):
    """One end of a QUIC connection; `connect` and `serve` make them."""

    def __init__(self, quic: QuicConnection, settings: Settings, **options: Any) -> None:
        super().__init__(quic, settings, **options)
        self._offers: dict[int, bytearray] = {}

    def greet(self) -> None:
        """Client: offer the token, before anything else."""
        stream = self._quic.get_next_available_stream_id(is_unidirectional=True)
        self._quic.send_stream_data(stream, self._token, end_stream=True)

    def handle_event(self, event: events.QuicEvent) -> None:
        if isinstance(event, events.DatagramFrameReceived):
            self.handle_datagram(event.data)
        elif self._is_client:
            return
        elif isinstance(event, events.ProtocolNegotiated) and not self._token:
            self._admit()
        elif isinstance(event, events.StreamDataReceived) and not self.admitted:
            self._hear(event)

    def _hear(self, event: events.StreamDataReceived) -> None:
        """Part of a token, perhaps."""
        if len(self._offers) >= MAX_STREAMS and event.stream_id not in self._offers:
            return
        offer = self._offers.setdefault(event.stream_id, bytearray())
        offer += event.data
        if len(offer) > MAX_TOKEN or event.end_stream:
            if self._is_token(bytes(offer)):
                self._offers.clear()
                self._admit()
            else:
                self._refuse("a peer came with a wrong token", WRONG_TOKEN)


class QuicServing(QuicServer):
    """A server socket and its channels.

    When half of the places are taken, newcomers must prove their address first (a Retry, one round trip more), so that
    forged ones cannot take the rest.
    """

    def __init__(self, make: Callable[..., QuicEnd], most: int, **options: Any) -> None:
        super().__init__(create_protocol=self._make_end, **options)
        self._make = make
        self._most = most
        self._ends: set[QuicConnectionProtocol] = set()
        self._addresses = QuicRetryTokenHandler()

    @property
    def port(self) -> int:
        """The UDP port that it listens on."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    @property
    def peers(self) -> int:
        """Connections, those not yet admitted or not yet forgotten included."""
        return len(self._ends)

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        """A packet of a connection, or a first one of a new connection if there is still room."""
        assert isinstance(data, bytes)
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=self._configuration.connection_id_length)
        except ValueError:
            return
        if header.destination_cid not in self._protocols:
            if self.peers >= self._most:
                return
            asked = bool(header.token) or 2 * self.peers >= self._most
            self._retry = self._addresses if asked else None  # type: ignore[assignment]  # None: no detour
        super().datagram_received(data, addr)

    def _make_end(self, quic: QuicConnection, **options: Any) -> QuicEnd:
        end = self._make(quic)
        self._ends.add(end)
        return end

    def _connection_terminated(self, protocol: QuicConnectionProtocol) -> None:
        super()._connection_terminated(protocol)
        self._ends.discard(protocol)


async def connect(
    host: str,
    port: int,
    pin: bytes,
    token: str = "",
    *,
    settings: Settings | None = None,
    tickets: Tickets | None = None,
    local: tuple[str, int] | None = None,
) -> QuicChannel:
    """A channel to a server; it may be used at once, and is closed with a reason if nothing comes of it.

    Args:
        pin: SHA-256 of the server's certificate; no other is accepted, and its dates are not looked at.
        tickets: where tickets are kept from one connection to the next (0-RTT); None: full handshakes.
        local: address and port to send from.

    Raises:
        OSError: the name is unknown, or no socket can be opened.
        ValueError: the pin or the token is too long or too short.
    """
    settings = settings or Settings()
    if len(pin) != 32 or len(token.encode()) > MAX_TOKEN:
        raise ValueError(f"a pin has 32 bytes, a token {MAX_TOKEN} at most")
    channel = await open_client(QuicChannel, ALPN, host, port, pin, settings, tickets, local, token=token)
    assert isinstance(channel, QuicChannel)
    channel.greet()
    start_client(channel)
    return channel


async def open_client(
    kind: Any,
    alpn: str,
    host: str,
    port: int,
    pin: bytes,
    settings: Settings,
    tickets: Tickets | None,
    local: tuple[str, int] | None,
    **options: Any,
) -> Any:
    """A client's end with its socket, that has not yet sent anything; `start_client` follows."""
    loop = asyncio.get_running_loop()
    family, _, _, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
    configuration = settings.configuration(alpn)
    name = f"{alpn} {host}:{port} {pin.hex()}"
    ends: list[QuicEnd] = []

    def keep(ticket: SessionTicket) -> None:
        if tickets is not None and ends[0].verified:  # or an impostor's would be as good as the pinned certificate
            tickets[name] = ticket

    if tickets is not None:
        configuration.session_ticket = tickets.pop(name, None)
    quic = QuicConnection(configuration=configuration, session_ticket_handler=keep if tickets is not None else None)
    _shorten_id(quic)
    anywhere = ("::" if family == socket.AF_INET6 else "0.0.0.0", 0)
    _, end = await loop.create_datagram_endpoint(
        lambda: kind(quic, settings, pin=pin, **options), local_addr=local or anywhere
    )
    assert isinstance(end, QuicEnd)
    ends.append(end)
    end.connect(address, transmit=False)
    return end


def _shorten_id(quic: QuicConnection) -> None:
    """Let a client be called by a short id. That of the server, which a client makes up at first, has to have 8 B."""
    quic.configuration.connection_id_length = OWN_ID
    own = quic._host_cids[0]
    own.cid = quic.host_cid = quic._local_initial_source_connection_id = os.urandom(OWN_ID)


def start_client(end: QuicEnd) -> None:
    """Send the first flight after whatever else the loop has to do now: early data goes with it."""
    if end._can_send_early():
        end._held_back = 0
    asyncio.get_running_loop().call_soon(end._transmit_soon)


async def serve(
    host: str,
    port: int,
    accept: Callable[[QuicChannel], None],
    certificate: Certificate,
    token: str = "",
    *,
    settings: Settings | None = None,
    most: int = 256,
) -> QuicServing:
    """Listen, and give a channel to `accept` for each peer that has shown the token (at once, if that is empty).

    Whoever starts a session within `accept` sends with the very next packet. `close()` of what is returned ends all
    channels.

    Args:
        most: connections at the same time; more are not answered.

    Raises:
        OSError: the address is not ours or in use.
    """
    settings = settings or Settings()
    make = partial(QuicChannel, settings=settings, token=token, accept=accept)
    return await listen(host, port, settings.configuration(ALPN, certificate), make, most)


async def listen(
    host: str, port: int, configuration: QuicConfiguration, make: Callable[..., QuicEnd], most: int
) -> QuicServing:
    """A server socket that makes an end of each connection."""
    issued = Issued()
    _, serving = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: QuicServing(
            make,
            most,
            configuration=configuration,
            session_ticket_fetcher=issued.take,
            session_ticket_handler=issued.add,
        ),
        local_addr=(host, port),
    )
    assert isinstance(serving, QuicServing)
    return serving
