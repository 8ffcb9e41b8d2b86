"""The benchmarks' verdicts: what is good passes, what is bad fails, and both stand in the report."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest

from codec.stream import Chunk, Header, Kind, write
from layercast.bench import (
    budgets,
    caption_coders,
    captions,
    cuts,
    framing,
    identity,
    losses,
    lossless,
    measures,
    mosaic,
    rate_quality,
    scalability,
    speed,
)
from layercast.bench.bd_rate import bd_rate, bd_rates
from layercast.bench.budgets import Budget
from layercast.bench.clock import Cost
from layercast.bench.intervals import interval_of
from layercast.bench.measures import sign
from layercast.bench.points import Point
from layercast.bench.report import Interval, Report, Table
from sim import learned


def verdicts(report: Report) -> list[bool]:
    return [check.ok for check in report.checks]


def test_cuts_fail_on_a_missing_picture_and_on_a_fall() -> None:
    rising = tuple(20 + step / 10 for step in range(cuts.GRID))
    falling = (*rising[:10], *(value - 0.5 for value in rising[10:]))
    steady, sinking = ({"PSNR": values, "SSIMULACRA2": values} for values in (rising, falling))
    good = cuts.report([cuts.Tried("a", 9, ())], [cuts.Grid("a", steady)])
    bad = cuts.report([cuts.Tried("a", 9, ("a at 7 B: KeyError",))], [cuts.Grid("a", steady), cuts.Grid("b", sinking)])
    assert verdicts(good) == [True] * 3 and verdicts(bad) == [False, False, True]
    assert "8 of 9" in bad.markdown() and "KeyError" in bad.markdown() and "0.400 dB (b)" in bad.markdown()
    assert verdicts(cuts.report([], [cuts.Grid("b", sinking | {"PSNR": rising})]))[1:] == [True, True]


@pytest.mark.parametrize(
    ("psnr", "fall"),
    [((20.0, 21.0, math.inf), 0.0), ((20.0, 23.0, 22.5, 22.0, 24.0), 1.0), ((math.inf, math.inf), 0.0)],
)
def test_largest_fall_counts_from_the_highest_before(psnr: tuple[float, ...], fall: float) -> None:
    assert cuts.Grid("a", {"PSNR": psnr}).fall("PSNR") == pytest.approx(fall)


def test_scalability_fails_where_an_encode_for_the_size_needs_fewer_bytes() -> None:
    good = scalability.Cost("a", "600", 600, 22.0, 22.1, "base of 3 latents alone", 630, True)
    assert good.percent == pytest.approx(5)
    assert verdicts(scalability.report([good, good], [Budget(600), Budget(1000)])) == [True]
    bad = scalability.report([good, good._replace(reached=700, same=False)], [Budget(600)])
    assert verdicts(bad) == [False] and "1 of 2 are equal" in bad.markdown() and "alone (2)" in bad.markdown()


def test_speed_is_judged_at_the_size_of_its_goal() -> None:
    costs = {speed.ENCODE: [Cost(2.0, 9.0)], speed.RESIDUAL: [Cost(0.03, 0.1), Cost(0.09, 0.1)]}
    run = speed.Run("a", 768 * 512, costs | {speed.JXL[0]: [Cost(0.5, 0.5)]}, {})
    report = speed.report([run])
    assert verdicts(report) == [True, False] and report.tables[0].rows[0][:5] == (speed.ENCODE, 2.0, 2.0, 9.0, "x4.0")
    assert verdicts(speed.report([run._replace(pixels=5)])) == []
    large = speed.Run("b", 12_000_000, {speed.ENCODE: [Cost(99.0, 99.0)]}, {speed.ENCODE: 2_500_000_000})
    assert verdicts(speed.report([large])) == [False, True]


def test_a_mosaic_is_filled_by_photos() -> None:
    lying, tall = np.full((20, 30, 3), 5, np.uint8), np.full((40, 25, 3), 9, np.uint8)
    made = mosaic.mosaic([lying, tall], 12_000)
    assert made.shape[:2] == mosaic.size_of(12_000)[::-1]
    assert {int(value) for value in np.unique(made)} == {5, 9} and made[0, 0, 0] == 5 and made[0, 30, 0] == 9
    assert mosaic.parse_pixels("12MP") == 12_000_000 and mosaic.size_of(12_000_000) == (4000, 3000)
    with pytest.raises(ValueError):
        mosaic.parse_pixels("0")


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


def test_identity_fails_on_one_different_sum() -> None:
    same = ["1 a", "2 b"]
    assert verdicts(identity.report(["x", "y"], [same, same])) == [True]
    assert verdicts(identity.report(["x", "y"], [same, ["1 a", "3 b"]])) == [False], "symbols"
    assert verdicts(identity.report(["x", "y"], [same, ["1 a", "2 c"]])) == [False], "pixels"


def test_framing_is_measured_where_it_is_dearest() -> None:
    small = [Chunk(Kind.RESIDUAL, i, bytes(20)) for i in range(200)]
    large = [Chunk(Kind.RESIDUAL, i, bytes(4000)) for i in range(9)]
    dear = framing.measure_stream("a", write(Header(64, 64), small))
    cheap = framing.measure_stream("a", write(Header(64, 64), large))
    assert (dear.header, dear.framing, dear.short, dear.chunks) == (4, 400, 2, 200)
    assert dear.shares[0] == pytest.approx(9.1, abs=0.1) and dear.shares[1] is None
    assert verdicts(framing.report([cheap]))[:2] == [True, True]
    assert verdicts(framing.report([cheap, dear]))[0] is False


def point(picture: str, codec: str, psnr: float, budget: str = "600", size: int = 600, score: float = -10.0) -> Point:
    return Point(picture, budget, codec, size, {"PSNR": psnr, "SSIMULACRA2": score, "feature distance": 1.3})


def test_rate_quality_shows_losses_as_plainly_as_wins() -> None:
    points = [
        point("a", "layercast", 22.0),
        point("a", "webp", 23.0, size=590),
        point("b", "layercast", 24.0),
        point("a", "layercast", math.inf, budget="full", size=9000),
    ]
    report = rate_quality.report(points, [Budget(600)], ["webp"], pictures=2)
    means, duels, _ = report.tables
    assert list(means.rows[0]) == ["600", "layercast", 600, 23.0, -10.0, pytest.approx(1.3)]
    assert means.rows[1][1] == "webp (1 of 2)" and means.rows[2][3] == math.inf
    same = Interval(0, 0, 0)
    assert list(duels.rows[0]) == ["600", "webp", Interval(-1, -1, -1), 0, same, 0, same, 0, 1]
    assert "exact" in report.markdown() and "-1.00 [-1.00, -1.00]" in report.markdown()


def test_measures_that_are_absent_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "missing", lambda name: "no weights" if name == "DISTS" else "")
    assert measures.absent() == ["DISTS: absent, no weights."]
    assert "LPIPS" in measures.measures() and "DISTS" not in measures.measures()


def test_intervals_hold_the_mean_and_narrow_with_pictures() -> None:
    draw = np.random.default_rng(1)
    few, many = (interval_of(list(draw.normal(2.0, 1.0, count))) for count in (10, 1000))
    assert few is not None and many is not None
    assert few.low < few.mean < few.high and many.low < many.mean < many.high
    assert many.high - many.low == pytest.approx(2 * 1.96 / math.sqrt(1000), rel=0.15), "of a normal mean"
    assert few.high - few.low > 3 * (many.high - many.low)
    assert interval_of([]) is None


CURVE = [(150, 20.0), (300, 22.0), (600, 24.0), (1200, 26.0), (2400, 28.0)]


def test_bd_rate_of_a_curve_that_needs_a_tenth_fewer_bytes() -> None:
    assert bd_rate(CURVE, [(0.9 * rate, quality) for rate, quality in CURVE]) == pytest.approx(-10, abs=0.01)
    assert bd_rate(CURVE, [*CURVE, (700, 23.5)]) == pytest.approx(0, abs=0.01), "a point that is no better is left out"
    assert math.isnan(bd_rate(CURVE, [(rate, quality + 20) for rate, quality in CURVE])), "no quality in common"


def test_bd_rates_of_two_ranges_with_intervals() -> None:
    sizes = [Budget(amount) for amount in (150, 300, 600, 1000, 50_000)]  # one above the range, which says nothing
    points = [
        Point(picture, budget.label, codec, int(budget.amount * (0.8 if codec == "layercast" else 1)),
              {name: shift + sign(name) * math.log(budget.amount) for name in measures.MAIN})
        for shift, picture in enumerate("abcd") for budget in sizes for codec in ("layercast", "webp", "avif")
        if (codec, budget.amount) != ("avif", 150)
    ]  # fmt: skip
    rows = bd_rates(points, sizes, ["webp", "avif"]).rows
    assert [row[:2] for row in rows] == [("150-3000 B", "webp"), ("150-3000 B", "avif")]
    for row in rows:
        for cell in row[2:]:
            assert isinstance(cell, Interval) and cell.mean == pytest.approx(-20, abs=0.5)
            assert cell.low <= cell.mean <= cell.high


def test_budgets_in_bytes_and_in_bits_of_each_pixel() -> None:
    found = budgets.parse("2bpp, 600,0,3001,0.1bpp")
    assert [budget.label for budget in found] == ["thumbnail", "600", "3001", "0.1 bpp", "2 bpp"]
    assert [budget.bytes(768 * 512) for budget in found] == [0, 600, 3001, 4915, 98304]
    assert [budget.range for budget in found] == [None, budgets.BYTES, budgets.MORE_BYTES, budgets.BITS, budgets.BITS]
    for wrong in ("many", "-5", "0bpp", "nanbpp", ""):
        with pytest.raises(ValueError):
            budgets.parse(wrong)


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


def test_captions_fail_where_they_are_long_slow_or_above_raw() -> None:
    good = {"coco_eval": [caption_coders.Row("ours", 8.0, 14.0, 1.0, 2.0), caption_coders.Row("zlib", 57.0, 80.0)]}
    bad = {"coco_eval": [caption_coders.Row("ours", 9.3, 14.0, 1.0, 5.5)]}
    reports = [Report("good"), Report("bad")]
    captions.add_coders(reports[0], good, {"Chinese": 1})
    captions.add_coders(reports[1], bad, {"Chinese": 2})
    assert [verdicts(each) for each in reports] == [[True] * 3, [False] * 3]


def test_huffman_gives_frequent_characters_short_codes() -> None:
    lengths = caption_coders.huffman(Counter({"e": 8, "t": 4, "a": 2, "q": 1, "x": 1}))
    assert lengths == {"e": 1, "t": 2, "a": 3, "q": 4, "x": 4}
