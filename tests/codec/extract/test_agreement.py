"""Agreement of words and pictures: what was learned tells pairs apart, names what it lacks, and is shown by `info`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from codec import models
from codec.extract import agreement as measure
from codec.extract.agreement import agreement, of_regions, scores, spoken, weighed
from codec.extract.captioner import chosen
from codec.stream import FormatError
from codec.structure.regions import Box, Region
from codec.train.agreement import auc, learn
from tests.layercast.test_cli import draw, fails, run

COLOURS = ("red", "green", "blue")


def toy(count: int) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Photos whose features follow their colour, a sentence that names it, and the photo of each."""
    rng = np.random.default_rng(5)
    kinds = np.arange(count) % 3
    pictures = rng.normal(0, 0.3, (count, 8)).astype(np.float32)
    pictures[np.arange(count), kinds] += 3
    return pictures, [f"A {COLOURS[kind]} thing number {i % 7}." for i, kind in enumerate(kinds)], np.arange(count)


def test_what_goes_together_is_learned() -> None:
    pictures, texts, of = toy(120)
    stored = learn(pictures, texts, of)
    others, said, place = toy(60)
    wrong_colour = [text.replace("red", "blue").replace("green", "red") for text in said]
    assert auc(stored, others, said, place) > 0.6  # every third of the wrong pairs is right by chance
    number = {word: i for i, word in enumerate(stored["vocabulary"].tobytes().decode().split("\n"))}
    seen = measure.on_axes_of_pictures(others, stored)
    right, wrong = (
        (measure.on_axes_of_words(weighed(each, number, stored["rarity"]), stored) * seen).sum(1)
        for each in (said, wrong_colour)
    )
    assert right[place % 3 < 2].min() > wrong[place % 3 < 2].max()


def test_words_are_lower_case_without_marks_and_unknown_ones_say_nothing() -> None:
    assert spoken("Two dogs' toys, 3 BALLS: über!") == ["two", "dogs'", "toys", "3", "balls", "ber"]
    rows = weighed(["a dog", "???"], {"a": 0, "dog": 1}, np.array([3.0, 4.0], np.float32))
    assert rows.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


def test_scores_lie_between_minus_one_and_one_for_any_picture_and_text() -> None:
    texts = ["A dog runs over grass.", "Zwölf Boxkämpfer", "", "x" * 5000]
    for picture in (draw(1, 1, 1), draw(40, 70, 4)):
        found = agreement(picture, texts)
        assert found.shape == (4,) and (np.abs(found) <= 1.0001).all()
    cells = np.random.default_rng(1).normal(0, 1, 1280).astype(np.float32)
    np.testing.assert_allclose(scores(cells, texts[::-1]), scores(cells, texts)[::-1], rtol=1e-5)


def test_a_phrase_is_held_against_its_own_box() -> None:
    picture = np.concatenate([draw(32, 32, 3), 255 - draw(32, 32, 3)[::-1]], axis=1)
    left, right = Region(Box(0, 0, 7, 15), "a white dog"), Region(Box(8, 0, 15, 15), "a white dog")
    found = of_regions(picture, [left, right])
    assert found[0] == pytest.approx(agreement(picture[:, :32], ["a white dog"])[0]) and found[0] != found[1]
    assert of_regions(picture, []).shape == (0,)


def test_a_candidate_is_chosen_by_likelihood_agreement_and_bytes() -> None:
    assert chosen([-1.0, -1.2, -3.0], [0.1, 0.1, 0.1], [5, 5, 5]) == 0
    assert chosen([-1.0, -1.2, -3.0], [0.1, 0.3, 0.1], [5, 5, 5]) == 1
    assert chosen([-1.0, -1.2], [0.1, 0.3], [5, 20]) == 0


def test_info_tells_the_agreement_of_caption_and_phrases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(draw(48, 64, 3)).save(tmp_path / "a.png")
    file = tmp_path / "a.lcast"
    assert run("encode", tmp_path / "a.png", "--caption", "A dog runs.").exit_code == 0
    assert run("edit", file, "-o", file, "--add", "0,0,32,48=a red boat").exit_code == 0
    told = run("info", file, "--agreement").stdout
    caption, region = (line for line in told.splitlines() if line.startswith(("caption", "region")))
    assert "(agreement" in caption and "(agreement" in region
    monkeypatch.setattr(measure, "CONTRADICTS", 1.1)
    assert "does not fit the picture here" in run("info", file, "--agreement", "--quick").stdout
    assert run("edit", file, "-o", file, "--no-caption").exit_code == 0
    assert '"agreement": null' in run("info", file, "--agreement", "--json").stdout
    assert '"agreement"' not in run("info", file, "--json").stdout


def test_missing_weights_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = models.load

    def load(weights: int | str, name: str) -> dict[str, np.ndarray]:
        if weights == "research":
            raise FormatError("no such set")
        return true(weights, name)

    Image.fromarray(draw(20, 20, 3)).save(tmp_path / "a.png")
    assert run("encode", tmp_path / "a.png", "--caption", "A dog runs.").exit_code == 0
    monkeypatch.setattr(models, "load", load)
    measure.load.cache_clear()
    fails(run("info", tmp_path / "a.lcast", "--agreement"), "a.lcast", "no measure of agreement in the set 'research'")
    measure.load.cache_clear()
