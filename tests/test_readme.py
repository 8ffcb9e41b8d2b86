"""The README keeps its word: its commands run one after the other, its Python runs, its targets exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.fuzz.parsers import streams

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
PLAYER = (ROOT / "docs/player.md").read_text()
PHOTO = ROOT / "layercast/assets/rocket.webp"


def blocks(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where photo.png lies: a small part of the bundled photo."""
    folder = tmp_path_factory.mktemp("readme")
    Image.open(PHOTO).convert("RGB").crop((240, 60, 400, 180)).save(folder / "photo.png")
    return folder


def test_commands_run(folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = blocks("sh")
    assert found
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(found)],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "verified" in result.stdout
    assert (folder / "first.lcast").stat().st_size <= 400
    with Image.open(folder / "same.png") as same, Image.open(folder / "photo.png") as photo:
        assert same.tobytes() == photo.tobytes()


def test_python_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = blocks("python")
    assert found
    for block in found:
        exec(compile(block, "README.md", "exec"), {})


def test_python_of_the_player_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "photo.lcast").write_bytes(streams()[1])
    found = blocks("python", PLAYER)
    assert len(found) == 2
    for block in found:
        exec(compile(block, "player.md", "exec"), {})
    with Image.open(folder / "now.png") as now, Image.open(folder / "small.png") as small:
        assert now.size == (80, 56) and small.size == (64, 48)


def test_targets_exist() -> None:
    named = set(re.findall(r"(?:`|^ {4})make ([a-z]+)", TEXT + (ROOT / "CONTRIBUTING.md").read_text(), re.M))
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test", "check", "setup"} <= rules and named <= rules


def test_continuous_integration_runs_the_check() -> None:
    assert re.search(r"^make check$", (ROOT / ".ci/run").read_text(), re.M)
    assert re.search(r"^check:.*\btest\b", (ROOT / "Makefile").read_text(), re.M)
