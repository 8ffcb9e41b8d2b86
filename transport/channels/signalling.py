"""Offer and answer of a WebRTC connection over HTTP or HTTPS, with a bearer token.

    client                                                server
    make_offer ── POST, Authorization: Bearer TOKEN ─────► token, limits, make_answer
    take_answer ◄────── 201, the answer, application/sdp ──
    ══════════════ ICE, DTLS, SCTP: not over HTTP ═══════► wait_open, accept(channel)

One request opens a connection: both descriptions hold all candidates, so nothing follows. A page does the same with
`fetch`, where its origin is allowed; it may ask for JSON, which holds the answer as `sdp` and beside it whatever the
application has to say at once. Over plain HTTP whoever can read the way reads the token, and whoever can change
it takes the peer's place: networks that one trusts, or TLS.
"""

import asyncio
import contextlib
import hmac
import ipaddress
import json
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from transport.channels.sdp import MOST_BYTES, SdpError
from transport.channels.webrtc import WebRtcChannel, WebRtcConfig

logger = logging.getLogger(__name__)

PATH: Final = "/webrtc"
SDP: Final = "application/sdp"
JSON: Final = "application/json"
PREFLIGHT_SECONDS: Final = "600"
Tls = ssl.SSLContext | aiohttp.Fingerprint | bool
"""How a client knows the server: True for the authorities that this machine trusts, the SHA-256 of a certificate as
`aiohttp.Fingerprint`, or a context."""

Beside = Callable[[Mapping[str, str]], Awaitable[Mapping[str, object]]]
"""What is told beside an answer in JSON, from the request's query: the peer's words, so check them."""


class SignallingError(ConnectionError):
    """No connection; the message says in one line why and what to do. It never holds a token."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What peers may cost. Seconds, bytes; sessions count from the offer until their channel closes.

    Attributes:
        sessions, sessions_per_host: at once; an IPv6 host is its /64 network.
        body: of an offer.
        read_seconds: for an offer to arrive.
        open_seconds: from the answer to an open channel.
    """

    sessions: int = 256
    sessions_per_host: int = 32
    body: int = MOST_BYTES
    read_seconds: float = 30.0
    open_seconds: float = 60.0


