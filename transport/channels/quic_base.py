"""What the channels over aioquic share: settings, and an end of a connection whose datagrams carry our packets.

    Driver ─ send ─► _datagrams_pending ─ transmit ─► socket
           ◄─ wake ─ receive, drained, closed ◄─ quic_event_received

Repair, pacing and priorities are the session's, so QUIC's own are out of the way: datagrams, never streams; a window
so large that it does not count; and `waiting`, which keeps a second packet back until the first has left. `transmit` is
always put off by one turn of the loop: what a session has to say then rides in the same packet as the handshake's or
acknowledgement's bytes.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.congestion.base import QuicCongestionControl, register_congestion_control
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicErrorCode
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.tls import Epoch

from transport.channels import nothing
from transport.channels.certificate import Certificate, fingerprint

LARGEST: Final = 1170
"""A larger datagram would stand for ever at the head of aioquic's queue, with all later ones behind it."""
SMALLEST: Final = 64
"""A peer that takes only smaller datagrams is of no use."""
PACKET: Final = 1200
HEADER: Final = 1 + 2 + 16
"""Bytes of a QUIC packet with datagrams: flags, packet number, tag; the connection id comes on top."""
FRAME: Final = 3
MAX_INBOX: Final = 256
MAX_DATAGRAM_FRAME: Final = 65536
STREAM_WINDOW: Final = 65536
REPEAT_AFTER: Final = 0.05
ACK: Final = 8
"""Bytes of an acknowledgement that rides along, and nearly every packet has one."""
ACK_DELAY: Final = (0.02, 1.0)
"""Seconds that an acknowledgement waits for a packet to ride in: a round trip, within these bounds. Alone it would take
61 B on a link that the session paces to its last byte, and a queue would grow there."""
GOODBYE: Final = 0
WRONG_TOKEN: Final = 1
NO_DATAGRAMS: Final = 2
TOO_LATE: Final = 3
WRONG_CERTIFICATE: Final = 4
REASONS: Final = {
    GOODBYE: "closed by the peer",
    WRONG_TOKEN: "the server refused the token",
    NO_DATAGRAMS: "closed by the peer, which needs datagrams",
    TOO_LATE: "closed by the peer, which waited for our token in vain",
    WRONG_CERTIFICATE: "the client refused our certificate",
}
"""Error codes that our ends close with, as the other end reports them."""
NO_ALPN: Final = QuicErrorCode.CRYPTO_ERROR + 120


class FixedWindow(QuicCongestionControl):
    """A congestion controller that never holds anything back: the session above paces."""

    def __init__(self, *, max_datagram_size: int) -> None:
        self.congestion_window = 1 << 22

    def on_packet_acked(self, *, now: float, packet: QuicSentPacket) -> None:
        self.bytes_in_flight -= packet.sent_bytes

    def on_packet_sent(self, *, packet: QuicSentPacket) -> None:
        self.bytes_in_flight += packet.sent_bytes

    def on_packets_expired(self, *, packets: Iterable[QuicSentPacket]) -> None:
        self.bytes_in_flight -= sum(packet.sent_bytes for packet in packets)

    def on_packets_lost(self, *, now: float, packets: Iterable[QuicSentPacket]) -> None:
        self.bytes_in_flight -= sum(packet.sent_bytes for packet in packets)

    def on_persistent_congestion(self) -> None:
        pass

    def on_rtt_measurement(self, *, now: float, rtt: float) -> None:
        pass


register_congestion_control("layercast", FixedWindow)


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """What is known of the link before anything was measured.

    Attributes:
        rate: bit/s; None if unknown.
        rtt: round trip in seconds, without the time that bytes take.
        lossless: no packet is ever lost: then nothing of the handshake needs to go twice.
    """

    rate: float | None = None
    rtt: float = 0.1
    lossless: bool = False

    @property
    def initial_rtt(self) -> float:
        """The round trip that QUIC assumes at first, seconds; after twice as long it repeats its first flight.

        aioquic's own 0.1 s floods a slow link with 1.2 kB copies. Half a packet's time is the best compromise with
        loss; without loss the time of a whole exchange, so that nothing is ever repeated.
        """
        packet = (PACKET + 28) * 8 / self.rate if self.rate else 0.0
        if self.lossless:
            return max(3.0, (self.rtt + 3 * packet) / 2)
        return max(0.1, 5000 / self.rate) if self.rate else 0.1


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one end.

    Attributes:
        link: what is known of the link.
        idle_timeout: seconds without a sign of the peer after which the channel is closed; the smaller of both ends
            counts. Only this finds out that a path is dead.
        keepalive: seconds of silence after which a ping goes out (57 B, its answer 55 B, on the wire); None for
            never. An idle channel then costs nothing, and closes after `idle_timeout`.
    """

    link: LinkProfile = field(default_factory=LinkProfile)
    idle_timeout: float = 60.0
    keepalive: float | None = None

    def configuration(self, alpn: str, certificate: Certificate | None = None) -> QuicConfiguration:
        """aioquic's settings: those of a server where there is a certificate, else those of a client."""
        return QuicConfiguration(
            is_client=certificate is None,
            alpn_protocols=[alpn],
            certificate=certificate.certificate if certificate else None,
            private_key=certificate.key if certificate else None,
            verify_mode=ssl.CERT_NONE,  # a client compares fingerprints instead, see `_check_certificate`
            congestion_control_algorithm="layercast",
            initial_rtt=self.link.initial_rtt,
            idle_timeout=self.idle_timeout,
            max_datagram_frame_size=MAX_DATAGRAM_FRAME,
            max_data=STREAM_WINDOW,
            max_stream_data=STREAM_WINDOW,
        )


