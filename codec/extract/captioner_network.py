"""The captioner's network in torch, and the search for likely sentences. Imported only where a caption is made.

8x8 cells of 1,280 ─► one layer of attention among them ─┐
words so far ─► causal attention ─► attention to the cells ◄┘─► next word
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

START, END, UNKNOWN = range(3)  # the first entries of every vocabulary
CELLS = 64
FEATURES = 1280
LONGEST = 24  # words

Cache = list[tuple[Tensor, Tensor]]  # keys and values of the words so far, by layer


@dataclass(frozen=True)
class Config:
    """width of all states, attention heads, layers over words, words of the vocabulary."""

    width: int = 256
    heads: int = 4
    layers: int = 3
    words: int = 4000
    drop: float = 0.2


class Attention(nn.Module):
    """Multi-head attention of queries over keys and values."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.heads = c.heads
        self.query, self.out = nn.Linear(c.width, c.width), nn.Linear(c.width, c.width)
        self.pair = nn.Linear(c.width, 2 * c.width)

    def keys(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [B,heads,n,width/heads] of x [B,n,width]."""
        keys, values = self.pair(x).chunk(2, -1)
        return self._split(keys), self._split(values)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, causal: bool = False) -> Tensor:
        seen = F.scaled_dot_product_attention(self._split(self.query(x)), keys, values, is_causal=causal)
        joined: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return joined

    def _split(self, x: Tensor) -> Tensor:
        count, length, width = x.shape
        return x.view(count, length, self.heads, width // self.heads).transpose(1, 2)


class Layer(nn.Module):
    """Attention to the words so far, attention to the picture, a perceptron; each added to what it came from."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(c.width) for _ in range(3))
        self.words, self.picture = Attention(c), Attention(c)
        self.wide, self.narrow = nn.Linear(c.width, 4 * c.width), nn.Linear(4 * c.width, c.width)
        self.drop = nn.Dropout(c.drop)

    def forward(
        self, x: Tensor, picture: tuple[Tensor, Tensor], past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x [B,n,width], the picture's keys and values, those of the words before x (then n is 1)."""
        h = self.norms[0](x)
        here = self.words.keys(h)
        if past is not None:
            here = torch.cat([past[0], here[0]], 2), torch.cat([past[1], here[1]], 2)
        x = x + self.drop(self.words(h, *here, causal=past is None))
        x = x + self.drop(self.picture(self.norms[1](x), *picture))
        h = self.narrow(self.drop(F.gelu(self.wide(self.norms[2](x)))))
        return x + self.drop(h), here


class Captioner(nn.Module):
    """Next words of sentences about pictures."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = self.config = config
        self.embed, self.place = nn.Embedding(c.words, c.width), nn.Embedding(LONGEST + 1, c.width)
        self.cell, self.at = nn.Linear(FEATURES, c.width), nn.Parameter(torch.zeros(CELLS, c.width))
        self.nothing = nn.Parameter(torch.zeros(1, c.width))  # the picture of a sentence that has none
        self.norm, self.among, self.last = nn.LayerNorm(c.width), Attention(c), nn.LayerNorm(c.width)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.drop = nn.Dropout(c.drop)
        for table in (self.embed, self.place):
            nn.init.normal_(table.weight, std=0.02)

    def look(self, features: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The picture's keys and values for each layer; features [B,CELLS,FEATURES]."""
        x = self.drop(self.cell(features)) + self.at
        h = self.norm(x)
        return self._seen(x + self.drop(self.among(h, *self.among.keys(h))))

    def blind(self, count: int) -> list[tuple[Tensor, Tensor]]:
        """The same for `count` sentences without a picture."""
        return self._seen(self.nothing.expand(count, 1, -1))

    def _seen(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [cast(Layer, layer).picture.keys(x) for layer in self.layers]

    def forward(
        self, words: Tensor, seen: list[tuple[Tensor, Tensor]], past: Cache | None = None
    ) -> tuple[Tensor, Cache]:
        """Logits [B,n,words] of the words that follow each of `words` [B,n], and the cache that goes on from there."""
        start = 0 if past is None else past[0][0].shape[2]
        x = self.drop(self.embed(words) + self.place.weight[start : start + words.shape[1]])
        kept: Cache = []
        for i, layer in enumerate(self.layers):
            x, here = layer(x, seen[i], None if past is None else past[i])
            kept.append(here)
        return F.linear(self.last(x), self.embed.weight), kept


@torch.no_grad()
def evidence(model: Captioner, features: Tensor, sentences: list[list[int]], ended: bool = True) -> list[float]:
    """How much likelier each sentence is with the picture (features [CELLS,FEATURES]) than without one, in bits a word.

    Above 0 the picture speaks for the sentence. Words that the vocabulary lacks say nothing. ended: the end counts as a
    word, too; not so for phrases, behind which a sentence may go on.
    """
    words, followers = padded(sentences)
    if not ended:
        followers[followers == END] = -100
    seen = [(k.expand(len(words), -1, -1, -1), v.expand(len(words), -1, -1, -1)) for k, v in model.look(features[None])]
    chances = []
    for shown in (seen, model.blind(len(words))):
        logits, _ = model(words, shown)
        losses = F.cross_entropy(logits.flatten(0, 1), followers.flatten(), reduction="none")
        chances.append(-losses.view(followers.shape).sum(1))
    gained = (chances[0] - chances[1]) / ((followers >= 0).sum(1).clamp(min=1) * math.log(2))
    return [float(bits) for bits in gained]


def padded(sentences: list[list[int]]) -> tuple[Tensor, Tensor]:
    """(words from START on, the words that follow: -100 for none and for unknown ones), int64[n,longest+1]."""
    longest = max(len(words) for words in sentences) + 1
    before = torch.full((len(sentences), longest), END)
    after = torch.full((len(sentences), longest), -100)
    for i, words in enumerate(sentences):
        before[i, : len(words) + 1] = torch.tensor([START, *words])
        after[i, : len(words) + 1] = torch.tensor([*words, END])
    after[after == UNKNOWN] = -100
    return before, after


@torch.no_grad()
def beam(model: Captioner, features: Tensor, width: int = 5, plain: float = 0.7) -> list[tuple[float, list[int]]]:
    """The `width` most likely sentences of one picture (features [CELLS,FEATURES]), the best first.

    (mean logarithm of likelihood, words without START and END). plain: exponent of the length that sums are divided by.
    """
    seen = [(k.expand(width, -1, -1, -1), v.expand(width, -1, -1, -1)) for k, v in model.look(features[None])]
    words = torch.full((width, 1), START)
    scores = torch.full((width,), -math.inf)
    scores[0] = 0.0
    past: Cache | None = None
    done: list[tuple[float, list[int]]] = []
    for length in range(1, LONGEST + 1):
        logits, past = model(words[:, -1:], seen, past)
        steps = F.log_softmax(logits[:, -1], -1)
        steps[:, [START, UNKNOWN]] = -math.inf
        best, where = (scores[:, None] + steps).flatten().topk(2 * width)
        rows, nexts = where // steps.shape[1], where % steps.shape[1]
        going: list[tuple[float, int, int]] = []
        for score, row, word in zip(best.tolist(), rows.tolist(), nexts.tolist(), strict=True):
            if word == END or length == LONGEST:
                done.append((score / length**plain, words[row, 1:].tolist()))
            elif len(going) < width:
                going.append((score, row, word))
        if len(done) >= width or not going or math.isinf(going[0][0]):
            break
        going += [(-math.inf, 0, END)] * (width - len(going))
        chosen = torch.tensor([row for _, row, _ in going])
        words = torch.cat([words[chosen], torch.tensor([[word] for _, _, word in going])], 1)
        scores = torch.tensor([score for score, _, _ in going])
        past = [(k[chosen], v[chosen]) for k, v in past]
    return sorted(done, reverse=True)[:width]
