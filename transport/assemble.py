"""The receiving side of one item: pieces in any order, doubled or overlapping, give a prefix that only grows."""

from bisect import bisect_right

PIECE_COST = 64
"""Bytes of bookkeeping charged for a piece that waits, so that a flood of tiny pieces is bounded too."""


class Assembly:
    """Bytes of one item. `prefix` is what is contiguous from the start; pieces behind a gap wait in `_waiting`."""

    def __init__(self) -> None:
        self.prefix = bytearray()
        self.length: int | None = None
        self._offsets: list[int] = []
        self._waiting: list[bytes] = []
        self._waiting_cost = 0

    @property
    def complete(self) -> bool:
        return self.length is not None and len(self.prefix) >= self.length

    @property
    def cost(self) -> int:
        """Bytes of memory held, about."""
        return len(self.prefix) + self._waiting_cost

    def gaps(self) -> list[tuple[int, int | None]]:
        """Ranges of bytes (start, stop) that are not here; stop is None where the item's end is not known."""
        found: list[tuple[int, int | None]] = []
        at = len(self.prefix)
        for offset, piece in zip(self._offsets, self._waiting, strict=True):
            if offset > at:
                found.append((at, offset))
            at = offset + len(piece)
        if self.length is None or at < self.length:
            found.append((at, self.length))
        return found

    def add(self, offset: int, payload: bytes, final: bool) -> bool:
        """Put a piece in; True if the prefix grew or the item is now complete.

        The first to arrive wins where pieces overlap. A piece that contradicts the item's end is dropped.
        """
        stop = offset + len(payload)
        if self.complete or self._contradicts(stop, final):
            return False
        if final:
            self.length = stop
        if offset > len(self.prefix):
            self._wait(offset, payload)
            return False
        grew = self._extend(offset, payload)
        while self._offsets and self._offsets[0] <= len(self.prefix):
            piece = self._waiting.pop(0)
            self._waiting_cost -= len(piece) + PIECE_COST
            grew |= self._extend(self._offsets.pop(0), piece)
        return grew or self.complete

    def _contradicts(self, stop: int, final: bool) -> bool:
        if self.length is not None:
            return stop > self.length or (final and stop != self.length)
        furthest = self._offsets[-1] + len(self._waiting[-1]) if self._offsets else len(self.prefix)
        return final and stop < furthest

    def _extend(self, offset: int, payload: bytes) -> bool:
        fresh = payload[len(self.prefix) - offset :]
        self.prefix += fresh
        return bool(fresh)

    def _wait(self, offset: int, payload: bytes) -> None:
        """Keep the parts of a piece that no waiting piece has."""
        place = bisect_right(self._offsets, offset)
        if place:
            before = self._offsets[place - 1] + len(self._waiting[place - 1])
            payload = payload[max(before - offset, 0) :]
            offset = max(offset, before)
        while payload:
            room = self._offsets[place] - offset if place < len(self._offsets) else len(payload)
            if room > 0:
                self._offsets.insert(place, offset)
                self._waiting.insert(place, payload[:room])
                self._waiting_cost += len(self._waiting[place]) + PIECE_COST
                place += 1
            if place >= len(self._offsets):
                return
            after = self._offsets[place] + len(self._waiting[place])
            payload = payload[max(after - offset, 0) :]
            offset, place = max(offset, after), place + 1
