"""A program behind a link: what reaches it, what it is told, how it ends."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from layercast.cli import cli
from sim.clock import Clock
from sim.packetlog import PacketLog
from sim.presets import parse, presets
from sim.shell import Silent, mtu_of
from sim.wire import why_not

ROOT = Path(__file__).parents[2]
needs_link = pytest.mark.skipif(why_not() is not None, reason=f"not shown: a program behind a link; {why_not()}")

ECHO = """
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((os.environ["LAYERCAST_HERE"], 9000))
while True:
    s.sendto(*s.recvfrom(2000))
"""
ASK = """
import os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
for _ in range(30):
    start = time.monotonic()
    s.sendto(bytes(600), (os.environ["LAYERCAST_THERE"], int(sys.argv[1])))
    try:
        s.recv(2000)
        break
    except (TimeoutError, ConnectionRefusedError):
        pass
print(os.environ["LAYERCAST_HERE"], time.monotonic() - start)
sys.exit(7)
"""


def shell(*words: str) -> subprocess.CompletedProcess[str]:
    """`layercast sim shell` of these words, to its end."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "layercast", "sim", "shell", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, stdin=subprocess.DEVNULL)


@needs_link
def test_a_program_talks_over_the_link_and_its_status_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(ECHO)
    (tmp_path / "ask.py").write_text(ASK)
    far = f"{sys.executable} {tmp_path / 'echo.py'}"
    log = tmp_path / "log.jsonl"
    words = ["--set", "link.rate=100000", "--far", far, "--packets", str(log)]
    done = shell("thin-50k", *words, "--", sys.executable, str(tmp_path / "ask.py"), "9000")
    here, seconds = done.stdout.split()
    assert done.returncode == 7 and here == "10.9.0.2"
    assert float(seconds) >= 0.1 + 2 * 628 * 8 / 100_000, "never faster than the link"
    assert "here is 10.9.0.2, the other end is 10.9.0.1, where" in done.stderr
    events = PacketLog.load(log).events("there")
    assert [event.size for event in events if event.what == "arrived"][-1] == 628


@needs_link
def test_how_a_program_may_end() -> None:
    assert shell("thin-50k", "--far", "sleep 100", "--sends", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    done = shell("thin-50k", "--far", "sleep 100", "--sends", "--", "sh", "-c", "echo $LAYERCAST_HERE")
    assert (done.returncode, done.stdout) == (0, "10.9.0.1\n")
    done = shell("thin-50k", "--", "no-such-program")
    assert done.returncode == 127 and "no-such-program" in done.stderr


@needs_link
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="not shown: this computer; needs root")
def test_the_other_end_is_this_computer(tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(ASK)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind(("0.0.0.0", 0))
        here.settimeout(60)

        def answer() -> None:
            here.sendto(*here.recvfrom(2000))

        thread = threading.Thread(target=answer)
        thread.start()
        done = shell("thin-50k", "--", sys.executable, str(tmp_path / "ask.py"), str(here.getsockname()[1]))
        thread.join()
    assert done.returncode == 7 and float(done.stdout.split()[1]) >= 0.1 + 2 * 628 * 8 / 50_000
    assert "this computer itself" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "nowhere: is no file, and no scenario or link"),
        (["thin-50k", "--set", "link.rate=-1"], "link.rate is -1"),
        (["thin-50k", "--packets", "no/such/folder"], "no such file"),
        (["thin-50k", "--far", ""], "--far: is empty"),
        (["thin-50k", "--far", "a'"], "--far: no closing quotation"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(words: list[str], says: str) -> None:
    done = CliRunner().invoke(cli, ["sim", "shell", *words, "--", "true"])
    assert done.exit_code in (1, 2) and says in done.stderr


def test_where_there_can_be_no_link_one_line_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.wire.why_not", lambda: "links for real sockets need a penguin")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = CliRunner().invoke(cli, ["sim", "shell", "thin-50k", "--", "true"])
    assert done.exit_code == 1 and done.stderr == "layercast: thin-50k: links for real sockets need a penguin\n"


def test_where_nobody_answers_nothing_comes_back() -> None:
    clock = Clock()
    link = Silent().make(clock)
    link.send(b"hello?")
    clock.run(10.0)
    assert [event.what for event in link.log] == ["sent", "dropped"]


def test_packets_are_as_large_as_the_link_takes() -> None:
    sizes = [mtu_of(presets()[name]) for name in ("thin-50k", "meshtastic-longfast")]
    assert sizes == [1500, 233 + 28]
    radios = [parse("x", {"rate": 1e6, "packet": packet, "feedback": False}) for packet in (40, 9000)]
    assert [mtu_of(radio) for radio in radios] == [68, 1500]
