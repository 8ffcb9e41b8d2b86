"""The receiving side's application: asks for what is wanted, keeps what comes, knows what is missing. Sans-I/O but for
the store's files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codec import plan
from codec.stream import FormatError, Key, parse_header
from layercast.net.parcel import ABOUT, ORDER
from layercast.net.sealing import Unsealing
from layercast.net.store import Shelf, Store
from player.items import key_of
from transport import Ended, GroupStarted, ItemReceived, Receiver, SenderNamed

Region = tuple[int, int, int, int]
"""x, y, width, height in pixels."""
MOST_UNREADABLE = 4096
UNREADABLE = "what comes cannot be read: it is sealed, or of another version"

MOST_TOLD = 30_000
"""Runs of items held from before that a sender is told of: about what it keeps note of."""


@dataclass(frozen=True)
class Change:
    """Something came. `what`: started, item, complete (the whole stream), named (the sender: `text`), unwritten (why:
    `text`) or ended.

    Of an item: its key, its layer if it is a chunk, how many bytes are new and whether it is whole now.
    """

    what: str
    shelf: Shelf | None = None
    key: tuple[int, int, int] | None = None
    layer: str | None = None
    size: int = 0
    whole: bool = False
    text: str = ""


class Fetch:
    """Fills a store through a receiver. `upto`: last class wanted, 0 .. 3."""

    def __init__(
        self,
        receiver: Receiver | Unsealing,
        store: Store,
        upto: int = 3,
        topic: str = "",
        region: Region | None = None,
        listens: bool = False,
    ) -> None:
        """`listens`: nobody is asked for anything, and groups that cannot be read are left out."""
        self.receiver = receiver
        self.store = store
        self.ended: str | None = None  # why there is no more: empty if all has come
        self._upto = upto
        self._topic = topic
        self._region = region
        self._asked: dict[int, tuple[int, Region | None]] = {}
        self._begun: set[int] = set()
        self._listens = listens
        self.unreadable: set[int] = set()

    def begin(self) -> None:
        """Tell the sender what is here from before and what is wanted."""
        if self._topic:
            self.receiver.ask_for(self._topic)
        for shelf in self.store.shelves.values():
            if shelf.complete and shelf.group not in self.store.done:  # ended between its last item and its file
                with contextlib.suppress(FormatError):
                    self.store.finish(shelf)
            if shelf.group not in self.store.done:
                self.receiver.resume(shelf.group, shelf.preamble, shelf.items)
        told = 0
        for group, (preamble, runs) in reversed(self.store.done.items()):
            told += len(runs)
            if told <= MOST_TOLD:  # what a sender is not told comes once more and is dropped
                held = {(cls, index): (b"", True) for cls, run in runs for index in run}
                self.receiver.resume(group, preamble, held)
            self.receiver.close(group)
        self.receiver.want(self._upto)

    def ask(self, group: int | None, upto: int, region: Region | None = None) -> None:
        """From now on so far (NOTHING: no more) of a group, these pixels first; None: of all not asked for so."""
        if group is None:
            self.receiver.want(upto)
            return
        self._asked[group] = upto, region
        chosen = self._chosen(self.store.shelf(group), region) if region is not None else ()
        self.receiver.want(upto, group, chosen)

    def take(self) -> Iterator[Change]:
        """Take the session's events and keep what came. Raises OSError or FileError when the disk does not take it."""
        while (event := self.receiver.next_event()) is not None:
            match event:
                case ItemReceived() | GroupStarted() if self.ended:
                    continue
                case GroupStarted(group, preamble):
                    self._begun.add(group)
                    shelf = self.store.shelf(group)
                    shelf.start(preamble)
                    yield Change("started", shelf)
                case ItemReceived(key, payload, complete):
                    yield from self._keep(key, payload, complete)
                case SenderNamed(name):
                    yield Change("named", text=name)
                case Ended(why):
                    self.ended = self.ended or why
                    yield Change("ended")

    def finish(self) -> None:
        """An orderly end, however far it got: what has arrived stands as files, and the rest can be resumed."""
        for shelf in self.store.shelves.values():
            if shelf.file is None or not shelf.complete:
                with contextlib.suppress(FormatError):
                    self.store.finish(shelf)
                shelf.keep_parts()

    def _keep(self, key: tuple[int, int, int], payload: bytes, complete: bool) -> Iterator[Change]:
        group, cls, index = key
        shelf = self.store.shelf(group)
        before = len(shelf.items.get((cls, index), (b"",))[0])
        shelf.put((cls, index), payload, complete)
        self._begun.add(group)
        if (cls, index) == ABOUT and complete and shelf.about is None:
            self._refuse(group)
            return
        yield Change("item", shelf, key, layer_of(index), len(payload) - before, complete)
        upto, region = self._asked.get(group, (self._upto, self._region))
        if (cls, index) == ORDER and complete and region is not None:
            self.receiver.want(upto, group, self._chosen(shelf, region))
        if complete and shelf.complete:
            with contextlib.suppress(FormatError):
                self.store.finish(shelf)
                if group in self.store.done:
                    self.receiver.close(group)
                yield Change("complete", shelf)

    def put_away(self, group: int) -> None:
        """Keep a group on disk alone, as far as it has come."""
        shelf = self.store.shelves.get(group)
        if shelf is not None:
            self.write([group])
            shelf.keep_parts()
            self.store.park(group)
        self._begun.discard(group)

    def write(self, groups: Iterable[int]) -> None:
        """Write as files what is here of groups that are not complete. Raises OSError or FileError."""
        for group in groups:
            shelf = self.store.shelves.get(group)
            if shelf is not None and not shelf.complete:
                with contextlib.suppress(FormatError):
                    self.store.finish(shelf)

    def _refuse(self, group: int) -> None:
        """What should name a stream does not: nothing of it is what it seems, so nothing is kept."""
        if self._listens:
            if len(self.unreadable) < MOST_UNREADABLE:
                self.unreadable.add(group)
            self.store.drop(group)
            return
        self.ended = UNREADABLE
        for group in self._begun:
            if group in self.store.shelves and self.store.shelves[group].about is None:
                self.store.drop(group)

    @staticmethod
    def _chosen(shelf: Shelf, region: Region) -> Iterator[tuple[int, int]]:
        """The items of a stream that can change a pixel of the region."""
        try:
            header, _ = parse_header(shelf.preamble)
        except FormatError:
            return  # it has not come yet
        x, y, width, height = region
        for cls, index in shelf.order:
            with contextlib.suppress(FormatError):
                x0, y0, x1, y1 = plan.area_of(header, key_of(index))
                if x0 < x + width and x < x1 and y0 < y + height and y < y1:
                    yield cls, index


def layer_of(index: int) -> str | None:
    """The layer of the chunk that an item carries; None for items of our own."""
    if index in (ABOUT[1], ORDER[1]):
        return None
    with contextlib.suppress(FormatError):
        key: Key = key_of(index)
        return plan.layer_of(key[0])
    return None
