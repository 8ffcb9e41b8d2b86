"""A stream that is still growing, as the bytes of a file: what a local page, a terminal and a video are fed from.

    a file ───────────────────────┐
    a file, at a rate ── replay ──┼─► Growing ──► reads(): bytes as they come, for whoever reads along
    a sender ──── Reception ──────┘

Its chunks stand in the order in which they arrived whole, so it is a stream of the same picture and not the sender's
file byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from codec.stream import Chunk, FormatError, Framer, parse_header
from player.items import key_of

TICK = 0.05
"""Seconds between two steps of a replay."""
_SPAN = 5.0
"""Seconds over which a rate is told."""


@dataclass
class Growing:
    """`size`: bytes of the sender's file, None while that is not known. `failed`: why no more comes, "" if all came."""

    name: str = ""
    size: int | None = None
    data: bytearray = field(default_factory=bytearray)
    ended: bool = False
    failed: str = ""
    clock: Callable[[], float] = time.monotonic
    marks: list[tuple[float, int]] = field(default_factory=list)
    """When there were how many bytes, seconds since it was made."""

    def __post_init__(self) -> None:
        self._begun = self.clock()
        self._framer = Framer()
        self._cut: dict[int, bytes] = {}
        self._whole: set[int] = set()
        self._more = asyncio.Event()

    @classmethod
    def of_file(cls, name: str, data: bytes) -> Growing:
        """All of it from the start."""
        whole = cls(name, len(data))
        whole.write(data)
        whole.end()
        return whole

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return self.clock() - self._begun

    def write(self, data: bytes) -> None:
        """Some more bytes."""
        self.data += data
        self.marks.append((self.seconds, len(self.data)))
        self._wake()

    def end(self, failed: str = "") -> None:
        """No more comes. A chunk that was on its way is put at the end, cut."""
        if self.ended:
            return
        if self._cut:
            index, payload = max(self._cut.items(), key=lambda item: len(item[1]))
            self._put(index, payload, complete=False)
        self.ended, self.failed = True, failed
        self._wake()

    def start(self, header: bytes, now: float) -> None:
        """The header of a stream that is received; what is none is dropped, and may come again."""
        if not self.data:
            try:
                self.write(header[: parse_header(header)[1]])
            except FormatError:
                return

    def push(self, index: int, payload: bytes, complete: bool, now: float) -> None:
        """An item came or grew. A chunk is written once it is whole: a file holds a cut one only at its end."""
        if self.ended or index in self._whole:
            return
        if not complete:
            if payload:
                self._cut[index] = payload
            return
        self._cut.pop(index, None)
        self._whole.add(index)
        self._put(index, payload, complete)

    def rate(self) -> float:
        """Bytes a second, lately."""
        now = self.seconds
        before = max((size for at, size in self.marks if at < now - _SPAN), default=0)
        return (len(self.data) - before) / max(min(now, _SPAN), TICK)

    def describe(self, name: str, size: int) -> None:
        """What the sender calls it, and the bytes of its file there."""
        if (self.name, self.size) != (name, size):
            self.name, self.size = name, size
            self._wake()

    async def described(self, timeout: float) -> None:
        """Returns when its size is known, when it has ended, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not self.ended and (self.size is None or not self.data):
                    await self._more.wait()

    async def more(self, at: int, timeout: float | None = None) -> bytes | None:
        """The bytes from `at` on, as soon as there are any; empty after so many seconds without; None at the end."""
        try:
            async with asyncio.timeout(timeout):
                while at >= len(self.data) and not self.ended:
                    await self._more.wait()
        except TimeoutError:
            return b""
        return bytes(self.data[at:]) if at < len(self.data) else None

    async def reads(self) -> AsyncIterator[bytes]:
        """All bytes from the start, as they come, until the end."""
        at = 0
        while (part := await self.more(at)) is not None:
            at += len(part)
            yield part

    def _put(self, index: int, payload: bytes, complete: bool) -> None:
        try:
            chunk = Chunk(*key_of(index), payload, len(payload) + (not complete))
        except (FormatError, ValueError):
            return  # no chunk that this version knows
        self.write(self._framer.framing(chunk) + payload)

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()


async def replay(growing: Growing, data: bytes, rate: float) -> None:
    """Lets a file arrive at `rate` bit/s."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while len(growing.data) < len(data):
        await asyncio.sleep(TICK)
        due = int((loop.time() - begun) * rate / 8)
        if due > len(growing.data):
            growing.write(data[len(growing.data) : due])
    growing.end()
