"""The benchmark of repair: everything arrives, and a long lossy path gains."""

from statistics import mean

from layercast.bench import repair


def test_a_long_path_gains_and_a_short_one_loses_nothing() -> None:
    plain, coded = (repair.run(0.2, 2.0, code, 3) for code in (False, True))
    assert mean(coded.times) < mean(plain.times) and coded.rebuilt > 0 == plain.rebuilt
    assert plain.wire < coded.wire < 1.5 * plain.wire
    assert repair.run(0.05, 0.1, True, 3) == repair.run(0.05, 0.1, False, 3)
