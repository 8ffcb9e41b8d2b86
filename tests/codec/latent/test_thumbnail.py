"""The thumbnail: never above 19 bytes, any bytes a picture, the same whole numbers everywhere, better than a mean."""

import hashlib
import json
import os
from decimal import Decimal, getcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codec.latent import thumbnail
from codec.latent import thumbnail_model as model
from codec.latent import thumbnail_search as search
from codec.stream import FormatError

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors/thumbnail.json"
SETS = (0, 1)
GRIDS = [(1, 1), (1, 32), (32, 1), (2, 3), (16, 24), (32, 32)]

sides = st.integers(1, 32)


def scene(gh: int, gw: int, seed: int) -> np.ndarray:
    """Smooth light and colour with one hard edge: box means [3, gh, gw]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:gh, 0:gw] / max(gh, gw)
    waves = [np.cos(2 * np.pi * (rng.uniform(0, 2) * x + rng.uniform(0, 2) * y + rng.uniform())) for _ in range(4)]
    light = 120 + 40 * waves[0] + 25 * waves[1] + 50 * (y > rng.uniform(0.2, 0.8))
    return np.clip(np.stack([light + 20 * waves[2], light, light + 30 * waves[3]]), 0, 255)


@given(
    gh=sides,
    gw=sides,
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["noise", "black and white", "scene", "flat"]),
)
@example(gh=1, gw=1, seed=0, kind="noise")
@example(gh=1, gw=32, seed=1, kind="black and white")
@example(gh=32, gw=1, seed=2, kind="noise")
@example(gh=32, gw=32, seed=3, kind="black and white")
@settings(max_examples=8)
def test_never_more_than_19_bytes_and_back_as_chosen(gh: int, gw: int, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    target = {
        "noise": rng.uniform(0, 255, (3, gh, gw)),
        "black and white": 255 * rng.integers(0, 2, (3, gh, gw)),
        "scene": scene(gh, gw, seed),
        "flat": np.full((3, gh, gw), rng.integers(0, 256)),
    }[kind]
    for channels in (1, 3):
        payload = thumbnail.encode(target, channels, 0)
        assert len(payload) <= 19
        thumb = thumbnail.decode(payload, gh, gw, channels, 0)
        assert thumb.shape == (3, gh, gw) and thumb.dtype == np.int32
        assert 0 <= thumb.min() and thumb.max() <= 4080
        if channels == 1:
            assert (thumb[0] == thumb[1]).all() and (thumb[0] == thumb[2]).all()


@given(payload=st.binary(max_size=40), gh=sides, gw=sides, channels=st.integers(1, 4), whole=st.booleans())
@settings(max_examples=60)
def test_any_bytes_are_a_thumbnail(payload: bytes, gh: int, gw: int, channels: int, whole: bool) -> None:
    thumb = thumbnail.decode(payload, gh, gw, channels, 0, whole)
    assert thumb.shape == (3, gh, gw) and 0 <= thumb.min() and thumb.max() <= 4080


@pytest.mark.parametrize("weights", SETS)
@pytest.mark.parametrize(("gh", "gw"), GRIDS)
def test_what_was_written_is_read(gh: int, gw: int, weights: int) -> None:
    tables, on = model.load(weights), model.grid(gh, gw)
    rng = np.random.default_rng(gh * 33 + gw)
    values = np.zeros(3 * on.side[0] * on.side[1], dtype=np.int64)
    for step in on.passes:
        values[step.places] = np.clip(np.rint(rng.laplace(0, 1.5, len(step.places))), -model.LARGEST, model.LARGEST)
    values[list(on.means)] = [-model.LARGEST_MEAN, 3, model.LARGEST_MEAN]
    scale, back = model.read(model.write(on, 3, tables, 5, values), on, 3, tables)
    assert scale == 5
    assert (back == values).all()


@pytest.mark.parametrize("weights", SETS)
def test_the_search_counts_the_bits_that_are_written(weights: int) -> None:
    tables, on = model.load(weights), model.grid(16, 24)
    want = search.coefficients(on, scene(16, 24, 5))[None]
    for scale, price in ((1, 0.1), (4, 0.2), (7, 0.05)):
        chosen = search.quantise(on, want, np.array([scale]), np.array([price]), tables)
        bits = float(chosen.bits[0] + search.scale_bits(tables)[scale])
        payload = model.write(on, 3, tables, scale, chosen.values[0])
        assert bits - 16 <= 8 * len(payload) <= bits + 9  # the end of a payload may be lucky


def test_the_error_that_the_search_counts_is_the_decoded_one() -> None:
    tables, on = model.load(1), model.grid(16, 24)
    target = 0.5 * scene(16, 24, 6) + 60
    want = search.coefficients(on, target)[None]
    chosen = search.quantise(on, want, np.array([2]), np.array([0.15]), tables)
    thumb = model_picture(chosen.values[0], on, 2, tables) / 16
    full = search.coefficients(on, thumb)
    assert ((full - want[0]) ** 2).sum() == pytest.approx((want**2).sum() + chosen.error[0], rel=0.03)


def model_picture(values: np.ndarray, on: model.Grid, scale: int, tables: model.Weights) -> np.ndarray:
    return thumbnail.decode(model.write(on, 3, tables, scale, values), on.gh, on.gw, 3)


def test_golden_vectors(update_vectors: bool) -> None:
    payloads = ["", "00", "ff" * 19] + [hashlib.sha256(bytes([i])).hexdigest()[:38] for i in range(6)]
    found = []
    for weights in SETS:
        for gh, gw in GRIDS:
            for payload in payloads:
                thumb = thumbnail.decode(bytes.fromhex(payload), gh, gw, 3, weights)
                shown = thumbnail.upsample(thumb, 32 * gh - 3, 32 * gw - 5)
                hashes = [hashlib.sha256(a.astype("<i4").tobytes()).hexdigest()[:16] for a in (thumb, shown)]
                found.append({"weights": weights, "grid": [gh, gw], "payload": payload, "hashes": hashes})
    if update_vectors:
        VECTORS.write_text("[\n" + ",\n".join(json.dumps(row) for row in found) + "\n]\n")
    assert found == json.loads(VECTORS.read_text())


def test_a_cut_payload_shows_what_is_certain() -> None:
    target = scene(16, 24, 7)
    payload = thumbnail.encode(target, 3)
    errors = [
        np.abs(thumbnail.decode(payload[:n], 16, 24, 3, whole=n == len(payload)) / 16 - target).mean()
        for n in (0, 4, 10, len(payload))
    ]
    assert errors == sorted(errors, reverse=True)


def test_unknown_weights_are_named() -> None:
    with pytest.raises(FormatError, match="weights set 9"):
        thumbnail.decode(b"", 2, 2, 3, 9)


def test_cosines_are_far_from_ties() -> None:
    """No rounding of a table hangs on the last bits of a library's cosine, and each is the nearest whole number."""
    getcontext().prec = 40
    pi = Decimal("3.14159265358979323846264338327950288419717")

    def cosine(x: Decimal) -> Decimal:
        term = total = Decimal(1)
        for k in range(1, 40):
            term = -term * x * x / (2 * k * (2 * k - 1))
            total += term
        return total

    for cells in (1, 2, 5, 16, 24, 31, 32):
        table = thumbnail.cosines(cells)
        for u in range(cells):
            for x in range(cells):
                turns = u * (2 * x + 1) % (4 * cells)
                exact = cosine(pi * turns / (2 * cells)) * 16384 * (Decimal(2).sqrt() if u else 1)
                assert abs(exact - int(table[u, x])) < Decimal("0.499999")


