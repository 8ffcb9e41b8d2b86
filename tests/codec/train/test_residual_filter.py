"""Parity of the float network that is trained, and of what it is shown, with the decoder of the residual."""

from __future__ import annotations

import numpy as np
import pytest

from codec.residual import Layout, ResidualDecoder, encode
from codec.residual import filter as filters
from codec.residual.tables import TOPS
from codec.residual.transform import GROUPS, from_cells
from tests.codec.residual.test_residual import flat, header_of, scene

torch = pytest.importorskip("torch")


def bands(cells: np.ndarray, group: int) -> np.ndarray:
    return np.stack(from_cells(cells, group, 2, 2, 256, 256))


@pytest.mark.parametrize("steps", [1, 3, 5, 9])
def test_samples_show_what_the_decoder_knows(steps: int) -> None:
    from codec.train.residual_filter import bands_of, known_of

    picture = scene(256, 256, 3)
    base, header = flat(picture), header_of(picture)
    layout, decoder = Layout.of(header), ResidualDecoder(header)
    chunks = [c for c in encode(picture, base, header) if layout.place(c[0])[0] < steps]
    decoder.push_many([(*chunk, True) for chunk in chunks])
    decoder.correct(base)
    for group, (ours, theirs) in enumerate(bands_of(picture, base)):
        passes = decoder._done[:, 0, group].reshape(2, 2)
        known = known_of(ours, theirs, group, passes.astype(np.int64), list(TOPS[0][group]))
        assert np.array_equal(8 * known["value"], bands(decoder._painter._values(0, group), group))
        if group >= filters.FIRST and filters.active(passes, group).any():
            for o, (least, most) in enumerate(decoder._painter._bounds(group)):
                assert np.array_equal(known["least"][o], least) and np.array_equal(known["most"][o], most)


def test_whole_numbers_propose_what_the_float_network_proposes(monkeypatch: pytest.MonkeyPatch) -> None:
    from codec.train.residual_filter import INPUTS, Network, frozen

    torch.manual_seed(3)
    network = Network(6)
    for level in network.levels:
        level[-1].weight.data *= 20
    arrays = frozen(network.state_dict())
    monkeypatch.setattr(filters.models, "load", lambda weights, name: arrays)
    filters.layers.cache_clear()
    whole = filters.Filter(0, 1, 1)
    filters.layers.cache_clear()
    rng = np.random.default_rng(0)
    for group in range(filters.FIRST, GROUPS):
        inputs = rng.integers(-200, 200, (12, 9, INPUTS)).astype(np.float32)
        with torch.no_grad():
            level = network.levels[group - filters.FIRST]
            proposed = level(torch.from_numpy(inputs.transpose(2, 0, 1))[None] / 64)[0].numpy().transpose(1, 2, 0)
        difference = whole._network(group, inputs) - 64 * proposed
        assert np.abs(difference).max() < 2 and np.abs(64 * proposed).max() > 5
