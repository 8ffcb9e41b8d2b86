"""A channel over WebRTC: one data channel of aiortc, agreed on beforehand, unordered, nothing sent again below us.

    offering end                          answering end
    make_offer ──────── signalling ─────► make_answer
    take_answer ◄────────────────────────
    wait_open ◄═══ ICE, DTLS, SCTP ═════► wait_open

What aiortc and aioice need to live on thin links is in `webrtc_stack`; how offer and answer travel in `signalling`.
A page opens the other end with `createDataChannel("items", {negotiated: true, id: 0, ordered: false,
maxRetransmits: 0})`. Use inside a running event loop.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from transport.channels import nothing, sdp
from transport.channels.webrtc_stack import LARGEST_MESSAGE, Tuning, adapt

logger = logging.getLogger(__name__)

STREAM = 0
"""Number of the data channel. Agreeing on it saves the round trip that would announce it."""
DTLS_SCTP = 37 + 28
"""Bytes of a DTLS record and of SCTP's headers around a message."""
RIDING = 8
"""Bytes more on average: padding to a multiple of 4, and acknowledgements that ride along."""
UDP_IPV4, UDP_IPV6 = 28, 48
RELAYED = 4
MOST_UNREAD = 1024
"""Datagrams that wait for `receive`; beyond them, they are dropped."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server: `stun:HOST[:PORT]`, `turn:HOST[:PORT][?transport=udp|tcp]`, `turns:HOST[:PORT]`."""

    url: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(stun:[^@?]+|turns?:[^@?]+(\?transport=(udp|tcp))?)", self.url):
            raise ValueError("a server is written stun:HOST[:PORT] or turn:HOST[:PORT][?transport=tcp]")

    @classmethod
    def parse(cls, text: str) -> "IceServer":
        """A server in one line, a relay's name and password in it: turn:NAME:PASSWORD@HOST. Raises ValueError."""
        scheme, _, rest = text.partition(":")
        who, at, where = rest.rpartition("@")
        name, _, password = who.partition(":")
        return cls(f"{scheme}:{where}", *((unquote(name), unquote(password)) if at else ()))


@dataclass(frozen=True, slots=True)
class WebRtcConfig:
    """Settings of one end; times in seconds.

    Attributes:
        ice_servers: what helps through NAT; none by default, so nothing is asked of the outside. Of each kind aiortc
            uses the first.
        relay_only: take no way but through the TURN server.
        addresses: local addresses to be reached at; None for all but loopback, or loopback where there is no other.
        loopback: loopback too, for peers on this machine.
        rate, round_trip: the link as far as it is known (bit/s, s); they set how long the layers
            below wait. Too slow a guess costs time when the connection opens over a lossy link, too fast a guess bytes.
        keepalive: ask the peer for a sign of life after so long a silence; keeps a NAT's binding too.
        silence: close after so long a silence.
    """

    ice_servers: tuple[IceServer, ...] = ()
    relay_only: bool = False
    addresses: tuple[str, ...] | None = None
    loopback: bool = False
    rate: float = 50_000.0
    round_trip: float = 0.5
    keepalive: float = 15.0
    silence: float = 60.0

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.round_trip < 0 or not 0 < self.keepalive < self.silence:
            raise ValueError("a rate is more than 0 bit/s, and the keepalive shorter than the silence that ends it all")
        if self.relay_only and not any(server.url.startswith("turn") for server in self.ice_servers):
            raise ValueError("relay_only without a TURN server leaves no way: give one")

    @property
    def tuning(self) -> Tuning:
        """How long the layers below wait. The largest flight of the handshake and its answer are 1,500 B and a round
        trip, with 500 B for what else is under way; SCTP's opening messages are small. A message counts as lost after
        a round trip and six full packets, five of which may stand in a queue."""
        flight = self.round_trip + 2000 * 8 / self.rate
        packet = (LARGEST_MESSAGE + DTLS_SCTP + UDP_IPV4) * 8 / self.rate
        abandon = max(5.0, self.round_trip + 6 * packet)
        return Tuning(self.addresses, self.loopback, self.keepalive, self.silence, flight, max(1.0, flight), abandon)


