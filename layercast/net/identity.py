"""What this user's ends keep from one run to the next: the server's certificate, the client's session tickets."""

from __future__ import annotations

import contextlib
import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transport.channels.certificate import Certificate
    from transport.channels.tickets import Tickets

QUIC_DAYS = 3650
"""A pinned certificate is as good as its key, so receivers need not be told a new pin every fortnight."""


def folder() -> Path:
    """$LAYERCAST_HOME, or layercast in the user's folder for settings; made if need be, for the user alone."""
    found = os.environ.get("LAYERCAST_HOME")
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = Path(found) if found else base / "layercast"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def certificate(browsers: bool) -> Certificate:
    """The server's certificate; `browsers`: one that a browser accepts by its hash, for a fortnight at most.

    Raises OSError if it cannot be kept.
    """
    from transport.channels.certificate import BROWSER_DAYS, load, make

    now = datetime.datetime.now(datetime.UTC)
    path = certificate_file(browsers)
    with contextlib.suppress(OSError, ValueError):
        known = load(path)
        if known.lasts(now):
            return known
    made = make(BROWSER_DAYS if browsers else QUIC_DAYS, now)
    made.save(path)
    return made


def certificate_file(browsers: bool) -> Path:
    """Where that certificate and its key are."""
    return folder() / ("browser.pem" if browsers else "server.pem")


def tickets() -> Tickets:
    """The client's tickets, which save a round trip the next time."""
    from transport.channels.tickets import TicketFile

    return TicketFile(folder() / "tickets")
