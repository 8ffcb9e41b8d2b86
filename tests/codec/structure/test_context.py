"""Token grids under the integer network: an own reading of FORMAT.md in whole numbers, round trips, cuts, garbage."""

from __future__ import annotations

import random

import numpy as np
import pytest

from codec.entropy import BitDecoder, BitEncoder
from codec.structure.context import (
    HIDDEN_MAX,
    NEIGHBOURS,
    PHASES,
    UNKNOWN,
    TokenModel,
    Tokens,
    decode_tokens,
    encode_phase,
    put_phase,
)

SHAPES = ((1, 1), (1, 7), (6, 1), (2, 2), (5, 8))


def random_model(count: int, window: int, seed: int) -> TokenModel:
    """Random weights, and a tree grown by splitting random leaves."""
    rng = np.random.default_rng(seed)
    tree = [[-1, -2]]
    for token in range(2, count):
        node, side = int(rng.integers(len(tree))), int(rng.integers(2))
        while tree[node][side] >= 0:
            node, side = tree[node][side], int(rng.integers(2))
        tree[node][side], leaf = len(tree), tree[node][side]
        tree.append([leaf, -1 - token])
    inputs, hidden = 8 * 3 + window, 5
    return TokenModel(
        embedding=rng.integers(-127, 128, (count + 1, 3)).astype(np.int8),
        hidden=rng.integers(-40, 40, (inputs, hidden)).astype(np.int8),
        hidden_bias=rng.integers(-9000, 9000, (4, hidden)).astype(np.int32),
        output=rng.integers(-20, 20, (hidden, count - 1)).astype(np.int8),
        output_bias=rng.integers(-3000, 3000, count - 1).astype(np.int32),
        tree=np.array(tree, dtype=np.int16),
        sigmoid=(65536 / (1 + np.exp(-(np.arange(640) - 319.5) / 32))).round().clip(1, 65535).astype(np.uint16),
    )


def encode(model: TokenModel, tokens: Tokens, window: np.ndarray) -> bytes:
    encoder, known = BitEncoder(), np.full_like(tokens, UNKNOWN)
    for phase, (row, column) in enumerate(PHASES):
        values = tokens[row::2, column::2].reshape(-1)
        encode_phase(model, encoder, values, model.probabilities(known, window, phase))
        put_phase(known, phase, values)
    return encoder.finish()


def case(shape: tuple[int, int], count: int, wide: int, seed: int) -> tuple[TokenModel, Tokens, np.ndarray]:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(count, size=shape).astype(np.int32)
    return random_model(count, wide, seed), tokens, rng.integers(128, size=(*shape, wide)).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "wide"), [(2, 0), (9, 4), (40, 0)])
def test_round_trip(shape: tuple[int, int], count: int, wide: int) -> None:
    model, tokens, window = case(shape, count, wide, seed=count)
    assert np.array_equal(decode_tokens(model, encode(model, tokens, window), shape, window), tokens)


def test_probabilities_are_those_of_whole_numbers() -> None:
    model, tokens, window = case((5, 8), 9, 4, seed=3)
    tokens[1::2, 1::2] = UNKNOWN
    for phase, (row, column) in enumerate(PHASES):
        fast = model.probabilities(tokens, window, phase)
        places = [(y, x) for y in range(row, 5, 2) for x in range(column, 8, 2)]
        for place, (y, x) in enumerate(places):
            inputs: list[int] = []
            for dy, dx in NEIGHBOURS:
                inside = 0 <= y + dy < 5 and 0 <= x + dx < 8
                inputs += model.embedding[tokens[y + dy, x + dx] if inside else -1].tolist()
            inputs += window[y, x].tolist()
            sums = [
                sum(a * int(w) for a, w in zip(inputs, model.hidden[:, unit], strict=True))
                + int(model.hidden_bias[phase, unit])
                for unit in range(5)
            ]
            active = [min(max(value >> 6, 0), HIDDEN_MAX) for value in sums]
            for node in range(8):
                logit = sum(a * int(w) for a, w in zip(active, model.output[:, node], strict=True))
                logit = (logit + int(model.output_bias[node])) >> 6
                assert fast[place, node] == model.sigmoid[min(max(logit, -320), 319) + 320]


def test_rates_are_the_bits_of_the_walk() -> None:
    model, tokens, window = case((5, 8), 9, 4, seed=5)
    unknown = np.full_like(tokens, UNKNOWN)
    probabilities = model.probabilities(unknown, window, 0)
    nodes, bits = model.paths
    for token in range(9):
        way = nodes[token] >= 0
        p1 = probabilities[0, nodes[token][way]] / 65536
        expected = -np.log2(np.where(bits[token][way] == 1, p1, 1 - p1)).sum()
        assert model.rates(probabilities)[0, token] == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_a_cut_payload_gives_only_certain_tokens() -> None:
    model, tokens, window = case((9, 12), 40, 4, seed=7)
    payload = encode(model, tokens, window)
    known = []
    for length in range(len(payload) + 1):
        part = decode_tokens(model, payload[:length], tokens.shape, window, whole=False)
        assert np.all((part == tokens) | (part == UNKNOWN))
        known.append(int(np.count_nonzero(part != UNKNOWN)))
    assert known == sorted(known)
    assert known[0] == 0 and known[len(payload) // 2] > 15 and known[-1] > 90


def test_garbage_gives_tokens() -> None:
    rng = random.Random(8)
    model, tokens, window = case((5, 8), 40, 4, seed=8)
    for _ in range(1000):
        part = decode_tokens(model, rng.randbytes(rng.randrange(60)), tokens.shape, window, bool(rng.getrandbits(1)))
        assert part.shape == tokens.shape and part.min() >= UNKNOWN and part.max() < 40


def test_sums_beyond_float32_are_refused() -> None:
    model = random_model(9, 4, seed=1)
    model.check()
    wide = TokenModel(**{**model.__dict__, "output_bias": model.output_bias + (1 << 24)})
    with pytest.raises(ValueError, match="2\\^24"):
        wide.check()


def test_a_decoder_of_a_dry_payload_stops() -> None:
    decoder = BitDecoder(b"", whole=False)
    model, tokens, window = case((5, 8), 9, 4, seed=9)
    assert np.all(decode_tokens(model, b"", tokens.shape, window, whole=False) == UNKNOWN)
    assert len(decoder.get([32768])) == 0
