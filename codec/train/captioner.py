"""Trains the embedded captioner on Flickr8k photos (non-commercial research only), then makes its sentences cheap.

    python -m codec.train.captioner ACTION --data FOLDER --runs FOLDER

    features    the cells of all photos, minutes
    train       words of people, for --hours; goes on where it was
    tune        CIDEr-D less --price x bytes, for --hours, as --name; starts from what train left
    evaluate    CIDEr-D, BLEU-4, bytes on the dev photos, or --test; twenty sentences
    freeze      codec/weights/research/captioner.safetensors

train: cross-entropy with smoothed labels; half of each batch are sentences without a picture (Flickr30k, COCO), from
which a few thousand photos' sentences would not teach the language. tune: self-critical sequence training with several
samples a photo (Rennie et al., CVPR 2017; Luo, 2020): the reward is CIDEr-D less a price for each byte of the caption
coder. Dev photos choose, test photos are looked at once.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import math
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from codec.caption import encode
from codec.extract.caption import grid_features
from codec.extract.captioner import sentence
from codec.extract.captioner_network import END, LONGEST, START, UNKNOWN, Captioner, Config, beam, evidence, padded
from codec.train.caption import normal, read
from codec.train.caption_index import tar_pictures
from codec.train.cider import Cider, bleu
from codec.train.eight_bits import eight_bits, save

SETS = {"train": ("train-0.tar", "train-1.tar"), "dev": ("dev.tar",), "test": ("test200.tar",)}
SENTENCES = {"train": "flickr8k_train.tsv", "dev": "flickr8k_dev.tsv", "test": "flickr8k_test200.tsv"}
OTHERS = ("flickr30k_multi30k.tsv", "coco_val2017_train.tsv")  # sentences whose photos are not here
VOCABULARY = 4000
SMOOTH = 0.1
HIDDEN = 0.2  # share of a photo's cells that a sentence must do without: few photos are soon known by heart
AVERAGE = 0.998  # of the running mean of the weights, which is what is kept and judged
BATCH = 48  # sentences with a photo, and as many without
PHOTOS, SAMPLES = 12, 5  # of a batch when tuning
Sentences = dict[str, list[list[str]]]


def store_features(data: Path, runs: Path) -> None:
    """Cells of all photos, those for training also mirrored, as float16[n,views,64,1280] beside their names."""
    for name, tars in SETS.items():
        target = runs / f"captioner_{name}.npz"
        if target.exists():
            continue
        names, views = [], []
        for stem, file in tqdm(tar_pictures(*(data / "flickr8k" / tar for tar in tars)), desc=name, disable=None):
            photo = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
            both = [photo, np.ascontiguousarray(photo[:, ::-1])] if name == "train" else [photo]
            views.append(np.stack([grid_features(view) for view in both]).astype(np.float16))
            names.append(stem)
        np.savez(target, names=np.array(names), cells=np.stack(views))


def sentences_of(data: Path, file: str) -> Sentences:
    """Words of the sentences of each photo."""
    found: Sentences = {}
    for image, text in read(data, file):
        found.setdefault(Path(image).stem, []).append(normal(text).split())
    return found


class Corpus:
    """Photos' cells, their sentences, sentences without photos, the vocabulary."""

    def __init__(self, data: Path, runs: Path) -> None:
        stored = np.load(runs / "captioner_train.npz")
        self.names, self.cells = [str(n) for n in stored["names"]], stored["cells"]
        self.sentences = sentences_of(data, SENTENCES["train"])
        seen = set(self.names)
        texts = [words for name, several in self.sentences.items() if name not in seen for words in several]
        for file in OTHERS:
            texts += [normal(text).split() for _, text in read(data, file)]
        mine = [words for name in self.names for words in self.sentences[name]]
        counts = Counter(word for words in mine for word in words for _ in range(8))
        counts.update(word for words in texts for word in words)
        self.words = ["<start>", "<end>", "<unknown>", *(word for word, _ in counts.most_common(VOCABULARY - 3))]
        self.number = {word: i for i, word in enumerate(self.words)}
        self.pairs = [(i, self.numbers(words)) for i, name in enumerate(self.names) for words in self.sentences[name]]
        self.texts = [self.numbers(words) for words in texts if 3 < len(words) < LONGEST]

    def numbers(self, words: list[str]) -> list[int]:
        """Their places in the vocabulary, of as many as a sentence may have."""
        return [self.number.get(word, UNKNOWN) for word in words[: LONGEST - 1]]

    def batches(self, seed: int) -> Iterator[tuple[Tensor, list[list[int]], list[list[int]]]]:
        """(cells, sentences about them, as many without a photo), for ever."""
        rng = np.random.default_rng(seed)
        while True:
            order = rng.permutation(len(self.pairs))
            for start in range(0, len(order) - BATCH + 1, BATCH):
                chosen = [self.pairs[i] for i in order[start : start + BATCH]]
                views = rng.integers(0, 2, BATCH)
                cells = np.stack([self.cells[i, view] for (i, _), view in zip(chosen, views, strict=True)])
                others = [self.texts[i] for i in rng.integers(0, len(self.texts), BATCH)]
                yield torch.from_numpy(cells.astype(np.float32)), [words for _, words in chosen], others


