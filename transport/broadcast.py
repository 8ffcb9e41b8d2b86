"""The sending end where nobody answers: broadcast, radio, a data diode. Driven like a `session.Sender`.

    items ─► program of each group (order, copies, repair symbols) ─► paced datagrams ~~► any number of Receivers

All the protection there is was chosen beforehand, from the loss that is expected (`program`). Where several groups are
on their way, the packets of the better priority go first, whatever their group. A carousel sends everything again for
those who came late, each turn with further repair symbols; whoever missed packets of one turn can use any of the next.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from transport import wire
from transport.events import Event, ItemDropped
from transport.pace import Pacer
from transport.program import Plan, Program, Slot, make_program
from transport.redundancy import Channel
from transport.schedule import Item, Key
from transport.session import SMALLEST_PACKET, SenderStats, check_item

Targets = tuple[float | None, float | None, float | None, float | None]
TARGETS: Targets = (0.9998, 0.997, 0.97, None)
"""Chance that all of a class arrives: so far above 99.9, 99 and 95% that a thousand runs show it. The last class goes
once."""
PROTECT_ALL: Targets = (*TARGETS[:3], 0.95)
"""The last class coded too: whole where no more is lost than was expected, for about as many bytes more as are lost."""


@dataclass(frozen=True, slots=True)
class BroadcastConfig:
    """Settings of a one-way sender. ValueError for figures that cannot be.

    Attributes:
        rate: the link's rate in bit/s.
        packet_size: largest datagram in bytes, our framing included.
        overhead: bytes that the layers below add to a datagram.
        loss, burst: what is expected at each receiver: share of packets lost, 0 to less than 1; mean number lost in a
            row, None where each is lost by itself.
        receivers: redundancy for so many receivers that put together what they caught.
        targets: for each class the chance that all of it arrives in one turn, for the last that each block of it does;
            None: sent once, unprotected.
        turns: how often all is sent; None: for ever, until the group is cancelled.
        base_every: seconds after which the base of a group goes again while it is being sent; None: not.
        name: the sender's name or call sign, "" for none; sent every `name_every` seconds and at the end.
        newest_first: among packets of equal priority, those of the group started last go first.
    """

    rate: float
    packet_size: int = 200
    overhead: int = 28
    loss: float = 0.1
    burst: float | None = None
    receivers: int = 1
    targets: Targets = TARGETS
    turns: int | None = 1
    base_every: float | None = None
    name: str = ""
    name_every: float = 600.0
    newest_first: bool = False

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.packet_size < SMALLEST_PACKET or self.receivers < 1:
            raise ValueError(f"more than 0 bit/s, packets of at least {SMALLEST_PACKET} B, at least one receiver")
        if any(target is not None and not 0 < target < 1 for target in self.targets):
            raise ValueError("a target is a chance between 0 and 1, or None")
        if self.turns is not None and self.turns < 1:
            raise ValueError("everything is sent at least once")
        if self.name:
            wire.Name(self.name).encode()
        _ = self.plan

    @property
    def plan(self) -> Plan:
        merged = Channel(self.loss, self.burst).merged(self.receivers)
        return Plan(self.packet_size, self.overhead, merged, self.targets)


@dataclass
class _Run:
    """A program, and where it stands. `rank`: the worst priority so far in this turn."""

    program: Program
    keys: set[Key]
    turn: int = 0
    place: int = 0
    rank: int = 0

    @property
    def next_rank(self) -> int:
        return max(self.rank, self.program.slots[self.place].priority)

    def take(self) -> tuple[Slot, int]:
        """The next packet and its turn."""
        slot, turn = self.program.slots[self.place], self.turn
        self.rank = self.next_rank
        self.place += 1
        if self.place == len(self.program.slots):
            self.turn, self.place, self.rank = turn + 1, 0, 0
        return slot, turn


@dataclass
class _Group:
    """A group: what waits to be put into a program, and the programs under way, which take turns."""

    group: int
    age: int
    preamble: bytes = b""
    waiting: dict[Key, Item] = field(default_factory=dict)
    runs: deque[_Run] = field(default_factory=deque)
    next_block: int = 0
    base: deque[Slot] = field(default_factory=deque)
    base_time: float = math.inf


class BroadcastSender:
    """Sends groups to whoever listens."""

    def __init__(self, config: BroadcastConfig) -> None:
        self.config = config
        self.stats = SenderStats()
        self._groups: dict[int, _Group] = {}
        self._active: dict[int, _Group] = {}
        self._pacer = Pacer(config.overhead)
        self._events: deque[Event] = deque()
        self._count = 0
        self._name_at: float | None = None
        """When the name is due; None: nothing was sent since it was told last."""

    def start_group(self, group: int, preamble: bytes) -> None:
        """Say what every base packet of a group begins with (0-8 B), before its first item is submitted."""
        if not 0 <= group <= wire.MAX_GROUP or len(preamble) > wire.MAX_PREAMBLE:
            raise ValueError("a group is a 32-bit number, its preamble at most 8 B")
        self._open(group).preamble = preamble

    def submit(self, item: Item) -> None:
        """Queue an item. Those of a group submitted before its next packet leaves are protected together.

        Raises ValueError for one that the wire cannot carry or whose key is still on its way.
        """
        check_item(item)
        group = self._open(item.group)
        if item.key in group.waiting or any(item.key in run.keys for run in group.runs):
            raise ValueError(f"item {item.key} was submitted before")
        group.waiting[item.key] = item
        self._active[item.group] = group

    def cancel(self, group: int) -> None:
        """Send nothing more of a group."""
        known = self._groups.pop(group, None)
        self._active.pop(group, None)
        if known is not None:
            keys = [*known.waiting, *(key for run in known.runs for key in sorted(run.keys))]
            self._events.extend(ItemDropped(key) for key in keys)

    def program(self, group: int) -> Program | None:
        """What is being sent of a group, to tell its cost and chances; None for a group that is not under way."""
        known = self._groups.get(group)
        if known is None:
            return None
        self._plan(known)
        return known.runs[0].program if known.runs else None

    @property
    def idle(self) -> bool:
        """Nothing to send."""
        return self._name_at is None and not self._active

    def handle_datagram(self, data: bytes, now: float) -> None:
        """Nobody is listened to."""

    def handle_timer(self, now: float) -> None:
        """Nothing to do but `poll_transmit`; here so that all senders are driven alike."""

    def next_timer(self) -> float | None:
        """When to call `poll_transmit` again; None for never."""
        return None if self.idle else self._pacer.ready_at()

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def poll_transmit(self, now: float) -> bytes | None:
        """The next datagram if one may leave at `now`."""
        if now < self._pacer.ready_at():
            return None
        if self._name_at is not None and now >= self._name_at:
            return self._send_name(now)
        while (group := self._next_group()) is not None:
            slot, turn = self._take(group, now)
            if slot is None:
                continue
            data = slot.packet(turn)
            self.stats.payload += slot.payload if turn == 0 else 0
            if self.config.name and self._name_at is None:
                self._name_at = now + self.config.name_every
            return self._sent(data, now)
        return self._send_name(now) if self._name_at is not None else None

    def _open(self, group: int) -> _Group:
        if group not in self._groups:
            self._groups[group] = _Group(group, self._count)
            self._count += 1
        return self._groups[group]

    def _plan(self, group: _Group) -> None:
        """Put what waits into a program."""
        if group.waiting:
            items = list(group.waiting.values())
            program, group.next_block = make_program(self.config.plan, group.preamble, items, group.next_block)
            group.runs.append(_Run(program, set(group.waiting)))
            group.waiting.clear()

    def _next_group(self) -> _Group | None:
        """The group whose next packet is the most urgent: first turns first, then priority, then age."""
        best, best_rank = None, (math.inf, math.inf, math.inf)
        for group in self._active.values():
            self._plan(group)
            run = group.runs[0]
            age = -group.age if self.config.newest_first else group.age
            if (run.turn, run.next_rank, age) < best_rank:
                best, best_rank = group, (run.turn, run.next_rank, age)
        return best

    def _take(self, group: _Group, now: float) -> tuple[Slot | None, int]:
        """The group's next packet and its turn; None for one that comes too late."""
        run, every = group.runs[0], self.config.base_every
        if every is not None and now - group.base_time >= every:
            group.base.extend(run.program.base)
            group.base_time = now
        if group.base:
            return group.base.popleft(), run.turn
        slot, turn = run.take()
        if run.program.base and slot.data == run.program.base[0].data:
            group.base_time = now
        late = slot.deadline < now
        if late and turn == 0:
            gone = [key for key in slot.keys if key in run.keys]
            run.keys.difference_update(gone)
            self._events.extend(ItemDropped(key) for key in gone)
        if run.turn > turn:
            self._finish_turn(group, run)
        return (None if late else slot), turn

    def _finish_turn(self, group: _Group, run: _Run) -> None:
        group.runs.popleft()
        if self.config.turns is None or run.turn < self.config.turns:
            group.runs.append(run)
        elif not group.runs and not group.waiting:
            group.base_time = math.inf
            del self._active[group.group]

    def _send_name(self, now: float) -> bytes:
        self._name_at = now + self.config.name_every if self._active else None
        return self._sent(wire.Name(self.config.name).encode(), now)

    def _sent(self, data: bytes, now: float) -> bytes:
        self._pacer.handle_sent(len(data), self.config.rate, now)
        self.stats.packets += 1
        self.stats.bytes += len(data)
        return data
