"""`layercast play` as a user runs it: a sender on loopback, the page's server beside it, over real sockets."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import codec
from tests.fuzz.parsers import picture, streams
from tests.net.processes import environment, fill, layercast, run, waiting

LARGE = codec.encode(picture(320, 240, 3), caption="a slope", weights=0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCAST_HOME", str(tmp_path / "home"))


@contextmanager
def playing(*arguments: str | Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A player, ended by Ctrl-C: the folder of its page, and its process."""
    command = layercast("play", "--no-open", *arguments)
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert line.startswith("open http://127.0.0.1:"), line
            yield line.split()[1].partition("?")[0], process
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())


def ask(folder: str, want: object) -> int:
    request = urllib.request.Request(f"{folder}want", json.dumps(want).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(answer.status)


def until(folder: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first state that holds, looked at again and again."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if holds(state := json.loads(get(f"{folder}play.json"))):
            return dict(state)
    raise AssertionError(state)


def test_a_file_is_played_until_interrupted(tmp_path: Path) -> None:
    (tmp_path / "photo.lcast").write_bytes(streams()[0])
    with playing(tmp_path / "photo.lcast") as (folder, process):
        assert b"<!doctype html>" in get(folder)
        assert get(f"{folder}picture.lcast") == streams()[0]
        with pytest.raises(urllib.error.HTTPError, match="409"):
            ask(folder, {"stop": True})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get(folder.rpartition("/")[0][:-1])
    assert process.returncode == 0


def test_what_a_sender_serves_grows_stops_and_goes_on(tmp_path: Path) -> None:
    served = fill(tmp_path / "served", 1)
    (served / "large.lcast").write_bytes(LARGE)
    arguments = "serve", served, "--listen", "127.0.0.1:0", "--rate", str(2 * len(LARGE))  # 4 s
    with waiting(*arguments) as (url, _), playing(f"{url}/large", "-o", tmp_path / "kept.lcast") as (folder, _):
        until(folder, lambda state: state["arrived"] > 100 and state["bytes"] == len(LARGE))
        assert ask(folder, {"stop": True}) == 204
        held = until(folder, lambda state: state["state"] == "stopped")["arrived"]
        assert held < len(LARGE)
        assert ask(folder, {"region": [0.5, 0.5, 0.25, 0.25]}) == 204
        decoded = codec.decode(get(f"{folder}picture.lcast"))  # ends when all is here
        assert decoded.verified and np.array_equal(decoded.picture, picture(320, 240, 3))
        assert until(folder, lambda state: state["state"] == "ended")["name"] == "large.lcast"
    assert (tmp_path / "kept.lcast").read_bytes() == LARGE


def test_several_pictures_and_none(tmp_path: Path) -> None:
    with waiting("serve", fill(tmp_path / "served"), "--listen", "127.0.0.1:0", "--rate", "1000000") as (url, _):
        done = run("play", url, "--terminal", "-o", tmp_path / "first.lcast")
        assert done.returncode == 0, done.stderr
        assert "verified" in done.stdout and (tmp_path / "first.lcast").read_bytes() in streams()
        missing = run("play", f"{url}/nothing", "--terminal")
        assert (
            missing.returncode == 1 and missing.stderr.count("\n") == 1 and "no stream of that name" in missing.stderr
        )
        token = run("play", url, "--terminal", "--token", "wrong")
        assert token.returncode == 1 and "token" in token.stderr


def test_a_video_of_what_is_sent(tmp_path: Path) -> None:
    with waiting("serve", fill(tmp_path / "served", 1), "--listen", "127.0.0.1:0", "--rate", "100000") as (url, _):
        done = run("play", url, "--record", tmp_path / "t.mp4")
    assert done.returncode == 0 and "frames" in done.stdout, done.stderr
    with av.open(str(tmp_path / "t.mp4")) as container:
        *_, last = container.decode(video=0)
    assert np.array_equal(last.to_ndarray(format="rgb24")[:56, :80], codec.decode(streams()[0]).picture)


def test_what_goes_wrong_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "photo.lcast").write_bytes(b"GIF89a")
    for arguments, status in [
        ([tmp_path / "photo.lcast"], 1),
        ([tmp_path / "none.lcast"], 1),
        (["ftp://127.0.0.1"], 2),
        ([tmp_path / "photo.lcast", "-o", tmp_path / "x.lcast"], 2),
        ([tmp_path / "photo.lcast", "--record", tmp_path / "x.mp4", "--terminal"], 2),
    ]:
        done = run("play", *arguments)
        assert done.returncode == status and done.stderr and "Traceback" not in done.stderr
        assert status == 2 or done.stderr.count("\n") == 1
