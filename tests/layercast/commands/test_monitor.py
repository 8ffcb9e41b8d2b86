"""monitor: each caption once, as soon as it is there, and nothing of it in a command line."""

import json
import os
from pathlib import Path

import pytest

from codec import caption
from codec.stream import Chunk, Header, Kind, write
from layercast.commands.monitor import Seen, Watch
from layercast.net.parcel import pack
from layercast.net.store import Store
from tests.layercast.test_cli import fails, run

HEADER = Header(64, 48, 3, 1)


def stream(text: str) -> bytes:
    chunks = [Chunk(Kind.CAPTION, 0, caption.encode(text)), Chunk(Kind.LATENT, 0, bytes(19))]
    return write(HEADER, chunks)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.lcast").write_bytes(stream("A dog runs."))
    (tmp_path / "b.lcast").write_bytes(stream("A bus waits."))
    return tmp_path


def test_what_is_there_once(folder: Path) -> None:
    result = run("monitor", folder, "--once", "--json", "--match", "dogs running")
    assert result.exit_code == 0, result.output
    (row,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert row == {"name": "a.lcast", "caption": "A dog runs.", "file": str(folder / "a.lcast")}


def test_only_what_comes_later_is_told_and_once(folder: Path) -> None:
    watch = Watch(folder, quiet=True)
    assert list(watch.look()) == []
    (folder / "c.lcast").write_bytes(stream("A cat."))
    (folder / "d.lcast").write_bytes(b"half a he")
    assert list(watch.look()) == [Seen("c.lcast", "A cat.", folder / "c.lcast")]
    (folder / "c.lcast").write_bytes(stream("A cat.") + b"")
    os.utime(folder / "c.lcast", (5, 5))
    assert list(watch.look()) == []


def test_a_stream_still_coming(folder: Path) -> None:
    watch = Watch(folder, quiet=True)
    store, parcel = Store(folder), pack(stream("A fox looks at the camera."), "trap.lcast")
    shelf = store.shelf(7)
    shelf.start(parcel.preamble)
    for item in (item for item in parcel.items if item.cls == 0):
        shelf.put((item.cls, item.index), item.payload, True)
    assert list(watch.look()) == [Seen("trap.lcast", "A fox looks at the camera.", None)]
    assert list(watch.look()) == []


def test_a_command_gets_the_caption_as_data(folder: Path) -> None:
    evil = "A dog; touch evil $(touch evil) `touch evil`."
    (folder / "e.lcast").write_bytes(stream(evil))
    out = folder / "told"
    command = f'cd "{folder}" && printf %s "$LAYERCAST_CAPTION|$LAYERCAST_NAME" >> told'
    assert run("monitor", folder, "--once", "--match", "touch", "--run", command).exit_code == 0
    assert out.read_text() == f"{evil}|e.lcast" and not (folder / "evil").exists()
    result = run("monitor", folder, "--once", "--match", "bus", "--run", "exit 3")
    assert result.exit_code == 0 and "ended with 3" in result.stderr


def test_errors_in_one_line(folder: Path) -> None:
    fails(run("monitor", folder / "nowhere"), "no such folder")
    fails(run("monitor", folder, "--match", "?"), "no words", code=2)
