"""UDP one way: to an address, a broadcast address or a multicast group, with nothing ever coming back.

The sender hears nothing and the listener says nothing, so neither needs the other's address to be proved: a sender
sends where its user said. Packets say where they belong, so a listener takes those of all senders. Anyone may send to a
listener; what is no packet is dropped by the receiver above, and payloads that must be trusted need a seal.
"""

import asyncio
import ipaddress
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from transport.channels import nothing
from transport.channels.udp import prepare

INBOX: Final = 1 << 20
"""Bytes that wait to be read; more is dropped."""


class OneWayChannel(asyncio.DatagramProtocol):
    """Either end: a sender's `receive` gives nothing, a listener's `send` drops."""

    def __init__(self, sends: bool) -> None:
        self.wake: Callable[[], None] = nothing
        self.closed: str | None = None
        self.dropped = 0
        self._sends = sends
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0

    @property
    def waiting(self) -> int:
        return 0 if self.closed is not None else self._transport.get_write_buffer_size()

    @property
    def address(self) -> tuple[Any, ...]:
        """Our own address as the socket has it."""
        found: tuple[Any, ...] = self._transport.get_extra_info("sockname")
        return found

    def send(self, data: bytes) -> None:
        if len(data) > self.largest:
            raise ValueError(f"a datagram of {len(data)} B on a channel for {self.largest}")
        if self._sends and self.closed is None:
            self._transport.sendto(data)

    def receive(self) -> bytes | None:
        if not self._inbox:
            return None
        data = self._inbox.popleft()
        self._inbox_bytes -= len(data)
        return data

    def close(self) -> None:
        if self.closed is None:
            self.closed = "closed here"
            self._transport.close()
            self.wake()

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.largest, self.overhead = prepare(transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self._sends:
            return
        if self._inbox_bytes + len(data) > INBOX:
            self.dropped += 1
            return
        self._inbox.append(data)
        self._inbox_bytes += len(data)
        self.wake()

    def resume_writing(self) -> None:
        self.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.closed is None:
            self.closed = f"the socket closed: {exc}" if exc else "closed here"
            self.wake()


async def open_sender(host: str, port: int, *, hops: int = 1, interface: str | None = None) -> OneWayChannel:
    """A channel that only sends: to a host, to a broadcast address or to a multicast group.

    hops: routers that a multicast packet may cross, plus one. interface: a name such as "eth0" for multicast.
    OSError if the address or the interface cannot be used.
    """
    loop = asyncio.get_running_loop()
    family, _, _, _, target = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        index = socket.if_nametoindex(interface) if interface else 0
        if family == socket.AF_INET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)
            if index:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _membership("0.0.0.0", index))
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
            if index:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.connect(target)
        _, channel = await loop.create_datagram_endpoint(lambda: OneWayChannel(True), sock=sock)
    except BaseException:
        sock.close()
        raise
    return channel


async def open_listener(host: str, port: int, *, interface: str | None = None) -> OneWayChannel:
    """A channel that only receives what is sent to a port of an address, or to a multicast group.

    host: an own address, "" or "::" for all, or the group to join. interface: its name, for a group; needed for
    link-local IPv6 groups. Several listeners of one group may share a port. OSError if it cannot be had.
    """
    loop = asyncio.get_running_loop()
    group = _group(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if group is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        index = socket.if_nametoindex(interface) if interface else 0
        if family == socket.AF_INET6:
            sock.bind((host, port, 0, index))
            if group is not None:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group.packed + struct.pack("@I", index))
        else:
            sock.bind((host, port))
            if group is not None:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _membership(host, index))
        _, channel = await loop.create_datagram_endpoint(lambda: OneWayChannel(False), sock=sock)
    except BaseException:
        sock.close()
        raise
    return channel


def _group(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The multicast group that `host` is, if it is one."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    return ip if ip.is_multicast else None


def _membership(group: str, index: int) -> bytes:
    """struct ip_mreqn: group, any address of ours, interface (0: the system chooses)."""
    return struct.pack("@4s4si", socket.inet_aton(group), socket.inet_aton("0.0.0.0"), index)
