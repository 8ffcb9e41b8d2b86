"""The renderer `diffusion` on tiny models of the true classes: each way in, what is missing, what is known put back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import codec
from codec.decoder import Decoder, fed
from codec.extract.foundation import NoModel
from codec.stream import Kind, read
from player.renderers import diffusion, known, render, view
from tests.player.renderers import tiny_diffusion

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_diffusion.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module", autouse=True)
def small() -> None:
    patch = pytest.MonkeyPatch()
    source = dataclasses.replace(diffusion.SOURCES["sd15"], side=tiny_diffusion.SIDE, steps=2)
    patch.setitem(diffusion.SOURCES, "sd15", source)  # type: ignore[arg-type]


def photo() -> Picture:
    y, x = np.mgrid[:96, :128]
    return np.stack([x, y * 2, 255 - x], 2).astype(np.uint8)


def stream() -> bytes:
    return codec.encode(photo(), caption="a dog", max_bytes=900)


def only(*kinds: Kind) -> Decoder:
    header, chunks = read(stream())
    decoder = Decoder(header)
    for chunk in chunks:
        if chunk.kind in kinds:
            decoder.push(chunk)
    return decoder


def test_each_way_in_gives_a_picture_of_its_own_and_a_seed_the_same_one(folder: Path) -> None:
    model = diffusion.load(f"sd15={folder}", "cpu")
    edges = np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32)
    ways = [(start, lines) for start in (None, photo()) for lines in (None, edges)]
    made = [model.picture("a dog", start, lines, (128, 96), 0.6, 5) for start, lines in ways]
    assert all(picture.shape == (96, 128, 3) and picture.dtype == np.uint8 for picture in made)
    assert len({picture.tobytes() for picture in made}) == 4
    assert np.array_equal(model.picture("a dog", photo(), edges, (128, 96), 0.6, 5), made[3])
    assert not np.array_equal(model.picture("a dog", None, None, (128, 96), 0.6, 6), made[0])
    assert not np.array_equal(model.picture("cats", None, None, (128, 96), 0.6, 5), made[0])


def test_words_alone_make_a_picture_that_nothing_vouches_for(folder: Path) -> None:
    rendered = render(only(Kind.CAPTION), "diffusion", diffusion.Wish(f"sd15={folder}", device="cpu"))
    assert rendered.picture.std() > 0 and rendered.confidence.max() == 0


def test_what_is_known_is_put_back(folder: Path) -> None:
    decoder = only(Kind.CAPTION, Kind.EDGES)
    decoder.push(next(chunk for chunk in read(stream())[1] if chunk.key == (Kind.LATENT, 0)))
    there = known.known(decoder)
    rendered = render(decoder, "diffusion", diffusion.Wish(f"sd15={folder}", device="cpu"))
    assert np.array_equal(decoder.picture(), fed_again(decoder))
    more = rendered.picture.astype(np.float32) - decoder.picture()
    assert np.abs(more).max() > 3
    low = more - view.without_waves(more, diffusion.finer(there))
    assert diffusion.finer(there) == 1
    assert np.abs(low).mean() < 0.1 * np.abs(more).mean()  # not nothing: the view is clamped and rounded
    exact = render(decoder, "exact")
    assert (rendered.confidence <= exact.confidence + 1e-6).all()


def test_the_stream_may_bring_its_seed() -> None:
    for told, seed in ({"seed": "77"}, 77), ({"seed": "-1"}, 0), ({"seed": "9" * 40}, 0), ({"seed": "٣"}, 0), ({}, 0):
        decoder = Decoder(read(stream())[0])
        decoder.meta = told
        assert diffusion.seed_of(decoder) == seed


def fed_again(decoder: Decoder) -> Picture:
    again = Decoder(decoder.header)
    for chunk in read(stream())[1]:
        if chunk.key in decoder.used():
            again.push(chunk)
    return again.picture()


def test_what_is_missing_is_one_clear_line(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for model, words in (
        ("sd99", "one of sd15, sd-turbo, sdxl-turbo"),
        ("sd-turbo", "models pull sd-turbo"),
        (f"sd15={tmp_path / 'none'}", "no folder"),
        (f"sd15={tmp_path}", "hold no model_index.json"),
    ):
        with pytest.raises(NoModel, match=words) as found:
            diffusion.load(model)
        assert "\n" not in str(found.value)
    monkeypatch.setattr(diffusion, "find_spec", lambda name: None)
    with pytest.raises(NoModel, match="accelerate"):
        diffusion.load(f"sd15={folder}", "cpu", offload=True)


def test_damaged_models_and_too_little_memory_are_one_clear_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffusion, "_ROOM", 1e9)
    with pytest.raises(NoModel, match="GB of memory, this machine has"):
        diffusion.load(f"sd15={folder}", "cpu", "bfloat16")
    monkeypatch.undo()
    broken = folder.parent / "broken"
    broken.mkdir()
    (broken / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "No"]}')
    with pytest.raises(NoModel, match="can be used") as found:
        diffusion.load(f"sd15={broken}", "cpu")
    assert "\n" not in str(found.value)


def test_a_picture_is_made_in_the_models_size_and_the_photos_shape() -> None:
    assert diffusion.working_size(768, 512, 512) == (640, 448)
    assert diffusion.working_size(100, 3000, 512) == (64, 2816)
    assert fed(stream()).header.width == 128
