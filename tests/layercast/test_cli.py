"""The command: what each does, its errors in one line, its exit codes, and that it starts light."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from codec.stream import Chunk, Header, Kind, read, write
from layercast.cli import cli

HEAVY = ("torch", "diffusers", "transformers", "matplotlib", "scipy")
CAPTION = "A grey cat sleeps on a red sofa, ärgerlich."


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def encode(*words: str | Path) -> Result:
    """Without a guessed caption, which takes a network."""
    return run("encode", *words, "--no-caption")


def fails(result: Result, *parts: str, code: int = 1) -> None:
    """One line on stderr that holds these parts."""
    assert result.exit_code == code, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 or code == 2, lines
    assert lines[-1].startswith("layercast: " if code == 1 else "Error: ")
    for part in parts:
        assert part in lines[-1]
    assert result.stdout == ""


def draw(height: int, width: int, channels: int) -> np.ndarray:
    """Something between a photo and noise: ramps, an edge, and a little grain."""
    rows, columns = np.mgrid[:height, :width]
    planes = [rows * 3 + columns, columns * 4 - rows, (rows > height // 2) * 90 + columns, 255 - rows][:channels]
    grain = np.random.default_rng(3).integers(0, 4, (height, width, channels))
    return ((np.stack(planes, axis=2) + grain) % 256).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a.png and its stream a.lcast, with caption and facts."""
    folder = tmp_path_factory.mktemp("cli")
    Image.fromarray(draw(48, 64, 3)).save(folder / "a.png")
    result = run("encode", folder / "a.png", "--caption", CAPTION, "--meta", "sender=camp", "--meta", "mood=good")
    assert result.exit_code == 0, result.output
    return folder


def test_encode_tells_what_it_made(folder: Path) -> None:
    result = encode(folder / "a.png", "-o", folder / "b.lcast", "--json")
    assert result.exit_code == 0 and result.stderr == ""
    told = json.loads(result.stdout)
    assert (told["width"], told["height"], told["output"]) == (64, 48, str(folder / "b.lcast"))
    assert told["bytes"] == (folder / "b.lcast").stat().st_size
    assert told["bpp"] == pytest.approx(8 * told["bytes"] / (64 * 48), abs=1e-4)


def test_a_guessed_caption_is_marked(folder: Path, tmp_path: Path) -> None:
    result = run("encode", folder / "a.png", "-o", tmp_path / "a.lcast")
    assert result.exit_code == 0 and "caption guessed, likely wrong" in result.stderr
    told = json.loads(run("decode", tmp_path / "a.lcast", "--json").stdout)
    assert told["caption_source"] == "guessed" and f'"{told["caption"]}"' in result.stderr
    fails(run("encode", folder / "a.png", "--caption", "x", "--no-caption"), "exclude one another", code=2)


def test_decode_gives_the_pixels_back(folder: Path) -> None:
    result = run("decode", folder / "a.lcast", "-o", folder / "back.png")
    assert result.exit_code == 0 and "verified" in result.stdout and f"caption: {CAPTION}" in result.stdout
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "back.png")), draw(48, 64, 3))
    told = json.loads(run("decode", folder / "a.lcast", "-o", folder / "back.png", "--json").stdout)
    assert (told["verified"], told["exact_area"], told["dropped"]) == (True, 1.0, 0)
    assert told["caption"] == CAPTION and told["meta"] == {"sender": "camp", "mood": "good"}


