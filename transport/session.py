"""The sending end of a transfer, without sockets and without a clock: datagrams and `now` in, datagrams, timers and
events out. `receive` is the other end.

    items ─► Sender ─► datagrams ~~ a channel, a link ~~► Receiver ─► events
                ▲                                            │
                └──────────────── acknowledgements ──────────┘

Whoever drives a session calls, in this order: `handle_datagram` for what came, `handle_timer` when `next_timer()` has
passed, then `poll_transmit` until it gives None, then `next_event` until it gives None. `now` is in seconds on any
clock that never goes back. The pacing is in `poll_transmit`: it gives nothing as long as the last packet still crosses
the link, so a driver need not, and must not, queue.

Bytes from the peer never raise: what is no packet is counted in `stats` and dropped.
"""

import math
from collections import deque
from dataclasses import dataclass
from itertools import islice

from transport import wire
from transport.coding import CodedBlock, Coding
from transport.control import End, First, Level, Request, Topic
from transport.estimate import Estimate
from transport.events import Event, ItemDelivered, ItemDropped, LevelWanted, TopicWanted
from transport.fields import BASE, varint_size
from transport.log import Log, Trace
from transport.pace import GuidedPacer
from transport.repair import ONE_WAY, WITH_FEEDBACK, Flight, Piece, Policy, Sent
from transport.schedule import Item, Key, Outgoing, Schedule
from transport.symbols import Rebuilt
from transport.wants import Wants

__all__ = [
    "Item",
    "Policy",
    "Sender",
    "SenderConfig",
    "SenderStats",
]

SMALLEST_PACKET = 40
SMALLEST_PIECE = 24
"""Room below which it is not worth starting another piece in a packet."""
ENDS = 6
"""How often the end is told."""
MAX_CHOSEN = 1 << 16
"""Items that one entry of a request can choose."""


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """Settings of a sender.

    Attributes:
        packet_size: largest datagram in bytes, our framing included (see `pace.packet_size`).
        overhead: bytes that the layers below add to a datagram; the pacer counts them.
        rate: the link's rate in bit/s if known, else None: then it is estimated.
        initial_rate: where the estimate starts, bit/s.
        initial_rtt: round trip assumed until one is measured, seconds.
        feedback: False for one-way links: nothing is numbered, nothing awaited.
        policies: how each of the four classes is protected; None for the defaults of `repair`.
        newest_first: among items of equal priority and deadline, the last submitted goes first.
        wait_for_request: send nothing until the receiver has said how far it wants everything (and so what it holds).
    """

    packet_size: int = 1100
    overhead: int = 28
    rate: float | None = None
    initial_rate: float = 16_000.0
    initial_rtt: float = 1.0
    feedback: bool = True
    policies: tuple[Policy, Policy, Policy, Policy] | None = None
    newest_first: bool = False
    wait_for_request: bool = False

    def __post_init__(self) -> None:
        if self.packet_size < SMALLEST_PACKET:
            raise ValueError(f"packets of {self.packet_size} B are too small: {SMALLEST_PACKET} at least")
        if self.rate is None and not self.feedback:
            raise ValueError("without feedback the rate cannot be estimated: give one")
        if any(rate is not None and rate <= 0 for rate in (self.rate, self.initial_rate)):
            raise ValueError("a rate is more than 0 bit/s")


@dataclass
class SenderStats:
    """Counts since the start; bytes are those of datagrams, without the layers below."""

    packets: int = 0
    bytes: int = 0
    payload: int = 0
    lost: int = 0
    malformed: int = 0


def check_item(item: Item) -> None:
    """Raises ValueError for an item that the wire cannot carry."""
    fits = 0 <= item.group <= wire.MAX_GROUP and 0 <= item.cls < wire.CLASSES and 0 <= item.index <= wire.MAX_INDEX
    if not fits or len(item.payload) > wire.MAX_ITEM or not (item.payload or item.ends):
        raise ValueError(f"item {item.key} of {len(item.payload)} B is outside what the wire can carry")


