"""bench net: what it makes of what the ends say, and one run through real sockets."""

import math

import pytest
from click.testing import CliRunner

from layercast.bench import net
from layercast.bench.net_ends import CHANNELS, CLIENTS, SERVERS, Job
from sim.wire import why_not


def test_every_row_is_a_job_that_the_ends_know() -> None:
    for row in net.ROWS:
        job = Job(rate=row.rate, round_trip=row.round_trip, **row.job)
        assert job.channel in CHANNELS
        assert row.figure in ("cold", "wait", "alive") and {which for which, _ in row.goals} <= set(net.figures([1.0]))
    assert len(net.BY_NAME) == len(net.ROWS) and SERVERS.keys() == CLIENTS.keys()


def event(kind: str, time: float, **fields: object) -> dict[str, object]:
    return {"event": kind, "time": time, **fields}


def test_a_cold_caption_counts_from_the_last_start() -> None:
    row = net.BY_NAME["quic-0rtt"]
    events = [event("caption", 4.0, caption=0), event("start", 20.0), event("caption", 22.0, caption=0)]
    assert net._judge(row, events).values == [2.0]
    assert net._judge(row, events[:2]).values == [math.inf], "one that never came"


def test_waits_and_share_of_captions_behind_bulk() -> None:
    row = net.BY_NAME["udp-bulk"]
    events = [event("start", 0.0), event("joined", 1.0), event("sent", 11.0, caption=0), event("sent", 14.0, caption=1)]
    events += [event("caption", 11.5, caption=0), event("bulk", 41.0)]
    found = net._judge(row, events)
    assert found.values == [0.5, math.inf]
    assert found.share == pytest.approx((196_000 + 300) * 8 / (50_000 * 40.0))


def test_alive_means_that_captions_still_came() -> None:
    row = net.BY_NAME["webrtc-alive"]
    start, end = event("start", 0.0), event("end", 310.0, closed=None)
    captions = [event("caption", 10.0 * n, caption=n) for n in range(1, 31)]
    assert net._judge(row, [start, *captions, end]).values == [310.0]
    assert net._judge(row, [start, *captions[:5], end]).values == [0.0], "open, and yet dead"
    assert net._judge(row, [start, *captions]).values == [0.0]


def test_figures() -> None:
    assert net.figures([float(n) for n in range(1, 101)]) == {"median": 50.5, "p95": 95.0, "max": 100.0, "least": 1.0}
    assert net.quantile([3.0], 0.95) == 3.0


@pytest.mark.skipif(why_not() is not None, reason=f"not shown: a cold caption through real sockets; {why_not()}")
def test_a_caption_through_real_sockets() -> None:
    outcome = net.run(net.BY_NAME["udp-cold-small"], 1)
    floor = (114 + 28 + 16 + 13 + 28) * 8 / 10_000 + 0.1
    assert outcome.values[0] > floor, "no faster than the link"
    assert outcome.values[0] < math.inf and 300 < outcome.wire < 3000


def test_where_there_is_no_link_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.wire.why_not", lambda: "links for real sockets need root")
    result = CliRunner().invoke(net.command, ["--row", "udp-cold"])
    assert result.exit_code == 1 and "need root" in result.output and len(result.output.splitlines()) == 1
