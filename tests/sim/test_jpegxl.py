"""JPEG XL as it arrives: libjxl called itself."""

import numpy as np
import pytest
from PIL import Image

from sim import jpegxl, rivals
from sim.metrics import psnr
from sim.tables import WrongTable

pytest.importorskip("imagecodecs")


def photo() -> np.ndarray:
    with Image.open("layercast/assets/rocket.webp") as image:
        return np.asarray(image.convert("RGB").resize((320, 224)))


def test_a_part_of_a_file_shows_what_it_holds() -> None:
    picture = photo()
    data = jpegxl.encode(picture)
    shown = [jpegxl.decode_prefix(data[: round(len(data) * share)]) for share in (0.0, 0.05, 0.7, 1.0)]
    assert shown[0] is None and shown[1] is None
    qualities = [psnr(picture, each) for each in shown[2:] if each is not None and each.shape == picture.shape]
    assert len(qualities) == 2 and 20 < qualities[0] < qualities[1] and qualities[1] > 30


def test_a_file_is_what_any_decoder_reads_and_quality_counts() -> None:
    from imagecodecs import jpegxl_decode

    picture = photo()
    good, poor = jpegxl.encode(picture, 90), jpegxl.encode(picture, 40)
    assert len(poor) < len(good) / 2
    whole = jpegxl.decode_prefix(good)
    assert whole is not None and np.abs(whole.astype(int) - np.asarray(jpegxl_decode(good)).astype(int)).max() <= 1


def test_what_is_no_file_shows_nothing() -> None:
    assert jpegxl.decode_prefix(b"") is None and jpegxl.decode_prefix(b"no JPEG XL at all" * 9) is None


def test_without_the_library_the_peer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpegxl, "available", lambda: False)
    with pytest.raises(WrongTable, match=r"^peer jpegxl-small: needs libjxl; pip install imagecodecs"):
        rivals.rival("jpegxl-small")


def test_a_peer_whose_package_is_missing_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "find_spec", lambda name: None)
    with pytest.raises(WrongTable, match=r"^peer blurhash: needs blurhash; pip install 'layercast\[bench\]'$"):
        rivals.rival("blurhash")
