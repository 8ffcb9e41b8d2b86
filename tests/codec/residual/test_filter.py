"""The in-loop filter: within what is known, local, and the same whenever and however often a picture is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from codec.residual import Layout, ResidualDecoder, area, encode, filter
from codec.residual.filter import ACTIVE, FIRST, REACH, Filter, active, rates
from codec.residual.tables import PASSES, TOPS
from codec.residual.transform import EIGHTHS, GROUPS, SIDES, Plane, band_shape
from tests.codec.residual.test_residual import Picture, flat, header_of, scene

Inputs = tuple[Plane, list[Plane], list[Plane], list[tuple[Plane, Plane]], NDArray[np.int8]]


def first_active(group: int) -> int:
    return next(n for n in range(1, PASSES) if active(np.array([n], np.int8), group)[0])


def made_up(width: int, height: int, group: int, seed: int) -> Inputs:
    """Bands of a picture of width x height with intervals around them, and passes that differ from cell to cell."""
    rng = np.random.default_rng(seed)
    rows, columns = -(-height // 128), -(-width // 128)
    shapes = [band_shape(height, width, group, o) for o in range(3)]
    low = rng.integers(-4800, 4800, (-(-height >> 6 - group), -(-width >> 6 - group)), np.int32)
    bands = [rng.integers(-2400, 2400, shape, np.int32) for shape in shapes]
    base = [rng.integers(-300, 300, shape, np.int32) for shape in shapes]
    bounds = [
        ((band >> EIGHTHS) - rng.integers(0, 90, band.shape), (band >> EIGHTHS) + rng.integers(1, 90, band.shape))
        for band in bands
    ]
    bounds = [(least.astype(np.int32), most.astype(np.int32)) for least, most in bounds]
    passes = (first_active(group) + rng.integers(-1, 4, rows * columns)).astype(np.int8)
    passes[0] = first_active(group)
    return low, bands, base, bounds, passes


def filtered(inputs: Inputs, group: int, width: int, height: int, used: Filter | None = None) -> list[Plane]:
    used = used or Filter(0, -(-height // 128), -(-width // 128))
    return used(group, *inputs)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(FIRST, GROUPS - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_nothing_leaves_its_interval(width: int, height: int, group: int, seed: int) -> None:
    inputs = made_up(width, height, group, seed)
    for band, (least, most) in zip(filtered(inputs, group, width, height), inputs[3], strict=True):
        assert (band >= least << EIGHTHS).all() and (band <= most << EIGHTHS).all()


def test_only_cells_with_thresholds_in_the_range_are_touched() -> None:
    group = GROUPS - 1
    low, bands, base, bounds, passes = made_up(256, 128, group, 3)
    for other in range(PASSES + 1):
        passes[1] = other
        touched = filtered((low, bands, base, bounds, passes), group, 256, 128)
        moved = any((a != b)[:, SIDES[group] :].any() for a, b in zip(touched, bands, strict=True))
        assert moved == (other > 0 and ACTIVE[0] <= TOPS[0][group][0] >> other < ACTIVE[1])


@given(st.integers(140, 260), st.integers(130, 200), st.integers(FIRST, GROUPS - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_change_reaches_no_farther_than_promised(width: int, height: int, group: int, seed: int) -> None:
    inputs = made_up(width, height, group, seed)
    rng = np.random.default_rng(seed)
    low, bands, base, bounds, passes = inputs
    low, bands, base = low.copy(), [b.copy() for b in bands], [b.copy() for b in base]
    y, x = (int(rng.integers(0, side)) for side in bands[2].shape)
    for plane in (low, *bands, *base):
        plane[y, x] += 616
    free = [(least - 200, most + 200) for least, most in bounds]
    before = filtered((inputs[0], inputs[1], inputs[2], free, passes), group, width, height)
    after = filtered((low, bands, base, free, passes), group, width, height)
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    for a, b in zip(before, after, strict=True):
        ys, xs = np.nonzero(a != b)
        assert (abs(ys - y) <= REACH).all() and (abs(xs - x) <= REACH).all()


@given(st.integers(1, 300), st.integers(1, 300), st.integers(FIRST, GROUPS - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_what_was_computed_before_changes_nothing(width: int, height: int, group: int, seed: int) -> None:
    used = Filter(0, -(-height // 128), -(-width // 128))
    low, bands, base, bounds, passes = made_up(width, height, group, seed)
    rng = np.random.default_rng(seed)
    for _ in range(4):
        inputs = (low, bands, base, bounds, passes)
        fresh = filtered(inputs, group, width, height)
        assert all(map(np.array_equal, fresh, filtered(inputs, group, width, height, used)))
        low = low.copy()
        low[rng.integers(0, low.shape[0]), rng.integers(0, low.shape[1]) :] += 400
        passes = passes.copy()
        passes[rng.integers(0, passes.size)] = rng.integers(0, PASSES + 1)


def decoded(picture: Picture, chunks: list[tuple[int, bytes]], rng: np.random.Generator, base: Picture) -> Picture:
    """The picture after chunks in a random order that respects their needs, asked for now and then."""
    decoder, waiting = ResidualDecoder(header_of(picture)), list(chunks)
    while waiting:
        stopped = len(waiting)
        for place in rng.permutation(len(waiting)):
            index, payload = waiting[place]
            if decoder.push(index, payload):
                waiting[place] = (-1, b"")
            if rng.random() < 0.2:
                decoder.correct(base)
        waiting = [chunk for chunk in waiting if chunk[0] >= 0]
        assert len(waiting) < stopped
    return decoder.correct(base)


@given(st.integers(1, 290), st.integers(1, 290), st.integers(1, 4), st.floats(0.1, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None)
def test_the_picture_depends_on_the_chunks_alone(
    width: int, height: int, channels: int, share: float, seed: int
) -> None:
    picture = scene(width, height, channels, seed % 1000)
    base = flat(picture)
    chunks = encode(picture, base, header_of(picture))
    chunks = chunks[: max(1, int(share * len(chunks)))]
    decoder = ResidualDecoder(header_of(picture))
    decoder.push_many([(index, payload, True) for index, payload in chunks])
    asked = decoded(picture, chunks, np.random.default_rng(seed), base)
    assert np.array_equal(decoder.correct(base), asked)


def test_a_partly_refined_picture_is_filtered_and_a_whole_one_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = scene(300, 200, 3)
    base, header = flat(picture), header_of(picture)
    chunks = encode(picture, base, header)
    layout = Layout.of(header)
    early = [chunk for chunk in chunks if layout.place(chunk[0])[0] < 5]
    decoder = ResidualDecoder(header)
    decoder.push_many([(*chunk, True) for chunk in early])
    shown = decoder.correct(base)
    decoder.push_many([(*chunk, True) for chunk in chunks])
    assert np.array_equal(decoder.correct(base), picture)
    monkeypatch.setattr(filter, "active", lambda passes, group: np.zeros(passes.shape, np.bool_))
    plain = ResidualDecoder(header)
    plain.push_many([(*chunk, True) for chunk in early])
    assert not np.array_equal(plain.correct(base), shown)


def test_cells_without_chunks_show_the_base() -> None:
    picture, base = scene(640, 100, 3), scene(640, 100, 3, seed=2)
    header = header_of(picture)
    index, payload = encode(picture, base, header)[0]
    decoder = ResidualDecoder(header)
    assert decoder.push(index, payload)
    shown = decoder.correct(base)
    right = area(header, index)[2]
    assert right < 600
    assert np.array_equal(shown[:, right:], base[:, right:])
    assert not np.array_equal(shown[:, :256], base[:, :256])


def test_rates_are_reciprocals_of_the_threshold() -> None:
    for passes, rate in enumerate(rates(43090, 1, 10)):
        assert abs(rate - 65536 / max(1, 43090 / 2**passes)) < 1
