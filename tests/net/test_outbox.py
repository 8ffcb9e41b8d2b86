"""send --spool as a user runs it: killed and started again, within a budget, against a real receiver."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from layercast.net.spool import Spool
from tests.net.processes import environment, fill, layercast, run, same, waiting


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCAST_HOME", str(tmp_path / "home"))


def queued(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of streams and an outbox that holds them."""
    folder, outbox = fill(tmp_path / "photos"), tmp_path / "outbox"
    done = run("send", *sorted(folder.glob("*.lcast")), "--spool", outbox, "--queue")
    assert done.returncode == 0, done.stderr
    return folder, outbox


def test_killed_again_and_again_everything_arrives_once(tmp_path: Path) -> None:
    folder, outbox = queued(tmp_path)
    rng, killed = random.Random(5), 0
    with waiting("receive", "udp://127.0.0.1:0", "-o", tmp_path / "in", "--listen", "--resume") as (url, _):
        pipe = tmp_path / "log"
        os.mkfifo(pipe)
        send = layercast("send", "--spool", outbox, url, "--rate", "60000", "--json", "--log", pipe)
        for _ in range(int(os.environ.get("LAYERCAST_KILLS", "3"))):
            with (
                subprocess.Popen(send, env=environment(), stdout=subprocess.DEVNULL) as process,
                open(pipe) as log,
            ):
                for _ in zip(range(rng.randint(2, 60)), log, strict=False):
                    pass
                killed += process.poll() is None
                process.kill()
        send = send[:-2]
        done = subprocess.run(send, env=environment(), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert Spool(outbox).waiting() == [] and list((outbox / "streams").iterdir()) == []
    assert same(folder, tmp_path / "in") and killed > 1


def test_a_budget_is_kept_and_what_is_beyond_it_waits(tmp_path: Path) -> None:
    _, outbox = queued(tmp_path)
    budget = sum(each.size for each in Spool(outbox).waiting()) // 2
    with waiting("receive", "udp://127.0.0.1:0", "-o", tmp_path / "in", "--listen") as (url, _):
        send = layercast("send", "--spool", outbox, url, "--rate", "1000000", "--json", "--budget", f"{budget}/day")
        with subprocess.Popen(send, env=environment(), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            events = []
            for line in process.stdout:
                events.append(json.loads(line))
                if events[-1]["event"] == "waiting":
                    break
            process.kill()
    assert events[-1]["why"] == "budget"
    left = next(event for event in events if event["event"] == "left")
    assert budget // 2 < left["bytes"] <= budget + 1500, "the last packet may have been refused"
    assert Spool(outbox).waiting()
    assert Spool(outbox).spent(time.time()) <= budget


def test_windows_that_are_over_are_said(tmp_path: Path) -> None:
    _, outbox = queued(tmp_path)
    file = tmp_path / "windows.toml"
    file.write_text("[[window]]\nstart = 2020-01-01T00:00:00Z\nend = 2020-01-01T01:00:00Z\n")
    done = run("send", "--spool", outbox, "udp://127.0.0.1:9", "--windows", file)
    assert done.returncode == 1 and "no more windows" in done.stderr
    assert len(Spool(outbox).waiting()) == 3
    file.write_text("[[window]]\nstart = 5\n")
    assert "mend the file" in run("send", "--spool", outbox, "udp://127.0.0.1:9", "--windows", file).stderr
