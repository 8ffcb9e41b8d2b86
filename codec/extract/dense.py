"""What stands where, by the embedded networks: boxes with short phrases, chosen by what they say for their bytes.

    photo ─► codec.extract.boxes: likely boxes ─► each box cut out ─► captioner ─► sentences ─► their noun phrases
          ─► evidence of each phrase in its box, in bits ─► first which box, then which words

Worth of a box with a phrase: the overlap with an object that the box lets expect, if the cut-out makes the phrase
likelier than no picture does by ENOUGH bits, else a part of it, less PRICE for each bit of its code. More evidence does
not count: it prefers rare words, which are wrong more often. Of each box its best phrase stands; boxes are taken while
their worth is above nothing, none of which repeats another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codec import caption
from codec.extract import captioner
from codec.extract.boxes import find as find_boxes
from codec.extract.caption import grid_features
from codec.region import Region as Pixels
from codec.stream import Header
from codec.structure.regions import Box, Region, overlap

ENOUGH = 0.5  # bits of evidence
PRICE = 0.002  # of expected overlap, for a bit
ENTRY = 3  # bytes of a region beside its phrase
BEAM = 3  # sentences about a box
LONGEST = 5  # words of a phrase
AROUND = 0.1  # of a box's sides that are cut out along with it

_OPENERS = frozenset("a an the two three four five six some several many another his her their its one".split())
_BREAKERS = frozenset(
    "and or but of in on at by to with from into onto over under near behind beside between through across along"
    " down up off out around against above below inside outside during towards toward while as that which who"
    " where there it he she they them him is are was were be being has have had having stands stand sits sit walks"
    " walk runs run jumps jump plays play rides ride holds hold looks look wears wear lies lay swims swim climbs"
    " climb poses pose watches watch smiles smile carries carry covered filled dressed next front".split()
)
_VAGUE = frozenset(
    "group background piece air camera picture trick room middle side front top row pair bunch couple lot body".split()
)
_ADJECTIVES = frozenset(
    "red orange yellow green blue purple pink brown black white grey gray gold silver large small big little tall short"
    " long old young colorful light dark".split()
)
_NO_NAMES = _VAGUE | _ADJECTIVES


@dataclass(frozen=True)
class Candidate:
    """A region; the overlap that its box lets expect, the evidence for its phrase and its whole code in bits."""

    region: Region
    overlap: float
    evidence: float
    bits: int

    @property
    def worth(self) -> float:
        """What it says, less what it costs."""
        return self.overlap * min(max(self.evidence, 0.0), ENOUGH) / ENOUGH - PRICE * self.bits


def phrases(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The noun phrases of a sentence in lower case: from an article or a number up to a verb or a preposition.

    By lists of common words, which miss some. No word stands twice in one, and none ends with a colour, a size or a
    word that names nothing, as `group`.
    """
    found: list[tuple[str, ...]] = []
    phrase: list[str] = []
    for word in [*words, "and"]:
        ends = word in _BREAKERS or word in _OPENERS or (word.endswith("ing") and len(phrase) > 1)
        if ends and 1 < len(phrase) <= LONGEST and len(set(phrase)) == len(phrase) and phrase[-1] not in _NO_NAMES:
            found.append(tuple(phrase))
        if ends:
            phrase = [word] if word in _OPENERS else []
        elif phrase:
            phrase.append(word)
    return list(dict.fromkeys(found))


def find(picture: NDArray[np.uint8], count: int, effort: int = 5, weights: str = "research") -> list[Region]:
    """At most `count` regions of a picture uint8[H,W,C], of as many boxes as `effort` (0..9) looks into.

    Raises RuntimeError, one line, where weights or the packages for the picture's features are missing.
    """
    return [each.region for each in chosen(candidates(picture, count + 2 * effort, weights), count)]


def candidates(picture: NDArray[np.uint8], boxes: int, weights: str = "research") -> list[Candidate]:
    """The likeliest boxes, each with all phrases that sentences about it give."""
    import torch

    from codec.extract.captioner_network import evidence

    model, vocabulary = captioner.load(weights)
    number = {word: i for i, word in enumerate(vocabulary)}
    header, found = Header(picture.shape[1], picture.shape[0]), []
    for box, expected in find_boxes(picture, boxes, weights):
        x0, y0, x1, y1 = around(header, box)
        cells = grid_features(picture[y0:y1, x0:x1])
        sentences = [[vocabulary[n] for n in words] for _, words in captioner.search(cells, BEAM, weights)]
        said = list(dict.fromkeys(phrase for words in sentences for phrase in phrases(words)))
        if not said:
            continue
        told = [[number[word] for word in phrase] for phrase in said]
        bits = evidence(model, torch.from_numpy(cells), told, ended=False)
        for phrase, a_word in zip(said, bits, strict=True):
            region = Region(box, " ".join(phrase))
            size = 8 * (ENTRY + len(caption.encode(region.phrase)))
            found.append(Candidate(region, expected, a_word * len(phrase), size))
    return found


def around(header: Header, box: Box) -> Pixels:
    """x0, y0, x1, y1 of the pixels of a box and a little about it."""
    x0, y0, x1, y1 = box.pixels(header)
    across, down = round(AROUND * (x1 - x0)), round(AROUND * (y1 - y0))
    return max(0, x0 - across), max(0, y0 - down), min(header.width, x1 + across), min(header.height, y1 + down)


def chosen(found: Sequence[Candidate], count: int) -> list[Candidate]:
    """The best `count` that are worth their bits, the best first: of each box one, of equal phrases those apart."""
    taken: list[Candidate] = []
    for each in sorted(found, key=lambda each: -each.worth):
        repeats = any(
            each.region.box == other.region.box
            or (each.region.phrase == other.region.phrase and overlap(each.region.box, other.region.box) > 0)
            for other in taken
        )
        if each.worth > 0 and not repeats and len(taken) < count:
            taken.append(each)
    return taken
