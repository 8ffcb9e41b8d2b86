"""Trains the renderer `tiny` on the lessons of pairs.py.

    python -m player.renderers.train.tiny ACTION --runs FOLDER

    train       for --hours; goes on from RUNS/renderer.pt
    evaluate    exact and tiny on photos held out: PSNR, feature distance by Lite1, rank correlation of the errors
    freeze      codec/weights/base/renderer.safetensors, matrices in 8 bits

Loss: absolute error, feature distance by EfficientNet-Lite2, a discriminator that sees the exact picture beside the
made one (hinge; from a quarter of the training on), and the likelihood of the errors under the expected ones. Lite1
chooses; Lite0, which judges in the benchmarks, is not used.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from codec.train.eight_bits import eight_bits, save
from player.renderers.tiny_network import Tiny
from player.renderers.train.features import FeatureDistance

CROP = 192
BATCH = 6
PIXELS, FEATURES, FOOLING, ERRORS = 0.02, 1.0, 0.02, 0.02  # what each part of the loss counts
ALONE = 0.25  # of the training passes before the discriminator speaks
AVERAGE = 0.998  # of the running mean of the weights, which is what is kept


class Discriminator(nn.Module):
    """Which of two pictures was a photo, patch by patch, knowing what was shown."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 96)) -> None:
        super().__init__()
        sides = zip((6, *widths), widths, strict=False)
        self.layers = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in sides)
        self.last = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, picture: Tensor, shown: Tensor) -> Tensor:
        """[B,1,H/8,W/8], above 0 for what seems a photo; both pictures [B,3,H,W] in levels."""
        x = torch.cat([picture - shown, shown - 128], 1) / 64
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        out: Tensor = self.last(x)
        return out


