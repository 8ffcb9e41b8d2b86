"""The sending side's application: gives one receiver what it came for. Sans-I/O, like the session that it feeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from layercast.net.parcel import Parcel
from transport import LevelWanted, Sender, TopicWanted
from transport.events import Event

Find = Callable[[str], Sequence[Parcel] | None]
"""The parcels for what a receiver names ("": everything); None for what there is not."""


class Feed:
    """Submits parcels to a sender as soon as its receiver has spoken."""

    def __init__(
        self, sender: Sender, find: Find, ends: bool = True, noted: Callable[[Event], None] | None = None
    ) -> None:
        """`ends`: nothing will be added later, so the receiver is told when it has all.

        `noted` is called with each event that tells what became of an item.
        """
        self.sender = sender
        self.refused: str | None = None  # what the receiver asked for and there is not
        self.sent: set[int] = set()
        self._find = find
        self._ends = ends
        self._topic = ""
        self._noted = noted
        self.level: int | None = None  # how far the receiver wants everything; None: it has not spoken yet

    def take(self) -> None:
        """Take the session's events; call it once a turn."""
        while (event := self.sender.next_event()) is not None:
            if isinstance(event, TopicWanted) and not self._begun:
                self._topic = event.text
            elif isinstance(event, LevelWanted) and event.group is None:
                begun, self.level = self._begun, event.upto
                if not begun:
                    self._begin()
            elif self._noted is not None:
                self._noted(event)

    def add(self, parcel: Parcel) -> None:
        """One more stream, while the session goes on."""
        if parcel.group in self.sent:
            return
        self.sent.add(parcel.group)
        self.sender.start_group(parcel.group, parcel.preamble)
        for item in parcel.items:
            self.sender.submit(item)

    @property
    def _begun(self) -> bool:
        return self.level is not None

    def _begin(self) -> None:
        parcels = self._find(self._topic)
        if parcels is None:
            self.refused = self._topic
            self.sender.finish("there is no stream of that name")
            return
        for parcel in parcels:
            self.add(parcel)
        if self._ends:
            self.sender.finish()
