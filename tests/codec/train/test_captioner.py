"""The captioner's parts: what CIDEr-D and BLEU say of known sentences, beams of a small network, what evidence is."""

import math

import pytest
import torch

from codec.extract.captioner import load, sentence
from codec.extract.captioner_network import CELLS, END, FEATURES, START, UNKNOWN, Captioner, Config, beam, evidence
from codec.train.cider import Cider, bleu

SAID = {
    "a": ["a brown dog runs fast".split(), "the dog is running on grass".split()],
    "b": ["two people sit on a bench".split(), "a couple on a park bench".split()],
    "c": ["a red bus waits at the stop".split(), "the bus is very red".split()],
}


@pytest.fixture
def model() -> Captioner:
    torch.manual_seed(1)
    return Captioner(Config(width=16, heads=2, layers=2, words=12)).eval()


def test_cider_is_highest_for_what_people_said() -> None:
    cider = Cider(SAID)
    own = cider("a", SAID["a"][0])
    assert own > 5 > cider("a", ["a", "dog"]) > cider("a", SAID["b"][0]) == pytest.approx(0, abs=0.5)
    assert cider("a", []) == 0


def test_bleu_of_the_same_and_of_others() -> None:
    assert bleu({name: said[0] for name, said in SAID.items()}, SAID) == pytest.approx(1)
    assert bleu({"a": SAID["b"][0]}, SAID) == 0


def test_a_word_at_a_time_is_the_whole_sentence(model: Captioner) -> None:
    seen, words = model.look(torch.randn(1, CELLS, FEATURES)), torch.tensor([[START, 5, 7, 9]])
    whole, _ = model(words, seen)
    past, parts = None, []
    for word in words[0]:
        logits, past = model(word.view(1, 1), seen, past)
        parts.append(logits)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


def test_a_beam_finds_likely_sentences_the_best_first(model: Captioner) -> None:
    found = beam(model, torch.randn(CELLS, FEATURES), 4)
    scores = [score for score, _ in found]
    assert scores == sorted(scores, reverse=True) and all(math.isfinite(score) for score in scores)
    assert not any({START, END, UNKNOWN} & set(words) for _, words in found)


def test_evidence_is_how_much_likelier_a_picture_makes_a_sentence(model: Captioner) -> None:
    features, words = torch.randn(CELLS, FEATURES), [5, 7, 9]
    chances = []
    for seen in (model.look(features[None]), model.blind(1)):
        with torch.no_grad():
            logits, _ = model(torch.tensor([[START, *words]]), seen)
        steps = logits.log_softmax(-1)[0]
        chances.append(sum(float(steps[i, word]) for i, word in enumerate([*words, END])))
    (bits,) = evidence(model, features, [words])
    assert bits == pytest.approx((chances[0] - chances[1]) / (4 * math.log(2)), abs=1e-4)


def test_no_weights_are_one_clear_line() -> None:
    with pytest.raises(RuntimeError, match="--caption"):
        load("tiny")
    assert sentence(["a", "dog"]) == "A dog." and sentence([]) == ""
