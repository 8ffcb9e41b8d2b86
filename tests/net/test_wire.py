"""The link for real sockets carries what the link in virtual time would, and leaves nothing behind."""

import itertools
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sim.clock import Clock
from sim.link import Bottleneck, Delay, Forward, Link, LinkSpec, Packet
from sim.packetlog import PacketLog
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


def all_end(pids: list[int], cause: Callable[[], object]) -> bool:
    """Whether all these processes end within 30 s of something."""
    handles = [os.pidfd_open(pid) for pid in pids]
    try:
        cause()
        return all(select.select([handle], [], [], 30)[0] for handle in handles)
    finally:
        for handle in handles:
            os.close(handle)


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
    """The namespaces live as long as the processes in them."""
    with pytest.raises(RuntimeError, match="a failing body"), ExitStack() as stack:
        wire = stack.enter_context(Wire(LinkSpec(50_000)))
        left = wire.run_in("a", ["sleep", "1000"])
        assert wire._emulator is not None
        assert all_end([wire._emulator.pid, *wire._holders], stack.close) and left.returncode == -signal.SIGKILL
        raise RuntimeError("a failing body")


@needs_root
def test_nothing_stays_behind_when_the_parent_is_killed() -> None:
    script = (
        "from sim.wire import Wire; from sim.link import LinkSpec\n"
        "with Wire(LinkSpec(50_000)) as wire:\n"
        "    print(wire._emulator.pid, *wire._holders, flush=True)\n"
        "    input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ}
    )
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 3 and all_end(pids, parent.kill)
    parent.wait()


@needs_root
def test_two_links_at_once() -> None:
    with Wire(LinkSpec(1_000_000, 0.01)) as one, Wire(LinkSpec(1_000_000, 0.01)) as other:
        assert burst(one, 3, 200, 3) == burst(other, 3, 200, 3) == [0, 1, 2]


def test_why_not_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("not shown: another system")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.access", lambda path, mode: True)
    monkeypatch.setattr("shutil.which", lambda tool: f"/bin/{tool}")
    monkeypatch.setattr("sim.wire._may_have_namespaces", lambda: False)
    reason = why_not()
    assert reason is not None and "root" in reason and "\n" not in reason
    with pytest.raises(WireUnavailable, match="root"), Wire(LinkSpec(50_000)):
        pass
    monkeypatch.setattr("sim.wire._may_have_namespaces", lambda: True)
    assert why_not() is None
    with pytest.raises(WireUnavailable, match="own network needs root"), Wire(LinkSpec(50_000), host="a"):
        pass
    monkeypatch.setattr("shutil.which", lambda tool: None)
    reason = why_not()
    assert reason is not None and "install iproute2" in reason


def test_addresses_are_free_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "2: eth0 inet 10.9.0.7/24 scope global eth0\n3: x inet 10.9.1.1/24 scope global x\n"
    monkeypatch.setattr("sim.wire._ip", lambda *words: said)
    assert Wire(LinkSpec(50_000), host="a").addresses == ("10.9.2.1", "10.9.2.2")


@needs_root
def test_packets_are_recorded(tmp_path: Path) -> None:
    files = [tmp_path / "log.jsonl", tmp_path / "log.pcap"]
    for file in files:
        with Wire(LinkSpec(1_000_000, 0.01), record=file) as wire:
            assert burst(wire, 3, 200, 3) == [0, 1, 2]
    log = PacketLog.load(files[0])
    assert [event.what for event in log.events("there")].count("arrived") == 3
    assert {packet.data[-198:] for _, _, _, packet in log.packets} == {bytes(198)}
    head, *packets = split_pcap(files[1].read_bytes())
    there, back = (bytes([10, 9, 0, 1]), 228), (bytes([10, 9, 0, 2]), 228)
    assert head == 101 and sorted((data[12:16], len(data)) for data in packets) == [there] * 3 + [back] * 3


def split_pcap(data: bytes) -> list[Any]:
    """The kind of link, and the packets."""
    found: list[Any] = [int.from_bytes(data[20:24], "little")]
    at = 24
    while at < len(data):
        size = int.from_bytes(data[at + 8 : at + 12], "little")
        found.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return found
