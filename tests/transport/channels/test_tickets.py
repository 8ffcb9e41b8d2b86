"""Tickets: a server's are good once, a client's survive in a file."""

import dataclasses
import datetime
from pathlib import Path

from aioquic.tls import CipherSuite, SessionTicket

from transport.channels.tickets import Issued, TicketFile

DAY = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
TICKET = SessionTicket(
    age_add=123,
    cipher_suite=CipherSuite.AES_256_GCM_SHA384,
    not_valid_after=DAY + datetime.timedelta(days=1),
    not_valid_before=DAY,
    resumption_secret=b"secret",
    server_name=None,  # type: ignore[arg-type]
    ticket=b"name",
    max_early_data_size=0xFFFFFFFF,
    other_extensions=[(57, b"parameters")],
)


def test_a_ticket_is_given_out_once() -> None:
    issued = Issued()
    issued.add(TICKET)
    assert issued.take(b"other") is None
    assert issued.take(b"name") == TICKET
    assert issued.take(b"name") is None


def test_the_oldest_gives_way() -> None:
    issued = Issued(most=2)
    for name in (b"1", b"2", b"3"):
        issued.add(dataclasses.replace(TICKET, ticket=name))
    assert [issued.take(name) is None for name in (b"1", b"2", b"3")] == [True, False, False]


def test_a_file_keeps_tickets(tmp_path: Path) -> None:
    path = tmp_path / "tickets"
    tickets = TicketFile(path)
    assert len(tickets) == 0
    tickets["a"] = TICKET
    tickets["b"] = dataclasses.replace(TICKET, max_early_data_size=None)
    assert path.stat().st_mode & 0o777 == 0o600
    again = TicketFile(path)
    assert set(again) == {"a", "b"} and again["a"] == TICKET
    assert again.pop("a") == TICKET and again.pop("a", None) is None
    assert list(TicketFile(path)) == ["b"]


def test_a_damaged_file_counts_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "tickets"
    tickets = TicketFile(path)
    tickets["a"] = TICKET
    whole = path.read_bytes()
    for damaged in [whole[:cut] for cut in range(len(whole))] + [b"\x01", b"\x81\xa1a\x91\x01", bytes(200)]:
        path.write_bytes(damaged)
        assert dict(tickets) == {}
    tickets["a"] = TICKET
    assert dict(tickets) == {"a": TICKET}