class Lessons:
    """Random crops of the lessons of one kind (train, held), turned and mirrored."""

    def __init__(self, runs: Path, kind: str) -> None:
        paths = sorted((runs / "pairs").glob(f"{kind}-*.npz"))
        if not paths:
            raise SystemExit(f"{runs / 'pairs'}: no lessons; make them by python -m player.renderers.train.pairs")
        self.stored = [dict(np.load(path)) for path in paths]

    def batch(self, rng: np.random.Generator, count: int, turned: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """(photos, shown) float32[B,3,CROP,CROP] in levels and planes float32[B,5,CROP/4,CROP/4]."""
        crops: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
        for _ in range(count):
            one = self.stored[rng.integers(len(self.stored))]
            n = rng.integers(len(one["sizes"]))
            y, x = (int(rng.integers((side - CROP) // 32 + 1)) * 32 for side in one["picture"].shape[:2])
            turn, mirror = (int(rng.integers(4)), rng.random() < 0.5) if turned else (0, False)
            window, small = (
                np.s_[y : y + CROP, x : x + CROP],
                np.s_[:, y // 4 : (y + CROP) // 4, x // 4 : (x + CROP) // 4],
            )
            parts = one["picture"][window].transpose(2, 0, 1), one["shown"][n][window].transpose(2, 0, 1)
            for part, found in zip((*parts, one["planes"][n][small]), crops, strict=True):
                whole = torch.rot90(torch.from_numpy(part.astype(np.float32)), turn, (1, 2))
                found.append(whole.flip(2) if mirror else whole)
        photos, shown, planes = (torch.stack(part) for part in crops)
        return photos, shown, planes


def likelihood(logs: Tensor, errors: Tensor) -> Tensor:
    """Mean negative logarithm of errors [B,1,h,w] (levels) under Laplace's law of expected size exp(logs)."""
    return (logs.clamp(-3, 6) + (errors + 0.1) * torch.exp(-logs.clamp(-3, 6))).mean()


def in_cells(error: Tensor) -> Tensor:
    """Mean absolute error of 4x4 pixels: [B,1,H/4,W/4] of [B,3,H,W]."""
    return F.avg_pool2d(error.abs().mean(1, keepdim=True), 4)


class Run:
    """Both networks, their optimisers and the running mean, with a checkpoint."""

    def __init__(self, path: Path, rate: float) -> None:
        self.path, self.step, self.spent = path, 0, 0.0
        self.tiny, self.mean, self.critic = Tiny(), Tiny(), Discriminator()
        self.mean.load_state_dict(self.tiny.state_dict())
        self.optimisers = [
            torch.optim.Adam(network.parameters(), rate, betas=(0.8, 0.99)) for network in (self.tiny, self.critic)
        ]
        if path.exists():
            saved = torch.load(path, weights_only=True)
            for network, state in zip((self.tiny, self.mean, self.critic), saved["networks"], strict=True):
                network.load_state_dict(state)
            for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
                optimiser.load_state_dict(state)
            self.step, self.spent = saved["step"], saved["seconds"]

    def apply(self, which: int, loss: Tensor, rate: float) -> None:
        """One step of the renderer's (0) or the discriminator's (1) optimiser."""
        optimiser = self.optimisers[which]
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_((self.tiny, self.critic)[which].parameters(), 1.0)
        optimiser.step()
        if which == 0:
            with torch.no_grad():
                for mean, now in zip(self.mean.parameters(), self.tiny.parameters(), strict=True):
                    mean.lerp_(now, 1 - min(AVERAGE, self.step / (self.step + 10)))

    def save(self) -> None:
        state = {
            "networks": [network.state_dict() for network in (self.tiny, self.mean, self.critic)],
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
            "seconds": self.spent,
        }
        torch.save(state, self.path.with_suffix(".part"))
        self.path.with_suffix(".part").replace(self.path)


def train(runs: Path, hours: float, rate: float, every: int, alone: float) -> None:
    torch.manual_seed(0)
    run, lessons, held = Run(runs / "renderer.pt", rate), Lessons(runs, "train"), Lessons(runs, "held")
    rng, features = np.random.default_rng(run.step), FeatureDistance("lite2")
    before, started = run.spent, time.monotonic()
    until = before + 3600 * hours
    figures: dict[str, list[float]] = {}
    while (done := run.spent / until) < 1:
        now = rate * min(1.0, (run.step + 1) / 100) * (0.05 + 0.475 * (1 + math.cos(math.pi * done)))
        photos, shown, planes = lessons.batch(rng, BATCH)
        with torch.autocast("cpu", torch.bfloat16):
            added, logs = run.tiny(shown, planes)
            made = shown + added.float()
            told = run.critic(made, shown) if done > alone else None
        near = features(made, photos).mean()  # in bfloat16 its gradient is mostly noise
        pixels = (made - photos).abs().mean()
        errors = [in_cells(error) for error in (shown - photos, made.detach() - photos)]
        tinted = F.avg_pool2d(added.float(), 32).abs().mean()  # what the thumbnail tells is taken away again
        loss = PIXELS * (pixels + tinted) + FEATURES * near
        loss = loss + ERRORS * sum(likelihood(logs[:, i : i + 1].float(), error) for i, error in enumerate(errors))
        if told is not None:
            loss = loss - FOOLING * told.float().mean()
        run.apply(0, loss, now)
        figures.setdefault("pixels", []).append(pixels.item())
        figures.setdefault("features", []).append(near.item())
        if told is not None:
            with torch.autocast("cpu", torch.bfloat16):
                right, wrong = run.critic(photos, shown), run.critic(made.detach(), shown)
            doubt = F.relu(1 - right.float()).mean() + F.relu(1 + wrong.float()).mean()
            run.apply(1, doubt, 2 * now)
            figures.setdefault("doubt", []).append(doubt.item())
        run.step, run.spent = run.step + 1, before + time.monotonic() - started
        if run.step % every == 0:
            run.save()
            line = {"step": run.step, "s": round(run.spent)}
            line |= {name: round(float(np.mean(values[-every:])), 4) for name, values in figures.items()}
            print(json.dumps(line | evaluated(run.mean, held)), flush=True)


@torch.no_grad()
def evaluated(network: Tiny, held: Lessons, count: int = 48) -> dict[str, float]:
    """Of fixed crops of photos held out, by half of the sizes: exact and made."""
    rng, judge = np.random.default_rng(7), FeatureDistance("lite1")
    found: dict[str, list[float]] = {}
    network.eval()
    for _ in range(count):
        photo, shown, planes = held.batch(rng, 1, turned=False)
        added, logs = network(shown, planes)
        made = (shown + added).clamp(0, 255).round()
        for name, picture in (("exact", shown), ("made", made)):
            squared = float(((picture - photo) ** 2).mean())
            found.setdefault(f"{name} dB", []).append(10 * math.log10(65025 / max(squared, 0.1)))
            found.setdefault(f"{name} far", []).append(float(judge(picture, photo)))
        error = in_cells(made - photo).flatten()
        places = [x.argsort().argsort().float() for x in (error, logs[0, 1].flatten())]
        found.setdefault("rank", []).append(float(torch.corrcoef(torch.stack(places))[0, 1]))
    network.train()
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def freeze(runs: Path) -> None:
    """Convolutions in 8 bits with a scale for each output, the rest in half precision."""
    state = torch.load(runs / "renderer.pt", weights_only=True)["networks"][1]
    save("base", "renderer", eight_bits(state))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["train", "evaluate", "freeze"])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--every", type=int, default=200, help="batches between two checkpoints")
    parser.add_argument("--alone", type=float, default=ALONE, help="share of the time without a discriminator")
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    if a.action == "train":
        train(a.runs, a.hours, a.rate, a.every, a.alone)
    elif a.action == "evaluate":
        print(json.dumps(evaluated(Run(a.runs / "renderer.pt", a.rate).mean, Lessons(a.runs, "held"), 200)))
    else:
        freeze(a.runs)


if __name__ == "__main__":
    main()
