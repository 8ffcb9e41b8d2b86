"""The F-score of lines beside drawn ones, and the lines of a picture whose edges are known."""

import numpy as np
import pytest

from layercast.bench.edges import canny, counts, f_score, thinned

pytest.importorskip("cv2")


def test_lines_within_reach_are_right_and_what_nobody_drew_is_not():
    drawn = np.zeros((100, 100), np.uint8)
    drawn[50] = 255  # by all annotators
    drawn[90] = 51  # by a fifth of them
    near = np.zeros(drawn.shape, bool)
    near[51] = True  # 0.0075 of the diagonal is 1.06 pixels
    assert list(counts(near, drawn)) == [100, 100, 100 * 255, 100 * 306]
    assert f_score(counts(near, drawn)) == pytest.approx(2 * 255 / 306 / (1 + 255 / 306))
    far = np.roll(near, 2, axis=0)
    assert f_score(counts(far, drawn)) == 0
    assert f_score(counts(np.zeros_like(near), drawn)) == 0


def test_a_line_of_the_map_is_thin_and_in_its_place_at_full_size():
    strength = np.zeros((20, 30), np.uint8)
    strength[:, 14:16] = 128, 200
    lines = thinned(strength, (79, 118)) > 0
    assert lines.shape == (79, 118)
    assert set(np.nonzero(lines[20:60])[1]) <= set(range(58, 64)) and lines[20:60].sum(1).max() <= 2


def test_canny_finds_the_border_of_a_square():
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[20:40, 30:50] = 255
    rows, columns = np.nonzero(canny(picture, 1.0)(100))
    assert {rows.min(), rows.max()} <= {19, 20, 39, 40} and {columns.min(), columns.max()} <= {29, 30, 49, 50}
