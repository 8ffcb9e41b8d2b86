"""`layercast bench soak`, small: what it says, that it goes on where it was stopped, that it sees what is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import codec
from layercast.bench import bench, soak


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one small photo; encoding by the tiny set, so that it is quick."""
    monkeypatch.setenv("LAYERCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(soak, "PROBED", 3)
    monkeypatch.setattr(soak, "STREAM_BYTES", 500)
    whole = codec.encode
    monkeypatch.setattr(codec, "encode", lambda picture, **options: whole(picture, **{**options, "weights": 0}))
    folder = tmp_path / "photos"
    folder.mkdir()
    y, x = np.mgrid[:40, :56]
    picture = np.stack([x * 4, y * 6, 128 + 100 * np.sin(x / 9)], 2).astype(np.uint8)
    Image.fromarray(picture).save(folder / "waves.png")
    soak._photo.cache_clear()
    return folder


def run(*words: object) -> Result:
    return CliRunner().invoke(bench, ["soak", *map(str, words)], catch_exceptions=False)


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_it_says_what_was_run_and_goes_on_where_it_was(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (photos, "--presets", "thin-10k,hf-2400", "--seeds", 1, "--links", 4, "-o", tmp_path / "kept", "--json")
    first = run(*words)
    rows = [line for line in lines(first) if "link" in line]
    assert [row["link"] for row in rows] == ["thin-10k", "hf-2400"]
    assert all(row["sessions"] == 13 and row["not shown"] == 0 for row in rows)
    checks = [line for line in lines(first) if "check" in line]
    assert len(checks) == 8 and sum("random links" in str(check["check"]) for check in checks) == 2
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert names == ["grid-hf-2400-waves-1.json", "grid-thin-10k-waves-1.json", "random-0-4.json", "table-waves.json"]

    (tmp_path / "kept" / "random-0-4.json").unlink()
    done: list[str] = []
    kept = soak._kept
    monkeypatch.setattr(
        soak, "_kept", lambda function, path, given: (done.append(path.name), kept(function, path, given))
    )
    assert run(*words).stdout == first.stdout and done == ["random-0-4.json"]


def test_a_crash_fails_and_is_told(photos: Path, tmp_path: Path) -> None:
    words = (photos, "--presets", "thin-10k", "--seeds", 1, "--links", 2, "-o", tmp_path / "kept", "--json", "--strict")
    run(*words)
    path = tmp_path / "kept" / "random-0-2.json"
    trials = json.loads(path.read_text())
    trials[1]["crash"] = "IndexError: somewhere"
    path.write_text(json.dumps(trials))
    again = run(*words)
    assert again.exit_code == 1 and "Link 1: IndexError: somewhere" in again.stdout


def test_an_unknown_link_is_a_usage_error(photos: Path) -> None:
    result = run(photos, "--presets", "thin-11k")
    assert result.exit_code == 2 and "there is no link thin-11k" in result.output
