"""Models of others: tiny ones of the same classes, saved and loaded from a folder; what is missing is a clear line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from codec.extract.describe import MOST, NAMES, Extractor, apart
from codec.extract.foundation import SOURCES, Described, NoModel, load, tidy
from codec.structure.regions import Box, Region, overlap
from layercast.commands import describing
from layercast.stream import Stream
from tests.codec.extract import tiny_models
from tests.layercast.test_cli import draw, fails, run

PICTURES = [draw(40 + 7 * i, 50, channels) for i, channels in enumerate((3, 1, 4))]
ANSWER = "red boat<loc_100><loc_200><loc_500><loc_999>a dog<loc_0><loc_0><loc_10><loc_20>"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: getattr(tiny_models, name)(root / name) for name in SOURCES}


def test_the_command_offers_what_there_is() -> None:
    assert describing.NAMES == NAMES and describing.MOST == MOST
    told = run("encode", "--help").stdout
    assert all(name in told for name in NAMES) and "research" in told


@pytest.mark.parametrize("name", SOURCES)
def test_a_saved_model_says_the_same_in_batches_of_any_size(name: str, folders: dict[str, Path]) -> None:
    model = load(name, str(folders[name]), "cpu")
    one = model.captions(PICTURES, batch=1)
    assert len(one) == 3 and all(text == tidy(text) and text for text in one)
    assert model.captions(PICTURES, batch=2) == one
    assert load(name, str(folders[name]), "cpu") is model


def test_precision_is_chosen(folders: dict[str, Path]) -> None:
    model = load("blip", str(folders["blip"]), "cpu", "bfloat16")
    assert next(model._network.parameters()).dtype == torch.bfloat16
    assert model.captions(PICTURES[:1])


def test_dense_regions_are_read_in_pixels_of_each_picture(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("florence2", str(folders["florence2"]), "cpu")
    answer = model._processor.tokenizer(ANSWER, return_tensors="pt").input_ids
    monkeypatch.setattr(model._network, "generate", lambda **inputs: answer.repeat(len(inputs["pixel_values"]), 1))
    found = model.regions(PICTURES, batch=2)
    assert found[0] == [Described((5, 8, 20, 31), "red boat")]  # the dog has no area in a picture so small
    assert [each[0].region[3] for each in found] == [31, 37, 43]
    with pytest.raises(NoModel, match="finds no regions"):
        load("blip", str(folders["blip"]), "cpu").regions(PICTURES)


def test_a_photo_gets_caption_and_regions_of_a_folders_model(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load("florence2", str(folders["florence2"]), None)
    answer = model._processor.tokenizer(ANSWER, return_tensors="pt").input_ids
    monkeypatch.setattr(model._network, "generate", lambda **inputs: answer)
    photo = tmp_path / "a.png"
    Image.fromarray(PICTURES[0]).save(photo)
    words = ("--captioner", f"florence2={folders['florence2']}", "--regions", "4", "--caption", "A boat.")
    result = run("encode", photo, *words)
    assert result.exit_code == 0 and "regions by florence2: red boat" in result.stderr
    stream = Stream.load(photo.with_suffix(".lcast"))
    assert stream.caption == "A boat."
    assert stream.regions == [Region(Box.around(stream.header, 5, 8, 20, 31), "red boat")]


@pytest.mark.parametrize(
    "captioner, told",
    [
        ("florence2=nowhere", "no folder nowhere"),
        ("blip=.", "holds no blip that can be used"),
        ("index", "--regions: index finds no regions"),
    ],
)
def test_what_cannot_be_had_is_one_line(
    captioner: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PICTURES[0]).save("a.png")
    fails(run("encode", "a.png", "--captioner", captioner, "--regions", "3", "--caption", "x"), "a.png", told)
    assert not Path("a.lcast").exists()


def test_an_unknown_captioner_is_refused() -> None:
    fails(run("encode", "a.png", "--captioner", "oracle"), "none of none, index", code=2)
    fails(run("models", "pull", "oracle"), "no model 'oracle' to pull", code=2)


def test_weights_that_are_no_safetensors_are_not_read(folders: dict[str, Path], tmp_path: Path) -> None:
    for file in folders["blip"].iterdir():
        if file.suffix == ".json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(NoModel, match="holds no blip") as caught:
        load("blip", str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["transformers", "torch"])
def test_missing_packages_are_one_clear_line(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(NoModel, match="needs torch and transformers") as caught:
        load("blip", f"without {missing}")
    assert "\n" not in str(caught.value)


def fetching(monkeypatch: pytest.MonkeyPatch, fetch: Callable[..., str]) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)


def test_pull_asks_for_one_revision_and_no_code(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def fetch(repository: str, **more: object) -> str:
        asked.append({"repository": repository, **more})
        return str(folders["blip"])

    fetching(monkeypatch, fetch)
    result = run("models", "pull", "blip")
    assert result.exit_code == 0 and str(folders["blip"]) in result.stdout and "BSD-3-Clause" in result.stdout
    assert asked[0]["repository"] == SOURCES["blip"].repository and len(str(asked[0]["revision"])) == 40
    patterns = asked[0]["allow_patterns"]
    assert isinstance(patterns, list) and "*.safetensors" in patterns and not {"*.py", "*.bin"} & set(patterns)
    assert load("blip", None, "cpu").captions(PICTURES[:1])  # what was pulled is found
    assert asked[-1]["local_files_only"] is True


def test_nothing_pulled_and_no_network_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*words: object, **more: object) -> str:
        raise OSError("no route\nto host")

    fetching(monkeypatch, fetch)
    result = run("models", "pull", "florence2")
    assert result.exit_code == 1
    assert result.stderr.strip() == (
        "layercast: florence2: florence2 cannot be fetched (no route to host); check the network and try again"
    )
    with pytest.raises(NoModel, match="layercast models pull blip2` fetches it"):
        Extractor("blip2").caption(PICTURES[0])


def test_regions_that_say_the_same_go() -> None:
    one, near, far = Box(0, 0, 9, 9), Box(0, 0, 9, 8), Box(12, 12, 15, 15)
    assert overlap(one, near) == pytest.approx(0.9) and overlap(one, far) == 0
    dog, same, sign = Region(one, "a dog"), Region(near, "a pet"), Region(far, "a dog")
    assert apart([dog, same, sign]) == [dog, sign]
    assert apart([dog, Region(Box(5, 5, 12, 12), "a dog")]) == [dog]
