"""Counts the caption model, captions -> codec/weights/<set>/caption.safetensors, and measures it.

    python -m codec.train.caption train --data FOLDER [--set base|tiny|research] [--holdout N]
    python -m codec.train.caption evaluate --data FOLDER

The base set learns from COCO's captions (CC BY 4.0), its list of rarer words also from ImageInWords (CC BY 4.0).
Nothing is drawn, so there is no seed; nothing takes long, so there is nothing to resume. `--holdout N` leaves out the
captions of every N-th photo of the training data and measures on them, for choosing; `evaluate` gives the figures of
the model card.
"""

from __future__ import annotations

import argparse
import lzma
import os
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tqdm import tqdm

from codec import models
from codec.caption import coder
from codec.caption.ngram import CONTROLS, END, FIRST_WORD, ORDER, UNKNOWN, first_level
from codec.caption.tables import Arrays, Level, Packer, pack_level
from codec.caption.text import ENDS, STYLES, Style, lower, split, style_of

DISCOUNTS = [[128, 256, 384], [200, 310, 400], [180, 265, 340], [218, 333, 435], [238, 384, 512]]  # in 2^-8
MAIN_COUNT = 2  # a word seen so often has a number of its own
P_RARE = 43000  # in 2^-16: a word without number is in the list of rarer ones
TINY_CAPTIONS = 300
_BASE = 1 << 15  # words are numbered below it
_SMALL_WORDS = frozenset("a an the is are in on with at to and his her there that it this some from by for".split())

Captions = list[tuple[str, str]]  # image ("" if unknown), text


