"""Ranges against a plain set of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from transport.ranges import Ranges

spans = st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 60))


@given(st.lists(spans, max_size=30), spans)
def test_like_a_set(steps: list[tuple[bool, int, int]], asked: tuple[bool, int, int]) -> None:
    ranges, plain = Ranges(), set[int]()
    for put, start, stop in steps:
        if put:
            ranges.add(start, stop)
            plain |= set(range(start, stop))
        else:
            ranges.remove(start, stop)
            plain -= set(range(start, stop))
    assert {n for start, stop in ranges for n in range(start, stop)} == plain
    assert all(b < c for (_, b), (c, _) in zip(list(ranges), list(ranges)[1:], strict=False))
    assert list(reversed(ranges)) == list(ranges)[::-1]
    _, start, stop = asked
    assert ranges.covers(start, stop) == plain.issuperset(range(start, stop))
    assert (start in ranges) == (start in plain)
    ranges.forget_below(start)
    assert all(a >= start for a, _ in ranges)
