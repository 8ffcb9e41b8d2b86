"""Faces and words: found where detectors are installed, a line that says what to install where not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont

from codec.extract.find import NoDetector, faces, words
from layercast.cli import cli


def sign(text: str) -> np.ndarray:
    """A white board on grey with black letters."""
    image = Image.new("RGB", (400, 240), (120, 130, 140))
    draw = ImageDraw.Draw(image)
    draw.rectangle((90, 80, 320, 160), fill="white")
    draw.text((110, 95), text, fill="black", font=ImageFont.load_default(48))
    return np.asarray(image)


def test_words_on_a_sign_are_found_where_they_are() -> None:
    pytest.importorskip("rapidocr")
    (line,) = words(sign("EXIT 42"))
    x, y, width, height = line.region
    assert line.text.replace(" ", "") == "EXIT42" and line.sure > 0.7
    assert 90 <= x and 80 <= y and x + width <= 320 and y + height <= 160


def test_nothing_is_found_where_nothing_is() -> None:
    pytest.importorskip("rapidocr")
    flat = np.full((64, 64, 1), 90, np.uint8)
    assert words(flat) == [] and faces(flat) == []


@pytest.mark.parametrize(("kind", "package"), [("faces", "cv2"), ("text", "rapidocr")])
def test_without_a_detector_one_line_says_what_to_install(
    kind: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NoDetector, match="layercast\\[find\\]"):
        (faces if kind == "faces" else words)(sign("A"))
    Image.fromarray(sign("A")).save(tmp_path / "sign.png")
    result = CliRunner().invoke(cli, ["encode", str(tmp_path / "sign.png"), "--no-caption", "--roi", kind])
    assert result.exit_code == 1 and "pip install 'layercast[find]'" in result.output
    assert not (tmp_path / "sign.lcast").exists()