@pytest.mark.parametrize("size", [(1, 1), (400, 1), (1, 400), (17, 33)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_odd_sizes_and_channels_come_back(tmp_path: Path, size: tuple[int, int], channels: int) -> None:
    picture = draw(*size, channels)
    Image.fromarray(picture.squeeze(2) if channels == 1 else picture).save(tmp_path / "a.png")
    assert encode(tmp_path / "a.png").exit_code == 0
    assert json.loads(run("decode", tmp_path / "a.lcast", "--json").stdout)["verified"] is True
    back = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(back.reshape(picture.shape), picture)


def test_info_adds_up(folder: Path) -> None:
    told = json.loads(run("info", folder / "a.lcast", "--json").stdout)
    assert told["verified"] is True
    assert told["bytes"] == (folder / "a.lcast").stat().st_size
    assert told["bytes"] == told["header_bytes"] + sum(told["layers"].values())
    assert told["bytes"] == told["header_bytes"] + sum(chunk["bytes"] for chunk in told["chunks"])
    assert told["caption"] == CAPTION and told["meta"]["sender"] == "camp"
    text = run("info", folder / "a.lcast", "--chunks").stdout
    assert "64x48 RGB" in text and text.endswith("verified: the pixels are those of the source\n")
    assert text.count("  at ") == len(told["chunks"])


def test_info_says_when_pixels_are_not_verified(folder: Path, tmp_path: Path) -> None:
    header, chunks = read((folder / "a.lcast").read_bytes())
    without = [chunk for chunk in chunks if chunk.key != (Kind.RESIDUAL, 0)]
    (tmp_path / "gap.lcast").write_bytes(write(header, without))
    assert "not verified: not every chunk is here" in run("info", tmp_path / "gap.lcast").stdout
    lying = [Chunk(Kind.CHECK, 0, b"none") if chunk.kind == Kind.CHECK else chunk for chunk in chunks]
    (tmp_path / "lie.lcast").write_bytes(write(header, lying))
    assert "NOT verified: some pixels differ" in run("info", tmp_path / "lie.lcast").stdout
    assert json.loads(run("info", tmp_path / "lie.lcast", "--json", "--quick").stdout)["verified"] is None


@pytest.mark.parametrize("size", [8, 9, 10, 11, 24, 100, 500])
def test_cut_by_bytes_is_a_prefix_and_a_stream(folder: Path, tmp_path: Path, size: int) -> None:
    assert run("cut", folder / "a.lcast", "-o", tmp_path / "c.lcast", "--bytes", str(size)).exit_code == 0
    data = (tmp_path / "c.lcast").read_bytes()
    assert size - 3 <= len(data) <= size
    assert (folder / "a.lcast").read_bytes().startswith(data)
    result = run("decode", tmp_path / "c.lcast", "-o", tmp_path / "c.png")
    assert result.exit_code == 0 and Image.open(tmp_path / "c.png").size == (64, 48)


def test_cut_by_layer(folder: Path, tmp_path: Path) -> None:
    seen = []
    for layer in ("caption", "structure", "latent", "residual"):
        result = run("cut", folder / "a.lcast", "-o", tmp_path / f"{layer}.lcast", "--upto", layer)
        assert result.exit_code == 0
        told = json.loads(run("info", tmp_path / f"{layer}.lcast", "--json", "--quick").stdout)
        assert told["caption"] == CAPTION
        seen.append([name for name, size in told["layers"].items() if size])
    assert seen[0] == ["caption"] and seen[2] == ["caption", "structure", "latent"]
    assert (tmp_path / "residual.lcast").read_bytes() == (folder / "a.lcast").read_bytes()


def test_cut_says_what_it_cannot_do(folder: Path, tmp_path: Path) -> None:
    fails(run("cut", folder / "a.lcast", "-o", tmp_path / "c"), "--bytes N or --upto LAYER", code=2)
    fails(run("cut", folder / "a.lcast", "-o", tmp_path / "c", "--upto", "pixels"), "'pixels'", code=2)
    (tmp_path / "odd.lcast").write_bytes(Header(999, 3).encode())
    fails(run("cut", tmp_path / "odd.lcast", "-o", tmp_path / "c", "--bytes", "4"), "odd.lcast", "header of 8")
    result = run("cut", folder / "a.lcast", "-o", tmp_path / "c", "--bytes", "9999999")
    assert result.exit_code == 0 and "nothing is cut off" in result.stderr


def test_lossy_sources_stop_at_their_own_size(tmp_path: Path) -> None:
    Image.fromarray(draw(48, 64, 3)).save(tmp_path / "a.jpg", quality=60)
    size = (tmp_path / "a.jpg").stat().st_size
    result = encode(tmp_path / "a.jpg")
    assert result.exit_code == 0 and f"stops at its size, {size} bytes" in result.stderr
    assert (tmp_path / "a.lcast").stat().st_size <= size
    assert encode(tmp_path / "a.jpg", "--lossless").stderr == ""
    assert json.loads(run("info", tmp_path / "a.lcast", "--json").stdout)["verified"] is True


def test_sizes_asked_for_are_kept(folder: Path, tmp_path: Path) -> None:
    for option, value, size in (("--max-bytes", "300", 300), ("--bpp", "0.5", 192)):
        assert encode(folder / "a.png", "-o", tmp_path / "a.lcast", option, value).exit_code == 0
        assert size - 70 <= (tmp_path / "a.lcast").stat().st_size <= size
    fails(encode(folder / "a.png", "--lossless", "--bpp", "1"), "exclude one another", code=2)
    fails(encode(folder / "a.png", "--quality", "70", "--max-bytes", "99"), "exclude one another", code=2)
    fails(encode(folder / "a.png", "--bpp", "0.0001"), "0 bytes cannot hold the header of 8")


def test_a_quality_asked_for_is_reached(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("ssimulacra2")
    assert encode(folder / "a.png", "-o", tmp_path / "a.lcast", "--quality", "50").exit_code == 0
    assert (tmp_path / "a.lcast").stat().st_size < 0.9 * (folder / "a.lcast").stat().st_size
    Image.fromarray(draw(7, 20, 3)).save(tmp_path / "flat.png")
    fails(encode(tmp_path / "flat.png", "--quality", "50"), "flat.png: below 8x8 pixels SSIMULACRA2 says nothing")


def test_regions_go_first_and_lie_within(folder: Path, tmp_path: Path) -> None:
    words = ("--roi", "40,30,9,9", "--roi", "0,0,5,5")
    assert encode(folder / "a.png", "-o", tmp_path / "a.lcast", *words).exit_code == 0
    assert json.loads(run("info", tmp_path / "a.lcast", "--json").stdout)["verified"] is True
    fails(encode(folder / "a.png", "--roi", "64,0,9,9"), "the region 64,0,9,9 holds no pixel of the 64x48 picture")
    fails(encode(folder / "a.png", "--roi", "1,2,3"), "is not X,Y,W,H", code=2)


def test_location_travels_only_when_asked(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (47.0, 30.0, 0.0), 3: "E", 4: (8.0, 15.0, 0.0)}
    Image.fromarray(draw(20, 20, 3)).save(tmp_path / "a.jpg", exif=exif)
    for words, place in (((), None), (("--keep-location",), "47.50000,8.25000")):
        assert encode(tmp_path / "a.jpg", "--lossless", *words).exit_code == 0
        meta = json.loads(run("info", tmp_path / "a.lcast", "--json").stdout)["meta"]
        assert meta.get("place") == place


def test_what_a_photo_loses_is_said(tmp_path: Path) -> None:
    Image.fromarray(np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)).save(tmp_path / "deep.png")
    result = encode(tmp_path / "deep.png")
    assert result.exit_code == 0
    assert result.stderr == f"layercast: {tmp_path / 'deep.png'}: of 16 bits a sample the upper 8 are kept\n"


def test_photos_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("Dear diary\n")
    Image.fromarray(draw(64, 64, 3)).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:1000])
    fails(encode(tmp_path / "text.png"), "text.png: not a picture", "; give a PNG")
    fails(encode(tmp_path / "cut.jpg"), "cut.jpg: broken or cut short")
    fails(encode(tmp_path / "missing.png"), "missing.png: no such file; check the name")
    fails(encode(tmp_path), "is a folder")
    assert not list(tmp_path.glob("*.lcast"))