class WebRtcChannel:
    """One end; a `transport.channels.Channel` that can be handed to a driver before it is open.

    Attributes:
        dropped: datagrams that came while too many waited for `receive`.
        coded: whether the peer can make use of coded repair.
    """

    def __init__(self, config: WebRtcConfig | None = None) -> None:
        self.config = config or WebRtcConfig()
        self.largest = LARGEST_MESSAGE
        self.overhead = DTLS_SCTP + UDP_IPV4 + RIDING
        self.wake: Callable[[], None] = nothing
        self.dropped = 0
        self.coded = True
        self._inbox: deque[bytes] = deque()
        self._closed: str | None = None
        self._changed = asyncio.Event()
        self._release: asyncio.Future[None] | None = None
        servers = [RTCIceServer(server.url, server.username, server.password) for server in self.config.ice_servers]
        policy = RTCIceTransportPolicy.RELAY if self.config.relay_only else RTCIceTransportPolicy.ALL
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=servers, iceTransportPolicy=policy))
        self._data = self._peer.createDataChannel("items", ordered=False, maxRetransmits=0, negotiated=True, id=STREAM)
        self._sctp, self._path = adapt(self._peer, STREAM, self.config.tuning)
        self._sctp.drained, self._path.given_up = self._drained, self._given_up
        self._data.on("open", self._opened)
        self._data.on("message", self._take)
        self._data.on("close", self._lost)
        self._peer.on("connectionstatechange", self._state_changed)

    # --- opening ---

    async def make_offer(self) -> str:
        """The offer, with all our candidates in it; 5 s if a STUN or TURN server does not answer. Raises
        ConnectionError if there are none."""
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return self._described()

    async def take_answer(self, answer: str) -> None:
        """What the other end said to our offer. Raises SdpError."""
        await self._take_description(answer, "answer")

    async def make_answer(self, offer: str) -> str:
        """The answer to an offer, with all our candidates in it. Raises SdpError, and as `make_offer`."""
        await self._take_description(offer, "offer")
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return self._described()

    async def wait_open(self, seconds: float = 60.0) -> None:
        """Until messages can go both ways. Raises ConnectionError, and closes, if that fails or takes too long."""
        try:
            async with asyncio.timeout(seconds):
                while not self.open and self._closed is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self._end(f"no connection after {seconds:g} s")
        if self._closed is not None:
            raise ConnectionError(self._closed)

    @property
    def open(self) -> bool:
        """Whether messages go both ways."""
        return self._data.readyState == "open"

    def _described(self) -> str:
        if not self._path.local_candidates:
            relay = ": the relay gave none, check its address, user name and password"
            raise ConnectionError("there is no address to be reached at" + relay * self.config.relay_only)
        return sdp.to_peer(self._peer.localDescription.sdp)

    async def _take_description(self, text: str, kind: str) -> None:
        checked = sdp.from_peer(text)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(checked, kind))
        except Exception as error:  # aiortc's parser raises whatever its parts raise
            logger.debug("%s not understood: %s", kind, type(error).__name__)
            raise sdp.SdpError(f"not an {kind} that can be understood") from None

    # --- Channel ---

    @property
    def waiting(self) -> int:
        """Bytes that have not left. Before it is open, 1: nothing is to be handed over yet."""
        return self._sctp.waiting if self.open or self._closed is not None else 1

    @property
    def closed(self) -> str | None:
        return self._closed

    def send(self, data: bytes) -> None:
        if len(data) > self.largest:
            raise ValueError(f"a datagram of {len(data)} B on a channel for {self.largest}")
        if self._closed is None and self.open:
            self._data.send(bytes(data))

    def receive(self) -> bytes | None:
        return self._inbox.popleft() if self._inbox else None

    def close(self) -> None:
        if self._closed is None:
            self._say_goodbye()
            self._end("closed here")

    async def wait_closed(self) -> str:
        """Why the channel has closed, as soon as it has."""
        while self._closed is None:
            self._changed.clear()
            await self._changed.wait()
        return self._closed

    async def wait_released(self) -> None:
        """Until everything is released after the channel has closed: sockets, and a relay's allocation."""
        if self._release is not None:
            await asyncio.wait([self._release])

    # --- what the library tells ---

    def _opened(self) -> None:
        remote = self._sctp._remote_max_message_size  # 0: any size
        self.largest = min(LARGEST_MESSAGE, remote or LARGEST_MESSAGE)
        pair = self._path._nominated.get(1)
        if pair is not None:
            ip = UDP_IPV6 if ":" in pair.remote_addr[0] else UDP_IPV4
            relay = RELAYED if pair.local_candidate.type == "relay" else 0
            self.overhead = DTLS_SCTP + RIDING + ip + relay
        self._changed.set()
        self.wake()

    def _take(self, message: bytes | str) -> None:
        if isinstance(message, str) or len(self._inbox) >= MOST_UNREAD:
            self.dropped += 1
            return
        self._inbox.append(message)
        self.wake()

    def _drained(self) -> None:
        self.wake()

    def _given_up(self) -> None:
        self._end(f"nothing heard for {self.config.silence:g} s")

    def _lost(self) -> None:
        self._end("closed by the peer")

    def _state_changed(self) -> None:
        state = self._peer.connectionState
        if state == "failed":
            self._end("no way to the peer" if self._sctp.transport.state == "new" else "no secure connection")
        elif state == "closed":
            self._end("closed by the peer")

    def _say_goodbye(self) -> None:
        """Tell the peer now: where the event loop ends with this call, nothing else will. Over a relay it may take
        turns of the loop, and is left to the library."""
        if not self.open:
            return
        goodbye = self._sctp._abort()
        try:
            goodbye.send(None)
        except StopIteration:
            pass
        finally:
            goodbye.close()

    def _end(self, why: str) -> None:
        """Closed; release everything. aiortc does so by itself when DTLS ends, and of two that do it at once the second
        waits for the first, for ever if that is cancelled: so there is one."""
        if self._closed is not None:
            return
        self._closed = why
        peer: Any = self._peer
        self._release = peer._RTCPeerConnection__closeTask or asyncio.ensure_future(self._peer.close())
        peer._RTCPeerConnection__closeTask = self._release
        self._changed.set()
        self.wake()
