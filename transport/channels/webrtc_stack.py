"""aiortc and aioice made fit for thin links: what happens below a data channel, changed where it kills or clogs one.

    WebRtcChannel ─► Association (SCTP) ─► Handshake (DTLS) ─► Path (ICE) ─► UDP

aiortc makes these objects itself and has no settings for any of this, so `adapt` turns those of one connection, before
it starts, into the subclasses here. Nothing global is touched: others who use aiortc in the same
process keep its defaults.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aioice import Candidate, Connection, TransportPolicy, stun
from aiortc import RTCPeerConnection
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import (
    SCTP_MAX_PACKET_LENGTH,
    USERDATA_MAX_LENGTH,
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    InitChunk,
    RTCSctpTransport,
    SackChunk,
)

from transport.channels import nothing

logger = logging.getLogger(__name__)

LARGEST_MESSAGE = USERDATA_MAX_LENGTH
"""Bytes of a message that travels in one packet: a longer one is lost when any of its fragments is."""
WINDOW = 256 * USERDATA_MAX_LENGTH
"""Bytes that SCTP may have under way. What leaves when is decided above; this only bounds what a peer that never
acknowledges can make us hold."""
RIDE_TIME, RIDE_PACKETS = 0.5, 16
"""Acknowledgements wait for data to ride on: so many seconds, the most that RFC 9260 allows, or until so many came."""
PROBE_AGAIN, PROBE_COPIES = 5.0, 5
"""Seconds between two probes of a silent peer; copies of each until it is answered, 0.5, 1, 2 and 4 s apart. The last
answer is awaited for 8 s more, so round trips of up to 15 s are well."""
LOOPBACK = "127.0.0.1"
DTLS_TIMER = 1.0
"""Seconds after which OpenSSL repeats a flight first."""
MOST_EARLY, MOST_CANDIDATES, MOST_UNREAD = 4096, 64, 1024
"""What a peer can make us keep: packets beyond a gap, addresses it came from, datagrams not yet decrypted."""
MOST_GAPS = 32
"""An acknowledgement names so many ranges, the oldest."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What `adapt` sets for one connection; times in seconds.

    Attributes:
        addresses: local addresses to be reached at; None for all but loopback, or loopback where there is no other.
        loopback: loopback too.
        keepalive: ask the peer for a sign of life after so long a silence.
        silence: give the connection up after so long a silence.
        flight: what a flight of the DTLS handshake and its answer take on this link; DTLS repeats none before.
        opening: repeat a lost message of SCTP's opening after so long.
        abandon_after: least time after which a message that nobody acknowledged counts as lost.
    """

    addresses: tuple[str, ...] | None
    loopback: bool
    keepalive: float
    silence: float
    flight: float
    opening: float
    abandon_after: float


class Path(Connection):
    """ICE whose consent check does not kill slow or lossy links.

    aioice asks every 5 s and wants the answer within 0.5 s; six misses in a row close the connection without a word. A
    round trip above 0.5 s, a queue of our own or loss alone does that within a minute or two. Here only silence counts:
    nothing that the peer must have authenticated came. While the peer is heard nothing is asked, which also saves a
    sixth of a 2 kbit/s link.
    """

    tuning: Tuning
    given_up: Callable[[], None]
    heard_at: float
    probes: set[asyncio.Future[None]]

    def heard(self) -> None:
        """Something came that only the peer can have sent."""
        self.heard_at = asyncio.get_running_loop().time()

    async def get_component_candidates(self, component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        """aioice leaves loopback out, and has no setting to choose addresses. With a relay alone there are none."""
        if self._transport_policy is TransportPolicy.RELAY:
            return await super().get_component_candidates(component, [], timeout)
        chosen = (addresses or [LOOPBACK]) if self.tuning.addresses is None else list(self.tuning.addresses)
        if self.tuning.loopback and LOOPBACK not in chosen:
            chosen = [*chosen, LOOPBACK]
        return await super().get_component_candidates(component, chosen, timeout)

    async def query_consent(self) -> None:
        """Watch for silence until the connection closes; aioice starts this once it is connected."""
        now = asyncio.get_running_loop().time
        self.heard()
        probe_at = 0.0
        while now() - self.heard_at < self.tuning.silence:
            patience = self.tuning.keepalive * (1.0 if self.ice_controlling else 1.25)  # one probe does for both
            probe_at = max(probe_at, self.heard_at + patience)
            if now() >= probe_at:
                self._probe()
                probe_at = now() + PROBE_AGAIN
            await asyncio.sleep(max(0.01, min(probe_at, self.heard_at + self.tuning.silence) - now()))
        self._query_consent_task = None
        self.given_up()
        await self.close()

    async def close(self) -> None:
        for probe in list(self.probes):
            probe.cancel()
        await super().close()

    def _probe(self) -> None:
        """Ask for a sign of life. The controlling end nominates once more: if a NAT has given it another address, that
        moves the peer there."""
        for pair in list(self._nominated.values()):
            probe = asyncio.ensure_future(self._ask(pair))
            self.probes.add(probe)
            probe.add_done_callback(self.probes.discard)

    async def _ask(self, pair: Any) -> None:
        request = self.build_request(pair, nominate=self.ice_controlling)
        key = (self.remote_password or "").encode()
        try:
            await pair.protocol.request(request, pair.remote_addr, integrity_key=key, retransmissions=PROBE_COPIES - 1)
        except (stun.TransactionError, ConnectionError):
            return  # what came meanwhile tells whether the peer is there
        self.heard()

    def check_incoming(self, message: stun.Message, addr: tuple[str, int], protocol: Any) -> None:
        """A request with the right password. aioice keeps each new address that one comes from; here not for ever."""
        self.heard()
        known = any((c._network_host, c.port) == addr for c in self._remote_candidates)
        if known or len(self._remote_candidates) < MOST_CANDIDATES:
            super().check_incoming(message, addr, protocol)

    def data_received(self, data: bytes, component: int) -> None:
        """An empty datagram, from anybody, would end aiortc's DTLS with an IndexError; a flood would fill memory."""
        if data and self._queue.qsize() < MOST_UNREAD:
            super().data_received(data, component)


