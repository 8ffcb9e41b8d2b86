"""The QUIC benchmark: its figures stay within what physics allows and follow from the opening."""

from layercast.bench import quic
from layercast.bench.quic import Case, run


def test_an_opening_takes_its_packets_and_round_trips() -> None:
    """Cold: two padded packets up and one down before the caption; with a ticket one each way."""
    padded = 1228 * 8 / 20_000
    cold = run(Case("", 20_000, 0.2, profile="lossless"))
    early = run(Case("", 20_000, 0.2, ticket=True))
    floor = 3 * padded + 4 * 0.1 + (300 + 58) * 8 / 20_000
    assert floor < cold.wait < floor + 0.3
    assert 2 * padded + 0.2 <= early.wait < 2 * padded + 0.2 + 0.2
    assert cold.up >= 2 * 1228 and cold.down >= 1228 + 358


def test_knowing_the_link_helps_and_loss_does_not() -> None:
    known, unknown = (run(Case("", 10_000, 0.1, profile=what)).wait for what in ("rate", "nothing"))
    assert known < unknown - 1
    waits = sorted(run(quic.LOSSY, seed=seed).wait for seed in range(10))
    clean = run(Case("", quic.LOSSY.rate, quic.LOSSY.round_trip)).wait
    assert abs(waits[0] - clean) < 0.05 and waits[-1] > clean + 0.1
    assert run(quic.LOSSY, seed=3) == run(quic.LOSSY, seed=3)


def test_percentiles() -> None:
    assert [quic.percentile([1.0, 2.0, 3.0, 4.0], share) for share in (0.0, 0.5, 0.95)] == [1.0, 2.0, 4.0]