def loss_of(model: Captioner, seen: list[tuple[Tensor, Tensor]], sentences: list[list[int]]) -> Tensor:
    before, after = padded(sentences)
    logits, _ = model(before, seen)
    return F.cross_entropy(logits.flatten(0, 1), after.flatten(), label_smoothing=SMOOTH)


def train(corpus: Corpus, dev: Judge, runs: Path, hours: float, rate: float) -> None:
    torch.manual_seed(0)
    model = Captioner(Config(words=len(corpus.words)))
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02, betas=(0.9, 0.98))
    run = Run(runs / "captioner.pt", model, optimiser)
    batches = corpus.batches(run.step)
    for part in run.steps(hours, rate):
        cells, about, others = next(batches)
        model.train()
        told = loss_of(model, model.look(cells * (torch.rand(cells.shape[:2]) >= HIDDEN)[..., None]), about)
        language = loss_of(model, model.blind(len(others)), others)
        run.apply(told + 0.5 * language)
        if run.step % 200 == 0:
            run.save(dev, {"told": told.item(), "language": language.item(), "part": part})


class Judge:
    """CIDEr-D, BLEU-4 and bytes of a captioner's sentences on photos left out."""

    def __init__(self, data: Path, runs: Path, name: str, corpus: Corpus) -> None:
        stored = np.load(runs / f"captioner_{name}.npz")
        self.names = [str(n) for n in stored["names"]]
        self.cells = torch.from_numpy(stored["cells"][:, 0].astype(np.float32))
        every = sentences_of(data, SENTENCES[name])
        self.sentences = {n: every[n] for n in self.names}
        self.cider, self.corpus = Cider(self.sentences), corpus

    def found(self, model: Captioner, width: int = 5) -> dict[str, list[str]]:
        model.eval()
        return {
            name: [self.corpus.words[word] for word in beam(model, cells, width)[0][1]]
            for name, cells in zip(self.names, self.cells, strict=True)
        }

    def told_apart(self, model: Captioner) -> float:
        """How often a person's sentence gets more evidence from its own photo than one about another photo does."""
        model.eval()
        texts = [[self.corpus.numbers(words) for words in self.sentences[name]] for name in self.names]
        right, wrong = [], []
        for i, cells in enumerate(self.cells):
            own, other = texts[i], texts[(i + 1 + i % 7) % len(texts)]
            bits = evidence(model, cells, own + other)
            right += bits[: len(own)]
            wrong += bits[len(own) :]
        return float((np.array(right)[:, None] > np.array(wrong)).mean())

    def __call__(self, model: Captioner) -> dict[str, float]:
        found = self.found(model)
        return {
            "cider": float(np.mean([self.cider(name, words) for name, words in found.items()])),
            "bleu4": bleu(found, self.sentences),
            "bytes": float(np.mean([len(encode(sentence(words), guessed=True)) for words in found.values()])),
            "words": float(np.mean([len(words) for words in found.values()])),
            "different": len({tuple(words) for words in found.values()}) / len(found),
        }


