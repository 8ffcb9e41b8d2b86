"""The receiving end of a transfer, without sockets and without a clock; `session` says how a session is driven.

    datagrams ─► limits ─► number noted ─► Assembly of each item ─► events
                               │                 ▲
                               │                 └── what was missing ── Blocks: coded data and repair packets
                               └─► acknowledgements

Any packet of any group is of use, in any order, from one sender or several: packets say where they belong. So what two
receivers caught of one broadcast merges by handing the packets of both to one Receiver.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from transport import wire
from transport.acks import Acknowledger
from transport.assemble import Assembly
from transport.control import End, Entry, First, Heard, Held, Level, Partial, Topic, runs_of
from transport.events import Ended, Event, GroupStarted, ItemReceived, SenderNamed
from transport.fields import BASE
from transport.log import Log, Trace
from transport.rebuild import Blocks
from transport.schedule import Key
from transport.symbols import MAX_REBUILT, BlockKey, Rebuilt, Repair
from transport.wants import Asking

CLOSED = 1 << 16
"""Closed groups remembered."""


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """Settings of a receiver; the limits bound what a hostile sender can cost.

    Attributes:
        ack_every, ack_bytes: acknowledge when so many packets have come that hold so many bytes together.
        ack_delay: ... and at the latest after so many seconds.
        max_groups, max_items: groups and items kept track of; beyond them packets are dropped.
        max_bytes: bytes of unfinished and untaken items held, bookkeeping of pieces included.
        max_block_bytes: bytes of unfinished blocks held for coded repair.
        packet_size: largest packet of a request, bytes.
    """

    ack_every: int = 2
    ack_bytes: int = 250
    ack_delay: float = 1.0
    max_groups: int = 256
    max_items: int = 1 << 17
    max_bytes: int = 16 << 20
    max_block_bytes: int = 2 << 20
    packet_size: int = 200


@dataclass
class ReceiverStats:
    """Counts since the start. `packets` and `bytes`: of data and repair packets; `refused`: those beyond a limit;
    `repeated`: packet numbers seen before; `rebuilt`: data packets that coded repair brought back."""

    packets: int = 0
    bytes: int = 0
    repeated: int = 0
    refused: int = 0
    rebuilt: int = 0
    malformed: int = 0


class Receiver:
    """Puts items together from any packets of any groups, in any order, and acknowledges those that carry a number."""

    def __init__(self, config: ReceiverConfig | None = None, log: Log | None = None) -> None:
        self.config = config or ReceiverConfig()
        self._trace = Trace(log)
        self.stats = ReceiverStats()
        self._preambles: dict[int, bytes | None] = {}
        self._closed: dict[int, None] = {}
        self._items: dict[Key, Assembly] = {}
        self._done: set[Key] = set()
        self._held = 0
        self._changed: dict[Key, None] = {}
        self._started: deque[GroupStarted] = deque()
        self._acks = Acknowledger(self.config.ack_every, self.config.ack_bytes, self.config.ack_delay)
        self._ended: Ended | None = None
        self._asking = Asking(self.config.packet_size)
        self._blocks = Blocks(self.config.max_block_bytes)
        self._rebuilt: dict[BlockKey, None] = {}
        self._rebuilt_at: float | None = None
        self._name = ""
        self._named: SenderNamed | None = None

    def want(self, upto: int, group: int | None = None, now_first: Iterable[tuple[int, int]] = ()) -> None:
        """Ask for classes up to `upto` (NOTHING: stop) of one group, or of all that are not asked for by themselves.

        now_first: items (class, index) of the group to be sent, with what they need, before the rest.
        """
        entries: list[Entry] = []
        runs = tuple(runs_of(now_first))
        if runs and group is not None:
            entries.append(First(group, runs))
        self._asking.ask([*entries, Level(group, upto)])

    def ask_for(self, topic: str) -> None:
        """Say what you came for, in the application's own words (180 B of UTF-8 at most). Call it before `want`."""
        self._asking.ask([Topic(topic)])

    def resume(self, group: int, preamble: bytes, items: Mapping[tuple[int, int], tuple[bytes, bool]]) -> None:
        """Go on with a group of which (class, index) -> (first bytes, whether that is all) are here from before.

        They are told to the sender and not announced as events again. Call it before `want`.
        """
        self._preambles[group] = preamble or None  # without one, the first base packet still starts the group
        entries: list[Entry] = []
        whole = [key for key, (_, complete) in items.items() if complete]
        self._done.update((group, *key) for key in whole)
        if whole:
            entries.append(Held(group, tuple(runs_of(whole))))
        for (cls, index), (start, complete) in items.items():
            if start and not complete:
                self._items[group, cls, index] = assembly = Assembly()
                assembly.add(0, start, final=False)
                self._held += assembly.cost
                entries.append(Partial(group, cls, index, len(start)))
        self._asking.ask(entries)

    def missing(self, group: int) -> dict[tuple[int, int], list[tuple[int, int | None]]]:
        """(class, index) -> ranges of bytes that are not here, of items begun; None: to an end not yet known."""
        return {key[1:]: items.gaps() for key, items in self._items.items() if key[0] == group and not items.complete}

    def handle_datagram(self, data: bytes, now: float) -> None:
        """Take a packet; what is none, or goes beyond a limit, is counted and dropped."""
        self._trace.received(data, now)
        try:
            packet = wire.parse(data)
        except wire.WireError:
            self.stats.malformed += 1
            return
        if isinstance(packet, Heard):
            self._asking.handle_heard(packet)
            return
        if isinstance(packet, End):
            self._ended = Ended(packet.why)
            return
        if isinstance(packet, wire.Name):
            self._handle_name(packet.name)
            return
        if not isinstance(packet, wire.Data | Repair):
            self.stats.malformed += 1
            return
        self.stats.packets += 1
        self.stats.bytes += len(data)
        segments = packet.segments if isinstance(packet, wire.Data) else ()
        closed = packet.group in self._closed
        if not closed and self._beyond_limits(packet.group, len(segments), len(data)):
            self.stats.refused += 1
            return
        if packet.number is not None:
            urgent = any(segment.cls == BASE for segment in segments)
            self.stats.repeated += self._acks.handle_number(packet.number, urgent, len(data), now)
        if closed:
            return
        self._preambles.setdefault(packet.group, None)
        if isinstance(packet, Repair):
            self._handle_repair(packet, now)
        else:
            self._handle_data(packet, now)

    @property
    def loss(self) -> float | None:
        """Share of the sender's last packets that did not come; None before any that has a number."""
        return self._acks.loss

    def handle_timer(self, now: float) -> None:
        """Nothing to do but `poll_transmit`; here so that both ends are driven alike."""

    def next_timer(self) -> float | None:
        """When the next acknowledgement or request is due; None if none is."""
        times = (self._acks.next_timer(), self._rebuilt_at, self._asking.next_timer())
        return min((time for time in times if time is not None), default=None)

    def poll_transmit(self, now: float) -> bytes | None:
        """An acknowledgement or a request, if one is due at `now`."""
        return self._trace.sent(self._next_datagram(now), now)

    def _next_datagram(self, now: float) -> bytes | None:
        if self._rebuilt_at is not None and now >= self._rebuilt_at:
            return self._tell_rebuilt()
        return self._acks.poll_transmit(now) or self._asking.poll_transmit(now)

    def next_event(self) -> Event | None:
        """What is new: the sender's name, groups, then each item that grew, once, with all its bytes so far."""
        return self._trace.told(self._next_event())

    def _next_event(self) -> Event | None:
        if self._named is not None:
            named, self._named = self._named, None
            return named
        if self._started:
            return self._started.popleft()
        if not self._changed:
            ended, self._ended = self._ended, None
            return ended
        key = next(iter(self._changed))
        del self._changed[key]
        assembly = self._items[key]
        if assembly.complete:
            self._held -= assembly.cost
            del self._items[key]
            self._done.add(key)
        return ItemReceived(key, bytes(assembly.prefix), assembly.complete)

    def forget(self, group: int) -> None:
        """Drop all that is known of a group, so that its place is free; packets that still come start it anew."""
        for key in [key for key in self._items if key[0] == group]:
            self._held -= self._items.pop(key).cost
            self._changed.pop(key, None)
        self._done = {key for key in self._done if key[0] != group}
        self._preambles.pop(group, None)
        self._blocks.forget(group)

    def close(self, group: int) -> None:
        """The application has all that it wants of a group: what still comes of it is acknowledged and dropped, and it
        takes no place any more."""
        self.forget(group)
        self._closed[group] = None
        if len(self._closed) > CLOSED:
            del self._closed[next(iter(self._closed))]

    def _beyond_limits(self, group: int, segments: int, size: int) -> bool:
        if group not in self._preambles and len(self._preambles) >= self.config.max_groups:
            return True
        known = len(self._items) + len(self._done) + segments
        return known > self.config.max_items or self._held + size > self.config.max_bytes

    def _handle_data(self, packet: wire.Data, now: float) -> None:
        group = packet.group
        if packet.segments[0].cls == BASE and packet.preamble != self._preambles[group]:
            self._preambles[group] = packet.preamble
            self._started.append(GroupStarted(group, packet.preamble))
        for segment in packet.segments:
            self._add(group, segment)
        if packet.coded is not None:
            block, place = packet.coded
            key = (group, packet.segments[0].cls, block)
            bodies = self._blocks.handle_body(key, place, packet.body())
            self._add_rebuilt(key, bodies, packet.number is not None, now)

    def _handle_repair(self, packet: Repair, now: float) -> None:
        numbered = packet.number is not None
        bodies = self._blocks.handle_repair(packet)
        self._add_rebuilt(packet.key, bodies, numbered, now)
        if numbered and not bodies and self._blocks.was_rebuilt(packet):  # the sender has not heard yet
            self._rebuilt[packet.key] = None
            self._rebuilt_at = self._acks.next_timer()

    def _add_rebuilt(self, key: BlockKey, bodies: list[bytes], numbered: bool, now: float) -> None:
        """Take in the bodies that coded repair brought back; `numbered`: the sender wants to hear of it."""
        taken = [self._add_body(key, body) for body in bodies]
        if numbered and taken and all(taken):
            self._rebuilt[key] = None
            self._rebuilt_at = now

    def _add_body(self, key: BlockKey, body: bytes) -> bool:
        group, cls, _ = key
        try:
            segments = wire.parse_body(body)
        except wire.WireError:
            segments = ()
        if not segments or segments[0].cls != cls:
            self.stats.malformed += 1
            return False
        if self._beyond_limits(group, len(segments), len(body)):
            self.stats.refused += 1
            return False
        self.stats.rebuilt += 1
        for segment in segments:
            self._add(group, segment)
        return True

    def _tell_rebuilt(self) -> bytes:
        told = list(islice(self._rebuilt, MAX_REBUILT))
        for key in told:
            del self._rebuilt[key]
        if not self._rebuilt:
            self._rebuilt_at = None
        return Rebuilt(tuple(told)).encode()

    def _handle_name(self, name: str) -> None:
        if name != self._name:
            self._name, self._named = name, SenderNamed(name)

    def _add(self, group: int, segment: wire.Segment) -> None:
        key = (group, segment.cls, segment.index)
        if key in self._done:
            return
        assembly = self._items.setdefault(key, Assembly())
        before = assembly.cost
        if assembly.add(segment.offset, segment.payload, segment.final):
            self._changed[key] = None
        self._held += assembly.cost - before
