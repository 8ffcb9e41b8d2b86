"""What goes into the next packet, decided at the last moment: strict priority, then deadline, then order of submission.

`Outgoing` is one item on its way out: which bytes are still to be sent and which were acknowledged. `Schedule` keeps
those that have bytes to send in order, and drops what has come too late together with everything that needs it.
"""

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from transport.fields import BASE
from transport.ranges import Ranges
from transport.repair import Policy

Key = tuple[int, int, int]
"""(group, class, index)."""


@dataclass(frozen=True, slots=True)
class Item:
    """What an application wants moved.

    Attributes:
        group: 32 bits; which picture, document, series.
        cls: class of protection, 0 (base) to 3.
        index: the application's name for it within group and class, 0 .. 2^22-1.
        payload: opaque bytes, 0 .. 2^22-1 of them.
        priority: smaller goes first, always.
        deadline: time (the session's clock, seconds) after which nothing of it is sent; None: never too late.
        needs: (class, index) of items of the same group without which it is useless.
        may_cut: a contiguous prefix is of use, so it may be split to fill a packet.
        ends: False where the payload is itself only a prefix of something longer: the receiver then gets it as a
            prefix and never as complete.
    """

    group: int
    cls: int
    index: int
    payload: bytes
    priority: int = 0
    deadline: float | None = None
    needs: tuple[tuple[int, int], ...] = ()
    may_cut: bool = False
    ends: bool = True

    @property
    def key(self) -> Key:
        return self.group, self.cls, self.index


@dataclass(eq=False)
class Outgoing:
    """One item on its way. Ranges count its bytes 0 .. n-1 and its end mark, n, which travels with the last."""

    item: Item
    policy: Policy
    order: int
    todo: Ranges = field(default_factory=Ranges)
    acked: Ranges = field(default_factory=Ranges)
    copies_sent: int = 0
    repeat_after: int = 0
    queued: bool = False
    closed: bool = False
    preferred: bool = False

    def __post_init__(self) -> None:
        self.todo.add(0, self.units)

    @property
    def units(self) -> int:
        return len(self.item.payload) + self.item.ends

    @property
    def pending(self) -> bool:
        return not self.closed and len(self.todo) > 0

    @property
    def whole(self) -> bool:
        """Whether nothing of this copy has been sent yet."""
        return self.todo.covers(0, self.units)

    def next_piece(self) -> tuple[int, int]:
        """(offset, bytes) of the first stretch to send."""
        start, stop = self.todo.first()
        return start, min(stop, len(self.item.payload)) - start

    def take(self, size: int) -> tuple[int, int]:
        """Take up to `size` bytes off the front: the range (start, stop) now under way, its end mark included."""
        start, stop = self.todo.first()
        last_byte = len(self.item.payload)
        end = min(start + size, stop, last_byte)
        end = stop if end == last_byte else end
        self.todo.remove(start, end)
        return start, end

    def handle_acked(self, start: int, stop: int) -> bool:
        """The peer has start .. stop-1; True if with that it has the whole item."""
        self.acked.add(start, stop)
        self.todo.remove(start, stop)
        return self.acked.covers(0, self.units)

    def handle_lost(self, start: int, stop: int) -> None:
        """Send start .. stop-1 again, but for what the peer has; twice if a second copy is lost before it has gone."""
        if self.policy.copies > 1 and self.todo.covers(start, stop):
            self.copies_sent = self.policy.copies - 2
        self.todo.add(start, stop)
        for got in self.acked:
            self.todo.remove(*got)

    def start_copy(self) -> bool:
        """Begin the next copy if the policy wants one; the first was begun by itself."""
        self.copies_sent += 1
        if self.closed or self.copies_sent >= self.policy.copies:
            return False
        self.handle_lost(0, self.units)
        return True

    def rank(self) -> tuple[float, ...]:
        """Sort key. Repeats stand behind the first copies of the whole base of their group, then chosen items."""
        deadline = math.inf if self.item.deadline is None else self.item.deadline
        if self.copies_sent and self.whole:
            return max(self.repeat_after, self.item.priority), 1, self.item.priority, deadline, self.order
        if self.preferred:
            return min(self.repeat_after, self.item.priority), 2, self.item.priority, deadline, self.order
        return self.item.priority, 0, self.item.priority, deadline, self.order


