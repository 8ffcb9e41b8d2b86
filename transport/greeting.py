"""The few messages of the UDP channel itself, to bytes and back, and the proofs in them (WIRE.md, "UDP channel").

A client says Hello; the server answers with a Challenge that reaches only whoever really has that address; the client
echoes it; the server is Ready. `parse` is total: any bytes give a message or None. Nothing here keeps state.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

VERSION: Final = 0
ID: Final = 8
"""Bytes of a session's id, drawn by the client."""
COOKIE: Final = 12
PROOF: Final = 16
HELLO_HEAD: Final = 2 + ID + PROOF
MAX_HELLO: Final = 1200
CHALLENGE_SIZE: Final = 1 + ID + COOKIE

_HELLO, _CHALLENGE, _ECHO, _READY, _PING, _CLOSE = range(0x40, 0x46)

DONE, WRONG_TOKEN, BUSY, IDLE, TOO_MUCH, REPLACED, UNCONFIRMED, UNKNOWN, OTHER_VERSION = range(9)
REASONS: Final = (
    "closed by the peer",
    "the token is wrong",
    "the server has no room",
    "nothing was heard for too long",
    "more bytes than the server takes from one peer",
    "another session came from the same address",
    "the address was not confirmed",
    "the server does not know this session",
    "the server speaks another version",
)


@dataclass(frozen=True, slots=True)
class Hello:
    """Client: I want to talk. `size`: bytes of the datagram, padding included; three times as many may come back."""

    id: bytes
    proof: bytes
    size: int = HELLO_HEAD
    version: int = VERSION

    def encode(self) -> bytes:
        head = bytes([_HELLO, self.version]) + self.id + self.proof
        return head + bytes(self.size - len(head))


@dataclass(frozen=True, slots=True)
class Challenge:
    """Server: prove that you have this address by sending the cookie back."""

    id: bytes
    cookie: bytes

    def encode(self) -> bytes:
        return bytes([_CHALLENGE]) + self.id + self.cookie


@dataclass(frozen=True, slots=True)
class Echo:
    """Client: here it is, and I know the token."""

    id: bytes
    cookie: bytes
    proof: bytes

    def encode(self) -> bytes:
        return bytes([_ECHO]) + self.id + self.cookie + self.proof


@dataclass(frozen=True, slots=True)
class Ready:
    """Server: this address is confirmed. Also the answer to a Ping from it."""

    id: bytes

    def encode(self) -> bytes:
        return bytes([_READY]) + self.id


@dataclass(frozen=True, slots=True)
class Ping:
    """Client: are you there, and do you know me under this address?"""

    id: bytes

    def encode(self) -> bytes:
        return bytes([_PING]) + self.id + b"\0"


@dataclass(frozen=True, slots=True)
class Close:
    """Either: the session is over. `reason`: an index of REASONS."""

    id: bytes
    reason: int

    def encode(self) -> bytes:
        return bytes([_CLOSE]) + self.id + bytes([self.reason])


Message = Hello | Challenge | Echo | Ready | Ping | Close


def is_message(data: bytes) -> bool:
    """Whether a datagram is the channel's own: byte 0 is 0x40 .. 0x4F. What it holds may still be nonsense."""
    return bool(data) and data[0] >> 4 == 4


def parse(data: bytes) -> Message | None:
    """The message that these bytes are; None for anything else."""
    if not is_message(data):
        return None
    kind, size, first = data[0], len(data), data[1 : 1 + ID]
    if kind == _HELLO and HELLO_HEAD <= size <= MAX_HELLO and not any(data[HELLO_HEAD:]):
        return Hello(data[2 : 2 + ID], data[2 + ID : HELLO_HEAD], size, data[1])
    if kind == _CHALLENGE and size == CHALLENGE_SIZE:
        return Challenge(first, data[1 + ID :])
    if kind == _ECHO and size == CHALLENGE_SIZE + PROOF:
        return Echo(first, data[1 + ID : CHALLENGE_SIZE], data[CHALLENGE_SIZE:])
    if kind == _READY and size == 1 + ID:
        return Ready(first)
    if kind == _PING and size == 2 + ID and data[-1] == 0:
        return Ping(first)
    if kind == _CLOSE and size == 2 + ID and data[-1] < len(REASONS):
        return Close(first, data[-1])
    return None


def hello_proof(token: bytes, id: bytes) -> bytes:
    """What shows in a Hello that its sender knows the token."""
    return _keyed(token, b"layercast udp 0 hello", id)


def echo_proof(token: bytes, id: bytes, cookie: bytes) -> bytes:
    """What shows in an Echo that its sender knows the token, now and from this address."""
    return _keyed(token, b"layercast udp 0 echo", id + cookie)


def _keyed(token: bytes, label: bytes, data: bytes) -> bytes:
    return hmac.digest(token, label + b"\0" + data, "sha256")[:PROOF]


class Cookies:
    """Makes and checks cookies from a secret: nothing is kept of whom they were given to.

    A cookie is good for one address and one session id, for 30 to 60 s.
    """

    WINDOW: Final = 30.0

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, address: object, id: bytes, now: float) -> bytes:
        return self._of(address, id, int(now // self.WINDOW))

    def good(self, cookie: bytes, address: object, id: bytes, now: float) -> bool:
        window = int(now // self.WINDOW)
        return any(hmac.compare_digest(cookie, self._of(address, id, w)) for w in (window, window - 1))

    def _of(self, address: object, id: bytes, window: int) -> bytes:
        return hmac.new(self._secret, repr((window, id, address)).encode(), sha256).digest()[:COOKIE]
