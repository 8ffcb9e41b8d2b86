"""A NAT on loopback: passes datagrams on to a server, from a port of its own that a test can change."""

import asyncio
from typing import Any


class _Side(asyncio.DatagramProtocol):
    def __init__(self, take: Any) -> None:
        self.take = take

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.take(data, addr)


class Relay:
    """`start` gives the port that clients use; `rebind` gives the outside a new port and forgets the old one."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.client: tuple[Any, ...] | None = None
        self.passed = 0

    async def start(self) -> int:
        loop = asyncio.get_running_loop()
        self._inside, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_client), local_addr=("127.0.0.1", 0)
        )
        self._outside: Any = None
        await self.rebind()
        port: int = self._inside.get_extra_info("sockname")[1]
        return port

    async def rebind(self) -> None:
        loop = asyncio.get_running_loop()
        old = self._outside
        self._outside, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_server), remote_addr=self.server
        )
        if old is not None:
            old.close()

    def close(self) -> None:
        self._inside.close()
        self._outside.close()

    def _from_client(self, data: bytes, address: tuple[Any, ...]) -> None:
        self.client = address
        self.passed += 1
        self._outside.sendto(data)

    def _from_server(self, data: bytes, address: tuple[Any, ...]) -> None:
        if self.client is not None:
            self._inside.sendto(data, self.client)
