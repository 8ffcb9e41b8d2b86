"""Makes the index of the automatic caption: photos and sentences -> codec/weights/<set>/caption_index.safetensors.

    python -m codec.train.caption_index --data FOLDER --work FOLDER [--set base|research]

base: the 80 training photos of coco_mini. research: 2,250 training photos of Flickr8k (non-commercial research only);
says how well its guesses agree with the sentences of the 150 dev photos. Of a photo's sentences the index keeps the one
that agrees most with the others, less a little for every byte that it costs. Features are kept in --work: an
interrupted run goes on where it stopped. Nothing is drawn, so there is no seed.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from codec import models
from codec.caption import encode
from codec.extract.caption import features, reduced
from codec.train.caption import normal, read

DIMENSIONS = 64
BYTE_PRICE = 0.01  # of agreement, which lies in 0..1
Sentences = dict[str, list[str]]
Vectors = dict[str, np.ndarray]


def tar_pictures(*paths: Path) -> Iterator[tuple[str, bytes]]:
    """(name without ending, file) of the pictures in tar files."""
    for path in paths:
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    yield Path(member.name).stem, file.read()


def folder_pictures(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(name without ending, file) of the pictures in a folder."""
    for path in sorted(folder.glob("*.jpg")):
        yield path.stem, path.read_bytes()


def vectors_of(pictures: Iterator[tuple[str, bytes]], cache: Path) -> Vectors:
    """Pooled features by name; kept in `cache`."""
    kept: Vectors = dict(load_file(cache)) if cache.is_file() else {}
    names = []
    for name, data in tqdm(pictures, desc=cache.stem, disable=None):
        names.append(name)
        if name not in kept:
            kept[name] = features(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
            if len(kept) % 200 == 0:
                save_file(kept, cache)
    save_file(kept, cache)
    return {name: kept[name] for name in names}


def sentences_of(data: Path, name: str) -> Sentences:
    """Sentences by photo, written as most people write them."""
    sentences: Sentences = {}
    for image, text in read(data, name):
        sentences.setdefault(Path(image).stem, []).append(tidy(text))
    return sentences


def tidy(text: str) -> str:
    """A sentence with a capital, a full stop, and no spaces before punctuation."""
    text = " ".join(text.split())
    for mark in ".,;!?":
        text = text.replace(f" {mark}", mark)
    text = text.replace(" 's", "'s").rstrip(".") + "."
    return text[:1].upper() + text[1:]


class Agreement:
    """How much two sentences say the same: cosine of their weighted one- to four-word sequences, as CIDEr."""

    def __init__(self, sentences: Sentences) -> None:
        self._photos = len(sentences)
        self._in = Counter(gram for texts in sentences.values() for gram in {g for t in texts for g in self._grams(t)})

    @staticmethod
    def _grams(text: str) -> list[str]:
        words = normal(text).split()
        return [" ".join(words[i : i + n]) for n in range(1, 5) for i in range(len(words) - n + 1)]

    def _vectors(self, text: str) -> list[dict[str, float]]:
        vectors: list[dict[str, float]] = [{}, {}, {}, {}]
        for gram, count in Counter(self._grams(text)).items():
            rare = math.log(self._photos / max(self._in[gram], 1))
            vectors[gram.count(" ")][gram] = count * rare
        return vectors

    def __call__(self, a: str, b: str) -> float:
        """0..1, mean over the four lengths."""
        total = 0.0
        for u, v in zip(self._vectors(a), self._vectors(b), strict=True):
            norms = math.sqrt(sum(x * x for x in u.values()) * sum(x * x for x in v.values()))
            total += sum(x * v.get(gram, 0.0) for gram, x in u.items()) / norms if norms else 0.0
        return total / 4

    def best(self, texts: list[str]) -> str:
        """The sentence that agrees most with the others, less what it costs."""

        def worth(i: int) -> float:
            others = [self(texts[i], other) for j, other in enumerate(texts) if j != i]
            return sum(others) / max(len(others), 1) - BYTE_PRICE * len(encode(texts[i]))

        return texts[max(range(len(texts)), key=worth)]


def index_of(vectors: Vectors, sentences: Sentences, agreement: Agreement) -> dict[str, np.ndarray]:
    """The arrays of an index: mean and axes of the features, the photos on them, a sentence each."""
    names = [name for name in sorted(vectors) if name in sentences]
    stack = np.stack([vectors[name] for name in names])
    mean = stack.mean(0)
    _, _, axes = np.linalg.svd(stack - mean, full_matrices=False)
    axes = axes[:DIMENSIONS]
    scale = np.float32(np.abs(axes).max() / 127)
    index = {
        "mean": mean.astype(np.float32),
        "axes": np.round(axes / scale).astype(np.int8),
        "axes_scale": np.array([scale], dtype=np.float32),
    }
    photos = np.stack([reduced(vector, index) for vector in stack])
    chosen = [agreement.best(sentences[name]) for name in tqdm(names, desc="sentences", disable=None)]
    text = np.frombuffer("\n".join(chosen).encode(), dtype=np.uint8)
    return index | {"photos": np.round(photos * 127).astype(np.int8), "sentences": text}


def agreement_on(index: dict[str, np.ndarray], vectors: Vectors, sentences: Sentences, agreement: Agreement) -> str:
    """How well guesses agree with people's sentences on photos that are not in the index."""
    kept = index["sentences"].tobytes().decode().split("\n")
    found, sizes, other = [], [], []
    for i, (name, vector) in enumerate(vectors.items()):
        guess = kept[int((index["photos"].astype(np.float32) @ reduced(vector, index)).argmax())]
        found.append(np.mean([agreement(guess, text) for text in sentences[name]]))
        other.append(np.mean([agreement(kept[i * 7919 % len(kept)], text) for text in sentences[name]]))
        sizes.append(len(encode(guess, guessed=True)))
    return (
        f"{len(found)} photos left out: agreement {np.mean(found):.4f} (any photo's sentence: {np.mean(other):.4f}),"
        f" {np.mean(sizes):.2f} B a guess"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("LAYERCAST_DATA")
    parser.add_argument("--data", type=Path, default=default, required=not default, help="folder of data sets")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the features")
    parser.add_argument("--set", default="base", choices=["base", "research"])
    parser.add_argument("--photos", type=int, help="use only the first so many training photos")
    arguments = parser.parse_args()
    data, work = arguments.data, arguments.work
    work.mkdir(parents=True, exist_ok=True)
    if arguments.set == "base":
        vectors = vectors_of(folder_pictures(data / "coco_mini" / "train"), work / "coco_mini_train.safetensors")
        sentences = sentences_of(data, "coco_train_mini.tsv")
    else:
        tars = [data / "flickr8k" / f"train-{i}.tar" for i in (0, 1)]
        vectors = vectors_of(islice(tar_pictures(*tars), arguments.photos), work / "flickr8k_train.safetensors")
        sentences = sentences_of(data, "flickr8k_train.tsv")
    agreement = Agreement(sentences)
    index = index_of(vectors, sentences, agreement)
    path = models.FOLDER / arguments.set / "caption_index.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(array) for name, array in index.items()}, path)
    path.chmod(0o644)
    print(f"{path}: {path.stat().st_size} bytes, {len(index['photos'])} photos")
    if arguments.set == "research":
        dev = vectors_of(tar_pictures(data / "flickr8k" / "dev.tar"), work / "flickr8k_dev.safetensors")
        print(agreement_on(index, dev, sentences_of(data, "flickr8k_dev.tsv"), agreement))


if __name__ == "__main__":
    main()
