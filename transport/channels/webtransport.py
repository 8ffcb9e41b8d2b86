"""WebTransport: our packets as datagrams of an HTTP/3 session, so that a web page can be the peer.

The token comes in the CONNECT request as `?token=TOKEN`, for a page can set no headers. A page pins the server's
certificate as `serverCertificateHashes`; it must be of `certificate.make()`'s kind and not older than 13 days. One
session a connection: aioquic speaks draft 2, which has no capsules, no drain and no flow control per session (Safari,
which wants a later draft, does not connect).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from aioquic.buffer import encode_uint_var
from aioquic.h3 import events as http
from aioquic.h3.connection import H3Connection
from aioquic.quic import events
from aioquic.quic.connection import QuicConnection

from transport.channels.certificate import Certificate
from transport.channels.quic import MAX_TOKEN, Gate, QuicServing, listen, open_client, start_client
from transport.channels.quic_base import GOODBYE, WRONG_TOKEN, Settings
from transport.channels.tickets import Tickets

__all__ = ["WebTransportChannel", "connect", "serve"]

ALPN: Final = "h3"
PATH: Final = "/layercast"
LINGER: Final = 10.0
"""Seconds in which a refused peer may read why."""
FIRST_STREAM: Final = 0


class WebTransportChannel(Gate):
    """One end of a WebTransport session; `connect` and `serve` make them."""

    most_stream_bytes = 65536

    def __init__(self, quic: QuicConnection, settings: Settings, path: str = PATH, **options: Any) -> None:
        super().__init__(quic, settings, **options)
        self._path = path
        self._http: H3Connection | None = None
        self._session = FIRST_STREAM
        self._prefix = encode_uint_var(FIRST_STREAM)
        self.largest -= len(self._prefix)
        self.overhead += len(self._prefix)

    def greet(self, authority: str) -> None:
        """Client: ask for a session, before anything else."""
        self._http = H3Connection(self._quic, enable_webtransport=True)
        path = f"{self._path}?{urlencode({'token': self._token})}" if self._token else self._path
        fields = {":method": "CONNECT", ":scheme": "https", ":authority": authority, ":path": path}
        fields |= {":protocol": "webtransport", "sec-webtransport-http3-draft02": "1"}
        stream = self._quic.get_next_available_stream_id()
        assert stream == FIRST_STREAM
        self._http.send_headers(stream, [(name.encode(), value.encode()) for name, value in fields.items()])

    def handle_event(self, event: events.QuicEvent) -> None:
        if isinstance(event, events.ProtocolNegotiated) and self._http is None:
            self._http = H3Connection(self._quic, enable_webtransport=True)
        if self._http is None:
            return
        for happened in self._http.handle_event(event):
            if isinstance(happened, http.DatagramReceived) and happened.stream_id == self._session:
                self.handle_datagram(happened.data)
            elif isinstance(happened, http.HeadersReceived):
                (self._handle_answer if self._is_client else self._handle_request)(happened)
            elif isinstance(happened, http.DataReceived) and happened.stream_ended:
                self._handle_stream_end(happened.stream_id)
        if isinstance(event, events.StreamReset):
            self._handle_stream_end(event.stream_id)

    def _handle_request(self, request: http.HeadersReceived) -> None:
        """Server: somebody asks for a session, or for something that is not here."""
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        status = 400 if self.admitted or self._refused else self._judge(fields)
        assert self._http is not None
        answer = [(b":status", str(status).encode())]
        if status != 200:
            self._http.send_headers(request.stream_id, answer, end_stream=True)
            self._later(LINGER, lambda: self._refuse("a peer asked for what is not here", GOODBYE))
            return
        self._http.send_headers(request.stream_id, [*answer, (b"sec-webtransport-http3-draft", b"draft02")])
        if (
            "origin" in fields
        ):  # a browser drops datagrams that come before the answer, and in a packet they stand first
            self._held_back = 1
            self._transmit_soon()
        self._session = request.stream_id
        self._prefix = encode_uint_var(request.stream_id // 4)
        self._admit()

    def _judge(self, fields: dict[str, str]) -> int:
        """The HTTP status that a request gets."""
        try:
            target = urlsplit(fields.get(":path", ""))
            query = parse_qs(target.query)
        except ValueError:
            return 400
        if (fields.get(":method"), fields.get(":protocol")) != ("CONNECT", "webtransport"):
            return 400
        if target.path != self._path:
            return 404
        return 200 if self._is_token(query.get("token", [""])[0].encode()) else 401

    def _handle_answer(self, answer: http.HeadersReceived) -> None:
        """Client: the server takes the session, or does not."""
        status = dict(answer.headers).get(b":status", b"")
        if status == b"401":
            self._end("the server refused the token", WRONG_TOKEN)
        elif status == b"404":
            self._end(f"the server has no session at {self._path}", GOODBYE)
        elif not status.startswith(b"2"):
            self._end(f"the server answered with status {status.decode('latin-1')}", GOODBYE)
        elif answer.stream_ended:
            self._handle_stream_end(answer.stream_id)

    def _handle_stream_end(self, stream: int) -> None:
        """The peer has ended the session's stream, and with it the session."""
        if stream == self._session and (self._is_client or self.admitted):
            self._end("closed by the peer", GOODBYE)


async def connect(
    host: str,
    port: int,
    pin: bytes,
    token: str = "",
    *,
    path: str = PATH,
    settings: Settings | None = None,
    tickets: Tickets | None = None,
    local: tuple[str, int] | None = None,
) -> WebTransportChannel:
    """A channel to a server's session at `path`; otherwise as `quic.connect`."""
    if len(pin) != 32 or len(token.encode()) > MAX_TOKEN:
        raise ValueError(f"a pin has 32 bytes, a token {MAX_TOKEN} at most")
    kind: Callable[..., WebTransportChannel] = partial(WebTransportChannel, path=path)
    channel = await open_client(kind, ALPN, host, port, pin, settings or Settings(), tickets, local, token=token)
    assert isinstance(channel, WebTransportChannel)
    channel.greet(f"{host}:{port}")
    start_client(channel)
    return channel


async def serve(
    host: str,
    port: int,
    accept: Callable[[WebTransportChannel], None],
    certificate: Certificate,
    token: str = "",
    *,
    path: str = PATH,
    settings: Settings | None = None,
    most: int = 256,
) -> QuicServing:
    """Listen for sessions at `path`, and give a channel to `accept` for each; otherwise as `quic.serve`."""
    settings = settings or Settings()
    make = partial(WebTransportChannel, settings=settings, path=path, token=token, accept=accept)
    return await listen(host, port, settings.configuration(ALPN, certificate), make, most)
