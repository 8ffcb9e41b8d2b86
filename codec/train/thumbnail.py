"""The thumbnail's tables: learned from photos by quantising them, recounting what was coded, and quantising again.

    python -m codec.train.thumbnail --data FOLDER [--set base] [--rounds 8]

Every round chooses for each crop the step and the price of a bit that fill the thumbnail's bytes with the least error,
refits the networks that give probabilities to what was chosen, and the tables of means, scales and levels. Continues
from the set's file where there is one (--fresh: does not). Prints the mean PSNR of held-out photos after every round.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.latent import thumbnail
from codec.latent import thumbnail_model as model
from codec.latent import thumbnail_search as search
from codec.train import photos

BUDGET = 150.0  # bits; the coder's end takes the rest of 152
WORTH = 0.0028  # of the remaining error that a bit takes away near the budget
SHAPES = {(3, 2): (16, 24), (4, 3): (18, 24), (1, 1): (16, 16), (16, 9): (18, 32)}
SHAPES |= {(h, w): (columns, rows) for (w, h), (rows, columns) in SHAPES.items() if w != h}
PRICES = 0.03 * 1.2 ** np.arange(20)
Weights = dict[str, NDArray[Any]]


def thumbnails(pictures: Iterable[NDArray[Any]], weights: int = 1) -> list[NDArray[np.int32]]:
    """decode(encode(x)) of base pictures [H, W, 3] (longer side <= 1024, 0..255): int32 [3, gh, gw], 1/16 levels."""
    found = []
    for picture in pictures:
        h, w = picture.shape[:2]
        padded = np.pad(picture, ((0, -h % 32), (0, -w % 32), (0, 0)), mode="edge")
        gh, gw = padded.shape[0] // 32, padded.shape[1] // 32
        boxes = padded.reshape(gh, 32, gw, 32, 3).mean((1, 3), dtype=np.float64).transpose(2, 0, 1)
        found.append(thumbnail.decode(thumbnail.encode(boxes, 3, weights), gh, gw, 3, weights))
    return found


@dataclass
class Pictures:
    """N crops of one grid: unquantised coefficients and the energy (sum over colours) a pixel; what was chosen last."""

    on: model.Grid
    want: NDArray[np.float64]  # [N, padded]
    energy: NDArray[np.float64]  # [N]
    scales: NDArray[np.int64]  # [N]
    prices: NDArray[np.int64]  # [N] places in PRICES

    def part(self, keep: NDArray[np.int64]) -> Pictures:
        return Pictures(self.on, self.want[keep], self.energy[keep], self.scales[keep], self.prices[keep])


def crops(path: Path, rng: random.Random, wanted: int) -> Iterator[tuple[tuple[int, int], Any, float]]:
    """`wanted` crops of a photo, all shapes in turn, first in full: (grid, box means [3, gh, gw], energy)."""
    photo = Image.open(path).convert("RGB")
    width, height = photo.size
    shapes = sorted(SHAPES, key=lambda s: abs(np.log(s[0] * height / (s[1] * width))))
    for i in range(wanted):
        across, down = shapes[i % len(shapes)]
        part = 1.0 if i < len(shapes) else rng.uniform(0.5, 1)
        w = min(width, height * across / down) * part
        h = w * down / across
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        rows, columns = SHAPES[across, down]
        boxes = photo.resize((columns * 8, rows * 8), Image.Resampling.BOX, box=(x, y, x + w, y + h))
        boxes = np.asarray(boxes, dtype=np.float64).reshape(rows, 8, columns, 8, 3).mean((1, 3)).transpose(2, 0, 1)
        pixels = np.asarray(photo.crop((int(x), int(y), int(x + w), int(y + h))), dtype=np.float64)
        yield (rows, columns), boxes, float((pixels**2).sum(axis=2).mean())


def load_pictures(paths: list[Path], wanted: int, mirrored: bool, seed: int) -> list[Pictures]:
    rng = random.Random(seed)
    found: dict[tuple[int, int], list[tuple[Any, float]]] = {}
    for path in paths:
        for i, (shape, boxes, energy) in enumerate(crops(path, rng, wanted)):
            flipped = mirrored and i % 2
            found.setdefault(shape, []).append((boxes[:, :, ::-1] if flipped else boxes, energy))
    grouped = []
    for shape, items in found.items():
        on = model.grid(*shape)
        want = search.coefficients(on, np.stack([boxes for boxes, _ in items]))
        start = np.full(len(items), 4), np.full(len(items), 10)
        grouped.append(Pictures(on, want, np.array([e for _, e in items]), *start))
    return grouped


def choose(pictures: Pictures, w: Weights) -> NDArray[np.float64]:
    """Sets each picture's scale and price by trial near the last ones; returns the PSNR reached [N]."""
    least = np.full(len(pictures.want), np.inf)
    first = search.scale_bits(w)
    for near in ([(s, k) for s in (-1, 0, 1) for k in (-3, 0, 3)], [(0, -1), (0, 1)]):
        scales, prices = pictures.scales.copy(), pictures.prices.copy()
        for s, k in near:
            scale, price = np.clip(scales + s, 0, model.SCALES - 1), np.clip(prices + k, 0, len(PRICES) - 1)
            tried = search.quantise(pictures.on, pictures.want, scale, PRICES[price], w)
            over = tried.bits + first[scale] - BUDGET
            left = np.log(np.maximum(pictures.energy + tried.error, 1)) + WORTH * np.clip(over, -12, 12)
            error = np.where(over > 12, 100 + over, left)
            better = error < least
            least[better] = error[better]
            pictures.scales[better], pictures.prices[better] = scale[better], price[better]
    return 10 * (np.log10(65025 * 3) - least / np.log(10))


