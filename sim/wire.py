"""A simulated link for real sockets: two network namespaces, and between them the stages of `sim.link` in real time.

    processes in namespace a ─► TUN ─► Link there ─► TUN ─► processes in namespace b
                               ◄────── Link back  ◄──────

Linux only; needs root, `ip` (iproute2) and /dev/net/tun. The links are the same as in virtual time, driven by a clock
that a process of its own keeps up with the real one; it ends, and removes the namespaces, when its parent does. Nothing
leaves the two namespaces. With `sim.truth` the one module here that reads a clock.
"""

import contextlib
import fcntl
import itertools
import json
import os
import pickle
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from sim.clock import Clock
from sim.link import Link
from sim.packet import LinkEvent, Packet

TUN = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_CALLS = itertools.count()
_PATIENCE = 10.0
"""Seconds for the emulator to start or to end."""


class WireUnavailable(RuntimeError):
    """The link cannot be had here; the message is one line that says why."""


class Spec(Protocol):
    """What makes one direction; `sim.link.LinkSpec` does. It must be picklable."""

    def make(self, clock: Clock, seed: int | str = 0) -> Link: ...


def why_not() -> str | None:
    """Why there can be no such link here, in one line; None if there can."""
    if not sys.platform.startswith("linux"):
        return "links for real sockets need Linux"
    if os.geteuid() != 0:
        return "links for real sockets need root (network namespaces)"
    if shutil.which("ip") is None:
        return "links for real sockets need `ip` (install iproute2)"
    return None if os.access(TUN, os.R_OK | os.W_OK) else f"links for real sockets need {TUN}"


@dataclass(frozen=True)
class _Plan:
    """What the emulator is told: the names of the two namespaces, also those of their devices, and the links."""

    names: tuple[str, str]
    addresses: tuple[str, str]
    there: Spec
    back: Spec
    seed: int


class Wire:
    """The link, from entering the context to leaving it.

    Afterwards `there` (a to b) and `back` are the logs of the two links, times in seconds since the start.
    """

    ADDRESSES: Final = ("10.9.0.1", "10.9.0.2")
    """IPv4 addresses of a and b; MTU 1,500, and no IPv6."""

    def __init__(self, there: Spec, back: Spec | None = None, seed: int = 1) -> None:
        """`back` is like `there` unless given."""
        name = f"lc{os.getpid()}-{next(_CALLS)}"
        self._plan = _Plan((f"{name}a", f"{name}b"), self.ADDRESSES, there, back or there, seed)
        self._processes: list[subprocess.Popen[Any]] = []
        self._emulator: subprocess.Popen[bytes] | None = None
        self.there: list[LinkEvent] = []
        self.back: list[LinkEvent] = []

    def __enter__(self) -> "Wire":
        reason = why_not()
        if reason is not None:
            raise WireUnavailable(reason)
        self._emulator = subprocess.Popen(
            [sys.executable, "-m", "sim.wire"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        try:
            assert self._emulator.stdin is not None and self._emulator.stdout is not None
            pickle.dump(self._plan, self._emulator.stdin)
            self._emulator.stdin.flush()
            ready, _, _ = select.select([self._emulator.stdout], [], [], _PATIENCE)
            if not ready or self._emulator.stdout.readline() != b"ready\n":
                raise WireUnavailable(self._last_words())
        except BrokenPipeError:
            raise WireUnavailable(self._last_words()) from None
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def run_in(self, side: str, argv: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
        """Start a program at one end, "a" or "b"; it is killed when the link ends. `options` are those of Popen."""
        process = subprocess.Popen(["ip", "netns", "exec", self._plan.names["ab".index(side)], *argv], **options)
        self._processes.append(process)
        return process

    def _last_words(self) -> str:
        """Why the emulator did not start."""
        assert self._emulator is not None and self._emulator.stderr is not None
        self._emulator.kill()
        said = self._emulator.stderr.read().decode(errors="replace").strip().splitlines()
        self._end()
        return f"the link did not start: {said[-1] if said else 'no reason given'}"

    def _end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        emulator, self._emulator = self._emulator, None
        if emulator is not None:
            try:
                said, _ = emulator.communicate(timeout=_PATIENCE)
                self.there, self.back = _logs(said)
            except (subprocess.TimeoutExpired, ValueError):
                emulator.kill()
                emulator.communicate()
        for name in self._plan.names:
            _remove(name)


def _logs(said: bytes) -> tuple[list[LinkEvent], list[LinkEvent]]:
    there, back = json.loads(said.splitlines()[-1]) if said.strip() else ([], [])
    return [LinkEvent(*event) for event in there], [LinkEvent(*event) for event in back]


# --- the emulator's process ---


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise WireUnavailable(f"ip {' '.join(words)}: {done.stderr.strip() or done.returncode}")


def _remove(name: str) -> None:
    if Path("/run/netns", name).exists():
        with contextlib.suppress(WireUnavailable):
            _ip("netns", "del", name)


def _open_tun(name: str, address: str) -> int:
    """A TUN device of this name in a new namespace of this name; its file descriptor, which stays here."""
    _ip("netns", "add", name)
    fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN_NO_PI))
    _ip("link", "set", name, "netns", name)
    _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", name, "addr", "add", f"{address}/24", "dev", name)
    _ip("-n", name, "link", "set", name, "mtu", "1500", "txqueuelen", "1000", "up")
    return fd


class _Emulator:
    """Carries packets between two devices until `lifeline` says that the parent is gone or done."""

    def __init__(self, fds: tuple[int, int], there: Spec, back: Spec, seed: int) -> None:
        self.clock = Clock()
        self.links = {fds[0]: there.make(self.clock, f"{seed}/there"), fds[1]: back.make(self.clock, f"{seed}/back")}
        for fd, other in (fds, fds[::-1]):
            self.links[fd].overhead = 0  # a packet of the device has its headers
            self.links[fd].arrived = lambda packet, other=other: self._deliver(other, packet)  # type: ignore[misc]

    def run(self, lifeline: int) -> None:
        self._start = time.monotonic()
        while True:
            self._keep_up()
            due = self.clock.next_due
            pause = None if due is None else max(due - (time.monotonic() - self._start), 0.0)
            readable, _, _ = select.select([lifeline, *self.links], [], [], pause)
            if lifeline in readable:
                return
            for fd in readable:
                self._take(fd)

    def _keep_up(self) -> None:
        self.clock.run(time.monotonic() - self._start)

    def _take(self, fd: int) -> None:
        """Everything that a device has to send. What is not IPv4 (the system's own IPv6 chatter) gets no room."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data = os.read(fd, 1 << 16)
                self._keep_up()
                if data[0] >> 4 == 4:
                    self.links[fd].send(data)

    @staticmethod
    def _deliver(fd: int, packet: Packet) -> None:
        with contextlib.suppress(OSError):
            os.write(fd, packet.data)


def _main() -> None:
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.SIG_IGN)  # the parent closes our stdin, whatever ends it
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    plan: _Plan = pickle.load(sys.stdin.buffer)
    try:
        first, second = (_open_tun(*each) for each in zip(plan.names, plan.addresses, strict=True))
        emulator = _Emulator((first, second), plan.there, plan.back, plan.seed)
        print("ready", flush=True)
        emulator.run(sys.stdin.fileno())
        logs = [[(e.time, e.what, e.number, e.size) for e in link.log] for link in emulator.links.values()]
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(logs), flush=True)
    except WireUnavailable as error:
        sys.exit(str(error))
    finally:
        for name in plan.names:
            _remove(name)


if __name__ == "__main__":
    from sim import wire

    wire._main()  # by its importable name, so that what was pickled there is found