class QuicEnd(QuicConnectionProtocol):
    """One end of a connection, as a `Channel`. What carries the token is up to the subclasses."""

    most_stream_bytes = 4096
    """More than this on streams, in all, is no peer of ours."""

    def __init__(self, quic: QuicConnection, settings: Settings, pin: bytes | None = None) -> None:
        """`pin`: a client's; the only certificate fingerprint that it accepts."""
        super().__init__(quic)
        self.largest = LARGEST
        self.overhead = 28 + HEADER + 8 + FRAME + ACK
        self.wake: Callable[[], None] = nothing
        self.closed: str | None = None
        self.verified = False
        """Client: the server has proved that it has the pinned certificate, now or when it gave the ticket."""
        self._settings = settings
        self._pin = pin
        self._prefix = b""
        self._inbox: deque[bytes] = deque(maxlen=MAX_INBOX)
        self._is_client = quic.configuration.is_client
        self._held_back = 1 if self._is_client else 0
        self._stream_bytes = 0
        self._heard = self._loop.time()
        self._timers: list[asyncio.TimerHandle] = []
        quic._ack_delay = ACK_DELAY[0]
        quic._local_active_connection_id_limit = 2  # six spare ids more are 168 B before the first caption
        if settings.keepalive is not None:
            self._later(settings.keepalive, self._keep_alive)

    # --- Channel ---

    @property
    def waiting(self) -> int:
        """Bytes in aioquic's queues; more than 0 too as long as nothing can be sent at all."""
        return self._held_back + sum(map(len, self._quic._datagrams_pending))

    @property
    def peer_address(self) -> tuple[Any, ...] | None:
        """The peer's address as the socket has it; None before anything came."""
        found: tuple[Any, ...] | None = self._quic.get_peer_address()
        return found

    def send(self, data: bytes) -> None:
        if len(data) > self.largest:
            raise ValueError(f"a datagram of {len(data)} B on a channel for {self.largest}")
        if self.closed is None:
            self._quic.send_datagram_frame(self._prefix + data)
            self._transmit_soon()

    def receive(self) -> bytes | None:
        return self._inbox.popleft() if self._inbox else None

    def close(self, error_code: int = GOODBYE, reason_phrase: str = "") -> None:
        self._end("closed here", error_code, reason_phrase)

    # --- asyncio ---

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        assert isinstance(data, bytes)
        self._heard = self._loop.time()
        self._quic._ack_delay = min(max(self._quic._loss._rtt_smoothed, ACK_DELAY[0]), ACK_DELAY[1])
        self._quic.receive_datagram(data, addr, now=self._heard)
        self._process_events()
        ending = self._quic._close_event
        if ending is None:
            self._transmit_soon()
        else:  # aioquic tells of it only when it has also waited for stragglers
            self.transmit()
            self._note_end(ending)

    def error_received(self, exc: Exception) -> None:
        """What the system says of the path is not to be trusted: the idle timeout decides."""

    def transmit(self) -> None:
        if self.closed is not None and self._is_client:
            return
        waited = self.waiting
        self._acknowledge_along()
        super().transmit()
        self._held_back = self._unsent()
        if waited and not self.waiting:
            self.wake()

    def quic_event_received(self, event: events.QuicEvent) -> None:
        if isinstance(event, events.ConnectionTerminated):
            self._note_end(event)
        elif self.closed is not None:
            return
        elif isinstance(event, events.HandshakeCompleted):
            self._handle_handshake(event)
        elif isinstance(event, events.StreamDataReceived):
            self._stream_bytes += len(event.data)
            if self._stream_bytes > self.most_stream_bytes:
                self._end("the peer sent too much outside datagrams", QuicErrorCode.APPLICATION_ERROR)
                return
        self.handle_event(event)

    def handle_event(self, event: events.QuicEvent) -> None:
        """What a subclass makes of an event of an open connection."""
        raise NotImplementedError

    # --- for subclasses ---

    def _take(self, data: bytes) -> None:
        """A packet of ours came."""
        self._inbox.append(data)
        self.wake()

    def _set_limits(self) -> bool:
        """Learn how large datagrams may be; False if the peer takes none, and then this is the end."""
        limit = self._quic._remote_max_datagram_frame_size or 0
        ids = len(self._quic._peer_cid.cid)
        address = str((self._quic.get_peer_address() or ("",))[0])
        self.overhead = (48 if ":" in address and not address.startswith("::ffff:") else 28) + HEADER + ids + FRAME
        self.overhead += ACK + len(self._prefix)
        self.largest = min(LARGEST, PACKET - HEADER - ids - FRAME, limit - FRAME) - len(self._prefix)
        if self.largest < SMALLEST:
            self._end("the peer takes no datagrams", NO_DATAGRAMS)
            return False
        return True

    def _end(self, why: str, code: int, reason: str = "") -> None:
        """Close from this side, and say so twice: a goodbye that is lost would leave the peer waiting."""
        if self.closed is not None:
            return
        self._quic.close(error_code=code, reason_phrase=reason)
        if self._transport is not None:
            for data, address in self._quic.datagrams_to_send(now=self._loop.time()):
                self._transport.sendto(data, address)
                self._transport.sendto(data, address)
        self.transmit()
        self._set_closed(why)

    # --- handshake ---

    def _handle_handshake(self, event: events.HandshakeCompleted) -> None:
        if not self._is_client:
            return
        if not self._check_certificate(event.session_resumed):
            self._end("the server has another certificate than the pinned one", WRONG_CERTIFICATE)
            return
        self.verified = True
        if self._set_limits():
            self._held_back = 0
            if not self._settings.link.lossless:
                self._later(REPEAT_AFTER, self._repeat_last_flight)
            self.wake()

    def _check_certificate(self, resumed: bool) -> bool:
        """A resumed session has none: its ticket came from a server that was checked."""
        certificate = self._quic.tls._peer_certificate
        return resumed if certificate is None else fingerprint(certificate) == self._pin

    def _repeat_last_flight(self) -> None:
        """Send the end of the handshake and the token once more: losing them alone would cost seconds, for aioquic has
        one measured round trip by now and waits for three."""
        if self.closed is not None or self._quic._handshake_confirmed:
            return
        for space in self._quic._loss.spaces:
            packets = [packet for packet in space.sent_packets.values() if packet.is_ack_eliciting]
            self._quic._loss._on_packets_lost(
                congestion_event=False, now=self._loop.time(), packets=packets, space=space
            )
        self._transmit_soon()

    def _can_send_early(self) -> bool:
        """Whether data may go with the first packet (0-RTT)."""
        return self._quic._cryptos[Epoch.ZERO_RTT].send.is_valid()

    def _acknowledge_along(self) -> None:
        """Acknowledge what waits for it now, if a packet leaves anyway: alone it costs 61 B."""
        space = self._quic._spaces.get(Epoch.ONE_RTT)
        if space is not None and space.ack_at is not None and self._quic._datagrams_pending:
            space.ack_at = min(space.ack_at, self._loop.time())

    def _unsent(self) -> int:
        """Stream bytes and ends of streams that aioquic could not send just now."""
        senders = [stream.sender for stream in self._quic._streams.values() if not stream.sender.buffer_is_empty]
        return sum(sum(map(len, sender._pending)) + sender._pending_eof for sender in senders)

    # --- the end ---

    def _note_end(self, event: events.ConnectionTerminated) -> None:
        if self.closed is not None:
            return
        if event.reason_phrase == "Idle timeout":
            self._set_closed(f"nothing heard from the peer for {self._loop.time() - self._heard:.0f} s")
        elif event.frame_type is None and event.error_code in REASONS:
            self._set_closed(REASONS[event.error_code])
        elif event.error_code == NO_ALPN:
            self._set_closed("the peer speaks another protocol")
        else:
            words = "".join(letter for letter in event.reason_phrase[:80] if letter.isprintable())
            self._set_closed(f"QUIC broke off: {words or 'no reason given'} (error {event.error_code:#x})")

    def _set_closed(self, why: str) -> None:
        self.closed = why
        self._quic._datagrams_pending.clear()
        for timer in self._timers:
            timer.cancel()
        if self._is_client:  # nothing more is sent or taken; a server's ids are kept until stragglers have passed
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._transport is not None:
                self._transport.close()
            self._closed.set()
        self.wake()

    def _keep_alive(self) -> None:
        interval = self._settings.keepalive
        assert interval is not None
        quiet = self._loop.time() - self._heard
        if quiet >= interval:
            self._quic.send_ping(0)
            self._transmit_soon()
            quiet = 0.0
        self._later(interval - quiet, self._keep_alive)

    def _later(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after so many seconds, unless the channel is closed by then."""
        self._timers = [timer for timer in self._timers if timer.when() > self._loop.time()]
        self._timers.append(self._loop.call_later(delay, action))
