"""One transfer over a modelled link: real sender, link there, real receiver, link back, all in virtual time.

`Transfer` drives two sessions through channels whose middle is a pair of links, and keeps what the receiver was told
and when. `reliable_stream` is what a peer codec gets over the same link: the best that any reliable byte stream could
do.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sim.clock import Clock
from sim.link import Link, LinkSpec
from sim.packet import Packet
from transport import Event, Item, Receiver, Sender, SenderConfig, packet_size
from transport.channels import Session, pump


class LinkChannel:
    """One end of a pair of links, as a channel: sends on the one, receives from the other."""

    def __init__(self, out: Link, back: Link, wake: Callable[[], None]) -> None:
        self.largest = 65507
        self.overhead = out.overhead
        self.waiting = 0
        self.closed: str | None = None
        self.wake = wake
        self._out = out
        self._inbox: deque[bytes] = deque()
        back.arrived = self._take

    def send(self, data: bytes) -> None:
        self._out.send(data)

    def receive(self) -> bytes | None:
        return self._inbox.popleft() if self._inbox else None

    def _take(self, packet: Packet) -> None:
        self._inbox.append(packet.data)
        self.wake()

    def close(self) -> None:
        self.closed = "closed here"


class SessionEnd:
    """A session on its channel: pumped when a datagram comes and when its timer is due."""

    def __init__(self, clock: Clock, session: Session, out: Link, back: Link, after: Callable[[], None]) -> None:
        self._clock = clock
        self._session = session
        self._after = after
        self._channel = LinkChannel(out, back, self.turn)
        self._wake_at: float | None = None

    def turn(self) -> None:
        pump(self._session, self._channel, self._clock.now)
        self._after()
        timer = self._session.next_timer()
        if timer is not None and (self._wake_at is None or timer < self._wake_at):
            self._wake_at = timer
            self._clock.at(timer, lambda: self._woken(timer))

    def _woken(self, timer: float) -> None:
        if self._wake_at == timer:
            self._wake_at = None
            self.turn()


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event at the receiver. `wire`: bytes that had arrived by then, all headers and copies included."""

    time: float
    event: Event
    wire: int


class Transfer:
    """A sender and a receiver over a link; `arrivals` grows as `run` goes on."""

    def __init__(
        self,
        link: LinkSpec,
        seed: int = 0,
        config: SenderConfig | None = None,
        back: LinkSpec | None = None,
        sender: Any = None,
    ) -> None:
        """back: the way of the acknowledgements, like `link` unless given. sender: in place of a `transport.Sender` of
        `config`, with its methods."""
        self.clock = Clock()
        self.forward = link.make(self.clock, f"{seed}/forward")
        self.back = (back or link).make(self.clock, f"{seed}/back")
        self.sender = sender or Sender(config or SenderConfig(packet_size=packet_size(link.rate), rate=link.rate))
        self.receiver = Receiver()
        self.arrivals: list[Arrival] = []
        self._near = SessionEnd(self.clock, self.sender, self.forward, self.back, self._drain_sender)
        self._far = SessionEnd(self.clock, self.receiver, self.back, self.forward, self._drain_receiver)

    def submit(self, group: int, preamble: bytes, items: list[Item]) -> None:
        """Queue a group at the present time."""
        self.sender.start_group(group, preamble)
        for item in items:
            self.sender.submit(item)
        self._near.turn()

    def run(self, until: float) -> list[Arrival]:
        """Go on until a time (seconds); all arrivals so far."""
        self.clock.run(until)
        return self.arrivals

    def _drain_receiver(self) -> None:
        while (event := self.receiver.next_event()) is not None:
            self.arrivals.append(Arrival(self.clock.now, event, self.receiver.stats.bytes + self._headers))

    @property
    def _headers(self) -> int:
        return self.receiver.stats.packets * self.forward.overhead

    def _drain_sender(self) -> None:
        while self.sender.next_event() is not None:
            pass


class IdealStream:
    """Sends packets back to back, hears of a loss the moment a report could be there, resends the lost first.

    `timeline`: (seconds, bytes in order so far); `link`: the way there, with its log.
    """

    def __init__(self, data: bytes, spec: LinkSpec, size: int, seed: int, head: int = 0) -> None:
        """size: payload of a packet, but the first `head` bytes, if any, go by themselves."""
        self.clock = Clock()
        self.link = spec.make(self.clock, f"{seed}/forward")
        self.link.arrived, self.link.dropped = self._arrived, self._dropped
        self._spec = spec
        self._transmitter = spec.transmitter(f"{seed}/forward")
        starts = [*range(0, head, size), *range(head, len(data), size)]
        self._parts = [data[start:end] for start, end in pairwise([*starts, len(data)])]
        self._to_send = deque(range(len(self._parts)))
        self._part_of: list[int] = []  # by packet number
        self._got: set[int] = set()
        self._in_order = 0
        self._sending = False
        self.timeline: list[tuple[float, int]] = []
        self._bytes = 0

    def run(self, until: float) -> list[tuple[float, int]]:
        self._next()
        self.clock.run(until)
        return self.timeline

    def _next(self) -> None:
        if self._sending or not self._to_send:
            return
        part = self._to_send.popleft()
        self._sending = True
        self._part_of.append(part)
        self.link.send(self._parts[part])
        wire = len(self._parts[part]) + self.link.overhead
        self.clock.at(self._transmitter.finish(self.clock.now, wire * 8), self._free)

    def _free(self) -> None:
        self._sending = False
        self._next()

    def _dropped(self, packet: Packet) -> None:
        part = self._part_of[packet.number]
        self.clock.at(self.clock.now + 2 * self._spec.delay, lambda: self._resend(part))

    def _resend(self, part: int) -> None:
        self._to_send.appendleft(part)
        self._next()

    def _arrived(self, packet: Packet) -> None:
        self._got.add(self._part_of[packet.number])
        before = self._in_order
        while self._in_order in self._got:
            self._bytes += len(self._parts[self._in_order])
            self._in_order += 1
        if self._in_order > before:
            self.timeline.append((self.clock.now, self._bytes))


def reliable_stream(
    data: bytes, link: LinkSpec, until: float, seed: int = 0, size: int | None = None
) -> list[tuple[float, int]]:
    """How `data` would arrive, in order and without fault, over a link: [(seconds, bytes so far)], to `until` seconds.

    An ideal stream: no handshake, no headers beyond the link's own, full use of the rate from the first moment; a lost
    packet is known lost one round trip after it left, and goes again at once. `size`: payload of a packet, by default
    that of the layered transfer over the same link.
    """
    return IdealStream(data, link, size or packet_size(link.rate), seed).run(until)


def one_way(
    datagrams: Sequence[bytes], spec: LinkSpec, until: float, seed: int = 0
) -> tuple[list[tuple[float, int]], Link]:
    """Datagrams sent one after the other, each once: [(seconds, its number) of each that arrived], and the link."""
    clock = Clock()
    link, transmitter = spec.make(clock, f"{seed}/forward"), spec.transmitter(f"{seed}/forward")
    arrived: list[tuple[float, int]] = []
    link.arrived = lambda packet: arrived.append((clock.now, packet.number))
    waiting = iter(datagrams)

    def send() -> None:
        data = next(waiting, None)
        if data is not None:
            link.send(data)
            clock.at(transmitter.finish(clock.now, (len(data) + link.overhead) * 8), send)

    send()
    clock.run(until)
    return arrived, link