def test_one_bad_photo_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        Image.fromarray(draw(8, 8, 1).squeeze(2)).save(tmp_path / name)
    result = encode(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png", "-o", tmp_path)
    assert result.exit_code == 1 and "b.png: no such file" in result.stderr
    assert sorted(path.name for path in tmp_path.glob("*.lcast")) == ["a.lcast", "c.lcast"]


def test_streams_that_are_none(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("Dear diary\n")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "new").write_bytes(Header(8, 8, 3, weights=9).encode())
    out = ("-o", tmp_path / "out")
    for words in (("info",), ("decode", *out), ("cut", *out, "--bytes", "9")):
        fails(run(words[0], tmp_path / "text", *words[1:]), "text: offset 0: not a layercast stream")
        fails(run(words[0], tmp_path / "empty", *words[1:]), "empty: offset 0: empty")
        fails(run(words[0], tmp_path / "missing", *words[1:]), "missing: no such file; check the name")
        fails(run(words[0], tmp_path, *words[1:]), "cannot be read")
    fails(run("decode", tmp_path / "new", *out), "new: offset 1: weights set 9 is unknown")
    fails(run("decode", folder / "a.lcast", *out, "--limit", "0.001"), "above the limit")
    assert not (tmp_path / "out").exists()


def test_outputs_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "none" / "out"
    for words in (
        ("encode", folder / "a.png", "-o", nowhere, "--no-caption"),
        ("decode", folder / "a.lcast", "-o", nowhere),
        ("cut", folder / "a.lcast", "-o", nowhere, "--bytes", "50"),
    ):
        fails(run(*words), f"{nowhere}: cannot be written", "; choose another place")


def test_usage_exits_2(folder: Path) -> None:
    fails(run("encode"), "Missing argument", code=2)
    fails(encode(folder / "a.png", "--meta", "novalue"), "is not KEY=VALUE", code=2)
    fails(run("encode", folder / "a.png", "--caption", "\udcff"), "not valid UTF-8", code=2)
    fails(run("develop"), "No such command 'develop'", code=2)


def test_models_are_listed_and_verified() -> None:
    lines = run("models", "list", "--json").stdout.splitlines()
    told = [json.loads(line) for line in lines]
    assert {model["set"] for model in told} >= {"tiny", "base"}
    assert all(model["parameters"] > 0 and model["bytes"] > 0 for model in told)
    assert len(run("models", "list").stdout.splitlines()) == len(lines)
    result = run("models", "verify")
    assert result.exit_code == 0 and result.stdout.startswith(f"{len(lines)} files of weights")


def _loaded(words: Sequence[str | Path]) -> str:
    """The heavy modules that a command has loaded when it is done."""
    program = (
        "import sys\n"
        "from layercast.cli import cli\n"
        f"cli.main({[str(word) for word in words]!r}, standalone_mode=False)\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr.strip()


@pytest.mark.parametrize("command", ["help", "info", "cut", "decode", "models"])
def test_commands_without_a_network_start_without_torch(folder: Path, tmp_path: Path, command: str) -> None:
    words: dict[str, list[str | Path]] = {
        "help": ["--help"],
        "info": ["info", folder / "a.lcast"],
        "cut": ["cut", folder / "a.lcast", "-o", tmp_path / "c", "--bytes", "30"],
        "decode": ["decode", folder / "a.lcast", "-o", tmp_path / "c.png"],
        "models": ["models", "list"],
    }
    assert _loaded(words[command]) == ""


def test_importing_layercast_imports_next_to_nothing() -> None:
    program = "import sys, layercast; print([n for n in ('numpy', 'click', 'codec', 'torch') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    import layercast

    for name in layercast.__all__:
        assert getattr(layercast, name) is not None
    assert layercast.codec.decode is layercast.decode
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = layercast.nothing_of_the_kind
