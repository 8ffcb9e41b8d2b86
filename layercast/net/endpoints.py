"""Where a peer is, as a URL, and the channel that leads there. The one place that knows all channels.

    udp://HOST:PORT[/NAME]                    plain UDP, nothing hidden
    quic://HOST:PORT[/NAME]?pin=SHA256        QUIC; the pin is the server's certificate, `serve` prints it
    wt://HOST:PORT[/NAME]?pin=SHA256          WebTransport, what a web page can speak
    webrtc://HOST:PORT[/NAME]                 WebRTC; offers and answers over HTTP
    webrtcs://HOST:PORT[/NAME]?pin=SHA256     the same over HTTPS; without a pin, others vouch for the certificate
    pipe:DEVICE[?baud=N], pipe:-              a serial line or radio modem; standard input and output
    udp-oneway://HOST:PORT[?interface=NAME&hops=N]   UDP where nobody answers; HOST may be a multicast group

NAME chooses one of the streams that are served.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from transport.channels import Channel
from transport.limits import LimitsConfig

if TYPE_CHECKING:
    from aiohttp import web

    from transport.channels.quic_base import Settings
    from transport.channels.signalling import Beside
    from transport.channels.webrtc import WebRtcConfig

PORT = 4747
ONE_WAY = "udp-oneway"
SCHEMES = ("udp", "quic", "wt", "webrtc", "webrtcs", "pipe", "udp-oneway")


@dataclass(frozen=True)
class Address:
    """A URL taken apart. `name`: the stream that is meant; `pin`: SHA-256 of a certificate, or empty; `device` and
    `baud`: of a pipe."""

    scheme: str
    host: str = ""
    port: int = PORT
    name: str = ""
    pin: bytes = b""
    device: str = ""
    baud: int | None = None
    interface: str = ""
    hops: int = 1

    @property
    def on_stdio(self) -> bool:
        """Whether standard output carries packets."""
        return self.device == "-"

    def __str__(self) -> str:
        if self.scheme == "pipe":
            return f"pipe:{self.device}" + (f"?baud={self.baud}" if self.baud else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}" + (f"?pin={self.pin.hex()}" if self.pin else "")


@dataclass(frozen=True)
class Link:
    """What is known of the link: rate in bit/s or None, round trip in seconds, largest packet in bytes or None; `ice`:
    servers that lead WebRTC through NAT, as `IceServer.parse` takes them."""

    rate: float | None = None
    rtt: float | None = None
    packet: int | None = None
    ice: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Web:
    """What else a server of WebRTC has over HTTP: routes to add, and what pages are told beside its answers."""

    attach: Callable[[web.Application], None]
    beside: Beside


class Listening(Protocol):
    """A server's end that takes peers until it is closed."""

    def close(self) -> None: ...


def parse(url: str) -> Address:
    """Raises ValueError with what is wrong and what to write instead."""
    scheme, colon, _ = url.partition(":")
    if not colon or scheme not in SCHEMES:
        raise ValueError(f"not a URL that layercast speaks; write udp://HOST:{PORT}, or one of {', '.join(SCHEMES)}")
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if scheme == "pipe":
        baud = options.get("baud")
        if not parts.path or (baud is not None and not baud.isdecimal()):
            raise ValueError("a pipe is written pipe:DEVICE?baud=9600, or pipe:-")
        return Address(scheme, device=parts.path, baud=int(baud) if baud else None)
    try:
        host, port = parts.hostname or "", PORT if parts.port is None else parts.port
    except ValueError:
        raise ValueError(f"the port is no number below 65536; write {scheme}://HOST:{PORT}") from None
    if not host:
        raise ValueError(f"no host; write {scheme}://HOST:{PORT}")
    pin = options.get("pin", "")
    if pin and not re.fullmatch(r"[0-9a-fA-F]{64}", pin):
        raise ValueError("a pin is the 64 hexadecimal digits that `layercast serve` prints")
    hops = options.get("hops", "1")
    if not hops.isdecimal() or not 1 <= int(hops) <= 255:
        raise ValueError("hops are a number from 1 to 255")
    path = unquote(parts.path).lstrip("/")
    interface = options.get("interface", "")
    return Address(scheme, host, port, path, bytes.fromhex(pin), interface=interface, hops=int(hops))


async def connect(to: Address, token: str, link: Link) -> Channel:
    """A channel to a peer; it may be used at once. Raises OSError, ValueError."""
    if to.scheme == "udp":
        from transport.channels import udp

        return await udp.connect(to.host, to.port, token, rtt=link.rtt or 1.0)
    if to.scheme == "pipe":
        return _open_pipe(to, link)
    if to.scheme == ONE_WAY:
        raise ValueError("nobody answers there")
    if to.scheme in ("quic", "wt"):
        from layercast.net.identity import tickets
        from transport.channels import quic, webtransport

        if not to.pin:
            raise ValueError("the address lacks ?pin=..., which `layercast serve` prints")
        way = quic.connect if to.scheme == "quic" else webtransport.connect
        channel: Channel = await way(to.host, to.port, to.pin, token, settings=_settings(link), tickets=tickets())
        return channel
    return await _connect_webrtc(to, token, link)