class Fitter:
    """The three networks in torch, and their frozen form."""

    def __init__(self, hidden: int, device: str) -> None:
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.torch, self.device = torch, device
        self.nets = []
        for _ in range(3):
            first = torch.nn.Linear(model.INPUTS, hidden)
            second = torch.nn.Linear(hidden, model.OUTPUTS)
            torch.nn.init.normal_(first.weight, 0, 0.03)
            second.bias.data = torch.tensor([-2.0, 0, -1, -1, -1])
            self.nets.append(torch.nn.Sequential(first, torch.nn.ReLU(), second).to(device))

    def frozen(self) -> Weights:
        def stacked(layer: int, name: str, unit: int) -> NDArray[np.float64]:
            parts = [getattr(net[layer], name).detach().cpu().numpy().T for net in self.nets]
            return np.rint(np.stack(parts).astype(np.float64) * unit)

        found = {"in": stacked(0, "weight", 1024), "in_bias": stacked(0, "bias", 1 << 14)}
        return found | {"out": stacked(2, "weight", 1024), "out_bias": stacked(2, "bias", 1 << 16)}

    def thaw(self, w: Weights) -> None:
        parts = [(0, "weight", "in", 1024), (0, "bias", "in_bias", 1 << 14)]
        parts += [(2, "weight", "out", 1024), (2, "bias", "out_bias", 1 << 16)]
        for plane, net in enumerate(self.nets):
            for layer, name, key, unit in parts:
                numbers = self.torch.tensor((w[key][plane] / unit).T, dtype=self.torch.float32)
                getattr(net[layer], name).data = numbers.to(self.device)

    def fit(self, plane: int, inputs: NDArray[Any], values: NDArray[Any], epochs: float, rate: float) -> float:
        """One network; returns its last mean of bits a coefficient."""
        torch, net = self.torch, self.nets[plane]
        x = torch.from_numpy(inputs.astype(np.int16)).to(self.device)
        v = torch.from_numpy(values.astype(np.int64)).to(self.device)
        size = 4096
        steps = max(1, int(epochs * len(x) / size))
        optimiser = torch.optim.Adam(net.parameters(), lr=rate)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, rate / 30)
        mean = 0.0
        for i in range(steps):
            pick = torch.randint(len(x), (size,), device=self.device)
            loss = self._bits(net(x[pick].float() / 16), v[pick]) / size
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            falling.step()
            mean += (loss.item() - mean) * max(0.02, 1 / (i + 1))
        return mean

    def _bits(self, y: Any, values: Any) -> Any:
        softplus = self.torch.nn.functional.softplus
        sizes = values.abs()
        some = sizes > 0
        loss = softplus(self.torch.where(some, -y[:, 0], y[:, 0])).sum()
        loss = loss + softplus(self.torch.where(values[some] < 0, -y[some, 1], y[some, 1])).sum()
        for column, limit in ((2, 1), (3, 2)):
            some = sizes >= limit
            loss = loss + softplus(self.torch.where(sizes[some] > limit, -y[some, column], y[some, column])).sum()
        some = sizes > 2
        further = (sizes[some] - 3).float()
        loss = loss + (further * softplus(-y[some, 4]) + softplus(y[some, 4])).sum()
        return loss / float(np.log(2))


