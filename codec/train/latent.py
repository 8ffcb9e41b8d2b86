"""Trains the latent layer's network: rate and distortion over random prefixes of the steps (tail-drop).

    python -m codec.train.latent prepare --data FOLDER --runs FOLDER      pictures and decoded thumbnails, minutes
    python -m codec.train.latent train --runs FOLDER [--hours H] [--device cuda]     resumes from its checkpoint

codec/train/freeze.py then makes the files of codec/weights. Each batch is painted from all steps and from the first k:
loss = sum of MSE / (its running mean) over both + sum over steps of price x bits. The prices follow targets for the
bytes of each step, so that the rungs stand where they are wanted whatever the photos are.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_optimizer import SOAP
from torch import Tensor
from tqdm import tqdm

from codec.latent.thumbnail import upsample
from codec.train import photos
from codec.train.freeze import thawed
from codec.train.latent_model import TINY, Config, Network
from codec.train.thumbnail import thumbnails

PIXELS = 768 * 512
TARGETS = (300, 400, 650, 1500, 4000)  # bytes of each step on PIXELS of busy crops; quiet photos need a third
CROP = 192
GAINS = 0.7, 1.0  # of the light of a crop; with turns and mirrors, lest a few hundred photos are learned by heart
FULL_FROM = 0.8  # of the training from where on nothing is in bfloat16
RAMP = 1500  # batches over which bits become dear, lest latents fall silent before they are understood


@dataclass
class Rates:
    """Running means that steer the loss: MSE for each prefix, bits a pixel and price for each step."""

    mse: list[float] = field(default_factory=lambda: [1200.0, 800.0, 550.0, 420.0, 320.0, 220.0])
    bits: list[float] = field(default_factory=lambda: [8 * t / PIXELS for t in TARGETS])
    price: list[float] = field(default_factory=lambda: [40.0, 30.0, 20.0, 10.0, 5.0])

    def update(self, steer: bool, mse: dict[int, float], bits: list[float]) -> None:
        for kept, value in mse.items():
            self.mse[kept] += 0.03 * (value - self.mse[kept])
        for i, b in enumerate(bits):
            self.bits[i] += 0.02 * (b - self.bits[i])
            over = math.log(max(self.bits[i], 1e-6) / (8 * TARGETS[i] / PIXELS))
            if steer:
                self.price[i] *= math.exp(0.002 * max(-1.0, min(1.0, over)))


class Crops:
    """Random aligned crops of pictures with their part of the thumbnail."""

    def __init__(self, file: Path, seed: int) -> None:
        stored = np.load(file)
        count = int(stored["count"])
        self.pictures = [torch.from_numpy(stored[f"p{i}"]) for i in range(count)]
        self.fields = [torch.from_numpy(stored[f"f{i}"]) for i in range(count)]
        self.thumbnails = [torch.from_numpy(stored[f"t{i}"]) for i in range(count)]
        area = np.array([p.shape[1] * p.shape[2] for p in self.pictures], dtype=np.float64)
        self.chance = area / area.sum()
        self.rng = np.random.default_rng(seed)
        self.error = np.ones(count)  # of each picture relative to the mean one, as met so far

    def batch(self, size: int, device: str) -> tuple[np.ndarray, Tensor, Tensor, Tensor]:
        """(their numbers, pictures [B,3,CROP,CROP], thumbnails [B,3,CROP/32,CROP/32], the same enlarged), in 0..255."""
        pictures, thumbnails, fields = [], [], []
        chosen = self.rng.choice(len(self.pictures), size, p=self.chance)
        for i in chosen:
            p, t = self.pictures[i], self.thumbnails[i]
            y = int(self.rng.integers(0, (p.shape[1] - CROP) // 32 + 1))
            x = int(self.rng.integers(0, (p.shape[2] - CROP) // 32 + 1))
            window = np.s_[:, 32 * y : 32 * y + CROP, 32 * x : 32 * x + CROP]
            turn, mirror, gain = self.rng.integers(4), self.rng.integers(2), float(self.rng.uniform(*GAINS))
            crop = p[window], t[:, y : y + CROP // 32, x : x + CROP // 32], self.fields[i][window]
            for part, found in zip(crop, (pictures, thumbnails, fields), strict=True):
                turned = torch.rot90(part, int(turn), (1, 2))
                found.append((turned.flip(2) if mirror else turned).float() * gain)
        parts = [torch.stack(part).to(device) for part in (pictures, thumbnails, fields)]
        return chosen, parts[0], parts[1] / 16, parts[2]

    def weights(self, chosen: np.ndarray, relative: np.ndarray) -> np.ndarray:
        """What an error in each picture counts: the inverse of the picture's usual error, which `relative` updates.

        Summed errors would spend the training on the busiest photos; the mean of PSNR is wanted.
        """
        np.add.at(self.error, chosen, 0.1 * (relative - self.error[chosen]))
        return 1 / np.clip(self.error[chosen], 0.1, 10)


SCALES = (1.0, 0.8, 0.6, 0.45)  # of the photos, so that the network meets details of different sizes


def prepare(data: Path, runs: Path) -> None:
    """Stores training pictures (aligned to the grid) and their decoded thumbnails."""
    stored: dict[str, np.ndarray] = {}
    pictures = [p for path in photos.split(data)[0] for p in _scaled(photos.load(path))]
    for i, picture in enumerate(tqdm(pictures)):
        stored[f"p{i}"] = np.ascontiguousarray(picture.transpose(2, 0, 1))
        thumbnail = thumbnails([picture])[0]
        stored[f"t{i}"] = thumbnail.astype(np.int16)
        stored[f"f{i}"] = np.ascontiguousarray(upsample(thumbnail, *picture.shape[:2]).transpose(2, 0, 1))
    np.savez(runs / "train.npz", count=len(pictures), **stored)


def _scaled(photo: np.ndarray) -> list[np.ndarray]:
    """The photo at SCALES, cut to multiples of 32, where a crop still fits."""
    found = []
    for scale in SCALES:
        height, width = (int(scale * side) // 32 * 32 for side in photo.shape[:2])
        if min(height, width) >= CROP:
            image = Image.fromarray(photo)
            fitting = (
                image.crop((0, 0, width, height))
                if scale == 1
                else image.resize((width, height), Image.Resampling.LANCZOS)
            )
            found.append(np.asarray(fitting))
    return found


def train(runs: Path, hours: float, a: argparse.Namespace) -> None:
    torch.manual_seed(0)
    network = Network(TINY if a.tiny else Config()).to(a.device, memory_format=torch.channels_last)
    optimiser = SOAP(network.parameters(), lr=a.rate, weight_decay=0.0)
    rates, step, spent, error = Rates(), 0, 0.0, None
    checkpoint = runs / ("tiny.pt" if a.tiny else "latent.pt")
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=a.device, weights_only=True)
        network.load_state_dict(saved["network"])
        if "optimiser" in saved:
            optimiser.load_state_dict(saved["optimiser"])
        rates, step, spent = Rates(**saved["rates"]), saved["step"], saved["seconds"]
        error = saved.get("error", error)
    elif a.thaw:
        network.load_state_dict(thawed("tiny" if a.tiny else "base", network))
        step = RAMP
    crops = Crops(runs / "train.npz", seed=step)
    crops.error = crops.error if error is None else error.numpy()
    started = time.monotonic()
    before, until = spent, spent + 3600 * hours
    while (done := max(spent / until, step / a.steps)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = a.rate * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        mse, bits, kept = _errors(network, crops, rates, step, a, half=a.bf16 and done < FULL_FROM)
        price = sum((p * b for p, b in zip(rates.price, bits, strict=True)), torch.zeros((), device=a.device))
        price = price * min(1.0, step / RAMP) ** 2
        loss = mse[0] / rates.mse[-1] + mse[1] / rates.mse[kept] + price
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        rates.update(step > RAMP, {5: mse[0].item(), kept: mse[1].item()}, [b.item() for b in bits])
        step, spent = step + 1, before + time.monotonic() - started
        if step % 100 == 0:
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "rates": vars(rates)}
            state["error"] = torch.from_numpy(crops.error)
            torch.save(state | {"step": step, "seconds": spent}, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
            line = {"step": step, "s": round(spent), "psnr": [round(10 * math.log10(65025 / m), 2) for m in rates.mse]}
            line |= {"bytes": [round(b * PIXELS / 8) for b in rates.bits], "price": [round(p, 2) for p in rates.price]}
            print(json.dumps(line), flush=True)


def _errors(
    network: Network, crops: Crops, rates: Rates, step: int, a: argparse.Namespace, half: bool
) -> tuple[list[Tensor], list[Tensor], int]:
    """(weighted squared errors of the whole picture and of a prefix, bits a pixel of each step, the prefix's steps)."""
    chosen, pictures, thumbnails, fields = crops.batch(a.batch, a.device)
    kept = int(crops.rng.choice(5, p=[0.12, 0.22, 0.22, 0.22, 0.22]))
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    with torch.autocast(a.device, torch.bfloat16, enabled=half):
        full, early, bits = network(pictures, thumbnails, fields, kept)
    errors = [((out - pictures) ** 2).mean((1, 2, 3)) for out in (full, early)]
    weights = torch.from_numpy(crops.weights(chosen, errors[0].detach().cpu().numpy() / rates.mse[-1])).to(errors[0])
    pixels = pictures.numel() / 3
    return [(error * weights).mean() for error in errors], [b / pixels for b in bits], kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["prepare", "train"])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--steps", type=int, default=100000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="convolutions in bfloat16 until the last fifth")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--thaw", action="store_true", help="without a checkpoint, start from codec/weights")
    parser.add_argument("--data", type=Path, help="folder of the data sets, for prepare")
    a = parser.parse_args()
    if a.action == "prepare":
        prepare(a.data, a.runs)
        return
    torch.set_num_threads(a.threads)
    train(a.runs, a.hours, a)


if __name__ == "__main__":
    main()
