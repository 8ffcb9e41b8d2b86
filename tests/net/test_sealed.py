"""Sealed transfers between real processes; logs of both ends."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from layercast.net.logs import read, summarise
from tests.net.processes import environment, fill, layercast, run, same, waiting


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCAST_HOME", str(tmp_path / "home"))


def new_key(path: Path) -> Path:
    assert run("key", "new", "-o", path).returncode == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path


@pytest.mark.parametrize("way", ["--udp", "--quic"])
def test_sealed_streams_arrive_opened_and_logs_hold_no_secret(tmp_path: Path, way: str) -> None:
    folder, key = fill(tmp_path / "served"), new_key(tmp_path / "key")
    sent, got = tmp_path / "sent.log", tmp_path / "got.log"
    serve = ["serve", folder, way, "--listen", "127.0.0.1:0", "--seal", key, "--log", sent, "--rate", "1000000"]
    with waiting(*serve) as (url, _):
        done = run("receive", url, "-o", tmp_path / "in", "--seal", key, "--log", got)
    assert done.returncode == 0, done.stderr
    assert same(folder, tmp_path / "in")
    there, here = summarise(read(sent)), summarise(read(got))
    assert len(here.groups) == 3 and here.complete.keys() == there.complete.keys()
    secrets = key.read_text().strip(), environment()["LAYERCAST_TOKEN"]
    assert not any(secret in log.read_text() for secret in secrets for log in (sent, got))


def test_another_key_is_one_clear_line_and_nothing_is_kept(tmp_path: Path) -> None:
    folder, key, other = fill(tmp_path / "served"), new_key(tmp_path / "key"), new_key(tmp_path / "other")
    with waiting("serve", folder, "--listen", "127.0.0.1:0", "--seal", key, "--rate", "1000000") as (url, _):
        wrong = run("receive", url, "-o", tmp_path / "in", "--seal", other)
        none = run("receive", url, "-o", tmp_path / "in")
    for done, words in ((wrong, "seal does not open"), (none, "--seal")):
        assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert [path for path in (tmp_path / "in").rglob("*") if path.is_file()] == []


def test_an_unsealed_sender_is_not_believed(tmp_path: Path) -> None:
    folder, key = fill(tmp_path / "served"), new_key(tmp_path / "key")
    with waiting("serve", folder, "--listen", "127.0.0.1:0", "--rate", "1000000") as (url, _):
        done = run("receive", url, "-o", tmp_path / "in", "--seal", key)
    assert done.returncode == 1 and "seal does not open" in done.stderr
    assert [path for path in (tmp_path / "in").rglob("*") if path.is_file()] == []


def test_a_passphrase_of_the_environment_seals_and_parts_are_resumed(tmp_path: Path) -> None:
    import subprocess

    folder, secret = fill(tmp_path / "served"), {"LAYERCAST_PASSPHRASE": "four words nobody guesses"}
    receive = ["receive", "-o", tmp_path / "in", "--resume", "--json", "--seal-passphrase"]
    lines: list[bytes] = []
    serve = ["serve", folder, "--listen", "127.0.0.1:0", "--rate", "60000", "--seal-passphrase"]
    with waiting(*serve, **secret) as (url, _):
        for count in (4, 9):
            with subprocess.Popen(
                layercast(*receive, url), env=environment(**secret), stdout=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                lines += [line for _, line in zip(range(count), process.stdout, strict=False)]
                process.kill()
                lines += process.stdout.readlines()
        done = run(*receive, url, **secret)
    assert done.returncode == 0 and same(folder, tmp_path / "in"), done.stderr
    told = [json.loads(line) for line in [*lines, *done.stdout.encode().splitlines()] if line.strip().endswith(b"}")]
    fetched = sum(line["bytes"] for line in told if line["event"] == "item")
    served = sum(path.stat().st_size for path in folder.glob("*.lcast"))
    assert fetched <= served + 3 * 300, "more was fetched than what is served, names and orders"


def test_keys_and_tokens_that_protect_nothing_are_refused(tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    assert run("key", "new", "-o", key).returncode == 1
    os.chmod(key, 0o644)
    (tmp_path / "tokens").write_text("one token of several\nanother one of them\n")
    os.chmod(tmp_path / "tokens", 0o600)
    for options, words in (
        (["--seal", key], "chmod 600"),
        (["--seal", tmp_path / "none"], "layercast key new"),
        (["--token-file", tmp_path / "tokens"], "holds 2 tokens"),
        (["--seal-passphrase"], "LAYERCAST_PASSPHRASE"),
    ):
        done = run("receive", "udp://127.0.0.1:9", "-o", tmp_path / "in", *options)
        assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
