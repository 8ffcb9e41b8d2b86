"""The channel's own messages: there and back, nothing else accepted, cookies and proofs good for what they are for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport import greeting, wire
from transport.greeting import Challenge, Close, Cookies, Echo, Hello, Message, Ping, Ready

ids, cookies, proofs = (st.binary(min_size=n, max_size=n) for n in (8, 12, 16))
messages = st.one_of(
    st.builds(Hello, ids, proofs, st.integers(26, 1200), st.integers(0, 255)),
    st.builds(Challenge, ids, cookies),
    st.builds(Echo, ids, cookies, proofs),
    st.builds(Ready, ids),
    st.builds(Ping, ids),
    st.builds(Close, ids, st.integers(0, len(greeting.REASONS) - 1)),
)


@given(messages)
def test_there_and_back(message: Message) -> None:
    data = message.encode()
    assert greeting.is_message(data) and greeting.parse(data) == message
    with pytest.raises(wire.WireError):
        wire.parse(data)


@given(st.binary(max_size=60) | st.builds(lambda kind, rest: bytes([kind]) + rest, st.integers(64, 79), st.binary()))
def test_any_bytes_are_one_message_or_none(data: bytes) -> None:
    message = greeting.parse(data)
    assert message is None or message.encode() == data


def test_sizes_keep_answers_below_three_times_the_question() -> None:
    id, cookie, proof = bytes(8), bytes(12), bytes(16)
    smallest_question = len(Ping(id).encode())
    answers = [Challenge(id, cookie), Ready(id), Close(id, 0)]
    assert max(len(answer.encode()) for answer in answers) <= 3 * smallest_question
    assert len(Close(id, 0).encode()) <= smallest_question < len(Hello(id, proof).encode()), "a refusal is no larger"


def test_a_cookie_is_for_one_address_one_id_and_a_minute() -> None:
    jar = Cookies(b"secret")
    here, id = ("192.0.2.1", 5), b"12345678"
    cookie = jar.make(here, id, 100.0)
    assert jar.good(cookie, here, id, 100.0) and jar.good(cookie, here, id, 149.0)
    assert not jar.good(cookie, here, id, 161.0), "older than two windows"
    assert not jar.good(cookie, ("192.0.2.1", 6), id, 100.0)
    assert not jar.good(cookie, here, b"12345679", 100.0)
    assert not Cookies(b"another").good(cookie, here, id, 100.0)


def test_proofs_need_the_token_and_are_for_one_purpose() -> None:
    id, cookie = bytes(8), bytes(12)
    assert greeting.hello_proof(b"a", id) != greeting.hello_proof(b"b", id)
    assert greeting.echo_proof(b"a", id, cookie) != greeting.echo_proof(b"a", id, b"another one.")
    assert greeting.hello_proof(b"a", id + cookie) != greeting.echo_proof(b"a", id, cookie)
