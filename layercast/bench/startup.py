"""`layercast bench startup`: how soon the commands that run no network answer, process start included.

`info` of a whole stream decodes it to verify its pixels, which is no start: that row stands without a goal.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

GOAL_SECONDS = 0.3
WHOLE = "info of a whole stream"
HEAVY = ("torch", "diffusers", "transformers")  # must not be imported
MOST_SECONDS = 60.0
SIZE = 96  # pixels: the side of the drawn picture whose stream is looked at


def program() -> list[str]:
    """The installed command, or the module of this checkout."""
    script = Path(sys.executable).with_name("layercast")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "layercast"]


def commands(folder: Path) -> dict[str, list[str]]:
    """The commands by name, on a small stream that is written to `folder`."""
    import numpy as np

    from layercast.bench.streams import encode

    ramp = np.arange(SIZE, dtype=np.uint8)
    picture = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], ramp[:, None] ^ ramp[None, :]), axis=2)
    data = encode(np.ascontiguousarray(picture))
    (folder / "whole.lcast").write_bytes(data)
    (folder / "a.lcast").write_bytes(data[: len(data) // 2])
    return {
        "--help": ["--help"],
        "info": ["info", str(folder / "a.lcast")],
        WHOLE: ["info", str(folder / "whole.lcast")],
        "cut": ["cut", str(folder / "a.lcast"), "-o", str(folder / "b.lcast"), "--bytes", "100"],
    }


def _run(words: Sequence[str], **env: str) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(
        [*program(), *words],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=MOST_SECONDS,
    )
    if run.returncode:
        last = (run.stderr.strip() or "no message").splitlines()[-1]
        raise click.ClickException(f"layercast {' '.join(words)}: {last}")
    return run


def seconds(words: Sequence[str], times: int) -> list[float]:
    """Wall seconds of `times` runs of the command, after one that warms the disk."""
    found = []
    for _ in range(times + 1):
        start = time.perf_counter()
        _run(words)
        found.append(time.perf_counter() - start)
    return found[1:]


def heavy_imports(words: Sequence[str]) -> list[str]:
    """Which of HEAVY the command imports."""
    log = _run(words, PYTHONPROFILEIMPORTTIME="1").stderr
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in log.splitlines() if "|" in line}
    return [name for name in HEAVY if name in imported]


@click.command("startup", short_help="Seconds until info, cut and --help have answered.")
@click.option("--times", type=click.IntRange(1, 100), default=7, help="Runs of each command; the median counts.")
@work.options
def command(times: int, workers: int, as_json: bool, strict: bool) -> None:
    """Median wall seconds of whole processes, and which heavy libraries they import (none may be)."""
    found, table = Report("startup"), Table(("command", "median s", "slowest s", "heavy imports"))
    with tempfile.TemporaryDirectory() as folder:
        for name, words in commands(Path(folder)).items():
            taken, heavy = seconds(words, times), heavy_imports(words)
            table.rows.append((name, median(taken), max(taken), ", ".join(heavy) or "none"))
            if name == WHOLE:
                continue
            ok = median(taken) < GOAL_SECONDS and not heavy
            figure = f"{median(taken):.3f} s, imports {', '.join(heavy) or 'none of torch and its kin'}"
            found.check(f"layercast {name}", figure, f"< {GOAL_SECONDS} s without torch", ok)
    found.tables.append(table)
    found.show(as_json, strict)
