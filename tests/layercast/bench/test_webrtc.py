"""The WebRTC benchmark: its figures stay within what physics allows."""

from layercast.bench.webrtc import Case, Cold, Life, _virtually, cold, life, transfer


def test_a_first_item_takes_four_round_trips_and_the_bytes() -> None:
    case = Cold(50_000, 0.4)
    time = _virtually(lambda network: cold(network, case, 300, 1))
    assert 4 * 0.4 < time < 5 * 0.4 + 5000 * 8 / 50_000


def test_a_transfer() -> None:
    case = Case(50_000, 0.1, 0.0, 1100, 130_000, 0.0)
    outcome = transfer(case, True, 1)
    assert 0.7 < outcome.share < 1092 / (1100 + 93)
    assert len(outcome.waits) == 10 and outcome.waits[0] > 393 * 8 / 50_000 + 0.05
    assert 0.07 < outcome.beyond < 0.3 and 0.01 < outcome.back < 0.2


def test_a_life_ends_where_it_may() -> None:
    lived, spent = life(Life("idle", 50_000, 1.0, 0.0, 100.0), 1)
    assert lived == 100.0 and 0 < spent < 100 * 40
