"""Any program behind a modelled link, in real time: what `layercast sim shell` does.

COMMAND ─► TUN ═══ the scenario's link ═══ TUN ─► this computer's own network, or a program that is started there
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from types import FrameType

from sim.clock import Clock
from sim.link import Link
from sim.packet import Forward, Packet
from sim.presets import Preset
from sim.wire import Wire

LEAST_MTU, USUAL_MTU = 68, 1500
"""Of IPv4 and of Ethernet, bytes."""
HEADERS = 28
_GRACE = 5.0
"""Seconds that the other end's program has to end in."""


class _Cut:
    """A stage that lets nothing through."""

    def start(self, clock: Clock, rng: Random) -> None:
        pass

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        drop(packet)


class Silent:
    """The way back where nobody answers."""

    def make(self, clock: Clock, seed: int | str = 0) -> Link:
        return Link(clock, [_Cut()], seed)


def mtu_of(link: Preset) -> int:
    """Bytes of the largest IP packet. A link that answers carries the usual ones, whatever a sender of ours chooses for
    it; one that does not is a radio whose packets are `link.packet`."""
    limited = link.packet is not None and not link.feedback
    return min(max(link.packet_size + HEADERS, LEAST_MTU), USUAL_MTU) if limited else USUAL_MTU


class Shell:
    """A link with a program at one end, from entering the context to leaving it.

    sending: the program is where the link's way there begins; else where it ends. far: what runs at the other end, in a
    network of its own; without it, root has this computer's own network there, and others have nothing.
    """

    def __init__(
        self,
        link: Preset,
        sending: bool = False,
        far: Sequence[str] | None = None,
        seed: int = 1,
        log: Path | None = None,
    ) -> None:
        self._near, self._far = ("a", "b") if sending else ("b", "a")
        self._command = far
        self.on_host = far is None and os.geteuid() == 0
        back = link.back_link if link.feedback else Silent()
        host = self._far if self.on_host else None
        self._wire = Wire(link.link, back, seed, mtu_of(link), host, log)
        ends = dict(zip("ab", self._wire.addresses, strict=True))
        self._beyond: subprocess.Popen[bytes] | None = None
        self.here, self.there = ends[self._near], ends[self._far]

    def __enter__(self) -> Shell:
        """Raises WireUnavailable."""
        self._wire.__enter__()
        if self._command is not None:
            self._beyond = self._start(self._far, self._command, True)
        return self

    def __exit__(self, *error: object) -> None:
        if self._beyond is not None:
            group = self._beyond.pid  # what it has started ends with it
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(group, signal.SIGTERM)
                self._beyond.wait(_GRACE)
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._wire.__exit__()

    def run(self, command: Sequence[str]) -> int:
        """Run a program behind the link; its exit status, as a shell tells it: 128 + n after signal n.

        LAYERCAST_HERE and LAYERCAST_THERE are its own address and that of the other end.
        """
        process = self._start(self._near, command, False)
        with _passing_on(process):
            status = process.wait()
        return status if status >= 0 else 128 - status

    def _start(self, side: str, command: Sequence[str], aside: bool) -> subprocess.Popen[bytes]:
        """aside: it reads nothing, and what it says goes to our standard error."""
        here, there = (self.here, self.there) if side == self._near else (self.there, self.here)
        env: Mapping[str, str] = {**os.environ, "LAYERCAST_HERE": here, "LAYERCAST_THERE": there}
        if aside:
            files = {"stdin": subprocess.DEVNULL, "stdout": sys.stderr}
            return self._wire.run_in(side, command, env=env, start_new_session=True, **files)
        return self._wire.run_in(side, command, env=env)


@contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Signals are the program's affair: Ctrl-C reaches it anyway, the others are handed on."""

    def hand_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
