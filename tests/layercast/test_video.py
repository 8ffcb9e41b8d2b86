"""A video of a picture arriving: what each frame shows is what was decoded of the bytes there by then."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import codec
from codec.files import FileError
from codec.stream import FormatError
from layercast.sheet import PAPER
from layercast.video import FPS, HOLD, NARROWEST, record, steady
from tests.fuzz.parsers import streams


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_marks_of_a_rate() -> None:
    assert steady(1000, 8000) == [(n / FPS, 100 * n) for n in range(10)] + [(1.0, 1000)]


def test_every_frame_is_what_was_there_by_then(tmp_path: Path) -> None:
    data = streams()[0]
    rate = 8 * len(data) / 1.5
    count, seconds = record(tmp_path / "t.mp4", data, steady(len(data), rate), " at a rate")
    shown = frames(tmp_path / "t.mp4")
    first = 1  # at time 0 nothing had come
    assert len(shown) == count == 15 + round(HOLD * FPS) and seconds == pytest.approx(count / FPS)
    for n in (0, 3, 9, count - 1):
        part = data[: int((n + first) / FPS * rate / 8)]
        assert np.array_equal(shown[n][:56, :80], codec.decode(part).picture), n
    assert shown[0].shape[1] == NARROWEST and shown[0].shape[0] % 2 == 0
    paper = np.array([int(PAPER[i : i + 2], 16) for i in (1, 3, 5)])
    text = (shown[-1][56:] != paper).any(axis=2)
    assert text[:26].any() and text[26:].any() and not (shown[-1][:56, 80:] != paper).any()


def test_a_picture_of_odd_sides_with_alpha(tmp_path: Path) -> None:
    data = next(data for data in streams() if codec.decode(data).header.channels == 4)
    picture = codec.decode(data).picture
    record(tmp_path / "t.mp4", data, [(0.0, len(data))])
    over = Image.new("RGBA", picture.shape[1::-1], "white")
    over.alpha_composite(Image.fromarray(picture))
    shown = frames(tmp_path / "t.mp4")[-1][: picture.shape[0], : picture.shape[1]]
    assert np.array_equal(shown, np.asarray(over.convert("RGB")))


def test_what_cannot_be_recorded(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="ends inside the header"):
        record(tmp_path / "t.mp4", streams()[0][:3], [(0.0, 3)])
    with pytest.raises(ValueError, match="at most 3,600"):
        record(tmp_path / "t.mp4", streams()[0], [(1e5, 10)])
    with pytest.raises(FileError, match="cannot be written"):
        record(tmp_path / "no folder" / "t.mp4", streams()[0], [(0.0, 10)])
    assert not list(tmp_path.iterdir()), "no half of a video stays"
