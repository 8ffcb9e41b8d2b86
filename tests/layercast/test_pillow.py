"""Streams in Pillow: size and caption without decoding, the same pixels, and hostile files as Pillow expects them."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

import codec
import layercast.pillow
from codec.stream import Header
from tests.fuzz.parsers import TEXTS, small_streams, streams


@pytest.mark.parametrize("number", range(len(streams())))
def test_pixels_and_caption(number: int, tmp_path: Path) -> None:
    data = streams()[number]
    (tmp_path / "photo.lcast").write_bytes(data)
    decoded = codec.decode(data)
    with Image.open(tmp_path / "photo.lcast") as image:
        assert image.format == "LAYERCAST" and image.mode == ("L", "LA", "RGB", "RGBA")[decoded.header.channels - 1]
        assert image.size == (decoded.header.width, decoded.header.height)
        assert image.info == {"caption": TEXTS[2], "caption_guessed": False}
        shown = np.asarray(image).reshape(decoded.picture.shape)
        assert np.array_equal(shown, decoded.picture)
        assert image.copy().tobytes() == image.tobytes()


def test_nothing_is_decoded_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    original = layercast.pillow.decode
    monkeypatch.setattr(
        layercast.pillow, "decode", lambda data, **others: decoded.append(1) or original(data, **others)
    )
    image = Image.open(io.BytesIO(streams()[0]))
    assert image.size == (80, 56) and image.info["caption"] and not decoded
    image.load()
    image.load()
    assert len(decoded) == 1


def test_a_cut_stream_is_a_picture(tmp_path: Path) -> None:
    data = streams()[0][:60]
    (tmp_path / "photo.lcast").write_bytes(data)
    with Image.open(tmp_path / "photo.lcast") as image:
        assert np.array_equal(np.asarray(image), codec.decode(data).picture)


def test_too_many_pixels_are_refused_before_decoding() -> None:
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(Header(65536, 65536, 3, 0).encode()))


def test_weights_that_nobody_has() -> None:
    image = Image.open(io.BytesIO(Header(64, 64, 3, 15).encode()))
    with pytest.raises(OSError, match="cannot decode this stream"):
        image.load()


def test_hostile_files_raise_what_pillow_expects() -> None:
    rng = random.Random(8)
    outcomes = {"picture": 0, "refused": 0}
    for _ in range(150):
        data = bytearray(rng.choice(small_streams()))
        for _ in range(rng.randrange(1, 6)):
            at = (
                rng.randrange(8 if rng.random() < 0.8 else len(data))
                if rng.random() < 0.5
                else rng.randrange(len(data))
            )
            data[at] = rng.randrange(256)
        del data[rng.randrange(len(data)) + 1 :]
        try:
            image = Image.open(io.BytesIO(bytes(data)))
            if image.width * image.height <= 5000:
                image.load()
            outcomes["picture"] += 1
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10, outcomes
