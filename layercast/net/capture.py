"""Pictures of a camera or a video made into streams beside the event loop.

    frames, in a thread ─► one frame at most waits ─► encoded, in a process of its own ─► (name, stream)

A camera's frame that waits is replaced by the next one, so what is encoded is new; a stored video waits instead.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from layercast.net.camera import Frame, Picture, frames, is_live
from layercast.net.parcel import Parcel
from transport import ItemDelivered, ItemDropped
from transport.events import Event

BACKLOG = 64
"""Pictures under way at the same time."""


@dataclass(frozen=True)
class Shots:
    """Which frames of which source: see `camera.frames`. max_bytes: where a stream stops, None for every bit."""

    source: str
    every: float = 5.0
    if_changed: float | None = None
    max_bytes: int | None = 20_000


async def capture(shots: Shots) -> AsyncIterator[tuple[str, bytes]]:
    """(name, stream) of each picture, as it is ready. Raises CameraError; ValueError for one that cannot be encoded."""
    loop = asyncio.get_running_loop()
    slot: asyncio.Queue[Frame | Exception | None] = asyncio.Queue(1)
    live, stopped = is_live(shots.source), threading.Event()

    def replace(frame: Frame | Exception | None) -> None:
        while not slot.empty():
            slot.get_nowait()
        slot.put_nowait(frame)

    def hand_over(found: Frame | Exception | None) -> None:
        if live and isinstance(found, Frame):
            loop.call_soon_threadsafe(replace, found)
        else:
            asyncio.run_coroutine_threadsafe(slot.put(found), loop).result()

    def read() -> None:
        try:
            try:
                for frame in frames(shots.source, shots.every, shots.if_changed):
                    if stopped.is_set():
                        return
                    hand_over(frame)
                hand_over(None)
            except Exception as error:
                hand_over(error)
        except BaseException:  # the loop is gone, and with it everybody who could be told
            return

    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _ignore_interrupts)
    threading.Thread(target=read, daemon=True, name="camera").start()
    try:
        while (found := await slot.get()) is not None:
            if isinstance(found, Exception):
                raise found
            when = f"{datetime.fromtimestamp(found.time, UTC):%Y-%m-%dT%H:%M:%SZ}" if live else f"{found.time:.3f}"
            yield found.name, await loop.run_in_executor(pool, _encode, found.picture, shots.max_bytes, when)
    finally:
        stopped.set()
        while not slot.empty():
            slot.get_nowait()
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _encode(picture: Picture, max_bytes: int | None, when: str) -> bytes:
    import codec

    return codec.encode(picture, max_bytes=max_bytes, meta_data={"time": when})


class Backlog:
    """How many items of which streams are still under way, oldest stream first."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}

    @property
    def full(self) -> bool:
        return len(self._open) >= BACKLOG

    @property
    def oldest(self) -> int:
        """The group that is under way for the longest."""
        return next(iter(self._open))

    def add(self, parcel: Parcel) -> None:
        self._open[parcel.group] = len(parcel.items)

    def drop(self, group: int) -> None:
        self._open.pop(group, None)

    def handle(self, event: Event) -> None:
        """Something became of an item."""
        if isinstance(event, ItemDelivered | ItemDropped) and event.key[0] in self._open:
            self._open[event.key[0]] -= 1
            if not self._open[event.key[0]]:
                self.drop(event.key[0])
