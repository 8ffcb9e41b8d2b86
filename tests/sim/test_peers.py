"""Peers: within the budget, the best they can, kept on disk, lossless where they say so."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("imagecodecs", reason="the peers are in the extra `bench`")

from sim import peers
from sim.metrics import psnr


def photo() -> np.ndarray:
    """Smooth shapes with some noise, uint8[80, 120, 3]."""
    draw = np.random.default_rng(4)
    small = Image.fromarray(draw.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((120, 80), Image.Resampling.BICUBIC), dtype=np.float64)
    return np.clip(smooth + draw.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("codec", peers.LOSSY)
def test_fits_and_gets_better_with_more_bytes(codec: str, tmp_path: Path) -> None:
    found = [peers.encode_to_budget(codec, photo(), budget, tmp_path) for budget in (900, 3000)]
    assert all(coded is not None and coded.picture.shape == (80, 120, 3) for coded in found)
    sizes = [len(coded.data) for coded in found if coded]
    assert 0 < sizes[0] <= 900 and sizes[1] <= 3000
    quality = [psnr(photo(), coded.picture) for coded in found if coded]
    assert 20 < quality[0] < quality[1]


def test_nothing_where_nothing_fits(tmp_path: Path) -> None:
    assert peers.encode_to_budget("jpeg", photo(), 50, tmp_path) is None
    assert peers.encode_to_budget("jpeg", photo(), 50, tmp_path) is None  # and it is remembered


def test_downscaling_serves_small_budgets(tmp_path: Path) -> None:
    coded = peers.encode_to_budget("webp", photo(), 300, tmp_path)
    assert coded is not None and coded.scale != (1, 1)


def test_kept_results_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = peers.encode_to_budget("webp", photo(), 700, tmp_path)
    monkeypatch.setattr(peers.Fitting, "best", lambda *_: pytest.fail("searched again"))
    again = peers.encode_to_budget("webp", photo(), 700, tmp_path)
    assert first is not None and again is not None
    assert (first.data, first.scale) == (again.data, again.scale) and np.array_equal(first.picture, again.picture)


def test_budgets_that_share_a_search_get_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    webp = peers.PEERS["webp"]
    tried: list[tuple[tuple[int, int], float]] = []

    def encode(image: Image.Image, setting: float) -> bytes:
        tried.append((image.size, setting))
        return webp.encode(image, setting)

    monkeypatch.setitem(peers.PEERS, "webp", peers.Peer("webp", webp.settings, encode, webp.decode))
    fitting = peers.Fitting("webp", photo())
    together = [fitting.best(budget) for budget in (300, 700, 2000)]
    assert len(tried) == len(set(tried))
    for budget, found in zip((300, 700, 2000), together, strict=True):
        alone = peers.encode_to_budget("webp", photo(), budget, tmp_path)
        assert found is not None and alone is not None
        assert (found.data, found.scale, found.how) == (alone.data, alone.scale, alone.how)


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "peers").write_text("a file, no folder")
    assert peers.encode_to_budget("jpeg", photo(), 900, tmp_path) is not None


@pytest.mark.parametrize("codec", peers.LOSSLESS)
def test_lossless_is_smaller_than_the_pixels(codec: str) -> None:
    found = peers.encode_lossless(codec, photo())
    assert 0 < found.size < photo().size and found.encode_s > 0 and found.decode_s > 0


def test_a_codec_that_changes_pixels_is_not_lossless(monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg = peers.PEERS["jpeg"]
    liar = peers.Peer("jpeg", jpeg.settings, jpeg.encode, jpeg.decode, lambda image: jpeg.encode(image, 50))
    monkeypatch.setitem(peers.PEERS, "jpeg", liar)
    with pytest.raises(ValueError, match="changed pixels"):
        peers.encode_lossless("jpeg", photo())


@pytest.mark.parametrize(("name", "least", "most"), [("thumbhash", 18, 25), ("blurhash", 28, 28)])
def test_hashes_of_a_picture(name: str, least: int, most: int) -> None:
    coded = peers.THUMBNAILS[name](photo())
    assert least <= len(coded.data) <= most and coded.picture.shape == (80, 120, 3)
    plain = np.broadcast_to(np.uint8(128), (80, 120, 3))
    assert psnr(photo(), coded.picture) > psnr(photo(), plain)


def test_grey_and_alpha_are_taken_as_colours(tmp_path: Path) -> None:
    coded = peers.encode_to_budget("jpeg", photo()[:, :, :1], 900, tmp_path)
    assert coded is not None and coded.picture.shape == (80, 120, 3)
