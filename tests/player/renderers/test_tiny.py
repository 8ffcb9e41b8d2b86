"""The renderer `tiny` and `decode --renderer`: a view that leaves the exact picture and the stream as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import codec
from codec.decoder import Decoder, fed
from codec.extract.foundation import NoModel
from codec.stream import read
from layercast.commands.decode import as_grey
from player.renderers import NAMES, describe, render, tiny
from tests.layercast.test_cli import draw, fails, run


@pytest.fixture(scope="module")
def stream() -> bytes:
    return codec.encode(draw(90, 130, 3), caption="Stripes.")


def test_a_view_changes_nothing_that_was_sent_and_is_the_same_each_time(stream: bytes) -> None:
    for size in (60, 400, 1500):
        decoder = fed(stream[:size])
        before = decoder.picture().copy()
        views = [render(decoder, "tiny") for _ in range(2)]
        assert np.array_equal(decoder.picture(), before)
        assert np.array_equal(views[0].picture, views[1].picture)
        assert views[0].picture.shape == before.shape and views[0].picture.dtype == np.uint8
        exact = render(decoder, "exact")
        assert np.array_equal(exact.picture, before)
        for view in (*views, exact):
            assert view.confidence.shape == before.shape[:2]
            assert 0 < view.confidence.min() <= view.confidence.max() < 1


def test_every_order_of_chunks_and_every_end_has_a_view(stream: bytes) -> None:
    header, chunks = read(stream)
    decoder = Decoder(header)
    nothing = render(decoder, "tiny")
    assert nothing.confidence.max() == 0 and np.array_equal(nothing.picture, decoder.picture())
    for chunk in reversed(chunks):
        decoder.push(chunk)
    whole = render(decoder, "tiny")
    assert decoder.verified() and np.array_equal(whole.picture, decoder.picture()) and whole.confidence.min() == 1


def test_a_set_of_weights_without_a_renderer_is_named() -> None:
    decoder = fed(codec.encode(draw(64, 64, 3), weights=0))
    tiny._network.cache_clear()
    with pytest.raises(NoModel, match="set of weights tiny has no renderer"):
        render(decoder, "tiny")


def test_only_the_last_bit_is_white() -> None:
    assert as_grey(np.array([[0.0, 0.5, 0.9999, 1.0]], np.float32)).ravel().tolist() == [0, 128, 254, 255]


def test_what_is_generated_says_so_in_its_file(tmp_path: Path, stream: bytes) -> None:
    source, view, sure = tmp_path / "a.lcast", tmp_path / "a.png", tmp_path / "sure.png"
    source.write_bytes(stream[:500])
    assert run("decode", source, "-o", view, "--renderer", "tiny", "--confidence", sure).exit_code == 0
    assert source.read_bytes() == stream[:500]
    said = Image.open(view).info
    assert said["Description"] == "Stripes." and "generated, not measured" in said["Comment"]
    assert "compositeWithTrainedAlgorithmicMedia" in said["XML:com.adobe.xmp"]
    grey = Image.open(sure)
    assert grey.mode == "L" and grey.size == (130, 90)
    assert run("decode", source, "-o", view).exit_code == 0
    said = Image.open(view).info
    assert said["Description"] == "Stripes." and "Comment" not in said and describe("exact") == {}
    assert set(NAMES) == {"exact", "tiny", "diffusion"}


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path, stream: bytes) -> None:
    source = tmp_path / "a.lcast"
    source.write_bytes(stream[:500])
    told = run("decode", source, "--renderer", "diffusion", "--model", f"sd15={tmp_path / 'no'}")
    fails(told, "--renderer diffusion", "no folder")
