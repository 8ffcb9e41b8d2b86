"""A simulated link for real sockets: two network namespaces, and between them the stages of `sim.link` in real time.

    processes in namespace a ─► TUN ─► Link there ─► TUN ─► processes in namespace b
                               ◄────── Link back  ◄──────

Linux only; needs `ip` (iproute2), `nsenter` (util-linux), /dev/net/tun, and root or a kernel that lets anybody have a
user namespace. The links are the same as in virtual time, driven by a clock that a process of its own keeps up with the
real one. The namespaces have no names: they are gone with the processes in them, and the emulator's go when the parent
does. Nothing leaves the two, unless one end is the host. With `sim.truth` the one module here that reads a clock.
"""

import contextlib
import ctypes
import fcntl
import gc
import itertools
import json
import os
import pickle
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

from sim.capture import Capture
from sim.clock import Clock
from sim.link import Link
from sim.packet import LinkEvent, Packet

TUN = "/dev/net/tun"
SIDES = "ab"
PRIORITY = 10
"""Of the emulator; programs at its ends that are to be punctual take less."""
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
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
    for tool, package in (("ip", "iproute2"), ("nsenter", "util-linux"), ("unshare", "util-linux")):
        if shutil.which(tool) is None:
            return f"links for real sockets need `{tool}` (install {package})"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"links for real sockets need {TUN}"
    if os.geteuid() != 0 and not _may_have_namespaces():
        return "links for real sockets need root: this kernel gives others no user namespaces"
    return None


@cache
def _may_have_namespaces() -> bool:
    return subprocess.run(["unshare", "-Urn", "true"], capture_output=True).returncode == 0


@dataclass(frozen=True)
class _Plan:
    """What the emulator is told: the devices' names and addresses, the links; the end that is no namespace but the host
    ("a", "b" or neither); where to record packets."""

    names: tuple[str, str]
    addresses: tuple[str, str]
    there: Spec
    back: Spec
    seed: int
    mtu: int
    host: str | None
    record: str | None


class Wire:
    """The link, from entering the context to leaving it.

    Afterwards `there` (a to b) and `back` are the logs of the two links, times in seconds since the start.
    """

    ADDRESSES: Final = ("10.9.0.1", "10.9.0.2")
    """IPv4 addresses of a and b, unless one of them is the host; no IPv6."""

    def __init__(
        self,
        there: Spec,
        back: Spec | None = None,
        seed: int = 1,
        mtu: int = 1500,
        host: str | None = None,
        record: Path | None = None,
    ) -> None:
        """`back` is like `there` unless given. host: the end, "a" or "b", that is this computer's own network, which
        needs root; `addresses` are then free ones. record: write all packets to this file, as `sim.capture` does."""
        name = f"lc{os.getpid()}-{next(_CALLS)}"
        self.addresses: tuple[str, str] = self.ADDRESSES if host is None else _free_addresses()
        names = f"{name}a", f"{name}b"
        to = None if record is None else str(record)
        self._plan = _Plan(names, self.addresses, there, back or there, seed, mtu, host, to)
        self._processes: list[subprocess.Popen[Any]] = []
        self._emulator: subprocess.Popen[bytes] | None = None
        self._holders: tuple[int, int] = 0, 0
        self.there: list[LinkEvent] = []
        self.back: list[LinkEvent] = []

    def __enter__(self) -> "Wire":
        reason = why_not()
        if reason is not None:
            raise WireUnavailable(reason)
        if self._plan.host is not None and os.geteuid() != 0:
            raise WireUnavailable("a link to this computer's own network needs root")
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
            words = self._emulator.stdout.readline().split() if ready else []
            if words[:1] != [b"ready"]:
                raise WireUnavailable(self._last_words())
            self._holders = int(words[1]), int(words[2])
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
        holder = self._holders[SIDES.index(side)]
        enter = ["nsenter", f"--target={holder}", "--net"]
        if os.geteuid() != 0:
            enter += ["--user", "--preserve-credentials"]
        process = subprocess.Popen([*((*enter, "--") if holder else ()), *argv], **options)
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


def _logs(said: bytes) -> tuple[list[LinkEvent], list[LinkEvent]]:
    there, back = json.loads(said.splitlines()[-1]) if said.strip() else ([], [])
    return [LinkEvent(*event) for event in there], [LinkEvent(*event) for event in back]


