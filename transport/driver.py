"""Drives a session on a channel under asyncio: the one place where transport waits.

    channel.wake ─┐
                  ├─► turn: pump(session, channel), `after` for the events ─► sleep until the session's next timer
    timer ────────┘

Time is the event loop's, so a loop with a virtual clock drives the same code. A driver decides nothing.
"""

import asyncio
from collections.abc import Callable

from transport.channels import Channel, Session, nothing, pump


class Driver:
    """A session on its channel, from `start` until the channel closes or `stop`. Use inside a running event loop."""

    def __init__(self, session: Session, channel: Channel, after: Callable[[], None] = nothing) -> None:
        """`after` is called once a turn, to take the session's events."""
        self.session = session
        self.channel = channel
        self._after = after
        self._loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[str] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None

    def start(self) -> None:
        self.channel.wake = self.wake
        self.wake()

    def wake(self) -> None:
        """Take a turn soon: something was submitted, came or closed."""
        if self._soon is None and not self._closed.done():
            self._soon = self._loop.call_soon(self._turn)

    def stop(self, why: str = "stopped") -> None:
        """Drive no more; the channel stays as it is."""
        self._release()
        if not self._closed.done():
            self._closed.set_result(why)

    async def wait_closed(self) -> str:
        """Why the channel closed or driving stopped, as soon as it has. Raises what `after` raised."""
        return await asyncio.shield(self._closed)

    def _turn(self) -> None:
        self._soon = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            pump(self.session, self.channel, self._loop.time())
            self._after()
        except Exception as error:  # it belongs to whoever waits for this driver, not to the event loop
            self._release()
            self._closed.set_exception(error)
            return
        if self._closed.done():
            return
        if self.channel.closed is not None:
            self.stop(self.channel.closed)
            return
        timer, now = self.session.next_timer(), self._loop.time()
        if timer is not None and (timer > now or not self.channel.waiting):
            self._timer = self._loop.call_at(max(timer, now), self._turn)
        # else a packet is due and the channel is not ready: its wake is what to wait for

    def _release(self) -> None:
        self.channel.wake = nothing
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()
        self._timer = self._soon = None
