"""Regions of the embedded networks, made here with random weights: boxes, phrases, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from codec import models
from codec.extract import boxes, captioner, dense
from codec.extract.captioner_network import Captioner, Config
from codec.extract.dense import Candidate, chosen, phrases
from codec.extract.describe import Extractor
from codec.stream import FormatError, Header
from codec.structure.regions import GRID, Box, Region
from tests.layercast.test_cli import draw

WORDS = ["<start>", "<end>", "<unknown>", "a", "the", "dog", "boat", "red", "runs", "on", "grass", "two"]


def captioner_arrays() -> dict[str, np.ndarray]:
    """A captioner as it is stored, of twelve words."""
    torch.manual_seed(2)
    model = Captioner(Config(width=16, heads=2, layers=1, words=len(WORDS)))
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    names = np.frombuffer("\n".join(WORDS).encode(), np.uint8)
    return arrays | {"config": np.array([16, 2, 1], np.int32), "vocabulary": names}


@pytest.fixture
def research(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, np.ndarray]]]:
    """The set `research` of this test."""
    stored = {"captioner": captioner_arrays(), "boxes": models.load("research", "boxes")}
    stored["agreement"] = models.load("research", "agreement")
    true = models.load

    def load(weights: int | str, name: str) -> dict[str, np.ndarray]:
        if weights != "research":
            return true(weights, name)
        if name not in stored:
            raise FormatError(f"no {name} in {weights}")
        return stored[name]

    captioner.load.cache_clear()
    monkeypatch.setattr(models, "load", load)
    yield stored
    captioner.load.cache_clear()


def test_noun_phrases_end_at_verbs_prepositions_and_articles() -> None:
    said = "a man in a red shirt is riding a bike on the dirt trail and a large".split()
    assert phrases(said) == [("a", "man"), ("a", "red", "shirt"), ("a", "bike"), ("the", "dirt", "trail")]
    assert phrases("a white white dog".split()) == phrases(["dog"]) == phrases([]) == []
    assert phrases("two dogs running on grass with a group".split()) == [("two", "dogs")]


def test_boxes_of_the_grid_fit_and_are_described_by_what_is_in_them() -> None:
    grid = boxes.grid()
    assert len({tuple(box) for box in grid.tolist()}) == len(grid)
    assert grid.min() == 0 and grid.max() == GRID and (grid[:, 2:] > grid[:, :2]).all()
    cells = np.zeros((GRID, GRID, 1), np.float32)
    cells[4:8, 6:10] = 1
    known = boxes.described(cells)
    (place,) = np.flatnonzero((grid == (6, 4, 10, 8)).all(1))
    geometry = known.shape[1] - 4
    assert known[place, geometry] == 1 == known[:, geometry].max()
    assert known[place, geometry + 1] == 1  # nothing of it around
    whole = np.flatnonzero((grid == (0, 0, GRID, GRID)).all(1))
    assert known[whole, geometry] == pytest.approx(16 / 256)


def test_the_best_boxes_lie_apart() -> None:
    kept = boxes.apart(-np.arange(len(boxes.grid()), dtype=np.float32), 6)
    chosen = boxes.grid()[kept].astype(np.float64)
    assert kept[0] == 0 and (np.triu(boxes.overlaps(chosen, chosen), 1) < boxes.APART).all()
    assert boxes.overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]])).tolist() == [[1 / 3, 0]]


def test_a_box_and_words_are_chosen_by_worth() -> None:
    one, other = Box(0, 0, 7, 7), Box(4, 4, 11, 11)
    dog = Candidate(Region(one, "a dog"), 0.5, 8.0, 40)
    brown = Candidate(Region(one, "a brown dog"), 0.5, 9.0, 80)  # more bits than it is worth
    again = Candidate(Region(other, "a dog"), 0.45, 7.0, 40)
    boat = Candidate(Region(other, "a boat"), 0.4, 6.0, 48)
    wrong = Candidate(Region(Box(15, 15, 15, 15), "a cat"), 0.3, -2.0, 40)
    assert dog.worth == pytest.approx(0.5 - 0.002 * 40) and wrong.worth < 0
    assert Candidate(dog.region, 0.5, 0.25, 40).worth == pytest.approx(0.25 - 0.002 * 40)
    assert chosen([brown, wrong, again, boat, dog], 5) == [dog, boat]
    assert chosen([dog, boat], 1) == [dog]


def test_an_embedded_extractor_describes_any_picture(research: dict[str, dict[str, np.ndarray]]) -> None:
    by = Extractor("embedded", effort=0)
    picture = draw(37, 53, 3)
    said = by.caption(picture)
    assert said and said == captioner.sentence([word.lower() for word in said[:-1].split()])
    tried = dense.candidates(picture, 2)
    assert by.regions(picture, 2) == [each.region for each in chosen(tried, 2)]
    for each in tried:
        x0, y0, x1, y1 = dense.around(Header(53, 37), each.region.box)
        assert 0 <= x0 < x1 <= 53 and 0 <= y0 < y1 <= 37 and each.region.phrase
    assert len(by.regions(picture[:1, :1], 1)) <= 1


def test_what_is_missing_is_one_clear_line(research: dict[str, dict[str, np.ndarray]]) -> None:
    del research["boxes"]
    with pytest.raises(RuntimeError, match="no boxes in the set 'research' here"):
        Extractor("embedded").regions(draw(8, 8, 3))
    del research["captioner"]
    captioner.load.cache_clear()
    with pytest.raises(RuntimeError, match="no captioner in the set 'research' here; give --caption"):
        Extractor("embedded").caption(draw(8, 8, 3))