class Schedule:
    """Items with bytes to send, best first."""

    def __init__(self, newest_first: bool = False, wanted: Callable[[Item], bool] = lambda item: True) -> None:
        """`wanted` says whether the peer wants an item now; one that it does not waits until `reconsider`."""
        self._wanted = wanted
        self._unwanted: list[Outgoing] = []
        self._items: dict[Key, Outgoing] = {}
        self._classes: dict[tuple[int, int], dict[Key, Outgoing]] = {}
        self._heap: list[tuple[tuple[float, ...], int, Outgoing]] = []
        self._deadlines: list[tuple[float, int, Key]] = []
        self._needed_by: dict[Key, list[Key]] = {}
        self._base_priority: dict[int, int] = {}
        self._dropped: set[Key] = set()
        self._count = 0
        self._sign = -1 if newest_first else 1

    def add(self, item: Item, policy: Policy) -> Outgoing | None:
        """Take an item in; None if it needs one that was dropped. Raises ValueError for a key that is in use."""
        if item.key in self._items:
            raise ValueError(f"item {item.key} was submitted before")
        self._count += 1
        if item.cls == BASE:
            group = self._base_priority
            group[item.group] = max(group.get(item.group, item.priority), item.priority)
        needs = [(item.group, *need) for need in item.needs]
        if any(need in self._dropped for need in needs):
            self._dropped.add(item.key)
            return None
        outgoing = Outgoing(item, policy, self._sign * self._count)
        self._items[item.key] = outgoing
        self._classes.setdefault((item.group, item.cls), {})[item.key] = outgoing
        for need in needs:
            self._needed_by.setdefault(need, []).append(item.key)
        if item.deadline is not None and not policy.must_send:
            heapq.heappush(self._deadlines, (item.deadline, self._count, item.key))
        self.push(outgoing)
        return outgoing

    def push(self, outgoing: Outgoing) -> None:
        """Queue an item that has bytes to send (again)."""
        if outgoing.pending and not outgoing.queued:
            outgoing.queued = True
            if not self._wanted(outgoing.item):
                self._unwanted.append(outgoing)
                return
            outgoing.repeat_after = self._base_priority.get(outgoing.item.group, outgoing.item.priority)
            self._count += 1
            heapq.heappush(self._heap, (outgoing.rank(), self._count, outgoing))

    def peek(self) -> Outgoing | None:
        """The item whose bytes go next; call `expire` before."""
        while self._heap:
            outgoing = self._heap[0][2]
            if outgoing.pending and self._wanted(outgoing.item):
                return outgoing
            self.pop()
            self.push(outgoing)
        return None

    def pop(self) -> None:
        """Take the item that `peek` gave out of the queue; `push` brings it back."""
        heapq.heappop(self._heap)[2].queued = False

    def close(self, outgoing: Outgoing) -> None:
        """The item is done (acknowledged, or sent for good): forget its payload."""
        outgoing.closed = True
        self._forget(outgoing.item)
        self._needed_by.pop(outgoing.item.key, None)

    def reconsider(self) -> None:
        """The peer wants other things than before: queue what it wants now."""
        waiting, self._unwanted = self._unwanted, []
        for outgoing in waiting:
            outgoing.queued = False
            self.push(outgoing)

    def prefer(self, keys: Iterable[Key]) -> None:
        """Let items, and what they need, go right behind the base of their group; unknown keys are ignored."""
        waiting = list(keys)
        while waiting:
            outgoing = self._items.get(waiting.pop())
            if outgoing is None or outgoing.preferred:
                continue
            outgoing.preferred = True
            waiting += [(outgoing.item.group, *need) for need in outgoing.item.needs]
        queued = [outgoing for _, _, outgoing in self._heap]
        self._heap = []
        for outgoing in queued:
            outgoing.queued = False
            self.push(outgoing)

    def bytes_to_send(self, group: int, cls: int) -> int:
        """Of one class of a group."""
        items = self._classes.get((group, cls), {}).values()
        return sum(stop - start for outgoing in items for start, stop in outgoing.todo)

    def _forget(self, item: Item) -> None:
        self._items.pop(item.key, None)
        of_class = self._classes.get((item.group, item.cls), {})
        of_class.pop(item.key, None)
        if not of_class:
            self._classes.pop((item.group, item.cls), None)

    def of_group(self, group: int) -> list[Outgoing]:
        """The items of a group that are submitted and not yet done."""
        return [outgoing for key, outgoing in self._items.items() if key[0] == group]

    def expire(self, now: float) -> list[Key]:
        """Drop what is past its deadline, and what needs it; the keys dropped."""
        dropped: list[Key] = []
        while self._deadlines and self._deadlines[0][0] < now:
            dropped += self.drop(heapq.heappop(self._deadlines)[2])
        return dropped

    def drop(self, key: Key) -> list[Key]:
        """Drop an item that is still on its way and all that need it, unless they must be sent; the keys dropped."""
        dropped: list[Key] = []
        waiting = [key]
        while waiting:
            outgoing = self._items.get(waiting.pop())
            if outgoing is None or outgoing.closed or outgoing.policy.must_send:
                continue
            outgoing.closed = True
            dropped.append(outgoing.item.key)
            waiting += self._needed_by.pop(outgoing.item.key, [])
            self._forget(outgoing.item)
        self._dropped.update(dropped)
        return dropped

    def cancel(self, group: int) -> list[Key]:
        """Forget a whole group, its base too; the keys that were on their way."""
        keys = [key for key in self._items if key[0] == group]
        for key in keys:
            self.close(self._items[key])
        self._base_priority.pop(group, None)
        self._dropped = {key for key in self._dropped if key[0] != group}
        return keys

    @property
    def open_items(self) -> int:
        """Items submitted, not yet done or dropped, and not waiting to be wanted."""
        return len(self._items) - sum(not outgoing.closed for outgoing in self._unwanted)
