"""Learns what photos and sentences about them have in common -> codec/weights/research/agreement.safetensors.

    python -m codec.train.agreement --data FOLDER --runs FOLDER

Regularised canonical correlations of pooled features and words, over the 2,250 Flickr8k training photos and the five
sentences of each (non-commercial research only). Features are those that `codec.train.captioner features` leaves in
--runs. Prints how often a person's sentence scores higher with its photo than one does with another photo (AUC), on the
150 dev photos. Nothing is drawn, so there is no seed.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from codec import models
from codec.extract import agreement
from codec.extract.agreement import on_axes_of_pictures, on_axes_of_words, spoken, weighed
from codec.train.caption import read

AXES = 64
WORDS = 3000
RIDGE_PICTURES, RIDGE_WORDS = 1.0, 3.0  # of the mean variance; chosen on the dev photos
SHIFTS = (1, 7, 13, 29)  # to the photos whose sentences are the wrong ones


def pooled_of(runs: Path, name: str) -> tuple[list[str], np.ndarray]:
    """Names of the photos and their mean cells, float32[n,1280]."""
    stored = np.load(runs / f"captioner_{name}.npz")
    cells = stored["cells"]
    return [str(each) for each in stored["names"]], np.stack([each[0].astype(np.float32).mean(0) for each in cells])


def sentences_of(data: Path, file: str, names: list[str]) -> tuple[list[str], np.ndarray]:
    """Sentences about photos, and the place of each one's photo among `names`."""
    place = {name: i for i, name in enumerate(names)}
    found = [(text, place[Path(image).stem]) for image, text in read(data, file) if Path(image).stem in place]
    return [text for text, _ in found], np.array([i for _, i in found])


def whitening(covariance: np.ndarray, ridge: float) -> np.ndarray:
    """The inverse square root of a covariance with so much of its mean variance added."""
    values, vectors = np.linalg.eigh(
        covariance + ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    )
    return (vectors / np.sqrt(np.maximum(values, 1e-12))) @ vectors.T


def learn(pictures: np.ndarray, texts: list[str], of: np.ndarray) -> dict[str, np.ndarray]:
    """The stored arrays, of pooled features [n,1280], sentences, and the picture of each."""
    counts = Counter(word for text in texts for word in set(spoken(text)))
    vocabulary = [word for word, _ in counts.most_common(WORDS)]
    number = {word: i for i, word in enumerate(vocabulary)}
    rarity = np.array([np.log(1 / (counts[word] / len(texts) + 1e-4)) for word in vocabulary], np.float32)
    words = weighed(texts, number, rarity)
    picture_mean, word_mean = pictures.mean(0), words.mean(0)
    seen, said = pictures - picture_mean, words - word_mean
    left = whitening(seen.T @ seen / len(seen), RIDGE_PICTURES)
    right = whitening(said.T @ said / len(said), RIDGE_WORDS)
    u, strength, v = np.linalg.svd(left @ (seen[of].T @ said / len(said)) @ right, full_matrices=False)
    word_axes = (right @ v[:AXES].T * strength[:AXES]).astype(np.float16)
    return {
        "vocabulary": np.frombuffer("\n".join(vocabulary).encode(), np.uint8),
        "rarity": rarity,
        "picture_mean": picture_mean,
        "picture_axes": (left @ u[:, :AXES] * strength[:AXES]).astype(np.float16),
        "word_axes": word_axes,
        "word_mean": word_mean @ word_axes.astype(np.float32),
    }


def auc(stored: dict[str, np.ndarray], pictures: np.ndarray, texts: list[str], of: np.ndarray) -> float:
    """Share of pairs in which a sentence with its own picture scores higher than a sentence with a wrong one."""
    number = {word: i for i, word in enumerate(stored["vocabulary"].tobytes().decode().split("\n"))}
    words = on_axes_of_words(weighed(texts, number, stored["rarity"]), stored)
    all_scores = words @ on_axes_of_pictures(pictures, stored).T
    rows = np.arange(len(texts))
    right = all_scores[rows, of]
    wrong = np.concatenate([all_scores[rows, (of + shift) % len(pictures)] for shift in SHIFTS])
    return float((right[:, None] > wrong).mean())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("LAYERCAST_DATA")
    parser.add_argument("--data", type=Path, default=default, required=not default, help="folder of data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the features are")
    a = parser.parse_args()
    names, pictures = pooled_of(a.runs, "train")
    stored = learn(pictures, *sentences_of(a.data, "flickr8k_train.tsv", names))
    path = models.FOLDER / "research" / "agreement.safetensors"
    save_file({name: np.ascontiguousarray(array) for name, array in stored.items()}, path)
    path.chmod(0o644)
    print(f"{path}: {path.stat().st_size} bytes, contradiction below {agreement.CONTRADICTS}")
    names, pictures = pooled_of(a.runs, "dev")
    print(f"AUC on the dev photos: {auc(stored, pictures, *sentences_of(a.data, 'flickr8k_dev.tsv', names)):.4f}")


if __name__ == "__main__":
    main()
