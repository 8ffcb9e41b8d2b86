"""Coded repair of a block: comes back from any symbols enough, never falsely, whatever the symbols."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transport.code import BlockEncoder, Shape, WrongSymbol, largest_symbol, most_sources, rebuild, symbol_size
from transport.symbols import Repair
from transport.wire import Data, Name, Segment

VECTORS = Path(__file__).parents[1] / "vectors/transport/packets.json"
BODIES = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=40)


@settings(max_examples=150)
@given(BODIES, st.randoms(use_true_random=False), st.integers(2, 6))
def test_any_symbols_enough_give_the_block_back(bodies: list[bytes], rng: random.Random, extra: int) -> None:
    encoder = BlockEncoder(bodies)
    kept = {place: body for place, body in enumerate(bodies) if rng.random() < 0.5}
    wanted = len(bodies) - len(kept) + extra
    symbols = {place: encoder.symbol(place) for place in rng.sample(range(min(2 * wanted, 256)), min(wanted, 256))}
    assert rebuild(encoder.shape, kept, symbols) == bodies


def test_how_often_the_least_number_does() -> None:
    rng = random.Random(1)
    bodies = [rng.randbytes(30) for _ in range(20)]
    encoder = BlockEncoder(bodies)
    failed: Counter[int] = Counter()
    for extra in (0, 1):
        for _ in range(1000):
            chosen = rng.sample(range(80), 20 + extra)
            kept = {place: bodies[place] for place in chosen if place < 20}
            symbols = {place - 20: encoder.symbol(place - 20) for place in chosen if place >= 20}
            failed[extra] += rebuild(encoder.shape, kept, symbols) != bodies
    assert failed[0] <= 20 and failed[1] <= 2


def test_too_few_symbols_say_nothing() -> None:
    bodies = [bytes([n]) * 9 for n in range(10)]
    encoder = BlockEncoder(bodies)
    assert rebuild(encoder.shape, {0: bodies[0]}, {n: encoder.symbol(n) for n in range(8)}) is None
    assert rebuild(encoder.shape, dict(enumerate(bodies)), {}) == bodies, "nothing was missing"


@pytest.mark.parametrize("where", ["a length", "a body", "one bit of a repair symbol", "padding"])
def test_a_wrong_symbol_is_noticed(where: str) -> None:
    rng = random.Random(2)
    bodies = [rng.randbytes(rng.randint(20, 37)) for _ in range(8)]
    encoder = BlockEncoder(bodies)
    kept = dict(enumerate(bodies[:5]))
    symbols = {n: encoder.symbol(n) for n in range(3)}
    if where == "a length":
        kept[2] = kept[2][:-1]
    elif where == "a body":
        kept[2] = b"x" + kept[2][1:]
    else:
        at = 39 if where == "padding" else 7
        symbols[1] = symbols[1][:at] + bytes([symbols[1][at] ^ 4]) + symbols[1][at + 1 :]
    with pytest.raises(WrongSymbol):
        rebuild(encoder.shape, kept, symbols)


def test_false_blocks_pass_as_seldom_as_the_check_says() -> None:
    rng = random.Random(3)
    shape = Shape(2, 8, 0x1234)
    passed = 0
    for _ in range(20_000):
        try:
            passed += rebuild(shape, {}, {n: rng.randbytes(8) for n in range(3)}) is not None
        except WrongSymbol:
            pass
    assert passed <= 3


SHAPES = st.builds(Shape, st.integers(0, 300), st.integers(0, 40), st.integers(0, 65535))
KEPT = st.dictionaries(st.integers(0, 300), st.binary(max_size=50), max_size=8)
SYMBOLS = st.dictionaries(st.integers(0, 400), st.binary(max_size=50), max_size=12)


@settings(max_examples=300)
@given(SHAPES, KEPT, SYMBOLS)
def test_any_symbols_give_an_answer_or_the_one_error(
    shape: Shape, kept: dict[int, bytes], symbols: dict[int, bytes]
) -> None:
    try:
        bodies = rebuild(shape, kept, symbols)
    except WrongSymbol:
        return
    assert bodies is None or len(bodies) == shape.sources


@settings(max_examples=200)
@given(st.integers(1, 6), st.integers(1, 4), st.data())
def test_random_symbols_of_the_right_size(sources: int, words: int, data: st.DataObject) -> None:
    symbol = st.binary(min_size=8 * words, max_size=8 * words)
    symbols = data.draw(st.dictionaries(st.integers(0, 255), symbol, min_size=sources, max_size=sources + 4))
    try:
        rebuild(Shape(sources, 8 * words, 0), {}, symbols)
    except WrongSymbol:
        pass


def test_callers_mistakes() -> None:
    for bad in ([], [b"x"] * 256, [bytes(65_527)]):
        with pytest.raises(ValueError):
            BlockEncoder(bad)
    with pytest.raises(ValueError, match="larger"):
        BlockEncoder([bytes(65_000)] * 33)
    with pytest.raises(ValueError):
        BlockEncoder([b"x"]).symbol(256)


def test_sizes() -> None:
    assert [symbol_size(n) for n in (1, 6, 7, 14)] == [8, 8, 16, 16]
    assert [largest_symbol(n, False, 0) for n in (51, 200, 256, 340, 1100)] == [40, 184, 240, 328, 1088]
    assert most_sources(200, 120) == 120 and most_sources(65_536, 120) == 32
    assert largest_symbol(51, True, 4095) == 32 and largest_symbol(10, True, 0) == 0


def test_golden_vectors(update_vectors: bool) -> None:
    first = Segment(2, 12, 0, bytes(range(20)), True)
    second = Segment(2, 20, 0, b"second", False)
    third = Segment(2, 20, 6, b"and the rest of it", True)
    packets = [
        Data(0x01020304, parts, coded=(9, place)) for place, parts in enumerate([(first,), (second,), (third, first)])
    ]
    encoder = BlockEncoder([packet.body() for packet in packets])
    shape = encoder.shape
    repairs = [
        Repair(0x01020304, 2, 9, 3, place, shape.check, encoder.symbol(place), number)
        for place, number in ((0, None), (1, 7), (2, None), (255, None))
    ]
    written = {
        "data": [packet.encode().hex() for packet in packets],
        "repair": [repair.encode().hex() for repair in repairs],
        "name": Name("G4ABC/P").encode().hex(),
    }
    if update_vectors:
        VECTORS.write_text(json.dumps(written, indent=1) + "\n")
    assert written == json.loads(VECTORS.read_text())
    symbols = {repair.place: repair.symbol for repair in repairs[1:]}
    assert rebuild(shape, {}, symbols) == [packet.body() for packet in packets]