def read(data: Path, name: str) -> Captions:
    """One of the caption files, as (image, text)."""
    with lzma.open(data / "captions" / f"{name}.xz", "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [(row[0] if len(row) > 1 else "", row[-1]) for row in rows]


def is_sentence(text: str) -> bool:
    """False for the few rows of word stems without case, stop and small words that one file mixes in."""
    plain = text == lower(text) and not text.endswith(".")
    return not plain or any(word in _SMALL_WORDS for word in text.split())


def normal(text: str) -> str:
    """Letters and digits alone, for finding equal captions."""
    return " ".join(re.findall("[a-z0-9]+", lower(text)))


@dataclass
class Corpus:
    """What a model is counted from. cased: captions as people wrote them; lowered: in lower case; words: texts whose
    words alone count; held: captions left out, for choosing."""

    cased: list[str]
    lowered: list[str]
    words: list[str]
    held: list[str]


def base_corpus(data: Path, holdout: int) -> Corpus:
    """COCO captions and the words of ImageInWords."""
    coco = [(image, text) for image, text in read(data, "coco_val2017_train.tsv") if is_sentence(text)]
    images = sorted({image for image, _ in coco})
    left_out = set(images[:: holdout or len(images) + 1]) if holdout else set()
    held = [text for image, text in coco if image in left_out]
    cased = [text for image, text in coco if image not in left_out]
    cased += [text for _, text in read(data, "coco_train_mini.tsv")]
    known = {normal(text) for text in cased} | {normal(text) for text in held}
    lowered = [text for _, text in read(data, "coco_texygen.txt") if is_sentence(text) and normal(text) not in known]
    return Corpus(cased, lowered, [text for _, text in read(data, "long_iiw.tsv")], held)


def tiny_corpus(data: Path) -> Corpus:
    """A few COCO captions, for tests."""
    cased = [text for _, text in read(data, "coco_train_mini.tsv")][:TINY_CAPTIONS]
    return Corpus(cased, [], [], [])


def research_corpus(data: Path, holdout: int) -> Corpus:
    """The base corpus and Flickr8k, Flickr30k (research only)."""
    corpus = base_corpus(data, holdout)
    for name in ("flickr8k_train.tsv", "flickr30k_multi30k.tsv"):
        corpus.cased += [text for _, text in read(data, name)]
    return corpus


def pieces(text: str) -> list[str]:
    """The words of a text as the coder sees them, in lower case."""
    return [lower(word.surface) for word in split(text, style_of(text), {})]


def usual_forms(texts: Iterable[str]) -> dict[str, str]:
    """How each word is mostly written within sentences."""
    forms: dict[str, Counter[str]] = {}
    for text in texts:
        words = re.findall(r"[A-Za-z]+", text)
        if sum(word[0].isupper() for word in words) > 0.5 * len(words):
            continue
        for word in words[1:]:
            forms.setdefault(lower(word), Counter())[word] += 1
    return {word: counter.most_common(1)[0][0] for word, counter in forms.items()}


def levels_of(sentences: list[list[int]], words: int, order: int = ORDER) -> list[Level]:
    """Counts of all sequences up to `order` words; START has the number `words`."""
    flat = np.array([number for sentence in sentences for number in [words, *sentence, END]], dtype=np.int64)
    starts = np.cumsum([0, *(len(sentence) + 2 for sentence in sentences[:-1])])
    place = np.arange(flat.size) - np.repeat(starts, [len(sentence) + 2 for sentence in sentences])
    levels = [first_level(np.bincount(flat, minlength=words + 1).astype(np.int64))]
    before = np.arange(words + 1)
    for n in range(2, order + 1):
        at = np.flatnonzero(place >= n - 1)
        key = np.zeros(at.size, dtype=np.int64)
        for back in range(n - 1, -1, -1):
            key = key * _BASE + flat[at - back]
        keys, counts = np.unique(key, return_counts=True)
        start = np.searchsorted(keys // _BASE, np.append(before, 1 << 62))
        suffix = np.searchsorted(before, keys % _BASE ** (n - 1))
        levels.append(Level(keys % _BASE, counts.astype(np.int64), suffix, start))
        before = keys
    return levels


def count(corpus: Corpus, main_count: int = MAIN_COUNT) -> Arrays:
    """The arrays of a file of weights."""
    texts = corpus.cased + corpus.lowered
    split_texts = [pieces(text) for text in tqdm(texts, desc="words", disable=None)]
    seen = Counter(word for words in split_texts for word in words)
    other = Counter(word for text in tqdm(corpus.words, desc="rarer words", disable=None) for word in pieces(text))
    main = sorted(word for word, n in seen.items() if n >= main_count)
    rare = sorted(word for word in {*seen, *other} - {*main} if word.isascii() and word.isalpha())
    forms = usual_forms(corpus.words) | usual_forms(corpus.cased)
    lexicon = [forms.get(word, word) for word in main + rare]
    number = {word: FIRST_WORD + i for i, word in enumerate(main)}
    sentences = [[number.get(word, UNKNOWN) for word in words] for words in split_texts]
    total = FIRST_WORD + len(main)
    packer = Packer()
    levels = levels_of(sentences, total)
    packer.put(levels[0].count, np.zeros(total + 1, dtype=np.int64), 1)
    for before, level in pairwise(levels):
        pack_level(packer, before, level)
    styles, controls = habits(corpus.cased, {lower(word): word for word in lexicon})
    return packer.finish() | {
        "words": np.array([total], dtype=np.int32),
        "lexicon": np.frombuffer(zlib.compress("\n".join(lexicon).encode(), 9), dtype=np.uint8),
        "discounts": np.array(DISCOUNTS, dtype=np.int32),
        "styles": styles,
        "controls": controls,
        "p_rare": np.array([P_RARE], dtype=np.int32),
    }


def habits(texts: list[str], surfaces: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies of the styles (every one possible; punctuation set apart, which other caption sets do, gets 2%), and
    of the controls among words, in 2^-32."""
    styles = np.full(STYLES, 1.0)
    words, used = 0, Counter[int]()
    for text in tqdm(texts, desc="habits", disable=None):
        style = style_of(text)
        styles[style.number] += 4
        for word in split(text, style, surfaces):
            words += 1
            used.update(word.controls)
    apart = Style(1, True, ENDS.index(" .")).number
    styles[apart] += 0.02 * styles.sum()
    controls = np.array([(used[control] + 1) / (words + 1) for control in CONTROLS])
    return styles.astype(np.int32), (controls * 2.0**32).astype(np.int64)


def save(arrays: Arrays, path: Path) -> None:
    """Writes a file of weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    path.chmod(0o644)


def sizes(model: coder.CaptionModel, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Real bytes and ideal bits of each text."""
    sinks = [model.write(text, False) for text in tqdm(texts, desc="captions", disable=None)]
    return np.array([len(sink.payload()) for sink in sinks]), np.array([sink.ideal() for sink in sinks])


def report(name: str, model: coder.CaptionModel, texts: list[str]) -> str:
    """One line of figures of a set of texts."""
    begun = time.process_time()
    real, ideal = sizes(model, texts)
    took = (time.process_time() - begun) / len(texts)
    return (
        f"{name}: {len(texts)} captions, mean {real.mean():.2f} B, 95th percentile {np.percentile(real, 95):.0f} B,"
        f" ideal {ideal.mean() / 8:.2f} B, {1000 * took:.1f} ms of processor time to encode"
    )


def train(arguments: argparse.Namespace) -> None:
    """Counts and writes one set."""
    begun = time.perf_counter()
    data: Path = arguments.data
    corpus = {
        "tiny": lambda: tiny_corpus(data),
        "base": lambda: base_corpus(data, arguments.holdout),
        "research": lambda: research_corpus(data, arguments.holdout),
    }[arguments.set]()
    arrays = count(corpus)
    path: Path = arguments.output or models.FOLDER / arguments.set / "caption.safetensors"
    save(arrays, path)
    print(f"{path}: {path.stat().st_size} bytes, {int(arrays['words'][0])} words, {time.perf_counter() - begun:.0f} s")
    if corpus.held:
        model = coder.CaptionModel(models.read_safetensors(path.read_bytes()))
        print(report("left out", model, corpus.held))


def evaluate(arguments: argparse.Namespace) -> None:
    """Prints the figures of the model card."""
    begun = time.process_time()
    model = coder.model(arguments.set)
    print(f"loaded in {time.process_time() - begun:.2f} s of processor time")
    for name in ("coco_eval.tsv", "flickr8k_test200.tsv"):
        texts = [text for _, text in read(arguments.data, name)]
        print(report(name, model, texts))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for command in (train, evaluate):
        sub = commands.add_parser(command.__name__, help=command.__doc__)
        default = os.environ.get("LAYERCAST_DATA")
        sub.add_argument("--data", type=Path, default=default, required=not default, help="folder of data sets")
        sub.add_argument("--set", default="base", choices=["tiny", "base", "research"])
        sub.set_defaults(run=command)
        if command is train:
            sub.add_argument("--holdout", type=int, default=0, help="leave out every N-th photo and measure on it")
            sub.add_argument("--output", type=Path, help="another file than the package's own")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
