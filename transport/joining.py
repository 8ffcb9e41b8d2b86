"""The client's side of the UDP channel: joining a server, staying joined, noticing that it is gone.

    hello, again and again ─► challenge came: echo, again and again ─► ready: ping when it is quiet
              │                                 │                              │
              └── no answer, refused ───────────┴──────────────────────────────┴─► closed

Datagrams of the session pass from the first moment on: nothing here waits for `ready`. Sans-I/O; `now` in seconds.
"""

import os
from collections import deque
from typing import Final

from transport import greeting
from transport.greeting import Challenge, Close, Echo, Hello, Ping, Ready

EXPECTED: Final = 320
"""Bytes that may come back at once by default: a caption of 300 B with its framing."""
SLOWEST_RETRY: Final = 8.0
QUIET: Final = 3.0
"""Seconds without a word after which a client first asks whether it is still known under its address."""
WRONG_TOKENS: Final = 2
"""Refusals that end it: a single one may come of a Hello that was damaged on its way."""


class Joining:
    """One client at one server."""

    def __init__(
        self,
        token: bytes = b"",
        now: float = 0.0,
        *,
        expected: int = EXPECTED,
        rtt: float = 1.0,
        patience: float = 30.0,
        idle: float = 60.0,
        keepalive: float = 15.0,
        id: bytes | None = None,
    ) -> None:
        """
        expected: bytes that the server may send before it has confirmed our address; the Hello is padded to a third.
        rtt: seconds to wait for an answer before asking again, doubled each time; raise it on very slow links.
        patience: seconds until joining is given up.
        idle: seconds without a word after which a server counts as gone.
        keepalive: longest time between pings while nothing else comes.
        id: of the session, 8 B; random by default.
        """
        self.ready = False
        self.closed: str | None = None
        self._token = token
        self._id = id or os.urandom(greeting.ID)
        third = -(-(expected + greeting.CHALLENGE_SIZE) // 3)
        size = min(max(third, greeting.HELLO_HEAD), greeting.MAX_HELLO)
        self._hello = Hello(self._id, greeting.hello_proof(token, self._id), size).encode()
        self._cookie: bytes | None = None
        self._refusals = 0
        self._rtt, self._pause = rtt, rtt
        self._idle, self._keepalive = idle, keepalive
        self._heard: float | None = None
        self._give_up_at = now + patience
        self._ask_at = now
        self._out: deque[bytes] = deque()
        self.handle_timer(now)

    def handle_datagram(self, data: bytes, now: float) -> bytes | None:
        """Take what came from the server; give it back if it is the session's."""
        if self.closed is not None:
            return None
        if not greeting.is_message(data):
            self._heard = now
            if self.ready:
                self._await_quiet(now)
            return data
        message = greeting.parse(data)
        if message is not None and message.id == self._id:
            self._handle_message(message, now)
        return None

    def handle_timer(self, now: float) -> None:
        """`next_timer()` has passed: ask again, ping, or give up."""
        timer = self.next_timer()
        if timer is None or now < timer:
            return
        if now >= self._deadline:
            self._give_up()
        elif self.ready:
            self._ask(Ping(self._id).encode(), self._keepalive, now)
        elif self._cookie is not None:
            self._ask(self._echo(self._cookie), SLOWEST_RETRY, now)
        else:
            self._ask(self._hello, SLOWEST_RETRY, now)

    def next_timer(self) -> float | None:
        return None if self.closed is not None else min(self._ask_at, self._deadline)

    def poll_transmit(self) -> bytes | None:
        """The next message to send to the server."""
        return self._out.popleft() if self._out else None

    def close(self) -> None:
        """Say goodbye."""
        if self.closed is None:
            self._out.append(Close(self._id, greeting.DONE).encode())
            self.closed = "closed here"

    def _handle_message(self, message: greeting.Message, now: float) -> None:
        if isinstance(message, Challenge):
            self._heard = now
            self._cookie = message.cookie
            self._pause = self._rtt
            self._ask(self._echo(message.cookie), SLOWEST_RETRY, now)
        elif isinstance(message, Ready):
            self._heard = now
            if not self.ready:
                self.ready = True
                self._await_quiet(now)
        elif isinstance(message, Close):
            self._refusals += message.reason == greeting.WRONG_TOKEN
            if message.reason != greeting.WRONG_TOKEN or self._refusals >= WRONG_TOKENS:
                self.closed = greeting.REASONS[message.reason]

    def _echo(self, cookie: bytes) -> bytes:
        return Echo(self._id, cookie, greeting.echo_proof(self._token, self._id, cookie)).encode()

    def _await_quiet(self, now: float) -> None:
        self._pause, self._ask_at = min(2 * QUIET, self._keepalive), now + min(QUIET, self._keepalive)

    def _ask(self, data: bytes, slowest: float, now: float) -> None:
        """Send a message, and again later, each time after twice the pause."""
        self._out.append(data)
        self._ask_at = now + self._pause
        self._pause = min(2 * self._pause, slowest)

    @property
    def _deadline(self) -> float:
        return self._give_up_at if not self.ready or self._heard is None else self._heard + self._idle

    def _give_up(self) -> None:
        if self.ready:
            self.closed = f"nothing was heard for {self._idle:g} s"
        elif self._refusals:
            self.closed = greeting.REASONS[greeting.WRONG_TOKEN]
        else:
            self.closed = "no answer" if self._heard is None else greeting.REASONS[greeting.UNCONFIRMED]
