"""Limits: no peer gets more than it may, none goes without because of another's, and memory stays bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.limits import Admission, Bucket, Limits, LimitsConfig


def opened(limits: Limits, peer: object, now: float = 0.0) -> Admission:
    admission = limits.open(peer, now)
    assert isinstance(admission, Admission), admission
    return admission


@given(
    st.floats(1, 1000),
    st.floats(1, 1000),
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 2000)), max_size=60),
)
def test_a_bucket_never_gives_more_than_flowed_in(rate: float, burst: float, takes: list[tuple[float, float]]) -> None:
    bucket, now, taken = Bucket(rate, burst, 0.0), 0.0, 0.0
    for wait, amount in takes:
        now += wait
        before = bucket.level(now)
        if bucket.take(amount, now):
            taken += amount
            assert amount <= before
        else:
            assert amount > before and bucket.level(now) == before, "a refusal costs nothing"
    assert taken <= burst + rate * now + 1e-6 * (1 + taken)


def test_a_bucket_gives_all_that_flowed_in() -> None:
    bucket = Bucket(100.0, 50.0, 0.0)
    assert bucket.take(50, 0.0) and not bucket.take(1, 0.0)
    assert bucket.take(10, 0.1) and not bucket.take(1, 0.1)
    assert not bucket.take(51, 100.0), "more than the burst is never there"
    assert bucket.full(100.0) and bucket.take(50, 100.0)
    assert not bucket.take(10, 99.0), "a clock that goes back brings nothing"


def test_sessions_of_a_peer_and_of_all() -> None:
    limits = Limits(LimitsConfig(sessions=2, all_sessions=3))
    first, second = opened(limits, "a"), opened(limits, "a")
    assert limits.open("a", 0.0) == "too many sessions of this peer"
    opened(limits, "b")
    assert limits.open("c", 0.0) == "too many sessions"
    limits.close(first)
    limits.close(first)
    assert limits.sessions == 2
    opened(limits, "c")
    limits.close(second)
    opened(limits, "a", 1.0)
    assert limits.refused == 2


def test_sessions_opened_in_haste() -> None:
    limits = Limits(LimitsConfig(starts=1.0, start_burst=3))
    for _ in range(3):
        limits.close(opened(limits, "a"))
    assert limits.open("a", 0.5) == "this peer opens sessions too fast"
    opened(limits, "b", 0.5)
    opened(limits, "a", 1.5)


def test_rates_of_a_peer_and_of_all() -> None:
    limits = Limits(LimitsConfig(rate=1000, burst=2000, all_rate=1500, all_burst=3000))
    one, again, other = opened(limits, "a"), opened(limits, "a"), opened(limits, "b")
    assert limits.take(one, 1200, 0.0) is None
    assert limits.take(again, 1200, 0.0) == "this peer sends too fast", "a second session is no second share"
    assert limits.take(other, 1800, 0.0) is None
    assert limits.take(one, 100, 0.0) == "all peers together send too fast"
    assert limits.take(one, 800, 1.0) is None, "what was refused for all was not charged to the peer"


def test_bytes_and_groups_of_a_session() -> None:
    limits = Limits(LimitsConfig(bytes=1000, groups=2))
    session = opened(limits, "a")
    assert limits.take(session, 900, 0.0) is None
    assert limits.take(session, 101, 0.0) == "too many bytes in this session"
    assert limits.take(session, 100, 0.0) is None
    assert [limits.start_group(session, group) for group in (1, 2, 1)] == [None, None, None]
    assert limits.start_group(session, 3) == "too many groups in this session"
    assert limits.start_group(opened(limits, "a"), 3) is None
    assert len(session.groups) == 2


def test_silence_ends_a_session() -> None:
    limits = Limits(LimitsConfig(idle=10.0))
    assert limits.next_timer() is None
    quiet, lively = opened(limits, "a", 0.0), opened(limits, "b", 0.0)
    assert limits.take(lively, 1, 6.0) is None
    assert limits.next_timer() == 10.0
    assert list(limits.idle(9.9)) == [] and list(limits.idle(10.0)) == [quiet]
    limits.close(quiet)
    assert limits.next_timer() == 16.0 and list(limits.idle(16.0)) == [lively]
    assert limits.take(quiet, 1, 16.0) == "a session that is closed"


def test_many_strangers_cost_a_bounded_memory_and_nobody_else_his_place() -> None:
    limits = Limits(LimitsConfig(peers=100, rate=1000, burst=1000))
    friend = opened(limits, "friend")
    answers = [limits.take_stranger(number, 40, number / 1e6) for number in range(100_000)]
    assert limits.peers <= 100
    assert answers[:50] == [None] * 50 and "too many peers" in answers
    assert limits.take(friend, 100, 1.0) is None
    assert limits.take_stranger("late", 40, 5.0) is None, "strangers that fell silent are forgotten"
    assert limits.peers <= 3


def test_a_peer_cannot_reset_its_bucket_by_being_forgotten() -> None:
    limits = Limits(LimitsConfig(peers=2, rate=10, burst=1000))
    assert limits.take_stranger("greedy", 1000, 0.0) is None
    for number in range(10):
        limits.take_stranger(number, 1, 1.0 + 2 * number)
    assert limits.take_stranger("greedy", 900, 25.0) == "this peer sends too fast"


peers = st.integers(0, 5)
steps = st.lists(
    st.tuples(st.sampled_from(["open", "close", "take", "stranger"]), peers, st.integers(0, 400), st.floats(0, 3)),
    max_size=80,
)


@given(steps)
def test_whatever_happens_the_limits_hold(steps: list[tuple[str, int, int, float]]) -> None:
    config = LimitsConfig(
        sessions=2, all_sessions=5, rate=100, burst=300, all_rate=250, all_burst=600, bytes=900, peers=4, starts=0.5
    )
    limits, now = Limits(config), 0.0
    sessions: list[Admission] = []
    brought: dict[object, int] = {}
    for what, peer, size, wait in steps:
        now += wait
        if what == "open":
            found = limits.open(peer, now)
            sessions += [found] if isinstance(found, Admission) else []
        elif what == "close" and sessions:
            limits.close(sessions.pop(peer % len(sessions)))
        elif what == "take" and sessions:
            session = sessions[peer % len(sessions)]
            if limits.take(session, size, now) is None:
                brought[session.peer] = brought.get(session.peer, 0) + size
        elif what == "stranger" and limits.take_stranger(peer, size, now) is None:
            brought[peer] = brought.get(peer, 0) + size
        assert limits.sessions == len(sessions) <= 5 and limits.peers <= 4
        assert all(sum(s.peer == each for s in sessions) <= 2 for each in range(6))
        assert all(session.bytes <= 900 for session in sessions)
    assert all(total <= 300 + 100 * now + 1e-6 for total in brought.values())
    assert sum(brought.values()) <= 600 + 250 * now + 1e-6


def test_limits_that_are_none() -> None:
    for bad in ({"sessions": 0}, {"rate": 0}, {"idle": -1.0}, {"peers": 0}, {"burst": float("nan")}):
        with pytest.raises(ValueError, match="more than 0"):
            LimitsConfig(**bad)  # type: ignore[arg-type]
