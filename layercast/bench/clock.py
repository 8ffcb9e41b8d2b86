"""What a step costs: processor seconds, seconds on the clock, and the peak of memory of a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")


class Cost(NamedTuple):
    """Seconds of the processor (all threads of this process) and on the clock."""

    processor: float
    wall: float


def timed(function: Callable[[], Result]) -> tuple[Result, Cost]:
    """What `function` returns, and what that cost."""
    wall, processor = time.perf_counter(), time.process_time()
    result = function()
    return result, Cost(time.process_time() - processor, time.perf_counter() - wall)


def peak_memory() -> int:
    """The most bytes of memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # unlike ru_maxrss, not inherited from the parent
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "VmHWM" in lines:
            return int(lines["VmHWM"].split()[0]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
