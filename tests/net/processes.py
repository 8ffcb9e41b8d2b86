"""The command as a user runs it, for tests: real processes, real sockets on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOKEN = "a token of the test"


def layercast(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "layercast", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "LAYERCAST_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1", **more}


def run(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself; `more` is put into its environment."""
    return subprocess.run(
        layercast(*arguments), env=environment(**more), capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def waiting(*arguments: str | Path, **more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A command that listens, for as long as the body runs: its URL and its process, ended in order."""
    with subprocess.Popen(layercast(*arguments), env=environment(**more), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert " on " in line, line
            yield line.strip().rpartition(" on ")[2].replace("0.0.0.0", "127.0.0.1"), process
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same streams under the same names."""
    names = sorted(path.name for path in one.glob("*.lcast"))
    return names == sorted(path.name for path in other.glob("*.lcast")) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


def fill(folder: Path, count: int = 3) -> Path:
    """A folder with some streams."""
    from tests.fuzz.parsers import streams

    folder.mkdir()
    for n, data in enumerate(streams()[:count]):
        (folder / f"photo {n}.lcast").write_bytes(data)
    return folder
