"""Sending where nobody answers: real processes, loopback UDP and a pipe."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.net.processes import environment, fill, layercast, run, same, waiting


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCAST_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_broadcast_is_heard_with_its_name(tmp_path: Path, sealed: bool) -> None:
    folder = fill(tmp_path / "served")
    seal = ["--seal", tmp_path / "key"] if sealed else []
    assert run("key", "new", "-o", tmp_path / "key").returncode == 0
    url, log = f"udp-oneway://127.0.0.1:{os.getpid() % 20000 + 30000}", tmp_path / "sent.log"
    with waiting("receive", url, "-o", tmp_path / "in", "--listen", *seal) as (_, process):
        send = ["send", *sorted(folder.glob("*.lcast")), url, "--rate", "2000000", "--name", "N0CALL", "--log", log]
        done = run(*send, *seal)
        assert done.returncode == 0, done.stderr
        assert process.stderr is not None and "N0CALL" in process.stderr.readline()
    assert same(folder, tmp_path / "in")
    assert log.read_text().count("packet_sent") > 3


def test_a_pipe_one_way(tmp_path: Path) -> None:
    folder = fill(tmp_path / "served")
    there, out = os.pipe()
    send = layercast("send", *sorted(folder.glob("*.lcast")), "pipe:-", "--one-way", "--rate", "1000000")
    receive = layercast("receive", "pipe:-", "-o", tmp_path / "in", "--one-way", "--listen")
    with (
        subprocess.Popen(send, env=environment(), stdin=subprocess.DEVNULL, stdout=out) as sending,
        subprocess.Popen(receive, env=environment(), stdin=there, stdout=subprocess.DEVNULL) as receiving,
    ):
        os.close(there)
        os.close(out)
        assert receiving.wait(60) == 0 and sending.wait(60) == 0
    assert same(folder, tmp_path / "in")


def test_what_nobody_can_know_must_be_given(tmp_path: Path) -> None:
    photo = next(iter(sorted(fill(tmp_path / "served").glob("*.lcast"))))
    send = run("send", photo, "udp-oneway://127.0.0.1:9")
    receive = run("receive", "udp-oneway://127.0.0.1:9", "-o", tmp_path / "in")
    for done, words in ((send, "--rate"), (receive, "--listen")):
        assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1