class Handshake(RTCDtlsTransport):
    """DTLS that does not repeat a flight while the first copy still crosses a slow link.

    OpenSSL repeats a flight after 1 s, then 2, 4, ..., and this cannot be set from Python. At 10 kbit/s a flight and
    its answer take 1.3 s, and each copy, and the copy that the other end answers it with, takes another half. So its
    timer is looked at later, and the copies that it makes too early all the same are left out.
    """

    tuning: Tuning

    async def _do_handshake(self) -> None:
        connection: Any = self._ssl
        timeout, read = connection.DTLSv1_get_timeout, connection.bio_read
        more = max(0.0, self.tuning.flight - DTLS_TIMER)
        sent: dict[bytes, float] = {}

        def patient() -> float | None:
            remaining: float | None = timeout()
            return None if remaining is None else remaining + more

        def without_copies(size: int) -> bytes:
            now = asyncio.get_running_loop().time()
            return leave_out(read(size), sent, now, 0.9 * self.tuning.flight)

        connection.DTLSv1_get_timeout, connection.bio_read = patient, without_copies
        await super()._do_handshake()


def leave_out(records: bytes, sent: dict[bytes, float], now: float, flight: float) -> bytes:
    """DTLS records less those of handshake messages that left less than `flight` ago; `sent` remembers when.

    A record is 11 bytes, its length, its content; that of a handshake starts with 22, has zeros for its epoch until
    there are keys, and carries the number of its message in bytes 4 and 5 of the content.
    """
    kept, at, leaving = b"", 0, set()
    while at < len(records):
        end = at + 13 + int.from_bytes(records[at + 11 : at + 13])
        record, number = records[at:end], records[at + 17 : at + 19]
        at = end
        if record[0] == 22 and record[3:5] == b"\0\0":
            if now - sent.get(number, -math.inf) < flight:
                continue
            leaving.add(number)
        kept += record
    sent.update(dict.fromkeys(leaving, now))
    return kept


class Bundle(Chunk):
    """Several chunks in one packet; aiortc sends each in one of its own."""

    def __init__(self, chunks: list[Chunk]) -> None:
        super().__init__()
        self.chunks = chunks

    def __bytes__(self) -> bytes:
        return b"".join(bytes(chunk) for chunk in self.chunks)

    def __repr__(self) -> str:
        return f"Bundle({self.chunks})"


