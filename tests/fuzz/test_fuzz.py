"""Twenty thousand hostile inputs over all parsers: the one error, or a result. Nothing else, and not for long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import hostile
from tests.fuzz.parsers import ERRORS, PARSERS, Parser, decode_whole, parse_packet, read_container, small_streams

EXAMPLES = 150  # by hypothesis, for each of the tests below, beside the mutated ones
LONGEST = 5.0  # seconds of processor time that one input may take, on a slow machine under load
EACH = [pytest.param(parser, id=parser.name) for parser in PARSERS]


def test_there_are_twenty_thousand() -> None:
    assert sum(parser.inputs for parser in PARSERS) >= 20_000


@pytest.mark.parametrize("parser", EACH)
def test_honest_input_is_taken(parser: Parser) -> None:
    for data in parser.honest():
        parser.feed(data)


@pytest.mark.parametrize("parser", EACH)
def test_hostile_input_gives_the_one_error_or_a_result(parser: Parser) -> None:
    refused, slowest = 0, 0.0
    for number, data in enumerate(hostile(parser.honest(), parser.inputs, seed=len(parser.name))):
        start = time.process_time()
        try:
            parser.feed(data)
        except ERRORS:
            refused += 1
        except BaseException as error:
            raise AssertionError(
                f"{parser.name} input {number}: {type(error).__name__}: {error}: {data.hex()}"
            ) from error
        slowest = max(slowest, time.process_time() - start)
    assert slowest < LONGEST, f"{parser.name}: one input took {slowest:.1f} s"
    assert refused < parser.inputs, f"{parser.name}: nothing got past the first check"


def survives(feed: object, data: bytes) -> None:
    """Only the errors of the parsers may come out."""
    try:
        feed(data)  # type: ignore[operator]
    except ERRORS:
        pass


@settings(max_examples=EXAMPLES)
@given(st.binary(max_size=120))
def test_any_bytes_as_a_packet(data: bytes) -> None:
    survives(parse_packet, data)


@settings(max_examples=EXAMPLES)
@given(st.binary(max_size=300))
def test_any_bytes_after_a_header(data: bytes) -> None:
    survives(read_container, small_streams()[0][:8] + data)


@settings(max_examples=EXAMPLES // 3)
@given(st.data())
def test_a_stream_with_any_part_replaced(data: st.DataObject) -> None:
    whole = small_streams()[0]
    start = data.draw(st.integers(0, len(whole)), "start")
    end = data.draw(st.integers(start, len(whole)), "end")
    survives(decode_whole, whole[:start] + data.draw(st.binary(max_size=40), "put in") + whole[end:])
