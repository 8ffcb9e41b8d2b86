"""Tasks over processes: in order, their errors passed on, and gone at once with Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from layercast.bench import work

SLEEPER = """
import time
from layercast.bench.work import each
if __name__ == "__main__":
    print("ready", flush=True)
    each(time.sleep, [(60,)] * 6, workers=2)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    assert work.each(divmod, [(9, 4), (7, 2), (5, 5)], workers) == [(2, 1), (3, 1), (1, 0)]


def test_workers_compute_with_one_thread() -> None:
    assert work.each(os.getenv, [("OMP_NUM_THREADS",), ("MKL_NUM_THREADS",)], workers=2) == ["1", "1"]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_task_comes_out(workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        work.each(divmod, [(1, 1), (1, 0)], workers)


def living(group: int) -> list[str]:
    """The processes of a group that still run (a dead one that nobody has asked for does not)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()  # state, parent, group, ...
            if fields[0] not in "ZX" and int(fields[2]) == group:
                found.append(path.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc")
def test_ctrl_c_ends_all_processes_at_once(tmp_path: Path) -> None:
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER)
    root = Path(work.__file__).parents[2]
    run = subprocess.Popen(
        [sys.executable, str(script)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert run.stdout is not None and run.stdout.readline() == "ready\n"
    time.sleep(1.5)  # the workers start meanwhile; before or after, the outcome is the same
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(timeout=30) != 0
    deadline = time.monotonic() + 10
    while living(run.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not living(run.pid)


def test_pictures_of_a_folder_by_name_pattern_and_number(tmp_path: Path) -> None:
    for name in ("b.png", "a.PNG", "c.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in work.pictures(tmp_path, None, "*")] == ["a.PNG", "b.png", "c.jpg"]
    assert [path.name for path in work.pictures(tmp_path, 1, "[ab].*")] == ["a.PNG"]
    with pytest.raises(click.ClickException, match="no picture"):
        work.pictures(tmp_path, None, "kodim*")


def test_a_picture_is_loaded_as_colours(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 3), 7, dtype=np.uint8)).save(tmp_path / "grey.png")
    loaded = work.load(tmp_path / "grey.png")
    assert loaded.shape == (2, 3, 3) and (loaded == 7).all()
