"""Parity of the float network that is trained and the whole-number network that decodes."""

from __future__ import annotations

import numpy as np
import pytest

from codec.latent import encoder
from codec.latent.decoder import LatentDecoder
from codec.stream import Header
from tests.codec.latent.test_scales import scene

torch = pytest.importorskip("torch")


def test_whole_numbers_paint_what_the_float_network_paints(monkeypatch: pytest.MonkeyPatch) -> None:
    from codec.train.freeze import thawed
    from codec.train.latent_model import TINY, Network

    monkeypatch.setattr(encoder, "DEAD_ZONE", 0.0)
    header, picture = Header(192, 128, 3, 0), scene(192, 128)
    decoder = LatentDecoder(header)
    payloads = encoder.encode(picture, header).payloads
    decoder.push(0, payloads[0])
    field = decoder.field()
    for index, payload in enumerate(payloads[1:], 1):
        decoder.push(index, payload)
    network = Network(TINY)
    network.load_state_dict(thawed(0, network))
    thumbnail = torch.from_numpy(decoder._thumbnail).float()[None] / 16
    planes = [torch.from_numpy(array.transpose(2, 0, 1).astype(np.float32))[None] for array in (picture, field)]
    with torch.no_grad():
        painted, _, _ = network(planes[0], thumbnail, planes[1], 1)
    difference = painted[0].numpy().transpose(1, 2, 0).clip(0, 255) - decoder.picture()
    moved = np.abs(field.astype(np.int16) - decoder.picture()).mean()
    # A latent near a half may round the other way and move its surroundings; elsewhere there is rounding alone.
    assert moved > 3 and np.median(np.abs(difference)) < 1


def test_thawed_weights_freeze_to_the_same_numbers() -> None:
    from codec import models
    from codec.train.freeze import thawed, whole_numbers
    from codec.train.latent_model import TINY, Network

    network = Network(TINY)
    exact, analysis = whole_numbers(thawed(0, network), TINY)
    stored = models.load(0, "latent")
    for name, numbers in exact.items():
        assert np.array_equal(numbers, stored.get(name, 0)), name
    assert all(np.array_equal(numbers, models.load(0, "analysis")[name]) for name, numbers in analysis.items())
