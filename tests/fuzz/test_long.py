"""The long run judges as it should: all good passes, one wrong exception fails."""

from __future__ import annotations

from codec.stream import FormatError
from tests.fuzz.long import feed, report
from tests.fuzz.parsers import PARSERS, Parser


def test_a_wrong_exception_a_slow_and_a_large_input_are_found() -> None:
    def parse(data: bytes) -> bytes:
        if not data:
            raise KeyError("nothing")
        if data[0] & 1:
            raise FormatError("odd")
        return bytes(3_000_000)

    found = feed(Parser("odd", lambda: [b"\x02honest"], parse, 0), 200, seed=1)
    assert found.inputs == 200 and 20 < found.refused < 180 and found.memory >= 3_000_000
    assert found.failures and found.failures[0].endswith("KeyError: 'nothing': ")
    assert [check.ok for check in report([found]).checks] == [False, True, True]


def test_every_parser_runs() -> None:
    found = [feed(parser, 10, seed=4) for parser in PARSERS]
    assert [check.ok for check in report(found).checks] == [True, True, True]
