"""Less link, less picture, never none: 200 sessions whose quality is looked up, and what would be called a cliff."""

from dataclasses import replace

import numpy as np
import pytest

import codec
from codec.stream import Kind
from player.items import key_of
from sim.degradation import Grid, grid, looks_of, lossy, paced, session, shape_of
from sim.journey import Load
from sim.presets import presets
from sim.quality_table import QualityTable
from sim.scenario import SendPolicy
from sim.subject import Subject
from sim.timeline import load_of
from transport import GroupStarted

SEEDS = range(8)
LOSSES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)
LINKS = ("thin-10k", "gprs", "hf-2400")
"""Two that answer, one where nobody does: 3 x 8 x (7 + 2) = 216 sessions."""
RISE_DB, STEP_DB = 0.5, 3.0


@pytest.fixture(scope="module")
def load() -> Load:
    return _load(_subject())


@pytest.fixture(scope="module")
def table(load: Load) -> QualityTable:
    return QualityTable(_subject(), load)


def _subject() -> Subject:
    """A small picture with all layers, its stream cut in the residual."""
    y, x = np.mgrid[:64, :96]
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 6, (64, 96))
    picture = np.stack([x * 2 + noise, y * 3 + 30 * np.sin(x / 5), 128 + 90 * np.sin((x + y) / 9) + noise], 2)
    picture = picture.clip(0, 255).astype(np.uint8)
    return Subject("waves", picture, codec.encode(picture, caption="Waves at dusk.", weights=0)[:4000])


def _load(subject: Subject) -> Load:
    return load_of(subject)


def test_the_table_says_what_decoding_says(table: QualityTable) -> None:
    off = sorted(abs(table.psnr(held) - table.exact(held)) for held in table.states(20))
    assert off[10] < 0.3 and off[-1] < 2.0, off


def test_words_and_edges_are_no_states_of_their_own(load: Load, table: QualityTable) -> None:
    whole = {item.index: len(item.payload) for item in load.items}
    kinds = {index: key_of(index) for index in whole}
    latents = {index: size for index, size in whole.items() if kinds[index][0] == Kind.LATENT}
    lost = {index: size for index, size in latents.items() if kinds[index][1] != 1}  # most others need that one
    words = {index: size // 2 for index, size in whole.items() if kinds[index][0] in (Kind.CAPTION, Kind.EDGES)}
    for held in (latents, lost):
        assert table.psnr(held | words) == table.psnr(held) == table.exact(held | words)
    first = {index: size for index, size in latents.items() if kinds[index][1] == 0}
    assert table.psnr(lost) == table.psnr(first) < table.psnr(latents)


@pytest.mark.parametrize("name", LINKS)
def test_quality_falls_with_loss_and_rises_with_rate_without_a_cliff(
    name: str, load: Load, table: QualityTable
) -> None:
    found = grid("waves", load, table, presets()[name], SEEDS, LOSSES)
    assert found.sessions == len(SEEDS) * (len(LOSSES) + 2)
    assert found.never_shown == 0 and found.with_base > found.sessions * 0.9
    assert found.fell <= 0.5
    shape = shape_of([found])
    assert shape.rises <= RISE_DB and shape.slower_is_better <= RISE_DB and shape.step <= STEP_DB, shape


def test_a_cliff_and_a_hill_are_seen() -> None:
    steady = {0.5: [[20.0]], 1.0: [[21.0]], 2.0: [[22.0]]}
    cliff = Grid("a", "b", {0.0: [[30.0], [30.0]], 0.1: [[29.0], [29.0]], 0.11: [[20.0], [22.0]]}, steady)
    shape = shape_of([cliff])
    assert shape.step == pytest.approx(8.0) and shape.at == 0.1 and shape.rises == 0.0
    hill = Grid("a", "b", {0.0: [[20.0, 30.0]], 0.1: [[21.0, 30.0]]}, {0.5: [[23.0]], 1.0: [[21.0]]})
    shape = shape_of([hill])
    assert shape.rises == pytest.approx(1.0) and shape.slower_is_better == pytest.approx(2.0)


def test_nothing_shown_after_a_packet_of_the_base_is_seen(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = presets()["thin-10k"]
    looks = looks_of(preset, 4000)
    assert not session(load, preset, 1, looks, SendPolicy()).never_shown
    silent = lambda arrivals: [a for a in arrivals if not isinstance(a.event, GroupStarted)]  # noqa: E731
    from sim import degradation

    over_udp = degradation.over_udp

    def muted(*given: object, **options: object) -> object:
        journey = over_udp(*given, **options)  # type: ignore[arg-type]
        return replace(journey, arrivals=silent(journey.arrivals))

    monkeypatch.setattr(degradation, "over_udp", muted)
    found = session(load, preset, 1, looks, SendPolicy())
    assert found.never_shown and set(found.held) == {None}


def test_lossier_and_faster_presets_are_the_same_otherwise() -> None:
    for preset in presets().values():
        lossier = lossy(preset, 0.3)
        assert lossier.link.loss == 0.3 == lossier.back_link.loss and lossier.link.delay == preset.link.delay
        faster = paced(preset, 2.0)
        packet = preset.packet_size
        assert faster.link.sustained(packet) == pytest.approx(2 * preset.link.sustained(packet), rel=0.25), preset.name
