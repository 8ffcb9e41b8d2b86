"""The model beside real sockets: the same packets in virtual time, over a TUN link, through the kernel's own shaping.

    probe_*     bare datagrams at given times (`sim.netem`: in a kernel of its own)  ─► when each arrived
    transfer_*  a stream by the real UDP channel and its sender                      ─► when each item arrived

With `sim.wire` the one place here that reads clocks and sockets. Sending times are those that were measured, so that a
busy machine that sends late is not taken for a wrong model. Arrivals are the kernel's own time stamps.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sim.clock import Clock
from sim.journey import Load
from sim.link import LinkSpec
from sim.wire import PRIORITY, Wire, WireUnavailable, be_punctual
from transport import Item, ItemReceived, Receiver, Sender, SenderConfig, packet_size

PORT, TOKEN = 4848, "a token for a comparison"
ETHERNET = 14
"""Bytes that a kernel's shaping on a veth counts beyond IP."""
_PATIENCE = 120.0
"""Seconds that anything may take here."""

Schedule = Sequence[tuple[float, int]]
"""(seconds, bytes of payload) of each datagram."""


@dataclass(frozen=True)
class Probe:
    """sent: when each datagram left; arrived: number -> when it came. Seconds from the first sending."""

    sent: list[float]
    arrived: dict[int, float]

    def late(self) -> list[float]:
        """Seconds that each datagram that arrived was under way."""
        return [time - self.sent[number] for number, time in sorted(self.arrived.items())]


def probe_virtual(spec: LinkSpec, schedule: Schedule, sent: Sequence[float], seed: str) -> Probe:
    """The model alone, told when datagrams really left. seed: that of the direction, as `Wire` makes it."""
    clock = Clock()
    link = spec.make(clock, seed)
    arrived: dict[int, float] = {}
    link.arrived = lambda packet: arrived.update({packet.number: clock.now})
    for time, (_, size) in zip(sent, schedule, strict=True):
        clock.at(time, lambda size=size: _ignore(link.send(bytes(size))))  # type: ignore[misc]
    clock.run(1e9)
    return Probe(list(sent), arrived)


def _ignore(number: int) -> None:
    """A datagram's number, which nobody needs."""


_SEND = """
import json, os, socket, sys, time
from sim.wire import PRIORITY, be_punctual
host, port, schedule = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
be_punctual(PRIORITY - 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
start, sent = time.time() + 0.05, []
for number, (at, size) in enumerate(schedule):
    wait = start + at - time.time()
    if wait > 0:
        time.sleep(wait)
    sent.append(time.time())
    s.sendto(number.to_bytes(4, "big") + bytes(size - 4), (host, port))
print(json.dumps(sent))
"""
_TAKE = """
import json, os, socket, struct, sys
from sim.wire import PRIORITY, be_punctual
host, port, quiet = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
be_punctual(PRIORITY - 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.bind((host, port))
s.settimeout(quiet)
print("ready", flush=True)
got = []
try:
    while True:
        data, extra, _, _ = s.recvmsg(2000, 64)
        seconds, rest = struct.unpack("qq", extra[0][2])
        got.append((int.from_bytes(data[:4], "big"), seconds + rest * 1e-9))
except TimeoutError:
    print(json.dumps(got))
"""


def _probe(run_in: Callable[..., Any], hosts: tuple[str, str], schedule: Schedule, quiet: float) -> Probe:
    """Datagrams from side a to side b; done after `quiet` seconds without one."""
    words = [sys.executable, "-c", _TAKE, hosts[1], str(PORT), str(quiet)]
    taker = run_in("b", words, stdout=subprocess.PIPE)
    assert taker.stdout.readline() == b"ready\n"
    words = [sys.executable, "-c", _SEND, hosts[1], str(PORT), json.dumps(list(schedule))]
    sender = run_in("a", words, stdout=subprocess.PIPE)
    patience = schedule[-1][0] + quiet + _PATIENCE
    sent: list[float] = json.loads(sender.communicate(timeout=patience)[0])
    got: list[tuple[int, float]] = json.loads(taker.communicate(timeout=patience)[0])
    return Probe([time - sent[0] for time in sent], {number: time - sent[0] for number, time in got})


