"""The benchmarks' verdicts: what is good passes, what is bad fails, and both stand in the report."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from codec.stream import Chunk, Header, Kind, write
from layercast.bench import captions, cuts, framing, losses, lossless, rate_quality, threads
from layercast.bench.report import Report, Table


def verdicts(report: Report) -> list[bool]:
    return [check.ok for check in report.checks]


def test_cuts_fail_on_a_missing_picture_and_on_a_fall() -> None:
    rising = tuple(20 + step / 10 for step in range(cuts.GRID))
    falling = (*rising[:10], *(value - 0.5 for value in rising[10:]))
    sizes = tuple(range(1, cuts.GRID + 1))
    good = cuts.report([cuts.Tried("a", 9, ())], [cuts.Grid("a", sizes, rising)])
    bad = cuts.report([cuts.Tried("a", 9, ("a at 7 B: KeyError",))], [cuts.Grid("a", sizes, falling)])
    assert verdicts(good) == [True, True] and verdicts(bad) == [False, False]
    assert "8 of 9" in bad.markdown() and "KeyError" in bad.markdown()


@pytest.mark.parametrize(
    ("psnr", "fall"),
    [((20.0, 21.0, math.inf), 0.0), ((20.0, 23.0, 22.5, 22.0, 24.0), 1.0), ((math.inf, math.inf), 0.0)],
)
def test_largest_fall_counts_from_the_highest_before(psnr: tuple[float, ...], fall: float) -> None:
    assert cuts.Grid("a", (), psnr).fall == pytest.approx(fall)


def test_chosen_cuts_hold_every_early_byte_and_repeat_with_the_seed() -> None:
    data = bytes(1000)
    chosen = cuts.chosen_cuts(data, 50, seed=3)
    assert chosen[:200] == list(range(200)) and len(chosen) == 250 and max(chosen) < 1000
    assert chosen == cuts.chosen_cuts(data, 50, seed=3) != cuts.chosen_cuts(data, 50, seed=4)


def test_losses_fail_below_the_prefix_on_harm_and_on_a_stray_pixel() -> None:
    def run(psnr: float, gain: float, escaped: tuple[int, ...]) -> Report:
        kept = [losses.Kept("a", lost, psnr, 25.0) for lost, _ in losses.CASES]
        harms = [losses.Harm("a", lost, 24.0, 23.0, gain) for lost, _ in losses.CASES]
        useless = [losses.Useless("a", ("latent", "residual"), (0.5, 0.01))]
        return losses.report(kept, harms, [losses.Spread("a", 3, escaped)], useless)

    assert all(verdicts(run(26.0, 0.0, ())))
    assert verdicts(run(24.0, -0.1, (2,))) == [False] * 5


def test_lossless_fails_on_one_changed_picture_and_on_size() -> None:
    good = lossless.Run("a", 8000, 9000, True, True, 1.0, 1.0, 8000, 1.0, 0.1)
    assert verdicts(lossless.report([good, good])) == [True, True, True]
    assert verdicts(lossless.report([good, good._replace(identical=False)])) == [False, True, True]
    assert verdicts(lossless.report([good, good._replace(size=12_000)])) == [True, True, False]
    assert verdicts(lossless.report([good._replace(verified=False)])) == [True, False, True]


def test_caption_fails_above_the_goal_and_when_a_text_changes() -> None:
    good = captions.Sentence(50, 57, 16, True)
    pictured = [captions.Pictured(37.0, 21)]
    assert all(verdicts(captions.report({"coco_eval": [good]}, pictured)))
    bad = captions.report({"coco_eval": [good._replace(file=18, same=False)]}, [captions.Pictured(41.0, 22)])
    assert verdicts(bad) == [False, False, False, False]


def test_threads_fail_on_one_different_sum() -> None:
    files = [Path("a"), Path("b")]
    assert verdicts(threads.report(files, [["1", "2"], ["1", "2"]])) == [True]
    assert verdicts(threads.report(files, [["1", "2"], ["1", "3"]])) == [False]


def test_framing_is_measured_where_it_is_dearest() -> None:
    small = [Chunk(Kind.RESIDUAL, i, bytes(20)) for i in range(200)]
    large = [Chunk(Kind.RESIDUAL, i, bytes(4000)) for i in range(9)]
    dear = framing.measure_stream("a", write(Header(64, 64), small))
    cheap = framing.measure_stream("a", write(Header(64, 64), large))
    assert (dear.header, dear.framing, dear.short, dear.chunks) == (4, 400, 2, 200)
    assert dear.shares[0] == pytest.approx(9.1, abs=0.1) and dear.shares[1] is None
    assert verdicts(framing.report([cheap]))[:2] == [True, True]
    assert verdicts(framing.report([cheap, dear]))[0] is False


def points() -> list[rate_quality.Point]:
    ours = rate_quality.Point("a", 600, "layercast", 600, 22.0, -10.0, 1.3)
    return [
        ours,
        ours._replace(codec="webp", size=590, psnr=23.0, feature_distance=1.4),
        ours._replace(picture="b", psnr=24.0),
        ours._replace(codec="layercast in full", budget=9000, psnr=math.inf),
    ]


def test_rate_quality_shows_losses_as_plainly_as_wins() -> None:
    report = rate_quality.report(points(), [600], ["webp"], pictures=2)
    means, duels = report.tables
    assert list(means.rows[0]) == [600, "layercast", 600, 23.0, -10.0, pytest.approx(1.3)]
    assert means.rows[1][1] == "webp (1 of 2)"
    assert list(duels.rows[0]) == [600, "webp", -1.0, 0, 0.0, 0, pytest.approx(-0.1), 1, 1]
    assert "exact" in report.markdown()


def test_json_lines_carry_every_row_and_check() -> None:
    report = Report("x", tables=[Table(("a", "b"), [(1, math.inf), ("two", None)], "t")])
    report.check("c", "5", "<= 4", False)
    rows = [json.loads(line) for line in report.json_lines()]
    assert rows[0] == {"bench": "x", "table": "t", "a": 1, "b": None}
    assert rows[2] == {"bench": "x", "check": "c", "figure": "5", "goal": "<= 4", "ok": False}


def test_strict_turns_a_missed_goal_into_an_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("x")
    report.check("c", "5", "<= 4", False)
    report.show(as_json=False, strict=False)
    assert "FAIL  c: 5 (goal <= 4)" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        report.show(as_json=False, strict=True)