class Signalling:
    """The server's part: answers offers and hands each channel to `accept` once it is open.

    `attach` adds it to an aiohttp application that has other routes too; `serve` makes one that has none. An empty
    token admits everybody. `origins` are those of pages that may ask, "*" for any. With `beside` whoever accepts JSON
    gets it; such peers are pages, which cannot make use of coded repair.
    """

    def __init__(
        self,
        accept: Callable[[WebRtcChannel], None],
        token: str = "",
        config: WebRtcConfig | None = None,
        limits: Limits | None = None,
        origins: tuple[str, ...] = (),
        beside: Beside | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._accept = accept
        self._token = token.encode()
        self._config = config or WebRtcConfig()
        self._origins = origins
        self._beside = beside
        self._sessions: Counter[str] = Counter()
        self._channels: set[WebRtcChannel] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def sessions(self) -> int:
        """Connections that are open or opening."""
        return self._sessions.total()

    def attach(self, app: web.Application, path: str = PATH) -> None:
        """Add the route, and close what is open when the application ends."""
        app.router.add_post(path, self._handle_offer)
        app.router.add_options(path, self._handle_preflight)
        app.on_shutdown.append(self._handle_shutdown)

    async def close(self) -> None:
        """Close every connection."""
        for channel in list(self._channels):
            channel.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- requests ---

    async def _handle_shutdown(self, app: web.Application) -> None:
        await self.close()

    async def _handle_preflight(self, request: web.Request) -> web.Response:
        return self._answer(request, 204)

    async def _handle_offer(self, request: web.Request) -> web.Response:
        _acknowledge(request)
        if not self._admits(request):
            return self._answer(request, 401, "wrong or missing token")
        host = host_of(request.remote)
        if self.sessions >= self.limits.sessions or self._sessions[host] >= self.limits.sessions_per_host:
            return self._answer(request, 503, "too many connections")
        self._sessions[host] += 1
        try:
            status, text = await self._open(request, host)
        finally:
            self._leave(host)
        return self._answer(request, status, text)

    async def _open(self, request: web.Request, host: str) -> tuple[int, str]:
        """Read an offer, answer it and see to its channel."""
        if request.content_type != SDP:
            return 415, f"an offer is {SDP}"
        try:
            async with asyncio.timeout(self.limits.read_seconds):
                body = await _read(request.content, self.limits.body)
        except TimeoutError:
            return 408, "the offer took too long"
        if len(body) > self.limits.body:
            return 413, f"an offer is at most {self.limits.body} B"
        channel = WebRtcChannel(self._config)
        channel.coded = not self._wants_json(request)
        try:
            answer = await channel.make_answer(body.decode())
            if self._beside is not None and not channel.coded:
                answer = json.dumps({"sdp": answer, **await self._beside(request.query)}, separators=(",", ":"))
        except (SdpError, UnicodeDecodeError) as error:
            channel.close()
            return 400, f"no offer: {error if isinstance(error, SdpError) else 'not UTF-8'}"
        except ConnectionError as error:
            channel.close()
            logger.warning("an offer was not answered: %s", error)
            return 500, "this server has no way to be reached"
        except BaseException:
            channel.close()
            raise
        self._sessions[host] += 1
        self._channels.add(channel)
        task = asyncio.ensure_future(self._see_to(channel, host))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return 201, answer

    async def _see_to(self, channel: WebRtcChannel, host: str) -> None:
        """Hand a channel over when it is open, and count it until it has closed."""
        try:
            await channel.wait_open(self.limits.open_seconds)
            self._accept(channel)
            await channel.wait_closed()
        except ConnectionError as error:
            logger.info("no connection came of an offer: %s", error)
        finally:
            channel.close()
            self._channels.discard(channel)
            self._leave(host)
            await channel.wait_released()

    def _admits(self, request: web.Request) -> bool:
        if not self._token:
            return True
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), self._token)
        return same and scheme.lower() == "bearer"

    def _wants_json(self, request: web.Request) -> bool:
        return self._beside is not None and JSON in request.headers.get(hdrs.ACCEPT, "")

    def _leave(self, host: str) -> None:
        self._sessions[host] -= 1
        if not self._sessions[host]:
            del self._sessions[host]

    def _answer(self, request: web.Request, status: int, text: str = "") -> web.Response:
        described = JSON if self._wants_json(request) else SDP
        response = web.Response(status=status, text=text, content_type=described if status == 201 else "text/plain")
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        if described == JSON:
            response.enable_compression()  # for pages, of which every one takes that
        if status == 401:
            response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        origin = request.headers.get(hdrs.ORIGIN)
        if self._origins:
            response.headers[hdrs.VARY] = "Origin"
        if origin is not None and ("*" in self._origins or origin in self._origins):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "POST"
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = "authorization, content-type"
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = PREFLIGHT_SECONDS
        return response


