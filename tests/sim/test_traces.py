"""Traces: two kinds read, converted, made from a log; what is wrong with one is told with its line."""

from pathlib import Path

import pytest

from sim.clock import Clock
from sim.link import LinkSpec
from sim.rates import WrongTrace
from sim.traces import Trace, draw, of_log, parse, read, to_mahimahi, to_rows

ROWS = "0.5 1.2\n2.5 0.6\n4.5 0\n6.5 2.4\n"


def test_rows_hold_until_the_next_row() -> None:
    trace = parse(ROWS)
    assert trace.kind == "rows" and trace.seconds == 8.0
    assert trace.rates(2.0) == pytest.approx([1.2e6, 0.6e6, 0.0, 2.4e6])
    assert trace.mean() == pytest.approx(1.05e6)
    assert trace.course(0.1).bits(0.0, 2.0) == pytest.approx(0.24e6)


def test_there_and_back() -> None:
    there = to_mahimahi(parse(ROWS))
    assert there.kind == "mahimahi" and len(there.rows) == 8.0 * 1.05e6 // 12_000
    assert [row[0] for row in there.rows] == sorted(row[0] for row in there.rows)
    again = to_rows(there, 2.0)
    assert [row[1] for row in again.rows] == pytest.approx([1.2, 0.6, 0.0, 2.4], abs=0.012)
    assert parse(there.text()) == there and to_mahimahi(there) is there and to_rows(again) is again


def test_a_trace_of_a_log_is_the_rate_of_the_link() -> None:
    clock = Clock()
    link = LinkSpec(80_000, delay=0.0, queue=10**6).make(clock)
    for _ in range(300):
        link.send(bytes(972))
    clock.run(100.0)
    trace = of_log(link.log)
    assert trace.rates()[1:-1] == pytest.approx([80_000] * (len(trace.rows) - 2), abs=8_000)
    assert trace.mean() == pytest.approx(80_000, rel=0.04)
    with pytest.raises(WrongTrace, match="nothing arrived"):
        of_log([])


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("1\n2\nx\n", 3, "whole number of ms"),
        ("1\n2.5\n", 2, "whole number of ms"),
        ("5\n4\n", 2, "sort"),
        ("-1\n4\n", 1, "below 0"),
        ("0 1\n1 -2\n", 2, "below 0"),
        ("0 1\n1\n", 2, "seconds and Mbit/s"),
        ("0 1\n0 2\n", 2, "sort"),
        ("0 nan\n", 1, "seconds and Mbit/s"),
        ("0\n", 1, "longer than 0"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(WrongTrace, match=says) as error:
        parse(text, "drive.trace")
    assert str(error.value).startswith(f"drive.trace: line {line}: ") and "\n" not in str(error.value)


def test_what_is_no_trace_at_all() -> None:
    for text, says in (("", "no line"), ("# nothing\n", "no line"), ("0 0\n1 0\n", "nothing pass")):
        with pytest.raises(WrongTrace, match=says):
            parse(text)
    with pytest.raises(WrongTrace, match="keep the rows"):
        to_mahimahi(parse("0 0.001\n1 0.001\n"))


def test_from_a_file_and_drawn(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("# by hand\n" + ROWS)
    trace = read(path)
    assert trace == Trace("rows", parse(ROWS).rows)
    draw(trace, tmp_path / "t.png", "t")
    assert (tmp_path / "t.png").read_bytes()[:4] == b"\x89PNG"
