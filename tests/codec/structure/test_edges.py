"""The edge map from picture to payloads to map: round trips, odd sizes, lost, cut and damaged chunks, exactness."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from codec import structure
from codec.stream import MAX_LENGTH, Header, Kind
from codec.structure.codebook import codebooks, shown
from codec.structure.edges import EdgeDecoder, budget
from codec.structure.search import fit

VECTORS = Path(__file__).parents[2] / "vectors" / "structure"
SETS = (0, 1)
SIZES = ((1, 1), (1, 4000), (17, 33), (200, 120), (2050, 1500))


def drawing(header: Header, seed: int = 1) -> np.ndarray:
    """A map with a few discs' outlines, soft as `extract` draws them."""
    rng = np.random.default_rng(seed)
    rows, columns = structure.map_shape(header)
    y, x = np.mgrid[:rows, :columns].astype(np.float64)
    strength = np.zeros((rows, columns))
    for _ in range(4):
        radius = rng.uniform(0.1, 0.4) * max(rows, columns)
        distance = np.abs(np.hypot(y - rng.uniform(0, rows), x - rng.uniform(0, columns)) - radius)
        strength = np.maximum(strength, (255 * (1.4 - distance)).clip(0, 255) * rng.uniform(0.5, 1))
    return strength.round().astype(np.uint8)


def decoded(header: Header, payloads: list[bytes]) -> np.ndarray:
    decoder = EdgeDecoder(header)
    for index, payload in enumerate(payloads):
        assert decoder.push(index, payload)
    return decoder.map()


def test_pure_functions_of_the_header() -> None:
    header = Header(4000, 3000)
    assert structure.count(header) == 2
    assert structure.needs(header, 0) == ()
    assert structure.needs(header, 1) == ((Kind.EDGES, 0),)
    assert structure.area(header, 1) == (0, 0, 4000, 3000)
    assert structure.map_shape(header) == (188, 250)
    assert structure.map_shape(Header(1, 4000)) == (250, 1)


@pytest.mark.parametrize("weights", SETS)
@pytest.mark.parametrize("size", SIZES)
def test_the_decoder_sees_what_the_encoder_chose(size: tuple[int, int], weights: int) -> None:
    header = Header(*size, weights=weights)
    strength = drawing(header)
    payloads = structure.encode(strength, header)
    coarse, fine = codebooks(weights)
    shape = [n + -n % 8 for n in strength.shape]
    tokens, first = fit(coarse, strength, np.zeros(shape, np.int32), budget(0, strength.size))
    painted = coarse.paint(tokens)
    more, second = fit(fine, strength, painted, budget(1, strength.size))
    crop = (slice(strength.shape[0]), slice(strength.shape[1]))
    assert payloads == [first, second]
    assert np.array_equal(decoded(header, [first]), shown(painted)[crop])
    assert np.array_equal(decoded(header, payloads), shown(painted + fine.paint(more))[crop])


def test_each_chunk_brings_the_map_closer() -> None:
    header = Header(640, 480)
    strength = drawing(header).astype(np.float64)
    payloads = structure.encode(strength.astype(np.uint8), header)
    maps = [np.zeros_like(strength), decoded(header, payloads[:1]), decoded(header, payloads)]
    errors = [float(np.mean((part - strength) ** 2)) for part in maps]
    assert errors[1] < 0.7 * errors[0] and errors[2] < 0.7 * errors[1]


def test_an_empty_map_costs_next_to_nothing() -> None:
    header = Header(768, 512)
    payloads = structure.encode(np.zeros(structure.map_shape(header), np.uint8), header)
    assert sum(map(len, payloads)) <= 24
    assert not decoded(header, payloads).any()


def test_budgets_grow_with_the_picture_and_stay_within_a_chunk() -> None:
    assert (budget(0, 192 * 128), budget(1, 192 * 128)) == (150, 350)
    assert budget(0, 1) == 32 and budget(1, 256 * 256) < MAX_LENGTH


