"""`layercast demo` on a small photo: tables, lines of JSON, the sheet, and what can go wrong."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from layercast.demo import BUNDLED, LINKS, TIMES, demo
from layercast.sheet import Row, draw, size_text
from sim.watch import View


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    y, x = np.mgrid[:48, :64]
    path = tmp_path_factory.mktemp("demo") / "photo.png"
    Image.fromarray(np.stack([x * 4, y * 5, (x + y) * 2], 2).astype(np.uint8)).save(path)
    return path


def test_lines_of_json_and_the_sheet(photo: Path, tmp_path: Path) -> None:
    arguments = [str(photo), "-o", str(tmp_path / "new"), "--caption", "a slope", "--json", "--seed", "3"]
    result = CliRunner().invoke(demo, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == len(LINKS) * 2 * len(TIMES)
    ours = [row for row in rows if row["codec"] == "layercast"]
    assert ours[0]["bytes"] == 0, "no light is faster than a delay of 1 s"
    for link in LINKS:
        seen = [row for row in ours if row["rate"] == link[0]]
        assert all(row["caption"] == "a slope" for row in seen if row["time"] >= 2)
        assert [row["bytes"] for row in seen] == sorted(row["bytes"] for row in seen)
        assert seen[-1]["exact"]
    with Image.open(tmp_path / "new" / "timeline.png") as sheet:
        assert sheet.width > 1500 and sheet.height > 1000


def test_tables(photo: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(demo, [str(photo), "-o", str(tmp_path), "--caption", ""], catch_exceptions=False)
    assert result.exit_code == 0
    for words in ("2 kbit/s, 1 s delay", "10 kbit/s, 0.1 s delay, 5% loss", "60 s", "latent", "SSIMULACRA2", "exact"):
        assert words in result.stdout
    assert "nan" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 105


@pytest.mark.parametrize("what", ["missing", "text", "unwritable"])
def test_one_clear_line(what: str, photo: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    if what == "text":
        bad.write_text("no picture")
    (tmp_path / "file").write_text("in the way")
    image = photo if what == "unwritable" else bad
    result = CliRunner().invoke(demo, [str(image), "-o", str(tmp_path / "file" if what == "unwritable" else tmp_path)])
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1 and result.stderr.startswith("layercast: ")


def test_the_bundled_photo_is_there() -> None:
    folder = files("layercast") / "assets"
    assert (folder / BUNDLED).is_file() and BUNDLED in (folder / "README.md").read_text()
    with Image.open(str(folder / BUNDLED)) as picture:
        assert picture.size == (640, 427)


@pytest.mark.parametrize("shape", [(40, 60, 1), (40, 60, 2), (60, 20, 4), (1, 300, 3), (500, 400, 3)])
def test_a_sheet_of_any_shape(shape: tuple[int, int, int]) -> None:
    picture = np.full(shape, 90, np.uint8)
    views = [View(t, 0, 0, (), None, None) for t in TIMES[:1]]
    views += [View(t, 99, 150, ("caption",), "a very long caption " * 9, picture, 20.0, 3.0) for t in TIMES[1:]]
    sheet = draw(picture, "title", ["note"], [("link", [Row("ours", views, True), Row("theirs", views, False)])])
    assert sheet.width > 1800 and 300 < sheet.height < 1000


def test_sizes_in_words() -> None:
    assert [size_text(n) for n in (0, 999, 1000, 12_345, 294_202)] == ["0 B", "999 B", "1.0 kB", "12.3 kB", "294 kB"]
