"""The link for real sockets carries what the link in virtual time would, and leaves nothing behind."""

import itertools
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from sim.clock import Clock
from sim.link import Bottleneck, Delay, Forward, Link, LinkSpec, Packet
from sim.rates import ConstantRate
from sim.wire import Wire, WireUnavailable, why_not

needs_root = pytest.mark.skipif(why_not() is not None, reason=f"not shown: a link for real sockets; {why_not()}")
ROOT = Path(__file__).parents[2]

ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.9.0.2", 9000))
print("ready", flush=True)
while True:
    data, address = s.recvfrom(2000)
    s.sendto(data, address)
"""

BURST = """
import json, socket, sys
count, size = int(sys.argv[1]), int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
for number in range(count):
    s.sendto(number.to_bytes(2, "big") + bytes(size - 2), ("10.9.0.2", 9000))
got = []
for _ in range(int(sys.argv[3])):
    got.append(int.from_bytes(s.recv(2000)[:2], "big"))
print(json.dumps(got))
"""


def namespaces() -> set[str]:
    folder = Path("/run/netns")
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def burst(wire: Wire, count: int, size: int, expected: int) -> list[int]:
    """Numbers of the datagrams that came back of a burst sent at once."""
    server = wire.run_in("b", [sys.executable, "-c", ECHO], stdout=subprocess.PIPE)
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    words = [sys.executable, "-c", BURST, str(count), str(size), str(expected)]
    client = wire.run_in("a", words, stdout=subprocess.PIPE)
    said, _ = client.communicate(timeout=60)
    assert client.returncode == 0
    found: list[int] = json.loads(said)
    return found


@needs_root
@pytest.mark.parametrize(("count", "size"), [(10, 100), (4, 1200)])
def test_echoes_in_order(count: int, size: int) -> None:
    with Wire(LinkSpec(50_000, 0.05)) as wire:
        assert burst(wire, count, size, count) == list(range(count))
    for log in (wire.there, wire.back):
        sent = [e.time for e in log if e.what == "sent"]
        arrived = [e.time for e in log if e.what == "arrived"]
        assert [e.size for e in log] == [size + 28] * 2 * count
        packet_time = (size + 28) * 8 / 50_000
        assert arrived[0] >= sent[0] + packet_time + 0.05 - 1e-9
        gaps = [later - earlier for earlier, later in itertools.pairwise(arrived)]
        assert min(gaps) >= packet_time - 1e-9, "never faster than the link"


@needs_root
def test_the_queue_drops_what_the_same_link_drops_in_virtual_time() -> None:
    spec = LinkSpec(50_000, 0.05, queue=3000)
    model = spec.make(Clock())
    for _ in range(8):
        model.send(bytes(1000))
    model.clock.run(60.0)
    survive = [e.number for e in model.log if e.what == "arrived"]
    assert 0 < len(survive) < 8
    with Wire(spec) as wire:
        assert burst(wire, 8, 1000, len(survive)) == survive
    assert [e.number for e in wire.there if e.what == "dropped"] == [n for n in range(8) if n not in survive]


class LosesFirst:
    """A stage of one's own: loses the first so many packets."""

    def __init__(self, count: int) -> None:
        self.left = count

    def start(self, clock: Clock, rng: Random) -> None:
        pass

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        self.left -= 1
        (drop if self.left >= 0 else forward)(packet)


class OneWay:
    """A spec of one's own, of the same stages and one more."""

    def __init__(self, lost: int) -> None:
        self.lost = lost

    def make(self, clock: Clock, seed: int | str = 0) -> Link:
        return Link(clock, [Bottleneck(ConstantRate(1e6)), LosesFirst(self.lost), Delay(0.01)], seed)


@needs_root
def test_each_direction_has_its_own_stages() -> None:
    with Wire(OneWay(0), OneWay(5)) as wire:
        assert burst(wire, 6, 100, 1) == [5]
        done = wire.run_in("a", ["ip", "-o", "addr", "show", "up"], stdout=subprocess.PIPE, text=True)
        said, _ = done.communicate(timeout=10)
    assert "10.9.0.1/24" in said and "10.9.0.2" not in said
    assert [e.what for e in wire.there].count("arrived") == 6
    assert [e.what for e in wire.back].count("arrived") == 1


@needs_root
def test_nothing_stays_behind_after_a_failure() -> None:
    before = namespaces()
    with pytest.raises(RuntimeError, match="a failing body"), Wire(LinkSpec(50_000)) as wire:
        assert len(namespaces() - before) == 2
        left = wire.run_in("a", ["sleep", "1000"])
        raise RuntimeError("a failing body")
    assert namespaces() == before and left.returncode == -signal.SIGKILL


@needs_root
def test_nothing_stays_behind_when_the_parent_is_killed() -> None:
    before = namespaces()
    script = (
        "import os; from sim.wire import Wire; from sim.link import LinkSpec\n"
        "with Wire(LinkSpec(50_000)) as wire:\n"
        "    print(wire._emulator.pid, flush=True)\n"
        "    input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ}
    )
    assert parent.stdout is not None
    emulator = os.pidfd_open(int(parent.stdout.readline()))
    try:
        assert len(namespaces() - before) == 2
        parent.kill()
        parent.wait()
        ended, _, _ = select.select([emulator], [], [], 30)
        assert ended and namespaces() == before
    finally:
        os.close(emulator)


@needs_root
def test_two_links_at_once() -> None:
    with Wire(LinkSpec(1_000_000, 0.01)) as one, Wire(LinkSpec(1_000_000, 0.01)) as other:
        assert burst(one, 3, 200, 3) == burst(other, 3, 200, 3) == [0, 1, 2]


def test_why_not_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    reason = why_not()
    assert reason is not None and "root" in reason and "\n" not in reason
    with pytest.raises(WireUnavailable, match="root"), Wire(LinkSpec(50_000)):
        pass
