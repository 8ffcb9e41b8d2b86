"""Exact arithmetic: a test for each way in which a network's whole numbers are known to go wrong."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from codec import integer
from codec.integer import EXACT, LIMIT, Conv, product

CODEC = Path(integer.__file__).parent


def conv(weight: NDArray[np.int64], bias: NDArray[np.int64], shift: int, size: int) -> Conv:
    outputs = weight.shape[1]
    return Conv(weight.astype(np.float32), bias.astype(np.float32), np.full(outputs, 2.0**-shift, np.float32), size)


def in_whole_numbers(
    x: NDArray[np.int64], weight: NDArray[np.int64], bias: NDArray[np.int64], shift: int
) -> NDArray[np.int64]:
    """The same 3x3 convolution in int64, tap by tap, with an arithmetic shift (floor)."""
    height, width, inputs = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    total = np.zeros((height, width, weight.shape[1]), dtype=np.int64) + bias
    for tap in range(9):
        dy, dx = divmod(tap, 3)
        total += padded[dy : dy + height, dx : dx + width] @ weight[tap * inputs : (tap + 1) * inputs]
    return total >> shift


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(0, 14))
def test_equals_whole_number_arithmetic(seed: int, height: int, width: int, inputs: int, shift: int) -> None:
    """Winograd, FFT, TF32, fused or reordered sums would all show here: sums reach close to 2^24."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (9 * inputs, 3))
    room = (EXACT - 1 - 500) // LIMIT // np.abs(weight).sum(0).max()  # 500 for the bias
    weight = weight * max(1, room)
    bias = rng.integers(-500, 500, 3)
    x = np.where(rng.random((height, width, inputs)) < 0.5, LIMIT, -LIMIT)
    x[rng.random(x.shape) < 0.3] = rng.integers(-LIMIT, LIMIT + 1)
    got = conv(weight, bias, shift, 3)(x.astype(np.float32))
    assert (got == in_whole_numbers(x, weight, bias, shift)).all()


def test_the_exact_range_is_proved() -> None:
    """One more unit of weight and a sum could reach 2^24."""
    largest = (EXACT - 1) // LIMIT
    ok = np.array([[largest]])
    conv(ok, np.array([0]), 0, 1)
    with pytest.raises(ValueError, match="exact below"):
        conv(ok + 1, np.array([0]), 0, 1)
    with pytest.raises(ValueError, match="exact below"):
        conv(ok, np.array([EXACT - largest * LIMIT]), 0, 1)
    with pytest.raises(ValueError, match="whole numbers"):
        Conv(np.array([[0.5]], np.float32), np.zeros(1, np.float32), np.ones(1, np.float32), 1)


def test_negative_sums_round_down() -> None:
    layer = conv(np.array([[1]]), np.array([0]), 2, 1)
    x = np.array([-5, -4, -3, -1, 0, 3, 4], dtype=np.float32).reshape(1, -1, 1)
    assert layer(x).ravel().tolist() == [-2, -1, -1, -1, 0, 0, 1]


def test_products_of_bytes_do_not_saturate() -> None:
    """Pairs of products beyond 16 bits, which 8-bit multiply-add instructions would clip."""
    weight, x = np.full((18, 1), 127), np.full((3, 3, 2), 255)
    assert conv(weight, np.array([0]), 0, 3)(x.astype(np.float32))[1, 1, 0] == 18 * 127 * 255


def test_order_of_summation_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    weight = rng.integers(-20, 21, (9 * 64, 64)).astype(np.float32)
    x = rng.integers(-LIMIT, LIMIT + 1, (12, 10, 64)).astype(np.float32)
    order = rng.permutation(64)
    rows = np.concatenate([tap * 64 + order for tap in range(9)])
    assert (product(x, weight, 3) == product(x[..., order], weight[rows], 3)).all()


@given(st.integers(0, 2**32 - 1), st.floats(0.001, 20))
def test_quantised_layers_keep_the_range_and_the_values(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(0, size, (36, 4)), rng.normal(0, size, 4)
    w, b, shift = integer.quantised(weight, bias)
    layer = Conv(w.astype(np.float32), b.astype(np.float32), (2.0**-shift).astype(np.float32), 3)
    x = rng.integers(-64, 65, (4, 4, 4))
    real = product((x / 64).astype(np.float32), weight.astype(np.float32), 3) + bias
    assert np.abs(layer(x.astype(np.float32)) / 64 - real).max() <= 0.51 / 64 + 36 * (0.5 * 2.0 ** -shift.min()) + 1e-3


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([2, 4]), st.integers(1, 3))
def test_shuffle_and_unshuffle_are_inverse(height: int, width: int, factor: int, channels: int) -> None:
    x = np.arange(height * width * channels * factor**2, dtype=np.float32).reshape(height, width, -1)
    assert (integer.unshuffle(integer.shuffle(x, factor), factor) == x).all()


def test_no_inexact_function_on_the_decoding_path() -> None:
    """exp, erf, softmax and their kin differ between libraries; the decoding path looks such values up."""
    forbidden = {"exp", "exp2", "log", "erf", "softmax", "tanh", "sigmoid", "power", "fft", "fft2", "convolve"}
    layers = [file for layer in ("latent", "residual", "entropy", "caption") for file in (CODEC / layer).glob("*.py")]
    encoder_side = {"encoder.py", "thumbnail_search.py"}
    tables = {"thumbnail_model.py"}  # makes its table at start; see the next test
    for file in (CODEC / "integer.py", CODEC / "decoder.py", *layers):
        used = {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
        if file.name not in encoder_side | tables:
            assert not used & forbidden, f"{file.name} uses {used & forbidden}"


def test_tables_made_at_start_round_the_same_way_everywhere() -> None:
    """No value of the thumbnail's tables lies near a half: a library off by a billionth would round it alike."""

    def margin(values: NDArray[np.float64]) -> float:
        return float(np.abs(values - np.floor(values) - 0.5).min())

    assert margin(65536 / (1 + np.exp(-np.arange(-512, 512) / 64))) > 1e-4
    for cells in range(2, 33):
        order = np.arange(1, cells)[:, None]
        for count in (2 * cells, 64 * cells):
            waves = np.sqrt(2) * np.cos(np.pi * order * (2 * np.arange(count // 2) + 1) / count) * (1 << 14)
            assert margin(waves) > 1e-5


def test_decoding_loads_no_torch() -> None:
    """So no cuDNN, no TF32 and no oneDNN algorithm choice can reach it."""
    code = "import sys, codec.decoder, codec.encoder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CODEC.parent).returncode == 0
