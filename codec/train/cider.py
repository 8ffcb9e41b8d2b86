"""CIDEr-D: how much a sentence says what people said of the same picture (Vedantam et al., CVPR 2015).

Weighted one- to four-word sequences; the weight of a sequence is how few pictures have it. Written here because tuning
asks for it a million times with the same people's sentences, whose vectors are made once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

Words = Sequence[str]
_SIGMA = 6.0  # of the penalty on a different length
_Vector = tuple[dict[tuple[str, ...], float], float, int]  # weights, their norm, words


def _grams(words: Words, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


class Cider:
    """Scores against the sentences of a set of pictures; `rarity` of sequences comes from the same sentences."""

    def __init__(self, sentences: Mapping[str, Sequence[Words]]) -> None:
        self._in: Counter[tuple[str, ...]] = Counter()
        for texts in sentences.values():
            self._in.update({gram for words in texts for n in range(1, 5) for gram in _grams(words, n)})
        self._pictures = math.log(max(len(sentences), 2))
        self._people = {name: [self._vectors(words) for words in texts] for name, texts in sentences.items()}

    def _vectors(self, words: Words) -> list[_Vector]:
        found = []
        for n in range(1, 5):
            weights = {
                gram: count * (self._pictures - math.log(max(self._in[gram], 1)))
                for gram, count in _grams(words, n).items()
            }
            found.append((weights, math.sqrt(sum(w * w for w in weights.values())), len(words)))
        return found

    def __call__(self, name: str, words: Words) -> float:
        """0..10, the mean over the picture's sentences and the four lengths."""
        own = self._vectors(words)
        total = 0.0
        for theirs in self._people[name]:
            for (a, norm_a, words_a), (b, norm_b, words_b) in zip(own, theirs, strict=True):
                if norm_a and norm_b:
                    inner = sum(min(weight, b[gram]) * b[gram] for gram, weight in a.items() if gram in b)
                    total += inner / (norm_a * norm_b) * math.exp(-((words_a - words_b) ** 2) / (2 * _SIGMA**2))
        return 10 * total / (4 * len(self._people[name]))


def bleu(found: Mapping[str, Words], sentences: Mapping[str, Sequence[Words]]) -> float:
    """BLEU-4 of a whole set, 0..1 (Papineni et al., ACL 2002), the closest length of each picture's sentences."""
    hits, tries, own, theirs = [0] * 4, [0] * 4, 0, 0
    for name, words in found.items():
        own += len(words)
        theirs += min((abs(len(other) - len(words)), len(other)) for other in sentences[name])[1]
        for n in range(1, 5):
            most: Counter[tuple[str, ...]] = Counter()
            for other in sentences[name]:
                most |= _grams(other, n)
            grams = _grams(words, n)
            hits[n - 1] += sum((grams & most).values())
            tries[n - 1] += sum(grams.values())
    if not all(hits):
        return 0.0
    short = min(0.0, 1 - theirs / own)
    return math.exp(short + sum(math.log(h / t) for h, t in zip(hits, tries, strict=True)) / 4)
