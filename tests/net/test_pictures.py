"""send --video as a user runs it, against a real receiver; one way too."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

import layercast
from layercast.net.spool import Spool
from tests.net.processes import environment, run, waiting
from tests.net.processes import layercast as layercast_command


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCAST_HOME", str(tmp_path / "home"))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Six seconds at 2 frames a second: grey for three, then brighter."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=2)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for n in range(12):
            picture = np.full((48, 64, 3), 60 if n < 6 else 180, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_frames_arrive_in_order_as_they_are_taken(video: Path, tmp_path: Path) -> None:
    with waiting("receive", "udp://127.0.0.1:0", "-o", tmp_path / "in", "--listen") as (url, _):
        done = run("send", "--video", video, "--every", "2s", url, "--rate", "1000000", "--max-bytes", "400")
        assert done.returncode == 0, done.stderr
    found = sorted((tmp_path / "in").glob("*.lcast"))
    assert [path.name for path in found] == [f"film-{at:010.3f}.lcast" for at in (0, 2, 4)]
    assert all(path.stat().st_size <= 400 for path in found)
    means = [layercast.decode(path.read_bytes()).picture.mean() for path in found]
    assert means[0] < 100 < means[2]


def test_only_what_changed_waits_in_an_outbox(video: Path, tmp_path: Path) -> None:
    options = ["--every", "1s", "--if-changed", "20", "--spool", tmp_path / "outbox", "--queue"]
    done = run("send", "--video", video, *options)
    assert done.returncode == 0, done.stderr
    assert [each.name for each in Spool(tmp_path / "outbox").waiting()] == [
        "film-000000.000.lcast",
        "film-000003.000.lcast",
    ]


def test_frames_are_broadcast(video: Path, tmp_path: Path) -> None:
    url = f"udp-oneway://127.0.0.1:{os.getpid() % 20000 + 20000}"
    with waiting("receive", url, "-o", tmp_path / "in", "--listen"):
        done = run("send", "--video", video, "--every", "3s", url, "--rate", "500000", "--max-bytes", "400")
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "in").glob("*.lcast"))) == 2


def test_a_source_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    with waiting("receive", "udp://127.0.0.1:0", "-o", tmp_path / "in", "--listen") as (url, _):
        done = run("send", "--camera", "rtsp://me:secret@127.0.0.1:1/x", url)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "secret" not in done.stderr, done.stderr


def test_an_interrupt_ends_in_order(video: Path, tmp_path: Path) -> None:
    with waiting("receive", "udp://127.0.0.1:0", "-o", tmp_path / "in", "--listen") as (url, _):
        send = layercast_command("send", "--video", video, "--every", "0", url, "--rate", "2000", "--json")
        with subprocess.Popen(send, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            assert b"taken" in process.stdout.readline()
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            own = children.read_text().split() if children.exists() else []
            encoders = [child for child in own if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert process.stderr.read() == b""
    assert not any(Path(f"/proc/{child}").exists() for child in encoders)
