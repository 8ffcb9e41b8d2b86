"""The kernel's own netem, in a kernel of its own: user-mode Linux, booted for a few probes. No root is needed.

    probe_netem ─► job.json ─► linux.uml, root file system: the host's, read only ─► this module as init's child:
                                   veth between two namespaces, netem on it, datagrams ─► out.json ─► Probe

Debian's `user-mode-linux` brings kernel and modules. Times are those of its clock; arrivals are its kernel's stamps.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MODULES = Path("/usr/lib/uml/modules")
HOSTS, PORT = ("10.8.0.1", "10.8.0.2"), 4848
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE, _CLONE_NEWNET, _POWER_OFF = 35, 33, 0x40000000, 0x4321FEDC
_BOOT = 60.0
"""Seconds that booting and ending may take."""

Schedule = Sequence[tuple[float, int]]


class NetemUnavailable(RuntimeError):
    """The message is one line that says why."""


def why_no_netem() -> str | None:
    """Why there is no netem to be had here, in one line; None if there is."""
    if _kernel() is None or not any(MODULES.glob("*/kernel")):
        return "netem needs user-mode Linux (install user-mode-linux)"
    missing = [tool for tool in ("insmod", "ip", "tc") if _tool(tool) is None]
    return f"netem in user-mode Linux needs `{missing[0]}` (install kmod, iproute2)" if missing else None


def _kernel() -> str | None:
    return shutil.which("linux.uml")


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def run_netem(cases: Sequence[tuple[str, Schedule]], quiet: float = 1.0) -> list[tuple[list[float], dict[int, float]]]:
    """Datagrams through netem with each case's settings, as `tc` takes them: when each left and arrived, in seconds.

    schedule: (seconds, bytes of payload). quiet: how long to wait for the last. Raises NetemUnavailable.
    """
    reason = why_no_netem()
    if reason is not None:
        raise NetemUnavailable(reason)
    seconds = sum(schedule[-1][0] + quiet for _, schedule in cases)
    with tempfile.TemporaryDirectory(prefix="netem") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps({"quiet": quiet, "cases": cases}))
        init = folder / "init"
        init.write_text(
            _INIT.format(path=os.pathsep.join(p or os.getcwd() for p in sys.path), folder=folder, python=sys.executable)
        )
        init.chmod(0o755)
        words = [
            _kernel() or "",
            "mem=256M",
            "rootfstype=hostfs",
            "ro",
            f"init={init}",
            "quiet",
            "con=null",
            "con0=null,fd:1",
        ]
        try:
            done = subprocess.run(
                words, capture_output=True, timeout=_BOOT + 2 * seconds, cwd=folder, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            raise NetemUnavailable("user-mode Linux did not end; netem's figures are not to be had") from None
        try:
            found = json.loads((folder / "out.json").read_text())
        except (OSError, ValueError):
            said = done.stdout.decode(errors="replace").strip().splitlines()
            raise NetemUnavailable(f"user-mode Linux failed: {said[-1] if said else 'it said nothing'}") from None
    return [(sent, {int(number): at for number, at in arrived}) for sent, arrived in found]


_INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH='{path}' PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir /run/out
mount -t hostfs -o '{folder}' none /run/out
'{python}' -m sim.netem /run/out
"""


# --- inside ---


def _call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")


def _load(name: str) -> None:
    found = next(MODULES.glob(f"{os.uname().release}/kernel/**/{name}.ko"), None)
    if found is None:
        raise RuntimeError(f"no module {name} for kernel {os.uname().release}")
    _call("insmod", str(found))


def _sockets() -> tuple[socket.socket, socket.socket]:
    """One at each end of a veth pair, the second in a namespace of its own."""
    for module in ("veth", "sch_netem"):
        _load(module)
    for words in (
        "netns add far",
        "link add near type veth peer name far netns far",
        f"addr add {HOSTS[0]}/24 dev near",
        f"-n far addr add {HOSTS[1]}/24 dev far",
        "link set near address 02:00:00:00:00:01 up",
        "-n far link set far address 02:00:00:00:00:02 up",
        f"neigh replace {HOSTS[1]} lladdr 02:00:00:00:00:02 dev near nud permanent",
    ):
        _call("ip", *words.split())
    libc = ctypes.CDLL(None, use_errno=True)
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    if libc.setns(os.open("/run/netns/far", os.O_RDONLY), _CLONE_NEWNET):
        raise RuntimeError(os.strerror(ctypes.get_errno()))
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    libc.setns(home, _CLONE_NEWNET)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    far.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    far.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 26)
    far.setblocking(False)
    far.bind((HOSTS[1], PORT))
    return near, far


def _take(far: socket.socket, start: float, arrived: list[tuple[int, float]]) -> None:
    """What has come, with the kernel's own times."""
    with contextlib.suppress(BlockingIOError):
        while True:
            data, extra, _, _ = far.recvmsg(2000, 64)
            seconds, rest = struct.unpack("qq", extra[0][2])
            arrived.append((int.from_bytes(data[:4], "big"), seconds - start + rest * 1e-9))


def _send(near: socket.socket, far: socket.socket, schedule: Schedule, quiet: float) -> Any:
    """Send by the schedule; what has arrived is read when there is time."""
    sent: list[float] = []
    arrived: list[tuple[int, float]] = []
    start = float(int(time.time()))
    begin = time.time() + 0.05
    for number, (at, size) in enumerate(schedule):
        if number % 500 == 499:
            _take(far, start, arrived)
        wait = begin + at - time.time()
        if wait > 0:
            time.sleep(wait)
        sent.append(time.time() - start)
        near.sendto(number.to_bytes(4, "big") + bytes(size - 4), (HOSTS[1], PORT))
    time.sleep(quiet)
    _take(far, start, arrived)
    return [time - sent[0] for time in sent], [(number, at - sent[0]) for number, at in arrived]


def _guest(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    near, far = _sockets()
    found = []
    for shaping, schedule in job["cases"]:
        _call("tc", "qdisc", "replace", "dev", "near", "root", "netem", *shaping.split())
        found.append(_send(near, far, schedule, job["quiet"]))
        _call("tc", "qdisc", "del", "dev", "near", "root")
    (folder / "part.json").write_text(json.dumps(found))
    (folder / "part.json").rename(folder / "out.json")


if __name__ == "__main__":
    try:
        _guest(Path(sys.argv[1]))
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    os.sync()
    ctypes.CDLL(None).reboot(_POWER_OFF)
