"""The transport benchmark: its figures stay within what physics allows, and a known rate beats a guessed one."""

from layercast.bench.transport import Case, run


def test_a_small_case() -> None:
    case = Case(20_000, 0.2, 0.05, 400, 30_000)
    known, found = run(case, True, 1), run(case, False, 1)
    ceiling = (400 - 10) / (400 + 28)
    assert 0.6 < found.share < known.share < ceiling
    assert len(known.waits) == 10
    alone = (300 + 28) * 8 / 20_000 + 0.1
    assert alone < known.waits[0] <= known.waits[-1] < alone + 2 * 428 * 8 / 20_000
    assert run(case, True, 1) == known