def probe_tun(spec: LinkSpec, schedule: Schedule, seed: int = 1, quiet: float = 3.0) -> Probe:
    """Through real sockets and `sim.wire`. Raises WireUnavailable where that cannot be."""
    with Wire(spec, seed=seed) as wire:
        return _probe(wire.run_in, wire.ADDRESSES, schedule, quiet)


# --- the kernel's own shaping ---


class KernelLink:
    """Two namespaces joined by a veth pair; what leaves a is shaped by the kernel: `netem` where it has that, else
    `tbf`. Counted with 14 B of Ethernet beyond IP."""

    HOSTS = ("10.8.0.1", "10.8.0.2")

    def __init__(self, shaping: Sequence[str]) -> None:
        """shaping: what `tc qdisc add dev D root` is told. WireUnavailable if this kernel or user cannot."""
        self._shaping = shaping
        self._names = (f"lk{os.getpid()}a", f"lk{os.getpid()}b")
        self._processes: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> KernelLink:
        reason = why_no_kernel()
        if reason is not None:
            raise WireUnavailable(reason)
        near, far = self._names
        try:
            for name in self._names:
                _call("ip", "netns", "add", name)
                _call("ip", "netns", "exec", name, "sh", "-c", _QUIET)
            _call("ip", "-n", near, "link", "add", near, "type", "veth", "peer", "name", far, "netns", far)
            for name, host in zip(self._names, self.HOSTS, strict=True):
                _call("ip", "-n", name, "addr", "add", f"{host}/24", "dev", name)
                _call("ip", "-n", name, "link", "set", name, "up")
                _call("ip", "-n", name, "link", "set", "lo", "up")
            _call("tc", "-n", near, "qdisc", "add", "dev", near, "root", *self._shaping)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def run_in(self, side: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program at one end."""
        process = subprocess.Popen(["ip", "netns", "exec", self._names["ab".index(side)], *argv], **options)
        self._processes.append(process)
        return process


_QUIET = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; true"
"""IPv6's own chatter would use up tokens."""


def why_no_kernel() -> str | None:
    """Why the kernel's shaping cannot be used here, in one line; None if it can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "the kernel's shaping needs Linux and root"
    missing = [tool for tool in ("ip", "tc") if shutil.which(tool) is None]
    return f"the kernel's shaping needs `{missing[0]}` (install iproute2)" if missing else None


def _call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise WireUnavailable(f"{' '.join(words)}: {done.stderr.strip().splitlines()[-1:] or done.returncode}")


def probe_kernel(shaping: Sequence[str], schedule: Schedule, quiet: float = 3.0) -> Probe:
    """Through the kernel's own shaping."""
    with KernelLink(shaping) as link:
        _probe(link.run_in, link.HOSTS, [(0.0, 100), (0.2, 100)], 0.5)  # addresses are known afterwards
        return _probe(link.run_in, link.HOSTS, schedule, quiet)


def probe_netem(cases: Sequence[tuple[str, Schedule]]) -> list[Probe]:
    """Through netem in user-mode Linux, each case in turn. Raises NetemUnavailable."""
    from sim.netem import run_netem

    return [Probe(sent, arrived) for sent, arrived in run_netem(cases)]


# --- a whole transfer ---


@dataclass(frozen=True)
class Transferred:
    """items: index -> when it was whole; start: when the header came. Seconds from joining."""

    start: float
    items: dict[int, float]


async def _serve(host: str, load: Load, rate: float) -> None:
    """The sender waits for its receiver, as `layercast serve` does."""
    from transport.channels import udp
    from transport.driver import Driver

    def accept(channel: Any) -> None:
        sender = Sender(SenderConfig(packet_size(rate), channel.overhead, rate))
        sender.start_group(load.group, load.preamble)
        for item in load.items:
            sender.submit(item)

        def forget() -> None:
            while sender.next_event() is not None:
                pass

        Driver(sender, channel, forget).start()

    await udp.listen(host, PORT, accept, TOKEN)


async def _receive(host: str, wanted: int) -> Transferred:
    """The receiver joins, and is done when it has so many items."""
    from transport import GroupStarted
    from transport.channels import udp
    from transport.driver import Driver

    loop, done = asyncio.get_running_loop(), asyncio.Event()
    receiver, items, begun = Receiver(), dict[int, float](), list[float]()
    start = loop.time()

    def take() -> None:
        while (event := receiver.next_event()) is not None:
            if isinstance(event, GroupStarted):
                begun.append(loop.time() - start)
            elif isinstance(event, ItemReceived) and event.complete:
                items.setdefault(event.key[2], loop.time() - start)
        if len(items) >= wanted:
            done.set()

    Driver(receiver, await udp.connect(host, PORT, TOKEN), take).start()
    await asyncio.wait_for(done.wait(), _PATIENCE)
    return Transferred(begun[0], items)


def transfer_virtual(load: Load, spec: LinkSpec, seed: int = 1) -> Transferred:
    """Channel, sender and receiver in virtual time, over the links that `Wire` would make of the seed."""
    from sim import virtual

    async def story(network: virtual.Network) -> Transferred:
        there, back = spec.make(network.clock, f"{seed}/there"), spec.make(network.clock, f"{seed}/back")
        network.connect(Wire.ADDRESSES[0], Wire.ADDRESSES[1], there)
        network.connect(Wire.ADDRESSES[1], Wire.ADDRESSES[0], back)
        await _serve(Wire.ADDRESSES[0], load, spec.rate)
        return await _receive(Wire.ADDRESSES[0], load.whole)

    return virtual.run(story)


def transfer_tun(load: Load, spec: LinkSpec, seed: int = 1) -> Transferred:
    """The same by two processes and real sockets over `sim.wire`. Raises WireUnavailable."""
    job = _packed(load, spec.rate)
    with Wire(spec, seed=seed) as wire:
        words = [sys.executable, "-m", "sim.truth"]
        near = wire.run_in("a", [*words, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert near.stdin is not None and near.stdout is not None
        near.stdin.write(job + b"\n")
        near.stdin.flush()
        assert near.stdout.readline() == b"ready\n"
        far = wire.run_in("b", [*words, "receive", str(load.whole)], stdout=subprocess.PIPE)
        start, items = json.loads(far.communicate(timeout=_PATIENCE)[0])
    return Transferred(start, {int(index): time for index, time in items.items()})


def _packed(load: Load, rate: float) -> bytes:
    items = [
        [i.cls, i.index, base64.b64encode(i.payload).decode(), i.priority, i.needs, i.may_cut, i.ends]
        for i in load.items
    ]
    head = [load.group, base64.b64encode(load.preamble).decode(), rate]
    return json.dumps([*head, items]).encode()


def _unpacked(text: str) -> tuple[Load, float]:
    group, preamble, rate, items = json.loads(text)
    made = [
        Item(group, cls, index, base64.b64decode(data), priority, None, tuple(map(tuple, needs)), may_cut, ends)
        for cls, index, data, priority, needs, may_cut, ends in items
    ]
    return Load(group, base64.b64decode(preamble), made), rate


def _main(words: Sequence[str]) -> None:
    """An end of `transfer_tun`."""
    be_punctual(PRIORITY - 1)

    async def serve() -> None:
        load, rate = _unpacked(sys.stdin.readline())
        await _serve(Wire.ADDRESSES[0], load, rate)
        print("ready", flush=True)
        await asyncio.Event().wait()

    async def receive() -> None:
        found = await _receive(Wire.ADDRESSES[0], int(words[1]))
        print(json.dumps([found.start, found.items]), flush=True)

    asyncio.run(serve() if words[0] == "serve" else receive())


if __name__ == "__main__":
    _main(sys.argv[1:])
