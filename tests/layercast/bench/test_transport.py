"""The transport benchmark: its figures stay within what physics allows, and it says what misses its goal."""

import json
from pathlib import Path

from click.testing import CliRunner

from layercast.bench import links, transport
from layercast.bench.links import Case, alone, floor_wait, run, runs
from sim.link import LinkSpec
from sim.rates import SteppedRate

LINK = LinkSpec(20_000, 0.1, 0.05)


def test_a_small_case() -> None:
    case = Case(LINK, 400, 30_000)
    known, found = run(case, True, 1), run(case, False, 1)
    ceiling = (400 - 10) / (400 + 28)
    assert 0.6 < found.share < known.share < ceiling
    assert known.wire > known.floor > 30_000
    own = (300 + 28) * 8 / 20_000 + 0.1
    waits = [wait for _, wait in known.waits]
    assert own < waits[0] <= waits[-1] < own + 2 * 428 * 8 / 20_000
    assert run(case, True, 1) == known


def test_runs_put_together() -> None:
    case = Case(LINK, 400, 20_000)
    each = [run(case, False, seed) for seed in (1, 2)]
    both = runs(case, False, (1, 2))
    assert both.share == sum(one.share for one in each) / 2
    assert len(both.waits) == sum(len(one.waits) for one in each)
    longest = both.wait(1.0), both.wait(1.0, start=True)
    assert max(wait for wait in longest if wait is not None) == max(one.waits[-1][1] for one in each)


def test_alone() -> None:
    waits = [wait for _, wait in alone(Case(LinkSpec(50_000, 0.05), times=20), (1,)).waits]
    own = (300 + 8 + 28) * 8 / 50_000 + 0.05
    assert len(waits) == 20 and own - 0.001 < waits[0] and waits[-1] < own + 0.01


def test_what_cannot_be_beaten() -> None:
    link = LinkSpec(1_000, 0.05, course=SteppedRate([(10, 500), (10, 1500)]))
    waits = floor_wait(link, 0)
    bits = (300 + 8 + 28) * 8
    assert bits / 1500 + 0.05 - 0.01 < waits[0] and waits[-1] < bits / 500 + 0.06
    assert floor_wait(link, 600)[1000] > waits[1000]


def test_who_is_told_late_is_prompt_where_nothing_changes() -> None:
    outcome = links.told(LinkSpec(50_000, 0.05), 0.1, seed=1, seconds=60.0)
    longest = outcome.wait(1.0)
    packet, own = 0.1, (300 + 8 + 28) * 8 / 50_000
    assert 0.85 < outcome.share < 1.0 and len(outcome.waits) > 25
    assert longest is not None and longest < packet + 2 * own + 0.05 + 0.02


def test_jitter_at_the_start_floods_nothing() -> None:
    """Seed 14 brings the first three packets in together, which shows a rate of megabits."""
    outcome = run(Case(LinkSpec(50_000, 0.05, jitter=0.05), times=6), False, 14)
    assert outcome.waits[-1][1] < 2.0


def test_command(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    trace = tmp_path / "some.trace"
    trace.write_text("\n".join(str(3 * n) for n in range(1, 10_000)))
    small = Case(LinkSpec(50_000, 0.05, overhead=transport.QUIC), bulk=20_000)
    monkeypatch.setattr(transport, "THIN", ((small, transport.Goal(2.0)),))
    monkeypatch.setattr(transport, "STARTS", (16_000.0,))
    monkeypatch.setattr(transport, "OTHERS", (("small", small),))
    monkeypatch.setattr(links, "URGENT", 100)
    result = CliRunner().invoke(transport.command, ["--runs", "1", "--trace", str(trace), "--json", "--strict"])
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert result.exit_code == 1, "a share of 2 cannot be"
    missed = [line["check"] for line in lines if line.get("ok") is False]
    assert "50 kbit/s, 0.1 s, QUIC: share" in missed
    assert any(line.get("rate") == "some.trace, a hundredth" for line in lines)
