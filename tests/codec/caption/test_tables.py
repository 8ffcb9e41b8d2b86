"""Packed counts come back as they were, and the word model is a distribution over them."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codec.caption.ngram import END, FIRST_WORD, ORDER, WordModel, first_level
from codec.caption.tables import Level, Packer, Unpacker, pack_level, unpack_level
from codec.train.caption import levels_of

WORDS = FIRST_WORD + 6
SENTENCES = st.lists(st.lists(st.integers(FIRST_WORD, WORDS - 1), max_size=9), min_size=1, max_size=12)


def _packed(levels: list[Level]) -> list[Level]:
    packer = Packer()
    packer.put(levels[0].count, np.zeros(WORDS + 1, dtype=np.int64), 1)
    for before, level in pairwise(levels):
        pack_level(packer, before, level)
    unpacker = Unpacker(packer.finish())
    back = [first_level(unpacker.get(np.zeros(WORDS + 1, dtype=np.int64), 1))]
    for _ in levels[1:]:
        back.append(unpack_level(unpacker, back[-1]))
    return back


@given(SENTENCES)
def test_levels_come_back(sentences: list[list[int]]) -> None:
    levels = levels_of(sentences, WORDS)
    for level, back in zip(levels, _packed(levels), strict=True):
        for name in ("word", "count", "suffix", "start"):
            np.testing.assert_array_equal(getattr(level, name), getattr(back, name), name)


@given(SENTENCES)
def test_counts_are_those_of_the_text(sentences: list[list[int]]) -> None:
    levels = levels_of(sentences, WORDS)
    sentence = [WORDS, *sentences[0], END]
    for n in range(1, ORDER + 1):
        for i in range(len(sentence) - n + 1):
            sought = sentence[i : i + n]
            node = sought[0]
            for level, word in zip(levels[1:], sought[1:], strict=False):
                node = level.child(node, word)
            seen = sum(
                [WORDS, *other, END][at : at + n] == sought for other in sentences for at in range(len(other) + 3 - n)
            )
            assert levels[n - 1].count[node] == seen


def test_what_was_seen_is_likelier() -> None:
    levels = levels_of([[7, 8, 9], [7, 8, 10], [7, 8, 9]], WORDS)
    model = WordModel(levels, np.full((ORDER + 1, 3), 190), np.ones(5, dtype=np.int64))
    after = model.frequencies([WORDS, 7, 8])
    assert after[9] > after[10] > after[11] > 0
    assert model.frequencies([WORDS]).argmax() == 7
    assert after.sum() > 2**31
