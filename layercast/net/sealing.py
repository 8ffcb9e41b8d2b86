"""Parcels sealed from end to end, and opened again on their way into the store. `transport.seal` says how.

    Parcel ─► seal_parcel ─► Sender ~~ anybody ~~ Receiver ─► Unsealing ─► Fetch ─► Store

The store only ever sees what opened, so what is held can be told to any sender of the same pictures, sealed or not, and
what had begun goes on: its full records are sealed again, which gives the same bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from layercast.net.parcel import ItemKey, Parcel
from transport import GroupStarted, Item, ItemReceived, Receiver
from transport.events import Event
from transport.schedule import Key
from transport.seal import RECORD, TAG, Opener, SealKey, seal


def seal_parcel(parcel: Parcel, key: SealKey) -> Parcel:
    """The same parcel with every item sealed. Raises ValueError for one with an item that becomes too large."""
    return replace(parcel, items=tuple(seal(item, key, parcel.preamble) for item in parcel.items))


def seal_start(name: Key, payload: bytes, key: SealKey, preamble: bytes) -> bytes:
    """The first bytes of a sealed item of which only the start `payload` is here: those of its full records."""
    records = len(payload) // RECORD
    if not records:
        return b""
    longer = Item(*name, payload[: records * RECORD] + b"\0")  # so that none of them is the last
    return seal(longer, key, preamble).payload[: records * (RECORD + TAG)]


class Unsealing:
    """A receiver as its caller wants it: items are announced as far as they have opened, and groups once a base item of
    theirs has, which proves the preamble."""

    def __init__(self, receiver: Receiver, key: SealKey) -> None:
        self._receiver = receiver
        self._key = key
        self._opener = Opener(key)
        self._preambles: dict[int, bytes] = {}
        self._unproved: set[int] = set()
        self._grown: dict[Key, int] = {}
        self._whole: set[Key] = set()
        self._damaged: set[Key] = set()
        self._ready: deque[Event] = deque()

    @property
    def damaged(self) -> int:
        """Items that do not open to their end."""
        return len(self._damaged)

    @property
    def foreign(self) -> bool:
        """Whether something came and nothing opened: another key, or no seal at all."""
        return bool(self._damaged) and not self._grown and not self._whole

    def ask_for(self, topic: str) -> None:
        self._receiver.ask_for(topic)

    def want(self, upto: int, group: int | None = None, now_first: Iterable[ItemKey] = ()) -> None:
        self._receiver.want(upto, group, now_first)

    def resume(self, group: int, preamble: bytes, items: Mapping[ItemKey, tuple[bytes, bool]]) -> None:
        """As `Receiver.resume`, of opened payloads."""
        if preamble:
            self._preambles[group] = preamble
        sealed = {
            key: (b"" if whole else seal_start((group, *key), payload, self._key, preamble), whole)
            for key, (payload, whole) in items.items()
        }
        self._receiver.resume(group, preamble, sealed)

    def close(self, group: int) -> None:
        """As `Receiver.close`."""
        self.forget(group)
        self._receiver.close(group)

    def forget(self, group: int) -> None:
        """Drop all that is known of a group."""
        self._receiver.forget(group)
        self._opener.forget(group)
        self._preambles.pop(group, None)
        self._unproved.discard(group)
        self._grown = {key: size for key, size in self._grown.items() if key[0] != group}
        self._whole = {key for key in self._whole if key[0] != group}
        self._damaged = {key for key in self._damaged if key[0] != group}

    def next_event(self) -> Event | None:
        while not self._ready and (event := self._receiver.next_event()) is not None:
            if isinstance(event, GroupStarted):
                if event.group in self._preambles and event.group not in self._unproved:
                    continue  # an item has shown that the one we have is true
                self._preambles[event.group] = event.preamble
                self._unproved.add(event.group)
            elif isinstance(event, ItemReceived):
                self._open(event)
            else:
                self._ready.append(event)
        return self._ready.popleft() if self._ready else None

    def _open(self, event: ItemReceived) -> None:
        key, group = event.key, event.key[0]
        if key in self._whole:
            return
        preamble = self._preambles.get(group, b"")
        found = self._opener.open(key, event.payload, event.complete, preamble)
        if found.damaged:
            self._damaged.add(key)
        if not found.complete and len(found.payload) <= self._grown.get(key, 0):
            return
        self._grown[key] = len(found.payload)
        if found.complete:
            del self._grown[key]
            self._whole.add(key)
            self._damaged.discard(key)
        if key[1] == 0 and group in self._unproved:
            self._unproved.remove(group)
            self._ready.append(GroupStarted(group, preamble))
        self._ready.append(ItemReceived(key, found.payload, found.complete))
