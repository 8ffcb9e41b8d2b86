"""Windows of a link: parsed as they are written, open when a plain look at the calendar says so."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercast.net.windows import DAY, DAYS, Daily, DutyCycle, Pass, Windows, parse_window, parse_windows


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_a_pass() -> None:
    windows = Windows([parse_window("2026-11-24T20:00:00Z/2026-11-24T20:09:00Z")])
    start, end = at("2026-11-24T20:00"), at("2026-11-24T20:09")
    assert not windows.is_open(start - 1) and windows.is_open(start) and not windows.is_open(end)
    assert (windows.opens(start - 100), windows.opens(start + 5), windows.opens(end)) == (start, start + 5, None)
    assert (windows.closes(start + 5), windows.closes(end + 5)) == (end, end + 5)
    assert parse_window("2026-11-24T21:00:00+01:00/2026-11-24T20:09") == Pass(start, end)


def test_days_of_the_week_and_midnight() -> None:
    windows = Windows([parse_window("mon,fri 22:00-02:00")])
    assert windows.is_open(at("2026-11-23T23:00")), "a Monday"
    assert windows.is_open(at("2026-11-24T01:59")) and not windows.is_open(at("2026-11-24T02:00"))
    assert not windows.is_open(at("2026-11-24T23:00")) and not windows.is_open(at("2026-11-23T01:00"))
    assert windows.opens(at("2026-11-24T12:00")) == at("2026-11-27T22:00")
    assert windows.closes(at("2026-11-27T23:00")) == at("2026-11-28T02:00")


def test_windows_that_meet_are_one() -> None:
    windows = Windows([parse_window("06:00-07:00"), parse_window("07:00-08:00"), parse_window("07:30-09:00")])
    assert windows.closes(at("2026-11-24T06:30")) == at("2026-11-24T09:00")
    always = Windows([parse_window("00:00-24:00")])
    assert always.is_open(12345.0) and (always.closes(12345.0) or 0) > 12345 + 300 * DAY
    assert Windows().is_open(0.0) and Windows().closes(0.0) is None and Windows().opens(5.0) == 5.0


def test_a_file_of_windows() -> None:
    text = """
    [[window]]
    start = 2026-11-24T20:00:00Z
    end = 2026-11-24T20:09:00Z
    [[window]]
    daily = "06:00-06:20"
    days = ["Monday", "fri"]
    [[window]]
    daily = "sun 23:00-01:00"
    """
    one, two, three = parse_windows(text)
    assert one == Pass(at("2026-11-24T20:00"), at("2026-11-24T20:09"))
    assert two == Daily(6 * 3600, 1200, frozenset({0, 4}))
    assert three == Daily(23 * 3600, 7200, frozenset({6}))


def test_what_is_no_window() -> None:
    for text in (
        "",
        "6-7",
        "25:00-26:00",
        "06:00-06:60",
        "24:30-01:00",
        "xyz 06:00-07:00",
        "a/b",
        "2026-11-24/2026-11-24",
    ):
        with pytest.raises(ValueError):
            parse_window(text)
    for text in (
        "window = 3",
        "[window]",
        "[[window]]\nstart = 2026-11-24T20:00:00Z",
        "[[window]]\nstart = 1\nend = 2",
        "[[window]]\nstart = 2026-11-25\nend = 2026-11-26",
        '[[window]]\ndaily = "2026-11-24T20:00:00Z/2026-11-24T20:09:00Z"',
        '[[window]]\ndaily = "06:00-07:00"\ndays = []',
        '[[window]]\ndaily = "06:00-07:00"\ndays = "mon"',
        '[[window]]\ndaily = "06:00-07:00"\nhow = 1',
        "other = 1\n[[window]]",
        "[[",
    ):
        with pytest.raises(ValueError):
            parse_windows(text)


dailies = st.builds(
    lambda start, length, days: Daily(60.0 * start, 60.0 * length, frozenset(days)),
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.sets(st.integers(0, 6), min_size=1),
)


@settings(max_examples=60)
@given(st.lists(dailies, min_size=1, max_size=3), st.integers(0, 14 * DAY // 60))
def test_open_is_what_the_calendar_says(windows: list[Daily], minute: int) -> None:
    base = datetime(2026, 11, 16, tzinfo=UTC)
    now = base + timedelta(minutes=minute)

    def is_open(when: datetime) -> bool:
        for window in windows:
            for back in (0, 1):
                midnight = (when - timedelta(days=back)).replace(hour=0, minute=0)
                start = midnight + timedelta(seconds=window.start)
                if midnight.weekday() in window.days and start <= when < start + timedelta(seconds=window.length):
                    return True
        return False

    found = Windows(windows)
    assert found.is_open(now.timestamp()) == is_open(now)
    opens = found.opens(now.timestamp())
    assert opens is not None
    first = datetime.fromtimestamp(opens, UTC)
    assert is_open(first) and (first == now or not is_open(first - timedelta(minutes=1)))
    closes = found.closes(now.timestamp())
    assert closes is not None
    if closes < now.timestamp() + 100 * DAY:
        assert not is_open(datetime.fromtimestamp(closes, UTC))
    assert DAYS[base.weekday()] == "mon"


@given(st.floats(0.01, 1), st.lists(st.tuples(st.floats(0, 500), st.floats(0.01, 30)), max_size=40))
def test_a_duty_cycle_is_kept(share: float, sends: list[tuple[float, float]]) -> None:
    now, used = 1000.0, 0.0
    duty = DutyCycle(share, now, period=3600.0)
    for wait, airtime in sends:
        now += wait
        ready = duty.ready_at(airtime, now)
        if ready is None:
            assert airtime > share * 3600
            continue
        if ready > now:
            assert not duty.spend(airtime, now), "too early"
        now = ready
        assert duty.spend(airtime, now)
        used += airtime
        assert used <= share * (now - 1000.0) + 1e-6 * (1 + used)


def test_duty_cycles_that_are_none() -> None:
    for share, period in ((0.0, 1.0), (1.1, 1.0), (0.5, 0.0)):
        with pytest.raises(ValueError):
            DutyCycle(share, 0.0, period)