def recount_scales(scales: NDArray[Any]) -> NDArray[np.int64]:
    """Probabilities of the three decisions that name a scale, as a tree: places 1, 2..3, 4..7."""
    counts = np.bincount(scales, minlength=model.SCALES) + 2.0
    tree = np.full(model.SCALES, 32768)
    for node in range(1, model.SCALES):
        depth = node.bit_length() - 1
        width = model.SCALES >> depth
        start = (node - (1 << depth)) * width
        half = counts[start + width // 2 : start + width].sum() / counts[start : start + width].sum()
        tree[node] = np.clip(np.rint(65536 * half), 256, 65280)
    return tree.astype(np.int64)


def recount_means(values: NDArray[Any], scales: NDArray[Any], steps: NDArray[Any]) -> NDArray[np.int64]:
    """Tables of one plane's mean for every scale, all pictures counted for all scales: [SCALES, 1 + LARGEST_MEAN]."""
    top = model.LARGEST_MEAN
    axis = np.arange(-top, top + 1)
    tables = np.empty((model.SCALES, 1 + top), dtype=np.int64)
    for scale in range(model.SCALES):
        at = values * (steps[scales] / steps[scale])
        wide = np.maximum(6 * 64 / steps[scale], 0.5)  # the kernel: six levels, or half a step
        density = np.exp(-0.5 * ((axis[:, None] - at) / wide) ** 2).sum(axis=1)
        density = density / density.sum() + 2e-5
        sizes = density[top:].copy()
        sizes[1:] += density[:top][::-1]
        above = np.append(np.cumsum(sizes[::-1])[::-1], 0.0)
        p = [above[1] / above[0], density[:top].sum() / above[1]] + [above[k + 1] / above[k] for k in range(1, top)]
        tables[scale] = np.clip(np.rint(65536 * np.array(p)), 64, 65472)
    return tables


def start() -> Weights:
    """Tables before anything was learned, without the networks."""
    steps = np.rint(64 * 3 * 2 ** (np.arange(model.SCALES) / 2.6)).astype(np.int64)
    means = np.full((3, model.SCALES, 1 + model.LARGEST_MEAN), 50000)
    levels = np.tile(np.arange(model.LARGEST + 1) * 64, (3, 1))
    scales = np.full(model.SCALES, 32768)
    return {"steps": steps, "centres": np.array([64 * 200, 0, 0]), "scales": scales, "means": means, "levels": levels}


def recount(
    w: Weights, chosen: list[tuple[Pictures, search.Chosen]], fitter: Fitter, epochs: float, rate: float
) -> Weights:
    """New weights from what was chosen with the old ones."""
    scales = np.concatenate([p.scales for p, _ in chosen])
    w = dict(w, scales=recount_scales(scales))
    means, levels = [], w["levels"].copy()
    for plane in range(3):
        values = np.concatenate([c.values[:, p.on.means[plane]] for p, c in chosen])
        means.append(recount_means(values, scales, w["steps"]))
        seen = [s for _, c in chosen for s in c.seen if s.plane == plane]
        inputs = np.concatenate([s.inputs.astype(np.int16) for s in seen])
        values = np.concatenate([s.values for s in seen])
        goals = np.concatenate([s.goals for s in seen])
        for size in (1, 2, 3):
            at = np.abs(values) == size
            if at.sum() > 50:
                levels[plane, size] = np.rint(64 * np.abs(goals[at]).mean())
        fitter.fit(plane, inputs, values, epochs, rate)
    return dict(w, means=np.stack(means), levels=levels) | fitter.frozen()


def save(w: Weights, file: Path) -> None:
    from safetensors.numpy import save as pack

    file.write_bytes(pack({name: np.ascontiguousarray(numbers.astype(np.int32)) for name, numbers in w.items()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", default="base", choices=["base", "tiny"])
    parser.add_argument("--out", type=Path, help="file to write (default: the set's)")
    parser.add_argument("--hidden", type=int, help="units of each network (16; tiny 4)")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--crops", type=int, default=14, help="of each photo")
    parser.add_argument(
        "--share", type=float, default=0.3, help="of the crops a round, the last two take twice as many"
    )
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--fresh", action="store_true")
    a = parser.parse_args()
    file = a.out or Path(__file__).parents[1] / "weights" / a.set / "thumbnail.safetensors"
    fitter = Fitter(a.hidden or (16 if a.set == "base" else 4), a.device)
    resumed = file.exists() and not a.fresh
    w = start()
    if resumed:
        w = {
            name: numbers.astype(np.int64) for name, numbers in model.models.read_safetensors(file.read_bytes()).items()
        }
        fitter.thaw(w)
    w |= fitter.frozen()
    training, held_out = photos.split(a.data)
    train = load_pictures(training, a.crops, True, 1)
    held = load_pictures(held_out, 5, False, 2)
    rng = np.random.default_rng(0)
    for turn in range(a.rounds):
        began = time.monotonic()
        last = turn >= a.rounds - 2
        share = min(1.0, a.share * (2 if last else 1))
        reached = []
        chosen = []
        for pictures in train:
            keep = np.flatnonzero(rng.random(len(pictures.want)) < share)
            part = pictures.part(keep)
            if turn == 0 and not resumed:
                part.scales[:] = rng.integers(0, model.SCALES, len(keep))
            else:
                reached.append(choose(part, w))
            pictures.scales[keep], pictures.prices[keep] = part.scales, part.prices
            found = search.quantise(part.on, part.want, part.scales, PRICES[part.prices], w, record=True)
            chosen.append((part, found))
        w = recount(w, chosen, fitter, a.epochs * (2 if last else 1), 4e-3 if turn < a.rounds - 1 else 2e-3)
        save(w, file)
        psnr = np.concatenate([choose(pictures, w) for pictures in held])
        line = {"round": turn, "held-out PSNR": round(float(psnr.mean()), 3), "s": round(time.monotonic() - began)}
        line["training PSNR"] = round(float(np.concatenate(reached).mean()), 3) if reached else None
        line |= {"scales": np.bincount(np.concatenate([p.scales for p in held]), minlength=8).tolist()}
        line |= {"levels": w["levels"][:, 1:4].tolist()}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
