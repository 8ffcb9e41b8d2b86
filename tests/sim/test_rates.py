"""Rates in the course of time: when bits have passed, and how many can."""

from pathlib import Path

import pytest

from sim.clock import Clock
from sim.link import Bottleneck, Link, LinkSpec
from sim.rates import ConstantRate, Course, SteppedRate, TraceRate

STEPS = SteppedRate([(1.0, 1000.0), (2.0, 100.0)])
TRACE = TraceRate([0, 500, 500, 2000], share=0.1)


@pytest.mark.parametrize("rate", [ConstantRate(500.0), STEPS, TRACE])
def test_both_answers_agree(rate: Course) -> None:
    for start in (0.0, 0.25, 0.999, 1.0, 2.5, 3.0, 7.3, 100.1):
        for bits in (1, 100, 1000, 5000):
            stop = rate.finish(start, bits)
            assert stop > start
            assert rate.bits(start, stop) == pytest.approx(bits)


def test_steps() -> None:
    assert STEPS.finish(0.0, 500) == pytest.approx(0.5)
    assert STEPS.finish(0.5, 600) == pytest.approx(2.0), "500 at the first rate, 100 at the second"
    assert STEPS.finish(2.5, 150) == pytest.approx(3.1), "and again from the first"
    assert STEPS.bits(0.0, 30.0) == pytest.approx(10 * 1200)


def test_a_trace_lets_1500_bytes_pass_a_line() -> None:
    assert TRACE.bits(0.0, 2.0) == pytest.approx(4 * 12_000 * 0.1)
    assert TRACE.bits(0.0, 0.5) == pytest.approx(3 * 12_000 * 0.1)
    assert TRACE.bits(0.5, 2.0) == pytest.approx(12_000 * 0.1)
    assert TRACE.finish(1.5, 1200) > 2.0, "it goes on from the start"


def test_a_trace_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("0\n500\n500\n2000\n")
    assert TraceRate.read(path, 0.1).bits(0.0, 1.3) == TRACE.bits(0.0, 1.3)
    path.write_text("what\n")
    with pytest.raises(ValueError, match="what"):
        TraceRate.read(path)


@pytest.mark.parametrize("steps", [[], [(0.0, 5.0)], [(1.0, 0.0)], [(1.0, -5.0), (1.0, 10.0)]])
def test_no_rate(steps: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="course"):
        SteppedRate(steps)


def test_a_link_follows_its_course() -> None:
    clock = Clock()
    link = Link(clock, [Bottleneck(STEPS)], overhead=0)
    for _ in range(3):
        link.send(bytes(50))
    clock.run(10.0)
    arrived = [event.time for event in link.log if event.what == "arrived"]
    assert arrived == pytest.approx([0.4, 0.8, 3.0])
    spec = LinkSpec(400.0, 0.0, overhead=58, course=STEPS)
    assert spec.rates is STEPS and spec.make(Clock()).overhead == 58