def _acknowledge(request: web.Request) -> None:
    """Have TCP acknowledge the request now. It would leave that to the answer, which takes a second on a thin link, so
    that the peer sends its offer again, in front of the packets that are to open the connection."""
    sock = None if request.transport is None else request.transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_QUICKACK"):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def host_of(address: str | None) -> str:
    """Whom an address is counted with: itself, or its /64 network, since one IPv6 host may have all of that."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)


@dataclass
class Serving:
    """A server that runs. `close` at once, `wait_closed` until all is released."""

    signalling: Signalling
    port: int
    _runner: web.AppRunner
    _closing: asyncio.Future[None] | None = field(default=None, init=False)

    def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._runner.cleanup())

    async def wait_closed(self) -> None:
        self.close()
        assert self._closing is not None
        await asyncio.shield(self._closing)


async def serve(
    host: str,
    port: int,
    signalling: Signalling,
    tls: ssl.SSLContext | None = None,
    attach: Callable[[web.Application], None] | None = None,
) -> Serving:
    """Answer offers at an address and port (0 for any); with `tls` (a certificate and its key, see `server_tls`) over
    HTTPS. `attach` adds other routes. Raises OSError."""
    app = web.Application(client_max_size=signalling.limits.body)
    signalling.attach(app)
    if attach is not None:
        attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
    except OSError:
        await runner.cleanup()
        raise
    return Serving(signalling, runner.addresses[0][1], runner)


def server_tls(certificate: str, key: str | None = None) -> ssl.SSLContext:
    """TLS with a certificate chain and its key, files in PEM; one file may hold both. Raises OSError, ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def connect(
    url: str, token: str = "", config: WebRtcConfig | None = None, tls: Tls = True, seconds: float = 60.0
) -> WebRtcChannel:
    """An open channel to the server at `http(s)://HOST[:PORT][/PATH]`; without a path the default one. It takes
    `seconds` at most. Raises SignallingError."""
    where = _parse(url)
    shown = f"{where.scheme}://{where.host}:{where.port}"
    if where.path in ("", "/"):
        where = where.with_path(PATH)
    channel = WebRtcChannel(config)
    try:
        async with asyncio.timeout(seconds) as limit:
            offer = await _offer(channel)
            await channel.take_answer(await _exchange(where, token, offer, tls, shown))
            left = (limit.when() or 0.0) - asyncio.get_running_loop().time()
            await channel.wait_open(max(left - 0.01, 0.01))
    except SignallingError:
        raise
    except SdpError as error:
        raise SignallingError(f"{shown} gave no answer that can be used ({error}); is it this server?") from None
    except TimeoutError:
        raise SignallingError(
            f"{shown} took more than {seconds:g} s to answer; try again, or allow more time"
        ) from None
    except ConnectionError as error:
        hint = "where a NAT or firewall is between, give both ends the same STUN or TURN server"
        raise SignallingError(f"{shown} answered, but {error}; {hint}") from None
    finally:
        if not channel.open:
            channel.close()
            await channel.wait_released()
    return channel


async def _offer(channel: WebRtcChannel) -> str:
    try:
        return await channel.make_offer()
    except ConnectionError as error:
        raise SignallingError(f"no offer can be made: {error}") from None


def _parse(url: str) -> URL:
    try:
        where = URL(url).with_user(None)
    except ValueError:
        where = URL()
    if where.scheme not in ("http", "https") or not where.host:
        raise SignallingError("not an address that can be used; write http://HOST:PORT or https://HOST:PORT")
    return where


async def _exchange(where: URL, token: str, offer: str, tls: Tls, shown: str) -> str:
    """POST the offer; the answer. A redirection is not followed: the token is for this server."""
    headers = {hdrs.CONTENT_TYPE: SDP} | ({hdrs.AUTHORIZATION: f"Bearer {token}"} if token else {})
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
            session.post(where, data=offer.encode(), headers=headers, ssl=tls, allow_redirects=False) as response,
        ):
            text = (await _read(response.content, MOST_BYTES)).decode(errors="replace")
            status = response.status
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise SignallingError(f"{shown} cannot be reached ({_reason(error)}); check the address") from None
    if status == 201:
        return text
    hints = {
        401: "refused the token; give the one that the server shows",
        500: "has no way to be reached; look at its log",
        404: "is no server of this kind; check port and path",
        503: "has too many connections; try later",
    }
    raise SignallingError(f"{shown} {hints.get(status, f'refused the offer (status {status}); check its version')}")


async def _read(stream: aiohttp.StreamReader, most: int) -> bytes:
    """All of a body, or more than `most` bytes of it."""
    body = b""
    while len(body) <= most and (more := await stream.read(most + 1)):
        body += more
    return body


def _reason(error: Exception) -> str:
    """A few words of ours: the library's own may hold the request."""
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return "its certificate is another than the pinned one"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "no connection"
    return "the connection broke"
