"""The range coder's bridge against a reference decoder of FORMAT.md's arithmetic in plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from codec.entropy import BitDecoder, BitEncoder, get_runs, ideal_bits, put_runs


def reference_decode(payload: bytes, p1: list[int], filler: int = 0xFF) -> list[int]:
    """FORMAT.md's decoder, one decision at a time, in whole numbers."""
    data = payload + bytes([filler]) * (64 + -len(payload) % 4) + bytes(16 + 4 * len(p1))
    words = [int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data) - 3, 4)]
    size, point, at, top, out = 2**64 - 1, words[0] << 32 | words[1], 2, False, []
    for p in p1:
        scale = size >> 24
        split = (p << 8) - (p > 32768)
        part = point // scale
        top = top or part >= 1 << 24
        if top:
            out.append(0)
            continue
        bit = int(part < split)
        left, width = (0, split) if bit else (split, (1 << 24) - split)
        point, size = point - left * scale, width * scale
        if size < 1 << 32:
            size, point, at = size << 32, point << 32 | words[at], at + 1
        out.append(bit)
    return out


def drawn(seed: int, count: int, sharp: bool = False) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    p1 = rng.integers(1, 65536, count)
    if sharp:
        p1 = np.where(rng.random(count) < 0.9, rng.integers(1, 200, count), p1)
    return (rng.random(count) * 65536 < p1).astype(np.uint8), p1


def encoded(bits: NDArray[np.uint8], p1: NDArray[np.int64]) -> bytes:
    encoder = BitEncoder()
    encoder.put(bits[: len(bits) // 3], p1[: len(bits) // 3])
    encoder.put(bits[len(bits) // 3 :], p1[len(bits) // 3 :])
    return encoder.finish()


@given(st.integers(0, 2**32 - 1), st.integers(0, 1500), st.booleans())
def test_round_trip_and_size(seed: int, count: int, sharp: bool) -> None:
    bits, p1 = drawn(seed, count, sharp)
    payload = encoded(bits, p1)
    assert (BitDecoder(payload).get(p1) == bits).all()
    assert len(payload) <= ideal_bits(bits, p1) / 8 + 1.1
    assert not payload.endswith(b"\xff")


@given(st.binary(max_size=60), st.integers(0, 2**32 - 1), st.integers(0, 700), st.booleans())
def test_any_bytes_decode_as_the_reference_does(payload: bytes, seed: int, count: int, sharp: bool) -> None:
    _, p1 = drawn(seed, count, sharp)
    assert BitDecoder(payload).get(p1).tolist() == reference_decode(payload, p1.tolist())


@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.floats(0, 1))
def test_a_cut_payload_gives_the_certain_decisions(seed: int, count: int, share: float) -> None:
    bits, p1 = drawn(seed, count)
    payload = encoded(bits, p1)
    kept = payload[: int(share * len(payload))]
    decoder = BitDecoder(kept, whole=False)
    got = decoder.get(p1)
    assert (got == bits[: len(got)]).all()
    follows = [reference_decode(kept, p1.tolist(), filler) for filler in (0x00, 0xFF)]
    agreed = next((i for i, (a, b) in enumerate(zip(*follows, strict=True)) if a != b), count)
    assert len(got) == agreed and decoder.dry == (agreed < count)
    if decoder.dry:
        assert decoder.get(p1).size == 0
        assert ideal_bits(bits[:agreed], p1[:agreed]) >= 8 * len(kept) - 40


@given(st.binary(max_size=40), st.lists(st.integers(1, 65535), max_size=300))
def test_damaged_cut_payloads_never_raise(payload: bytes, p1: list[int]) -> None:
    assert BitDecoder(payload, whole=False).get(np.array(p1, dtype=np.int64)).size <= len(p1)


def test_runs_are_passes_of_their_own() -> None:
    """Several payloads in one pass, an empty run and a cut payload among them, as one after the other."""
    rng = np.random.default_rng(3)
    p1, ends = rng.integers(1, 65536, 90), [0, 40, 40, 90]
    bits = (rng.random(90) * 65536 < p1).astype(np.uint8)
    together, alone = [BitEncoder() for _ in range(3)], [BitEncoder() for _ in range(3)]
    put_runs(together, ends, bits, p1)
    for encoder, start, end in zip(alone, ends, ends[1:], strict=False):
        encoder.put(bits[start:end], p1[start:end])
    payloads = [encoder.finish() for encoder in together]
    assert payloads == [encoder.finish() for encoder in alone] and len(payloads[2]) > 3
    for whole, cut in ((True, 0), (False, 3)):
        kept = [payload[: len(payload) - cut] for payload in payloads]
        runs = get_runs([BitDecoder(payload, whole) for payload in kept], ends, p1)
        for run, payload, start, end in zip(runs, kept, ends, ends[1:], strict=False):
            assert (run == BitDecoder(payload, whole).get(p1[start:end])).all()
    assert (np.concatenate(get_runs([BitDecoder(p) for p in payloads], ends, p1)) == bits).all()


def test_near_certain_decisions_cost_nothing() -> None:
    encoder = BitEncoder()
    encoder.put(np.zeros(100, dtype=np.uint8), np.full(100, 1))
    assert len(encoder.finish()) <= 1
    assert BitEncoder().finish() == b""


def test_golden_payload() -> None:
    bits, p1 = np.array([1, 0, 0, 1, 1, 0, 1, 0] * 4), np.arange(2000, 66000, 2000)
    assert encoded(bits.astype(np.uint8), p1).hex() == GOLDEN


GOLDEN = "012dd6f334"