@pytest.mark.parametrize("weights", SETS)
def test_logits_and_sums_stay_whole(weights: int) -> None:
    """The network's sums stay below 2^31 for the largest inputs there are: exact in any order, in int32 too."""
    tables = model.load(weights)
    largest = 256  # of any input: radius and counts below 128, the rest below 100
    first = np.abs(tables["in"]).sum(1) * largest + np.abs(tables["in_bias"])
    assert first.max() < 2**31
    second = np.abs(tables["out"] * (first[:, :, None] / 256)).sum(1) + np.abs(tables["out_bias"])
    assert second.max() < 2**53
    for name in ("means", "scales"):
        assert 1 <= tables[name].min() and tables[name].max() <= 65535


def test_upsampling_keeps_what_is_flat_and_the_means_of_cells() -> None:
    flat = np.full((3, 3, 5), 100 * 16, dtype=np.int32)
    assert (thumbnail.upsample(flat, 90, 150) == 100).all()
    thumb = (scene(6, 9, 8) * 16).astype(np.int32)
    shown = thumbnail.upsample(thumb, 192, 288)
    cells = shown.reshape(6, 32, 9, 32, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(cells - thumb / 16).mean() < 4
    assert (thumbnail.upsample(thumb, 170, 270) == shown[:170, :270]).all()


def test_better_than_the_mean_colour_on_photos() -> None:
    data = Path(os.environ.get("LAYERCAST_DATA", ROOT.parent / "shared/data"))
    if not (data / "photos/SOURCES.tsv").exists():
        pytest.skip("no photos here: the thumbnail was not compared with the mean colour")
    from codec.train import photos

    gained = []
    for path in photos.split(data)[1][:6]:
        picture = photos.load(path)[:512, :512]
        h, w = picture.shape[0] // 32, picture.shape[1] // 32
        picture = picture[: h * 32, : w * 32].astype(np.float64)
        boxes = picture.reshape(h, 32, w, 32, 3).mean((1, 3)).transpose(2, 0, 1)
        shown = thumbnail.upsample(thumbnail.decode(thumbnail.encode(boxes, 3), h, w, 3), h * 32, w * 32)
        flat = ((picture - picture.mean((0, 1))) ** 2).mean()
        gained.append(10 * np.log10(flat / ((picture - shown) ** 2).mean()))
    assert min(gained) > 0
    assert np.mean(gained) > 1.5
