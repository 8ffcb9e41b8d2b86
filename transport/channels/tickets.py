"""Session tickets, which save a round trip (0-RTT): a client keeps what servers gave it, a server what it has issued.

Whoever has recorded a first flight can send it once more. So a ticket is good for one connection: `Issued.take` hands
it out once, and a flight that comes again finds nothing to be decrypted with.
"""

import datetime
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

import msgpack
from aioquic.tls import CipherSuite, SessionTicket

Tickets = MutableMapping[str, SessionTicket]
"""A client's tickets: a dict, a `TicketFile` or the like. The keys name server, protocol and pin."""


class Issued:
    """A server's tickets, in memory: after a restart clients fall back to a full handshake by themselves."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._tickets: dict[bytes, SessionTicket] = {}

    def add(self, ticket: SessionTicket) -> None:
        """Keep a new one; the oldest gives way when there are too many."""
        self._tickets[ticket.ticket] = ticket
        while len(self._tickets) > self._most:
            del self._tickets[next(iter(self._tickets))]

    def take(self, name: bytes) -> SessionTicket | None:
        """Give a ticket out, the first time that it is asked for."""
        return self._tickets.pop(name, None)


class TicketFile(MutableMapping[str, SessionTicket]):
    """A client's tickets in a file that its owner alone can read. A file that cannot be read counts as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, key: str) -> SessionTicket:
        return self._read()[key]

    def __setitem__(self, key: str, ticket: SessionTicket) -> None:
        self._write({**self._read(), key: ticket})

    def __delitem__(self, key: str) -> None:
        tickets = self._read()
        del tickets[key]
        self._write(tickets)

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> dict[str, SessionTicket]:
        try:
            fields = msgpack.unpackb(self._path.read_bytes())
            return {str(key): _from_fields(*values) for key, values in fields.items()}
        except (OSError, ValueError, TypeError, AttributeError, msgpack.UnpackException):
            return {}

    def _write(self, tickets: dict[str, SessionTicket]) -> None:
        """Whole or not at all."""
        beside = self._path.with_name(self._path.name + ".new")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgpack.packb({key: _to_fields(ticket) for key, ticket in tickets.items()}))
        os.replace(beside, self._path)


Fields = tuple[int, int, float, float, bytes, str, bytes, int | None, list[tuple[int, bytes]]]


def _to_fields(ticket: SessionTicket) -> Fields:
    return (
        ticket.age_add,
        int(ticket.cipher_suite),
        ticket.not_valid_after.timestamp(),
        ticket.not_valid_before.timestamp(),
        ticket.resumption_secret,
        ticket.server_name,
        ticket.ticket,
        ticket.max_early_data_size,
        [(int(kind), data) for kind, data in ticket.other_extensions],
    )


def _from_fields(
    age_add: int,
    cipher_suite: int,
    until: float,
    since: float,
    secret: bytes,
    server_name: str,
    name: bytes,
    max_early_data_size: int | None,
    extensions: list[tuple[int, bytes]],
) -> SessionTicket:
    return SessionTicket(
        age_add=age_add,
        cipher_suite=CipherSuite(cipher_suite),
        not_valid_after=datetime.datetime.fromtimestamp(until, datetime.UTC),
        not_valid_before=datetime.datetime.fromtimestamp(since, datetime.UTC),
        resumption_secret=secret,
        server_name=server_name,
        ticket=name,
        max_early_data_size=max_early_data_size,
        other_extensions=[(kind, data) for kind, data in extensions],
    )