class Sender:
    """Moves items to one receiver, the most urgent bytes first, at the link's rate."""

    def __init__(self, config: SenderConfig | None = None, log: Log | None = None) -> None:
        self.config = config or SenderConfig()
        self._trace = Trace(log)
        self.stats = SenderStats()
        self.estimate = Estimate(self.config.rate, self.config.initial_rate, self.config.initial_rtt)
        self._policies = self.config.policies or (WITH_FEEDBACK if self.config.feedback else ONE_WAY)
        self._wants = Wants()
        self._schedule = Schedule(self.config.newest_first, self._is_wanted)
        self._pacer = GuidedPacer(self.config.packet_size, self.config.overhead, self.estimate)
        self._flight = Flight()
        self._coding = Coding()
        self._preambles: dict[int, bytes] = {}
        self._events: deque[Event] = deque()
        self._number = 0
        self._finished, self._ends_left, self._end_at, self._why = False, 0, -math.inf, ""

    def start_group(self, group: int, preamble: bytes) -> None:
        """Say what every base packet of a group begins with (0-8 B), before its first item is submitted."""
        if not 0 <= group <= wire.MAX_GROUP or len(preamble) > wire.MAX_PREAMBLE:
            raise ValueError("a group is a 32-bit number, its preamble at most 8 B")
        self._preambles[group] = preamble

    def submit(self, item: Item) -> None:
        """Queue an item. Raises ValueError for one that the wire cannot carry or whose key is still on its way."""
        check_item(item)
        outgoing = self._schedule.add(item, self._policies[item.cls])
        if outgoing is None:
            self._events.append(ItemDropped(item.key))
        else:
            self._leave_out_held(outgoing)

    def cancel(self, group: int) -> None:
        """Send nothing more of a group."""
        self._events.extend(ItemDropped(key) for key in self._schedule.cancel(group))
        self._preambles.pop(group, None)

    def finish(self, why: str = "") -> None:
        """No more will be submitted: once all that is wanted is delivered, the receiver is told so.

        `why`: a reason in 180 B of UTF-8 at most, where nothing could be submitted.
        """
        self._why = why
        self._finished, self._ends_left, self._end_at = True, ENDS, -math.inf

    @property
    def idle(self) -> bool:
        """Nothing to send and nothing awaited."""
        return self._schedule.open_items == 0

    def handle_datagram(self, data: bytes, now: float) -> None:
        """Take what came from the receiver: an acknowledgement, or something to be dropped."""
        self._trace.received(data, now)
        try:
            packet = wire.parse(data)
        except wire.WireError:
            self.stats.malformed += 1
            return
        if isinstance(packet, Request):
            self._handle_request(packet)
            return
        if isinstance(packet, Rebuilt):
            for key in packet.blocks:
                self._deliver(self._coding.handle_rebuilt(key))
            return
        newest = self._number - 1
        largest = newest - (newest - packet.largest) % wire.NUMBERS if isinstance(packet, wire.Ack) else -1
        if not isinstance(packet, wire.Ack) or largest < 0:
            self.stats.malformed += 1
            return
        acked = self._flight.handle_acked(((largest - far, largest - near) for near, far in packet.ranges))
        for sent in acked:
            self._deliver(sent.pieces)
            self._coding.handle_acked(sent)
        self.estimate.handle_acked(acked, largest, packet, now)
        self._pacer.handle_acked(largest)
        self._trace.acked(acked, self.estimate)
        self._find_losses(now)

    def handle_timer(self, now: float) -> None:
        """`next_timer()` has passed: look for losses and for what has come too late."""
        self._trace.now = now
        self._expire(now)
        self._find_losses(now)
        self._repair(self._flight.detect_silence(self._probe_time, now))

    def next_timer(self) -> float | None:
        """When to call `handle_timer` and `poll_transmit` again if nothing comes before; None for never."""
        times = [self._flight.late_at, self._flight.silence_at(self._probe_time)]
        lead = self._schedule.peek()
        urgent = lead is not None and lead.item.cls == BASE
        more = lead is not None or self._coding.waiting
        if self._wants.to_answer or (more and self._pacer.window_open(self._flight.bytes, urgent)):
            times.append(self._pacer.ready_at(urgent))
        if self._end_due is not None:
            times.append(max(self._end_due, self._ready_at))
        return min((time for time in times if time is not None), default=None)

    def poll_transmit(self, now: float) -> bytes | None:
        """The next datagram if one may leave at `now`: what goes in is chosen here and not before."""
        return self._trace.sent(self._next_datagram(now), now)

    def _next_datagram(self, now: float) -> bytes | None:
        self._trace.now = now
        self._expire(now)
        if now < self._ready_at:
            return None
        if (heard := self._wants.poll_heard()) is not None:
            self._note_sent(len(heard), now)
            return heard
        if self._end_due is not None and self._end_due <= now:
            return self._build_end(now)
        if not self._window_open:
            return None
        built = self._build_next()
        if built is None:
            return None
        data, pieces, block = built
        size = len(data) + self.config.overhead
        self._note_sent(len(data), now)
        if self.config.feedback:
            sent = Sent(self._number, now, size, pieces, block)
            self._pacer.handle_numbered(sent)
            self._flight.handle_sent(sent)
            self._number += 1
        return data

    def next_event(self) -> Event | None:
        return self._trace.told(self._events.popleft()) if self._events else None

    def _note_sent(self, size: int, now: float) -> None:
        self._pacer.handle_sent(size, self.estimate.rate, now)
        self.stats.packets += 1
        self.stats.bytes += size

    @property
    def ends_told(self) -> int:
        """How often the receiver was told that it has all; 0 before, and again once it wants more."""
        return ENDS - self._ends_left if self._finished else 0

    @property
    def _end_due(self) -> float | None:
        begun = self._wants.begun or not self.config.wait_for_request
        return self._end_at if self._ends_left and begun and self.idle else None

    def _build_end(self, now: float) -> bytes:
        """The end may be lost, and nobody acknowledges it: it goes a few times, ever later."""
        self._ends_left -= 1
        self._end_at = now + 2 ** (ENDS - self._ends_left - 1) * max(1.0, self.estimate.srtt)
        data = End(self._why).encode()
        self._note_sent(len(data), now)
        return data

    # --- requests ---

    def _is_wanted(self, item: Item) -> bool:
        if self.config.wait_for_request and not self._wants.begun:
            return False
        return self._wants.wanted(item.group, item.cls)

    def _handle_request(self, request: Request) -> None:
        entries = self._wants.handle_request(request)
        for entry in entries:
            if isinstance(entry, First):
                of_runs = ((entry.group, cls, index) for cls, run in entry.runs for index in run)
                self._schedule.prefer(islice(of_runs, MAX_CHOSEN))
            elif isinstance(entry, Level):
                self._events.append(LevelWanted(entry.group, entry.upto))
            elif isinstance(entry, Topic):
                self._events.append(TopicWanted(entry.text))
            else:
                for outgoing in self._schedule.of_group(entry.group):
                    self._leave_out_held(outgoing)
        if entries:
            self._schedule.reconsider()
            if self._finished:
                self.finish(self._why)

    def _leave_out_held(self, outgoing: Outgoing) -> None:
        """What the receiver has from before counts as delivered."""
        item = outgoing.item
        held = self._wants.held(*item.key)
        if outgoing.handle_acked(0, outgoing.units if held is None else min(held, len(item.payload))):
            self._schedule.close(outgoing)
            self._events.append(ItemDelivered(item.key))

    # --- building ---

    def _build_next(self) -> tuple[bytes, list[Piece], CodedBlock | None] | None:
        """The next packet: repair symbols of a block that is through, but for the base, or else the best items."""
        lead = self._schedule.peek()
        self._coding.follow(lead.item if lead else None)
        self._send_again()
        lead = self._schedule.peek()
        if lead is None or lead.item.cls != BASE:
            repair = self._coding.poll_repair(self._number)
            if repair is not None:
                return repair[0], [], repair[1]
        return self._build(lead) if lead is not None else None

    def _block_for(self, lead: Outgoing) -> CodedBlock | None:
        if not self.config.feedback or not lead.policy.code:
            return None
        packet_time = self.estimate.packet_time(self._pacer.wire_size)
        if not self._coding.measure(self.estimate.loss, self.estimate.srtt / packet_time):
            return None
        size = self._schedule.bytes_to_send(lead.item.group, lead.item.cls)
        return self._coding.block_for(lead.item, size, self._pacer.size)

    def _build(self, lead: Outgoing) -> tuple[bytes, list[Piece], CodedBlock | None]:
        """Fill one packet with the best pieces of one group."""
        group, preamble = lead.item.group, b""
        block = self._block_for(lead)
        alone = block is not None or (lead.item.cls == BASE and lead.copies_sent == 0)
        segments: list[wire.Segment] = []
        pieces: list[Piece] = []
        largest = self.config.packet_size if lead.item.cls == BASE else block.limit if block else self._pacer.size
        used = wire.head_size(self.config.feedback, 0, block.key[2] if block else None)
        while (outgoing := self._schedule.peek()) is not None and outgoing.item.group == group:
            item = outgoing.item
            if (alone and item.cls != lead.item.cls) or (segments and lead.item.cls != BASE == item.cls):
                break
            head = self._preambles.get(group, b"") if item.cls == BASE and not preamble else b""
            offset, size = outgoing.next_piece()
            more = 1 + varint_size(len(segments[-1].payload)) if segments else 0
            cost = more + wire.segment_size(item.index, offset) + (1 + len(head) if head else 0)
            room = largest - used - cost
            if segments and not self._worth_splitting(outgoing, size, room, largest):
                break
            self._schedule.pop()
            start, stop = outgoing.take(room)
            payload = item.payload[start:stop]
            segments.append(wire.Segment(item.cls, item.index, start, payload, item.ends and stop == outgoing.units))
            pieces.append((outgoing, start, stop))
            preamble = preamble or head
            used += cost + len(payload)
            self._schedule.push(outgoing)
        self._finish_copies(pieces)
        self.stats.payload += sum(len(segment.payload) for segment in segments)
        number = self._number if self.config.feedback else None
        packet = wire.Data(group, tuple(segments), number, preamble, block.place if block else None)
        if block is not None:
            self._coding.handle_built(block, packet.body(), pieces)
        return packet.encode(), pieces, block

    def _worth_splitting(self, outgoing: Outgoing, size: int, room: int, full: int) -> bool:
        """Whether the next piece goes into the room that is left: whole, or in part where that costs nothing."""
        if size <= room:
            return True
        fits_alone = size <= full - 2 * SMALLEST_PIECE
        return room >= SMALLEST_PIECE and (outgoing.item.may_cut or not fits_alone)

    def _finish_copies(self, pieces: list[Piece]) -> None:
        """Items that are now sent once more: queue the next copy, never into the same packet."""
        for outgoing in dict.fromkeys(outgoing for outgoing, _, _ in pieces):
            if outgoing.pending:
                continue
            if outgoing.start_copy():
                self._schedule.push(outgoing)
            elif not self.config.feedback:
                self._schedule.close(outgoing)

    # --- repair ---

    @property
    def _probe_time(self) -> float:
        return self.estimate.probe_time(self._pacer.wire_size)

    @property
    def _ready_at(self) -> float:
        return self._pacer.ready_at(self._urgent)

    @property
    def _urgent(self) -> bool:
        """Whether a base item goes next."""
        lead = self._schedule.peek()
        return lead is not None and lead.item.cls == BASE

    @property
    def _window_open(self) -> bool:
        return self._pacer.window_open(self._flight.bytes, self._urgent)

    def _deliver(self, pieces: list[Piece]) -> None:
        for outgoing, start, stop in pieces:
            if not outgoing.closed and outgoing.handle_acked(start, stop):
                self._schedule.close(outgoing)
                self._events.append(ItemDelivered(outgoing.item.key))

    def _find_losses(self, now: float) -> None:
        self._repair(self._flight.detect_lost(max(self.estimate.srtt, self.estimate.latest_rtt), now))

    def _repair(self, lost: list[Sent]) -> None:
        self.estimate.handle_lost(len(lost))
        self.stats.lost += len(lost)
        self._trace.lost(lost)
        for sent in lost:
            self._coding.handle_lost(sent)
        self._send_again()

    def _send_again(self) -> None:
        """Resend or drop what is lost for good."""
        for outgoing, start, stop in self._coding.take_lost():
            if outgoing.closed:
                continue
            if outgoing.policy.resend:
                outgoing.handle_lost(start, stop)
                self._schedule.push(outgoing)
            elif not outgoing.pending:
                self._drop(self._schedule.drop(outgoing.item.key))

    def _expire(self, now: float) -> None:
        self._drop(self._schedule.expire(now))

    def _drop(self, keys: list[Key]) -> None:
        self._events.extend(ItemDropped(key) for key in keys)