class Association(RTCSctpTransport):
    """SCTP as a carrier of datagrams that are never sent again, which says when they have left."""

    tuning: Tuning
    stream: int
    heard: Callable[[], None]
    drained: Callable[[], None]
    malformed: int
    riders: dict[type[Chunk], Chunk]
    waited: int
    """Acknowledgements that found no data to ride on."""
    ride_until: float
    data_at: float
    ride_timer: asyncio.TimerHandle | None
    late_ride: asyncio.Future[None] | None
    """Held, since the event loop would not."""

    @property
    def waiting(self) -> int:
        """Bytes that have not left: of messages not begun, as in `bufferedAmount`, and of begun ones, as not there."""
        queued = sum(len(data) for _, _, data in self._data_channel_queue)
        return queued + sum(len(chunk.user_data) for chunk in self._outbound_queue)

    # --- sending ---

    async def _transmit(self) -> None:
        """aiortc's window falls to a packet or four a round trip with each loss, and grows only while it is full, which
        a paced sender never lets it be. Pace is the sender's affair, so the window here is fixed."""
        self._cwnd = WINDOW
        full = bool(self.waiting)
        await super()._transmit()
        if full and not self.waiting:
            self.drained()

    async def _send_chunk(self, chunk: Chunk) -> None:
        """aiortc answers every packet with one of 93 B, and after a loss adds another of 85. Nothing here waits for
        them, so they ride on data."""
        if isinstance(chunk, SackChunk):
            chunk.gaps, chunk.duplicates = chunk.gaps[:MOST_GAPS], []
        if isinstance(chunk, SackChunk | ForwardTsnChunk):
            self.riders[type(chunk)] = chunk  # a later one says all that the earlier said
            self.waited += 1
            if self.waited >= RIDE_PACKETS:
                await self._send_riders()
            elif self.ride_timer is None:
                self.ride_until = asyncio.get_running_loop().time() + RIDE_TIME
                self.ride_timer = asyncio.get_running_loop().call_later(RIDE_TIME, self._ride_late)
        elif isinstance(chunk, DataChunk) and self._carries(chunk):
            await self._send_riders(chunk)
        else:
            await self._send_now(chunk)

    def _carries(self, data: DataChunk) -> bool:
        """Whether a packet of data takes the riders along: the last one that will leave in their time, by the distance
        to the one before, so that those which come meanwhile share the ride."""
        now = asyncio.get_running_loop().time()
        following, self.data_at = now + 1.2 * (now - self.data_at), now
        if not self.riders or following < self.ride_until:
            return False
        return 12 + sum(len(bytes(chunk)) for chunk in (*self.riders.values(), data)) <= SCTP_MAX_PACKET_LENGTH

    def _ride_late(self) -> None:
        self.late_ride = asyncio.ensure_future(self._send_riders())

    async def _send_riders(self, *data: Chunk) -> None:
        if self.ride_timer is not None:
            self.ride_timer.cancel()
        order = (self.riders.get(SackChunk), self.riders.get(ForwardTsnChunk), *data)
        chunks = [chunk for chunk in order if chunk is not None]
        self.ride_timer, self.waited, self.riders = None, 0, {}
        if chunks:
            await self._send_now(chunks[0] if len(chunks) == 1 else Bundle(chunks))

    async def _send_now(self, chunk: Chunk) -> None:
        try:
            if isinstance(chunk, InitChunk):
                await self._send_init(chunk)
            else:
                await super()._send_chunk(chunk)
        except (ConnectionError, stun.TransactionError):
            pass  # closed, or a relay is gone: other events tell

    async def _send_init(self, chunk: InitChunk) -> None:
        """An INIT goes without a tag. aiortc repeats it with the peer's, if that is known by then, and the peer never
        answers: with both first answers lost the two ends wait for ever."""
        tag, self._remote_verification_tag = self._remote_verification_tag, 0
        try:
            await super()._send_chunk(chunk)
        finally:
            self._remote_verification_tag = self._remote_verification_tag or tag

    def _t1_expired(self) -> None:
        """aiortc gives up after eight copies of an opening message; how long opening may take is for others to say."""
        self._t1_failures = 0
        super()._t1_expired()

    def _update_rto(self, R: float) -> None:
        """A message is given up when its timer ends, and when that is shorter than the link's own delay, every one is;
        then no round trip is measured any more and it stays so."""
        super()._update_rto(R)
        self._rto = max(self._rto, self.tuning.abandon_after)

    # --- receiving ---

    async def _handle_data(self, data: bytes) -> None:
        """What the peer sends never raises; in aiortc some of it would, and end the connection with a traceback."""
        self.heard()
        try:
            await super()._handle_data(data)
        except Exception as error:
            self.malformed += 1
            logger.debug("dropped an SCTP packet of %d B: %s", len(data), type(error).__name__)

    async def _receive_chunk(self, chunk: Chunk) -> None:
        """A late copy of INIT would set the receiving side back to its start."""
        if not (isinstance(chunk, InitChunk) and self._association_state == self.State.ESTABLISHED):
            await super()._receive_chunk(chunk)

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        """aiortc says how much it is willing to hold, but holds what comes beyond that too."""
        if len(chunk.user_data) <= self._advertised_rwnd and len(self._sack_misordered) < MOST_EARLY:
            await super()._receive_data_chunk(chunk)

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        """aiortc counts through every number that an acknowledgement names, sent or not: seconds of work a packet."""
        outstanding = (self._local_tsn - 1 - chunk.cumulative_tsn) % 2**32
        if outstanding < 2**31 and all(start <= stop <= outstanding for start, stop in chunk.gaps):
            await super()._receive_sack_chunk(chunk)

    async def _data_channel_receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        """One channel is agreed on; the peer cannot open others."""
        if stream_id == self.stream:
            await super()._data_channel_receive(stream_id, pp_id, data)


def adapt(connection: RTCPeerConnection, stream: int, tuning: Tuning) -> tuple[Association, Path]:
    """Fit a connection that has a data channel and has not started yet; its SCTP and its ICE."""
    association = connection.sctp
    assert association is not None, "make the data channel first"
    handshake, path = association.transport, association.transport.transport._connection
    association.__class__, handshake.__class__, path.__class__ = Association, Handshake, Path
    assert isinstance(association, Association) and isinstance(handshake, Handshake) and isinstance(path, Path)
    path.tuning = handshake.tuning = association.tuning = tuning
    path.given_up, path.heard_at, path.probes = nothing, 0.0, set()
    association.stream, association.heard, association.drained = stream, path.heard, nothing
    association.malformed, association.riders, association.waited = 0, {}, 0
    association.ride_until = association.data_at = 0.0
    association.ride_timer = association.late_ride = None
    association._rto = tuning.opening  # until a round trip is measured
    return association, path
