"""DTLS's copies of what still crosses the link are left out, and nothing else is."""

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from transport.channels.webrtc_stack import leave_out


def ends() -> tuple[SSL.Connection, SSL.Connection]:
    client, server = (
        SSL.Connection(RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES), None) for _ in "cs"
    )
    client.set_connect_state()
    server.set_accept_state()
    return client, server


def step(end: SSL.Connection, data: bytes = b"") -> bytes:
    """Give an end what came and take what it sends."""
    if data:
        end.bio_write(data)
    try:
        end.do_handshake()
    except SSL.WantReadError:
        pass
    try:
        return end.bio_read(4000)
    except SSL.WantReadError:
        return b""


def test_a_flight_again_too_early_is_left_out_and_later_is_not() -> None:
    client, server = ends()
    sent: dict[bytes, float] = {}
    flight = step(server, step(client))
    assert leave_out(flight, sent, 0.0, 1.5) == flight
    assert leave_out(flight, sent, 1.0, 1.5) == b""
    assert leave_out(flight, sent, 1.6, 1.5) == flight
    assert leave_out(flight, sent, 2.0, 1.5) == b"", "that was a copy in its own right"


def test_what_is_new_goes_beside_what_is_left_out() -> None:
    client, server = ends()
    sent: dict[bytes, float] = {}
    flight = step(server, step(client))
    assert leave_out(flight, sent, 0.0, 1.5) == flight
    finished = step(server, step(client, flight))
    assert leave_out(flight + finished, sent, 1.0, 1.5) == finished


def test_a_handshake_goes_through_it() -> None:
    client, server = ends()
    sent: tuple[dict[bytes, float], dict[bytes, float]] = ({}, {})
    data, time = step(client), 0.0
    for turn in range(6):
        time += 0.1
        data = step((server, client)[turn % 2], leave_out(data, sent[turn % 2], time, 1.5))
    client.send(b"through")
    server.bio_write(client.bio_read(4000))
    assert server.recv(100) == b"through"


@given(st.binary(max_size=100))
def test_any_bytes_go_through_once(data: bytes) -> None:
    assert leave_out(data, {}, 0.0, 1.0) == data


def test_text_of_other_layers_is_not_looked_at() -> None:
    application = b"\x17\xfe\xfd" + bytes(8) + b"\0\x20" + bytes(32)
    sent: dict[bytes, float] = {}
    assert [leave_out(application, sent, 0.0, 1.0) for _ in range(2)] == [application] * 2