def _free_addresses() -> tuple[str, str]:
    """A pair in a network that this computer has no address in."""
    taken = _ip("-o", "-4", "addr", "show")
    number = next(number for number in range(256) if f" 10.9.{number}." not in taken)
    return f"10.9.{number}.1", f"10.9.{number}.2"


# --- the emulator's process ---


def _ip(*words: str) -> str:
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
    except FileNotFoundError:
        raise WireUnavailable("links for real sockets need `ip` (install iproute2)") from None
    if done.returncode:
        raise WireUnavailable(f"ip {' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _unshare(what: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(what):
        raise WireUnavailable(f"no namespace: {os.strerror(ctypes.get_errno())}")


def _become_root() -> None:
    """Root in a user namespace of our own, where we are not root outside; the network stays."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        return
    _unshare(_CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        Path("/proc/self", name).write_text(text)


def _open_tun(name: str, address: str, mtu: int) -> int:
    """A TUN device in the present namespace; its file descriptor."""
    fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN_NO_PI))
    _ip("addr", "add", f"{address}/24", "dev", name)
    _ip("link", "set", name, "mtu", str(mtu), "txqueuelen", "1000", "up")
    return fd


def _hold(name: str, address: str, gateway: str, mtu: int) -> tuple[int, int]:
    """A namespace with a TUN device in it, whose file descriptor comes here, and the process that holds it until ours
    ends."""
    ours, its = socket.socketpair()
    holder = os.fork()
    if holder:
        its.close()
        said, fds, _, _ = socket.recv_fds(ours, 1000, 1)
        if not fds:
            raise WireUnavailable(said.decode() or "the namespace's process ended")
        ours.detach()
        return holder, fds[0]
    ours.close()
    try:
        _unshare(_CLONE_NEWNET)
        _ip("link", "set", "lo", "up")
        fd = _open_tun(name, address, mtu)
        _ip("route", "add", "default", "via", gateway)
        socket.send_fds(its, [b"ready"], [fd])
        os.close(fd)
        its.recv(1)
    except (WireUnavailable, OSError) as error:
        its.send(str(error).encode())
    finally:
        os._exit(0)


class _Emulator:
    """Carries packets between two devices until `lifeline` says that the parent is gone or done."""

    def __init__(self, fds: tuple[int, int], plan: _Plan) -> None:
        self.clock = Clock()
        there, back = plan.there.make(self.clock, f"{plan.seed}/there"), plan.back.make(self.clock, f"{plan.seed}/back")
        self.links = {fds[0]: there, fds[1]: back}
        for fd, other in (fds, fds[::-1]):
            self.links[fd].overhead = 0  # a packet of the device has its headers
            self.links[fd].arrived = lambda packet, other=other: self._deliver(other, packet)  # type: ignore[misc]
        self.capture: Capture | None = None
        if plan.record is not None:
            self.capture = Capture(Path(plan.record))
            there.tap, back.tap = self.capture.tap("there"), self.capture.tap("back")

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


def be_punctual(priority: int) -> None:
    """Before all that has no such priority (1 to 99), where we may; a busy machine delays others by milliseconds."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)


def _ends(plan: _Plan) -> tuple[tuple[int, int], tuple[int, int]]:
    """(process that holds it, 0 for none, file descriptor) of each end."""
    found = []
    for side, name, address, gateway in zip(SIDES, plan.names, plan.addresses, plan.addresses[::-1], strict=True):
        if side == plan.host:
            found.append((0, _open_tun(name, address, plan.mtu)))
        else:
            found.append(_hold(name, address, gateway, plan.mtu))
    return found[0], found[1]


def _main() -> None:
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.SIG_IGN)  # the parent closes our stdin, whatever ends it
    try:
        _become_root()
        plan: _Plan = pickle.load(sys.stdin.buffer)
        (first, here), (second, there) = _ends(plan)
        emulator = _Emulator((here, there), plan)
        be_punctual(PRIORITY)
        gc.disable()  # what is made here has no cycles, and looking for some takes milliseconds
        print("ready", first, second, flush=True)
        emulator.run(sys.stdin.fileno())
        if emulator.capture is not None:
            emulator.capture.close()
        logs = [[(e.time, e.what, e.number, e.size) for e in link.log] for link in emulator.links.values()]
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(logs), flush=True)
    except (WireUnavailable, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    from sim import wire

    wire._main()  # by its importable name, so that what was pickled there is found