async def open_one_way(at: Address, link: Link, sends: bool) -> Channel:
    """A channel on which nothing comes back: to an address, or from it. Raises OSError, ValueError."""
    if at.scheme == "pipe":
        return _open_pipe(at, link, reads=not sends, writes=sends)
    if at.scheme != ONE_WAY:
        raise ValueError(f"one way is {ONE_WAY}://HOST:PORT, or pipe: with --one-way")
    from transport.channels import udp_oneway

    interface = at.interface or None
    if sends:
        return await udp_oneway.open_sender(at.host, at.port, hops=at.hops, interface=interface)
    return await udp_oneway.open_listener(at.host, at.port, interface=interface)


async def listen(
    at: Address,
    token: str,
    link: Link,
    accept: Callable[[Channel], None],
    limits: LimitsConfig | None = None,
    pages: Web | None = None,
) -> tuple[Listening, Address]:
    """Take peers at an address: what closes it all, and the address as peers have to write it. Raises OSError.

    `limits`: how many sessions there may be, of one host and in all, how many bytes one may bring, how long it may be
    silent; None: what each way allows by itself. `pages`: with WebRTC alone.
    """
    config = limits or LimitsConfig(sessions=16, all_sessions=256)
    if at.scheme == "udp":
        from transport import admission
        from transport.channels import udp

        places = admission.Limits(config.all_sessions, config.sessions, bytes=config.bytes)
        listener = await udp.listen(at.host, at.port, accept, token, places)
        return listener, replace(at, port=listener.address[1])
    if at.scheme in ("quic", "wt"):
        from layercast.net.identity import certificate
        from transport.channels import quic, webtransport

        shown = certificate(browsers=at.scheme == "wt")
        way = quic.serve if at.scheme == "quic" else webtransport.serve
        serving = await way(at.host, at.port, accept, shown, token, settings=_settings(link), most=config.all_sessions)
        return serving, replace(at, port=serving.port, pin=shown.fingerprint)
    if at.scheme == "pipe":  # whoever is at its other end is there already
        channel = _open_pipe(at, link)
        accept(channel)
        return channel, at
    return await _listen_webrtc(at, token, link, accept, config, pages)


async def _connect_webrtc(to: Address, token: str, link: Link) -> Channel:
    import aiohttp

    from transport.channels import signalling

    host = f"[{to.host}]" if ":" in to.host else to.host
    secure = to.scheme == "webrtcs"
    config = _webrtc(link, loopback=to.host == "localhost" or to.host.startswith("127."))
    tls = aiohttp.Fingerprint(to.pin) if to.pin else True
    channel: Channel = await signalling.connect(f"http{'s' * secure}://{host}:{to.port}", token, config, tls)
    return channel


async def _listen_webrtc(
    at: Address,
    token: str,
    link: Link,
    accept: Callable[[Channel], None],
    limits: LimitsConfig,
    pages: Web | None,
) -> tuple[Listening, Address]:
    from layercast.net.identity import certificate, certificate_file
    from transport.channels import signalling

    shown = certificate(browsers=False) if at.scheme == "webrtcs" else None
    tls = signalling.server_tls(str(certificate_file(browsers=False))) if shown else None
    own = None if at.host in ("", "0.0.0.0", "::") else (at.host,)
    serving = await signalling.serve(
        at.host,
        at.port,
        signalling.Signalling(
            accept,
            token,
            _webrtc(link, addresses=own),
            signalling.Limits(sessions=limits.all_sessions, sessions_per_host=limits.sessions),
            beside=pages.beside if pages else None,
        ),
        tls,
        pages.attach if pages else None,
    )
    return serving, replace(at, port=serving.port, pin=shown.fingerprint if shown else b"")


def _webrtc(link: Link, addresses: tuple[str, ...] | None = None, loopback: bool = False) -> WebRtcConfig:
    from transport.channels.webrtc import IceServer, WebRtcConfig

    default = WebRtcConfig()
    return WebRtcConfig(
        tuple(IceServer.parse(text) for text in link.ice),
        addresses=addresses,
        loopback=loopback,
        rate=link.rate or default.rate,
        round_trip=default.round_trip if link.rtt is None else link.rtt,
    )


def _settings(link: Link) -> Settings:
    from transport.channels.quic_base import LinkProfile, Settings

    return Settings(LinkProfile(link.rate, link.rtt if link.rtt is not None else 0.1))


def _open_pipe(at: Address, link: Link, reads: bool = True, writes: bool = True) -> Channel:
    from transport.channels.pipe import LARGEST, FilePipe, open_serial

    largest = link.packet or LARGEST
    if at.on_stdio:
        return FilePipe(0 if reads else None, 1 if writes else None, largest)
    if at.baud is not None:
        return open_serial(at.device, at.baud, largest)
    device = os.open(at.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    return FilePipe(device if reads else None, device if writes else None, largest)