@pytest.mark.parametrize("weights", SETS)
def test_a_busy_map_keeps_to_its_budget(weights: int) -> None:
    header = Header(400, 300, weights=weights)
    y, x = np.mgrid[:75, :100]
    busy = np.where((x // 3 + y // 4) % 2, 255, 0).astype(np.uint8)
    coarse, fine = structure.encode(busy, header)
    assert len(coarse) <= budget(0, busy.size) and len(fine) <= budget(1, busy.size)


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="this picture's is"):
        structure.encode(np.zeros((3, 3), np.uint8), Header(640, 480))


def test_order_and_repetition_of_chunks_do_not_matter() -> None:
    header = Header(640, 480, weights=0)
    first, second = structure.encode(drawing(header), header)
    whole = decoded(header, [first, second])
    decoder = EdgeDecoder(header)
    assert decoder.push(1, second) and not decoder.map().any() and not decoder.complete()
    assert decoder.push(1, second[:3], whole=False)
    assert decoder.push(0, first[:4], whole=False) and not decoder.complete()
    assert decoder.push(0, first) and decoder.push(0, first[:2], whole=False)
    assert decoder.complete() and np.array_equal(decoder.map(), whole)
    assert not decoder.push(2, first) and not decoder.push(-1, first)


def test_a_cut_chunk_gives_a_part_of_its_cells() -> None:
    header = Header(640, 480, weights=0)
    first, second = structure.encode(drawing(header), header)
    whole = decoded(header, [first]).astype(int)
    agreeing = []
    for length in range(0, len(first) + 1, 5):
        decoder = EdgeDecoder(header)
        assert decoder.push(0, first[:length], whole=False) and decoder.push(1, second)
        agreeing.append(float(np.mean((decoder.map() - whole) ** 2)))
    assert agreeing[-1] < 0.2 * agreeing[0]


def test_any_bytes_give_a_map() -> None:
    rng = random.Random(5)
    header = Header(64, 40, weights=0)
    good = structure.encode(drawing(header), header)
    for turn in range(3000):
        decoder, index = EdgeDecoder(header), turn % 2
        payload = bytearray(good[index] if turn % 4 < 2 else rng.randbytes(rng.randrange(40)))
        if payload:
            payload[rng.randrange(len(payload))] = rng.randrange(256)
        if index == 1:
            assert decoder.push(0, good[0])
        assert decoder.push(index, bytes(payload[: rng.randint(0, len(payload))]), bool(rng.getrandbits(1)))
        assert decoder.map().shape == (10, 16)


def test_golden_vectors(update_vectors: bool) -> None:
    if update_vectors:
        vectors = []
        for weights, (width, height) in ((0, (17, 33)), (0, (300, 200)), (1, (320, 240))):
            header = Header(width, height, weights=weights)
            payloads = structure.encode(drawing(header), header)
            maps = [hashlib.sha256(decoded(header, payloads[:count])).hexdigest() for count in (1, 2)]
            hexes = [payload.hex() for payload in payloads]
            vectors.append({"width": width, "height": height, "weights": weights, "payloads": hexes, "maps": maps})
        (VECTORS / "edges.json").write_text(json.dumps(vectors, indent=1) + "\n")
    for vector in json.loads((VECTORS / "edges.json").read_text()):
        header = Header(vector["width"], vector["height"], weights=vector["weights"])
        payloads = [bytes.fromhex(payload) for payload in vector["payloads"]]
        for count in (1, 2):
            assert hashlib.sha256(decoded(header, payloads[:count])).hexdigest() == vector["maps"][count - 1]


def test_one_and_two_threads_decode_the_same_and_need_no_torch() -> None:
    code = (
        "import hashlib, json, sys; from codec.stream import Header; from codec.structure import EdgeDecoder\n"
        f"for v in json.load(open({str(VECTORS / 'edges.json')!r})):\n"
        "    d = EdgeDecoder(Header(v['width'], v['height'], weights=v['weights']))\n"
        "    [d.push(i, bytes.fromhex(p)) for i, p in enumerate(v['payloads'])]\n"
        "    print(hashlib.sha256(d.map()).hexdigest())\n"
        "assert 'torch' not in sys.modules"
    )
    printed = []
    for threads in ("1", "2"):
        env = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        root = Path(__file__).parents[3]
        run = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=root, capture_output=True, text=True, check=True
        )
        printed.append(run.stdout.split())
    assert printed[0] == printed[1] == [v["maps"][1] for v in json.loads((VECTORS / "edges.json").read_text())]


@pytest.mark.parametrize("weights", SETS)
def test_extract_sees_the_outline_of_a_disc(weights: int) -> None:
    y, x = np.mgrid[:96, :130]
    disc = np.hypot(y - 48, x - 60) < 30
    picture = np.where(disc[..., None], (200, 80, 60), (40, 90, 160)).astype(np.uint8)
    strength = structure.extract(picture, weights)
    assert strength.shape == (24, 33)
    distance = np.abs(np.hypot(4 * y[:24, :33] + 1.5 - 48, 4 * x[:24, :33] + 1.5 - 60) - 30)
    assert strength[distance < 3].mean() > 5 * max(1.0, strength[distance > 12].mean())


def test_extract_takes_grey_and_alpha() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 50, 1)).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    opaque, clear = np.full_like(picture, 255), np.zeros_like(picture)
    grey = structure.extract(picture, 0)
    assert np.array_equal(structure.extract(np.concatenate([picture, opaque], 2), 0), grey)
    assert np.array_equal(structure.extract(np.concatenate([picture] * 3, 2), 0), grey)
    assert np.array_equal(structure.extract(np.concatenate([picture] * 3 + [opaque], 2), 0), grey)
    hidden = structure.extract(np.concatenate([picture, clear], 2), 0)
    assert np.array_equal(hidden, structure.extract(np.full((80, 100, 1), 128, np.uint8), 0))


def test_the_network_is_its_twin_in_torch() -> None:
    torch = pytest.importorskip("torch")
    from codec.models import load
    from codec.structure.network import EdgeNetwork
    from codec.train import edges as training

    picture = np.random.default_rng(2).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    twin = training.EdgeNetwork(training.WIDTHS["tiny"])
    weights = {name: torch.from_numpy(array / 4096).float() for name, array in load("tiny", "edges").items()}
    missing, unexpected = twin.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.startswith(("head8", "head16")) for name in missing)
    with torch.no_grad():
        logits = twin(torch.from_numpy(picture).permute(2, 0, 1)[None].float())[0][0, 0]
    assert np.allclose(EdgeNetwork("tiny")(picture), torch.sigmoid(logits).numpy(), atol=1e-4)
