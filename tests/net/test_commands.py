"""serve, send and receive as a user runs them: real processes, real sockets on loopback."""

from __future__ import annotations

import json
import os
import pty
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import tty
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fuzz.parsers import streams

TOKEN = "a token of the test"


def layercast(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "layercast", *map(str, arguments)]


def environment(token: str = TOKEN) -> dict[str, str]:
    return {**os.environ, "LAYERCAST_TOKEN": token, "PYTHONUNBUFFERED": "1"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCAST_HOME", str(tmp_path / "home"))


def run(*arguments: str | Path, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        layercast(*arguments), env=environment(token), capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def waiting(*arguments: str | Path) -> Iterator[str]:
    """A command that listens, for as long as the body runs; gives its URL."""
    with subprocess.Popen(layercast(*arguments), env=environment(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert " on " in line, line
            yield line.strip().rpartition(" on ")[2].replace("0.0.0.0", "127.0.0.1")
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    for n, data in enumerate(streams()[:3]):
        (made / f"photo {n}.lcast").write_bytes(data)
    return made


def same(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.glob("*.lcast"))
    return names == sorted(path.name for path in other.glob("*.lcast")) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


@pytest.mark.parametrize("way", ["--udp", "--quic", "--webtransport", "--webrtc", "--webrtcs"])
def test_a_served_folder_arrives(folder: Path, tmp_path: Path, way: str) -> None:
    with waiting("serve", folder, way, "--listen", "127.0.0.1:0", "--rate", "1000000") as url:
        done = run("receive", url, "-o", tmp_path / "in", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines].count("complete") == 3 and lines[-1]["event"] == "ended"
    assert same(folder, tmp_path / "in")


def test_a_page_is_served_beside_the_streams(folder: Path, tmp_path: Path) -> None:
    with waiting("serve", folder, "--page", "--listen", "127.0.0.1:0", "--rate", "1000000") as url:
        assert url.startswith("webrtc://")
        with urllib.request.urlopen(url.replace("webrtc:", "http:") + "/", timeout=30) as answer:
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8" and b"<script" in answer.read()
        assert run("receive", url, "-o", tmp_path / "in").returncode == 0
    assert same(folder, tmp_path / "in")
    wrong = run("serve", folder, "--page", "--quic")
    assert wrong.returncode == 2 and "--webrtc" in wrong.stderr
    missing = run("serve", folder, "--page-folder", folder)
    assert missing.returncode == 1 and "make page" in missing.stderr


def test_what_is_sent_arrives_where_somebody_listens(folder: Path, tmp_path: Path) -> None:
    with waiting("receive", "udp://127.0.0.1:0", "-o", tmp_path / "in", "--listen") as url:
        done = run("send", *sorted(folder.glob("*.lcast")), url, "--rate", "1000000")
        assert done.returncode == 0, done.stderr
    assert same(folder, tmp_path / "in")


def test_wrong_words_are_one_clear_line(folder: Path, tmp_path: Path) -> None:
    with waiting("serve", folder, "--listen", "127.0.0.1:0") as url:
        wrong = run("receive", url, "-o", tmp_path / "in", token="another")
        missing = run("receive", f"{url}/photo 9", "-o", tmp_path / "in")
    for done, words in ((wrong, "token is wrong"), (missing, "no stream of that name")):
        assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1
    nowhere = run("receive", "tcp:x", "-o", tmp_path / "in")
    assert nowhere.returncode == 2 and "udp://HOST" in nowhere.stderr


def test_first_layers_then_the_rest(folder: Path, tmp_path: Path) -> None:
    with waiting("serve", folder, "--listen", "127.0.0.1:0", "--rate", "1000000") as url:
        assert run("receive", url, "-o", tmp_path / "in", "--upto", "caption").returncode == 0
        assert all(20 < path.stat().st_size < 90 for path in (tmp_path / "in").glob("*.lcast"))
        assert run("receive", url, "-o", tmp_path / "in", "--resume").returncode == 0
    assert same(folder, tmp_path / "in")


def test_killed_and_resumed_nothing_is_fetched_twice(folder: Path, tmp_path: Path) -> None:
    """Ended without warning while items arrive; LAYERCAST_KILLS says how often."""
    rng, lines = random.Random(3), []
    receive = ["receive", "-o", tmp_path / "in", "--resume", "--json"]
    with waiting("serve", folder, "--listen", "127.0.0.1:0", "--rate", "60000") as url:
        for _ in range(int(os.environ.get("LAYERCAST_KILLS", "3"))):
            with subprocess.Popen(layercast(*receive, url), env=environment(), stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                lines += [line for _, line in zip(range(rng.randint(1, 12)), process.stdout, strict=False)]
                process.kill()
                lines += process.stdout.readlines()
        done = run(*receive, url)
    assert done.returncode == 0 and same(folder, tmp_path / "in")
    assert_once(folder, tmp_path / "in", [*lines, *done.stdout.encode().splitlines()])


def test_serve_killed_and_restarted_nothing_is_fetched_twice(folder: Path, tmp_path: Path) -> None:
    """The serving end ends without warning while items arrive; the receiver, which would wait a minute for it, is
    interrupted and goes on with the next server at the same address. LAYERCAST_KILLS says how often."""
    rng, lines = random.Random(4), []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{probe.getsockname()[1]}"
    serve = layercast("serve", folder, "--listen", at, "--rate", "60000")
    receive = layercast("receive", "-o", tmp_path / "in", "--resume", "--json", f"udp://{at}")
    for _ in range(int(os.environ.get("LAYERCAST_KILLS", "3"))):
        with subprocess.Popen(serve, env=environment(), stderr=subprocess.PIPE, text=True) as serving:
            assert serving.stderr is not None and " on " in serving.stderr.readline()
            with subprocess.Popen(receive, env=environment(), stdout=subprocess.PIPE) as receiving:
                assert receiving.stdout is not None
                lines += [line for _, line in zip(range(rng.randint(1, 12)), receiving.stdout, strict=False)]
                serving.kill()
                receiving.send_signal(signal.SIGINT)
                lines += receiving.stdout.readlines()
    with subprocess.Popen(serve, env=environment(), stderr=subprocess.PIPE, text=True) as serving:
        assert serving.stderr is not None and " on " in serving.stderr.readline()
        done = subprocess.run(receive, env=environment(), capture_output=True, timeout=120, check=False)
        serving.send_signal(signal.SIGINT)
    assert done.returncode == 0 and same(folder, tmp_path / "in")
    assert_once(folder, tmp_path / "in", [*lines, *done.stdout.splitlines()])


def assert_once(folder: Path, into: Path, lines: list[bytes]) -> None:
    """No file half written, and by the lines of all receivers no item fetched twice."""
    names = {path.name for path in into.iterdir()}
    assert names == {path.name for path in folder.iterdir()} | {".layercast"}, "a half-written file"
    told = [json.loads(line) for line in lines if line.strip().endswith(b"}")]
    fetched = sum(line["bytes"] for line in told if line["event"] == "item")
    served = sum(path.stat().st_size for path in folder.glob("*.lcast"))
    assert fetched <= served + 3 * 300, "more was fetched than what is served, names and orders"


def test_a_pair_of_pipes_carries_a_folder(folder: Path, tmp_path: Path) -> None:
    """Two programs joined by their standard input and output, as over any remote shell."""
    (there, out), (back, into) = os.pipe(), os.pipe()
    send = layercast("send", *sorted(folder.glob("*.lcast")), "pipe:-", "--rate", "1000000")
    receive = layercast("receive", "pipe:-", "-o", tmp_path / "in")
    with (
        subprocess.Popen(send, env=environment(), stdin=back, stdout=out) as sending,
        subprocess.Popen(receive, env=environment(), stdin=there, stdout=into, stderr=subprocess.PIPE) as receiving,
    ):
        for end in (there, out, back, into):
            os.close(end)
        assert receiving.wait(60) == 0 and sending.wait(60) == 0
    assert same(folder, tmp_path / "in")


def test_a_line_that_stays_open_ends_both_programs(folder: Path, tmp_path: Path) -> None:
    """A serial line, here two pseudo terminals joined: nobody hears that the other end has left."""
    ends = [pty.openpty() for _ in range(2)]
    for pair in ends:
        tty.setraw(pair[1])
    names = [os.ttyname(pair[1]) for pair in ends]
    stop = threading.Event()
    joiner = threading.Thread(target=join, args=(ends[0][0], ends[1][0], stop), daemon=True)
    joiner.start()
    receive = layercast("receive", f"pipe:{names[1]}", "-o", tmp_path / "in", "--listen")
    with subprocess.Popen(receive, env=environment(), stderr=subprocess.PIPE, text=True) as receiving:
        assert receiving.stderr is not None and "listening" in receiving.stderr.readline()
        send = run("send", *sorted(folder.glob("*.lcast")), f"pipe:{names[0]}", "--rate", "1000000")
        assert receiving.wait(60) == 0 and send.returncode == 0, send.stderr
    stop.set()
    joiner.join()
    for one, other in ends:
        os.close(one)
        os.close(other)
    assert same(folder, tmp_path / "in")


def join(one: int, other: int, stop: threading.Event) -> None:
    """Carry bytes between two terminals' far ends until told to stop."""
    while not stop.is_set():
        for here in select.select([one, other], [], [], 0.1)[0]:
            os.write(other if here == one else one, os.read(here, 4096))
