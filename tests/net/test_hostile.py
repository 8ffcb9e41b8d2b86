"""A real server and peers that mean it no good: it answers little, keeps its memory, and serves the honest one."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.processes import fill, run, same, waiting
from transport import greeting
from transport.control import Held, Level, Request

FLOOD = 4000
"""Datagrams of each kind."""
ROOM = 48 << 10
"""KiB that a server may grow by: its inboxes are bounded by far less."""
PER_PEER = 4


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCAST_HOME", str(tmp_path / "home"))


class Hostile:
    """A socket that counts what it said and what was said to it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.sent = self.answered = self.answers = 0

    def say(self, data: bytes) -> None:
        self.sent += len(data)
        try:
            self.socket.send(data)
        except OSError:
            return  # the system's queue is full, as a flood wants it

    def listen(self) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(2048))
            except OSError:
                self.answered += sum(map(len, found))
                self.answers += len(found)
                return found


def memory_of(pid: int) -> int:
    """KiB that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def garbage(rng: random.Random) -> Iterator[bytes]:
    """Noise, packets that lie about lengths, and packets of sessions that never were."""
    lying = struct.pack(">BI", 0x80, 7) + b"\xff" * 9
    honest = Request(0, (Level(None, 3), Held(1, ((0, range(0, 1 << 20)),)))).encode()
    for _ in range(FLOOD):
        kind = rng.randrange(3)
        yield (rng.randbytes(rng.randint(1, 1400)), lying + rng.randbytes(20), honest)[kind]


def wrong_hellos(rng: random.Random) -> Iterator[bytes]:
    """Newcomers without the token, each another one."""
    for _ in range(FLOOD // 4):
        id = rng.randbytes(greeting.ID)
        yield greeting.Hello(id, greeting.hello_proof(b"another token", id), 1200).encode()


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs /proc to look at a server's memory: not shown"
)
@pytest.mark.parametrize("way", ["--udp", "--quic"])
def test_floods_and_wrong_tokens_cost_a_bound(tmp_path: Path, way: str) -> None:
    rng, folder = random.Random(8), fill(tmp_path / "served")
    serve = ["serve", folder, way, "--listen", "127.0.0.1:0", "--rate", "1000000", "--max-per-peer", str(PER_PEER)]
    with waiting(*serve) as (url, server):
        assert run("receive", url, "-o", tmp_path / "first").returncode == 0  # so that all is loaded
        before, port = memory_of(server.pid), int(url.partition("127.0.0.1:")[2].partition("?")[0])
        hostile = Hostile(port)
        for data in (*garbage(rng), *wrong_hellos(rng)):
            hostile.say(data)
            hostile.listen()
        assert run("receive", url, "-o", tmp_path / "in").returncode == 0
        hostile.listen()
        grown = memory_of(server.pid) - before
    assert same(folder, tmp_path / "in")
    assert grown < ROOM
    assert hostile.answered <= 3 * hostile.sent
    if way == "--udp":
        assert hostile.answered <= hostile.sent // 4, "only those who spoke the protocol got a short no"


def test_with_the_token_a_peer_has_its_places_and_no_more(tmp_path: Path) -> None:
    """Newcomers who know the token, ask for all and then neither acknowledge nor read; and replay of what they said."""
    from tests.net.processes import TOKEN

    rng, folder = random.Random(9), fill(tmp_path / "served")
    serve = ["serve", folder, "--listen", "127.0.0.1:0", "--rate", "200000", "--max-per-peer", str(PER_PEER + 1)]
    with waiting(*serve) as (url, server):
        assert run("receive", url, "-o", tmp_path / "first").returncode == 0
        before, port = memory_of(server.pid), int(url.rpartition(":")[2])
        slow = [Hostile(port) for _ in range(3 * PER_PEER)]
        hellos = []
        for hostile in slow[:PER_PEER]:  # each asks for everything, and its address is never confirmed
            id = rng.randbytes(greeting.ID)
            hellos.append(greeting.Hello(id, greeting.hello_proof(TOKEN.encode(), id), 1200).encode())
            hostile.say(hellos[-1])
            hostile.say(Request(0, (Level(None, 3),)).encode())
        for hostile in slow[PER_PEER:]:  # what others said, from elsewhere
            for data in hellos:
                for _ in range(20):
                    hostile.say(data)
                    hostile.say(Request(1, (Level(None, 3),)).encode())
        assert run("receive", url, "-o", tmp_path / "in").returncode == 0
        grown = memory_of(server.pid) - before
        for hostile in slow:
            hostile.listen()
    assert same(folder, tmp_path / "in")
    assert grown < ROOM
    assert all(hostile.answered <= 3 * hostile.sent for hostile in slow), "more was said to an address than it proved"
