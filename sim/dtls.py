"""DTLS in virtual time: OpenSSL does the handshake, and when a flight is repeated the event loop's clock says.

OpenSSL repeats a flight that nobody answers after 1 s, 2, 4 and so on of real time, and has no setting for whose time
that is. Here its timer is out of the way, and each connection keeps one by the same rules (RFC 6347, 4.2.4.1): started
with each new flight, stopped by the end of the handshake, doubled up to a minute; who spoke last answers a copy of the
peer's last flight with its own. The copies are those of the first flight to the byte,
record numbers included, which the peer takes if it has not had them; OpenSSL's own would differ in those numbers.
"""

import asyncio
from typing import Any

from OpenSSL import SSL

FIRST, MOST = 1.0, 60.0
"""Seconds until a flight is repeated first, and at most."""
HANDSHAKE = (20, 22)
"""Types of the records that a last flight begins with."""


class TimedConnection(SSL.Connection):
    """A DTLS connection in memory whose timer is the running event loop's."""

    def __init__(self, context: SSL.Context) -> None:
        super().__init__(context)
        self._flight = self._again = b""
        self._wait = FIRST
        self._due: float | None = None
        self._done = self._last = False

    def do_handshake(self) -> None:
        """As far as it goes."""
        super().do_handshake()
        self._done, self._due = True, None

    def bio_read(self, bufsiz: int) -> bytes:
        """What is to leave: a flight again, or what OpenSSL has to say, a new flight while there is no end."""
        if self._again:
            data, self._again = self._again, b""
            return data
        data = super().bio_read(bufsiz)
        if not self._done or data[0] in HANDSHAKE:
            self._flight, self._wait, self._last = data, FIRST, True
            self._due = None if self._done else asyncio.get_running_loop().time() + FIRST
        return data

    def bio_write(self, buf: Any) -> int:
        """What has come; after the end, handshake records can only be a copy of the peer's last flight."""
        data = bytes(buf)
        if self._done and self._last and data and data[0] in HANDSHAKE:
            self._again = self._flight
        self._last = self._last and self._done
        return super().bio_write(buf)

    def DTLSv1_get_timeout(self) -> Any:
        """Seconds until the flight is to be repeated, None for never."""
        return None if self._due is None else max(self._due - asyncio.get_running_loop().time(), 0.0)

    def DTLSv1_handle_timeout(self) -> bool:
        """Repeat it, if it is time; whether it was."""
        now = asyncio.get_running_loop().time()
        if self._due is None or now < self._due:
            return False
        self._wait = min(2 * self._wait, MOST)
        self._due, self._again = now + self._wait, self._flight
        return True
