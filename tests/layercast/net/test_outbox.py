"""The outbox's decisions: order, thinning, budgets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercast.net.outbox import (
    DAY,
    FIRST,
    NO_RESIDUAL,
    WHOLE,
    Budget,
    Waiting,
    day_of,
    in_order,
    next_day,
    parse_budget,
    thin,
)


def row(group: int, *sizes: int, level: int = WHOLE, created: float | None = None) -> Waiting:
    return Waiting(group, str(group), group if created is None else created, level, (sizes[0], sizes[1], sizes[2]))


def test_order() -> None:
    rows = [row(2, 1, 1, 1), row(3, 1, 1, 1, created=0.0), row(1, 1, 1, 1, created=9.0)]
    assert [each.group for each in in_order(rows, newest_first=False)] == [3, 2, 1]
    assert [each.group for each in in_order(rows, newest_first=True)] == [1, 2, 3]


def test_the_oldest_residual_goes_first_and_thumbnails_stay() -> None:
    rows = [row(n, 1000, 300, 40) for n in (1, 2, 3)]
    assert thin(rows, 3000) == []
    assert thin(rows, 2999) == [(1, NO_RESIDUAL)]
    assert thin(rows, 2299) == [(1, NO_RESIDUAL), (2, NO_RESIDUAL)]
    assert thin(rows, 899) == [(1, FIRST), (2, NO_RESIDUAL), (3, NO_RESIDUAL)]
    assert thin(rows, 120) == [(1, FIRST), (2, FIRST), (3, FIRST)]
    assert thin(rows, 119) is None


def test_what_is_thin_is_not_made_thicker_and_what_saves_nothing_is_left() -> None:
    rows = [row(1, 1000, 300, 40, level=FIRST), row(2, 500, 500, 30), row(3, 1000, 300, 40)]
    assert thin(rows, 1500) == [(3, NO_RESIDUAL)], "the second has no residual"
    assert thin(rows, 800) == [(2, FIRST), (3, NO_RESIDUAL)]


sizes = st.tuples(*[st.integers(1, 500)] * 3).map(lambda found: sorted(found, reverse=True))
rows = st.lists(st.tuples(sizes, st.integers(0, 2), st.integers(0, 5)), max_size=12)


@given(rows, st.integers(0, 4000))
def test_thinning_keeps_the_limit_and_takes_no_more_than_needed(
    found: list[tuple[list[int], int, int]], limit: int
) -> None:
    waiting = [row(n, *three, level=level, created=age) for n, (three, level, age) in enumerate(found)]
    changes = thin(waiting, limit)
    if changes is None:
        assert sum(each.sizes[FIRST] for each in waiting) > limit
        return
    level = {each.group: each.level for each in waiting} | dict(changes)
    assert sum(each.sizes[level[each.group]] for each in waiting) <= limit
    assert all(level[each.group] >= each.level for each in waiting)
    if sum(each.size for each in waiting) <= limit:
        assert not changes
    oldest = in_order(waiting, newest_first=False)
    touched = [each.group for each in oldest if level[each.group] == NO_RESIDUAL != each.level]
    if touched:  # nobody older still has a residual to lose
        before = [each for each in oldest if each.group != touched[-1]][: oldest.index(waiting[touched[-1]])]
        assert all(each.sizes[level[each.group]] <= each.sizes[NO_RESIDUAL] for each in before)


def test_budgets() -> None:
    assert parse_budget("200kB/day") == parse_budget("200 kb") == parse_budget("200000") == Budget(200_000)
    assert parse_budget("1.5MB/d") == Budget(1_500_000)
    for bad in ("", "0", "fast", "10kB/week", "-5", "1e3", "5 kibibytes", "0.0001"):
        with pytest.raises(ValueError):
            parse_budget(bad)
    assert Budget(100).left(30) == 70 and Budget(100).left(130) == 0
    assert day_of(DAY - 0.1) == 0 and next_day(DAY - 0.1) == DAY and next_day(float(DAY)) == 2 * DAY