class Run:
    """A training run with its checkpoint: going on, learning rate, gradients, figures."""

    def __init__(self, path: Path, model: Captioner, optimiser: torch.optim.Optimizer) -> None:
        self.path, self.model, self.optimiser = path, model, optimiser
        self.step, self.spent = 0, 0.0
        self.mean = copy.deepcopy(model)
        if path.exists():
            saved = torch.load(path, weights_only=True)
            self.mean.load_state_dict(saved["model"])
            model.load_state_dict(saved.get("last", saved["model"]))
            if "optimiser" in saved:
                optimiser.load_state_dict(saved["optimiser"])
                self.step, self.spent = saved["step"], saved["seconds"]

    def steps(self, hours: float, rate: float) -> Iterator[float]:
        """The share done before each step, for so many hours more."""
        before, started = self.spent, time.monotonic()
        until = before + 3600 * hours
        while (done := self.spent / until) < 1:
            for group in self.optimiser.param_groups:
                group["lr"] = rate * min(1.0, (self.step + 1) / 400) * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
            yield done
            self.step, self.spent = self.step + 1, before + time.monotonic() - started

    def apply(self, loss: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            for mean, now in zip(self.mean.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(now, 1 - AVERAGE)

    def save(self, dev: Judge, figures: dict[str, float]) -> None:
        state = {"model": self.mean.state_dict(), "last": self.model.state_dict()}
        state["optimiser"] = self.optimiser.state_dict()
        part = self.path.with_suffix(".part")
        torch.save(state | {"step": self.step, "seconds": self.spent}, part)
        part.replace(self.path)
        line = {"step": self.step, "s": round(self.spent)} | figures | dev(self.mean)
        print(json.dumps({name: round(value, 4) for name, value in line.items()}), flush=True)


@torch.no_grad()
def sampled(model: Captioner, seen: list[tuple[Tensor, Tensor]], count: int) -> Tensor:
    """Sentences drawn word by word, int64[count,<=LONGEST] from START's follower on, END behind the end."""
    words = torch.full((count, 1), START)
    past, told, over = None, [], torch.zeros(count, dtype=torch.bool)
    for _ in range(LONGEST - 1):
        logits, past = model(words, seen, past)
        logits = logits[:, -1]
        logits[:, [START, UNKNOWN]] = -math.inf
        words = torch.multinomial(logits.softmax(-1), 1)
        words[over] = END
        told.append(words)
        over |= words[:, 0] == END
        if over.all():
            break
    return torch.cat(told, 1)


def until_end(words: list[int]) -> list[int]:
    return words[: words.index(END)] if END in words else words


def tune(corpus: Corpus, dev: Judge, runs: Path, hours: float, rate: float, price: float, name: str) -> None:
    torch.manual_seed(1)
    model = Captioner(Config(words=len(corpus.words)))
    path = runs / f"captioner_{name}.pt"
    if not path.exists():
        torch.save({"model": torch.load(runs / "captioner.pt", weights_only=True)["model"]}, path)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0, betas=(0.9, 0.98))
    run = Run(path, model, optimiser)
    cider = Cider({n: corpus.sentences[n] for n in corpus.names})
    rng = np.random.default_rng(run.step)
    rewards: list[float] = []
    for _ in run.steps(hours, rate):
        chosen = rng.integers(0, len(corpus.names), PHOTOS)
        cells = np.stack([corpus.cells[i, rng.integers(0, 2)] for i in chosen]).astype(np.float32)
        model.eval()  # no dropout: what is drawn is what is judged
        looked = model.look(torch.from_numpy(cells))
        seen = [(k.repeat_interleave(SAMPLES, 0), v.repeat_interleave(SAMPLES, 0)) for k, v in looked]
        texts = [until_end(row) for row in sampled(model, seen, PHOTOS * SAMPLES).tolist()]
        worth = []
        for i, words in enumerate(texts):
            said = [corpus.words[word] for word in words]
            worth.append(
                cider(corpus.names[chosen[i // SAMPLES]], said) - price * len(encode(sentence(said), guessed=True))
            )
        reward = torch.tensor(worth).view(PHOTOS, SAMPLES)
        rewards.append(float(reward.mean()))
        ahead = (reward - (reward.sum(1, keepdim=True) - reward) / (SAMPLES - 1)).flatten()
        before, after = padded(texts)
        logits, _ = model(before, seen)
        chance = -F.cross_entropy(logits.flatten(0, 1), after.flatten(), reduction="none").view(after.shape)
        run.apply(-(chance.sum(1) * ahead).sum() / (after >= 0).sum())
        if run.step % 100 == 0:
            run.save(dev, {"reward": float(np.mean(rewards[-100:]))})


def freeze(runs: Path, name: str, words: list[str]) -> None:
    """Matrices in 8 bits with a scale for each row, the rest in half precision."""
    state = torch.load(runs / f"captioner{name}.pt", weights_only=True)["model"]
    c = Config(words=len(words))
    stored = {
        "config": np.array(astuple(c)[:3], np.int32),
        "vocabulary": np.frombuffer("\n".join(words).encode(), np.uint8),
    }
    save("research", "captioner", stored | eight_bits(state))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("LAYERCAST_DATA")
    parser.add_argument("action", choices=["features", "train", "tune", "evaluate", "freeze"])
    parser.add_argument("--data", type=Path, default=default, required=not default, help="folder of data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--price", type=float, default=0.0, help="of a byte, in CIDEr-D (0..10)")
    parser.add_argument("--name", default="", help="of the tuned run; evaluate, freeze: which to take")
    parser.add_argument("--test", action="store_true", help="the test photos instead of the dev photos")
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    a.runs.mkdir(parents=True, exist_ok=True)
    if a.action == "features":
        store_features(a.data, a.runs)
        return
    corpus = Corpus(a.data, a.runs)
    which = f"_{a.name}" if a.name else ""
    if a.action == "freeze":
        freeze(a.runs, which, corpus.words)
    elif a.action == "evaluate":
        model = Captioner(Config(words=len(corpus.words)))
        model.load_state_dict(torch.load(a.runs / f"captioner{which}.pt", weights_only=True)["model"])
        judge = Judge(a.data, a.runs, "test" if a.test else "dev", corpus)
        print(json.dumps(judge(model) | {"told apart (AUC)": judge.told_apart(model)}))
        for name, words in list(judge.found(model).items())[:20]:
            print(name, "|", sentence(words), "|", " ".join(judge.sentences[name][0]))
    else:
        dev = Judge(a.data, a.runs, "dev", corpus)
        if a.action == "train":
            train(corpus, dev, a.runs, a.hours, a.rate or 8e-4)
        else:
            tune(corpus, dev, a.runs, a.hours, a.rate or 2e-5, a.price, a.name or "tuned")


if __name__ == "__main__":
    main()
