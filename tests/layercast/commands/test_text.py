"""edit and search: texts change and are found, pixels stay, errors are one line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import caption
from codec.stream import Chunk, Header, Kind, write
from codec.structure import regions
from codec.structure.regions import Box, Region, Texture
from layercast.stream import Stream
from tests.layercast.test_cli import fails, run

HEADER = Header(640, 480, 3, 1)
PIXELS = [Chunk(Kind.LATENT, 0, bytes(range(19))), Chunk(Kind.RESIDUAL, 3, bytes(range(200)))]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    entries = [Region(Box(0, 0, 3, 3), "a red door"), Texture(Box(4, 4, 9, 9), b"xyz")]
    texts = [Chunk(Kind.CAPTION, 0, caption.encode("A house.")), Chunk(Kind.REGIONS, 0, regions.encode(entries))]
    (tmp_path / "a.lcast").write_bytes(write(HEADER, [texts[0], PIXELS[0], texts[1], PIXELS[1]]))
    return tmp_path / "a.lcast"


def pixels_of(path: Path) -> list[Chunk]:
    return [chunk for chunk in Stream.load(path).chunks if chunk.kind in (Kind.LATENT, Kind.RESIDUAL)]


def test_edit_changes_texts_and_no_pixel(file: Path) -> None:
    out = file.with_name("b.lcast")
    result = run("edit", file, "-o", out, "--caption", "A barn.", "--phrase", "1=a blue door", "--add", "0,0,40,30=sky")
    assert result.exit_code == 0, result.output
    stream = Stream.load(out)
    assert stream.caption == "A barn."
    assert stream.regions == [
        Region(Box(0, 0, 3, 3), "a blue door"),
        Texture(Box(4, 4, 9, 9), b"xyz"),
        Region(Box(0, 0, 0, 0), "sky"),
    ]
    assert [chunk.kind for chunk in stream.chunks] == [Kind.CAPTION, Kind.LATENT, Kind.REGIONS, Kind.RESIDUAL]
    assert pixels_of(out) == PIXELS
    assert (
        run("edit", out, "-o", out, "--no-caption", "--drop", 1, "--drop", "3", "--move", "2=0,0,640,480").exit_code
        == 0
    )
    assert Stream.load(out).caption is None and Stream.load(out).regions == [Texture(Box(0, 0, 15, 15), b"xyz")]
    assert run("edit", out, "-o", out, "--drop", 1).exit_code == 0
    assert Stream.load(out).regions == [] and pixels_of(out) == PIXELS


def test_another_caption_leaves_no_region_to_recode(file: Path) -> None:
    """A phrase takes no context from the caption: its bytes are those that any caption leaves."""
    chunks = Stream.load(file).chunks
    for words in (("--caption", "A red door in a white wall."), ("--caption", ""), ("--no-caption",)):
        assert run("edit", file, "-o", file, *words).exit_code == 0
        (kept,) = (chunk for chunk in Stream.load(file).chunks if chunk.kind == Kind.REGIONS)
        assert kept == next(chunk for chunk in chunks if chunk.kind == Kind.REGIONS)
        assert kept.payload == regions.encode(Stream.load(file).regions) and pixels_of(file) == PIXELS


def test_a_region_for_a_stream_cut_in_a_chunk(file: Path) -> None:
    file.write_bytes(write(HEADER, PIXELS)[:-50])
    assert run("edit", file, "-o", file, "--add", "1,1,2,2=a bird").exit_code == 0
    assert [chunk.cut for chunk in Stream.load(file).chunks] == [False, False, True]


@pytest.mark.parametrize(
    "words, told",
    [
        (["--drop", "3"], "no region 3"),
        (["--phrase", "2=grass"], "is a texture"),
        (["--add", "600,400,100,100=x"], "does not lie in the picture"),
        (["--move", "1=1,2,3"], "is not X,Y,W,H"),
    ],
)
def test_edit_refuses_in_one_line(file: Path, words: list[str], told: str) -> None:
    before = file.read_bytes()
    fails(run("edit", file, "-o", file, *words), "a.lcast", told)
    assert file.read_bytes() == before


def test_edit_wants_something_to_do(file: Path) -> None:
    fails(run("edit", file, "-o", file), "say what to change", code=2)
    fails(run("edit", file, "-o", file, "--phrase", "a red door"), "is not N=TEXT", code=2)
    fails(run("edit", file, "-o", file, "--caption", "x", "--no-caption"), "contradict", code=2)


@given(st.integers(0, 639), st.integers(0, 479), st.integers(1, 640), st.integers(1, 480))
def test_the_box_around_pixels_holds_them(x: int, y: int, width: int, height: int) -> None:
    width, height = min(width, 640 - x), min(height, 480 - y)
    x0, y0, x1, y1 = Box.around(HEADER, x, y, width, height).pixels(HEADER)
    assert x0 <= x < x + width <= x1 and y0 <= y < y + height <= y1
    assert x - x0 < 640 // 16 and y1 - (y + height) < 480 // 16


def test_info_shows_regions_with_their_numbers(file: Path) -> None:
    assert "region 1: a red door at 0,0,160,120" in run("info", file, "--quick").stdout
    facts = json.loads(run("info", file, "--json", "--quick").stdout)
    assert facts["regions"][1] == {"texture": "78797a", "x": 160, "y": 120, "width": 240, "height": 180}


def test_search_finds_and_says_what_it_left_out(file: Path) -> None:
    (file.parent / "bad.lcast").write_bytes(b"bad")
    result = run("search", "houses", file.parent, "--words")
    assert result.exit_code == 0 and "a.lcast  A house." in result.stdout
    assert "bad.lcast" in result.stderr and "left out" in result.stderr
    row = json.loads(run("search", "house", file.parent, "--words", "--json").stdout)
    assert row == {"file": str(file), "score": 1.0, "caption": "A house."}


def test_search_errors_in_one_line(file: Path) -> None:
    fails(run("search", "x", file.parent / "nowhere"), "no such folder")
    (file.parent / "empty").mkdir()
    fails(run("search", "x", file.parent / "empty", "--words"), "has no streams")
    (file.parent / "index").write_bytes(b"no database" * 100)
    fails(run("search", "x", file.parent, "--words", "--index", file.parent / "index"), "is no index", "--index")
