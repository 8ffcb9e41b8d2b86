"""Trains the edge network: free photos -> codec/weights/<set>/edges.safetensors (encoder side only).

Nobody drew these edges. The teacher is agreement: each photo is cut into regions many times (Felzenszwalb's
graph-based segmentation, two colour spaces, fine to coarse, at 1/2 and 1/4 of the photo's size), and a place counts
as an edge by the share of segmentations that put a border there. Texture falls into different regions each time,
an object's outline does not. The network learns that share from the picture; averaging over many photos makes it
steadier than its teacher. No human boundaries are used.

    photo ─► base picture ─► segmentations ─► share of borders at 1/4 (cached in --work)
                   └───────► network ──────► the same share, learnt

    python -m codec.train.edges --data FOLDER --work FOLDER [--set base|tiny] [--steps N] [--device cuda]

Resumes from the checkpoint in --work. The inference twin in numpy is codec/structure/network.py.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

WEIGHTS = Path(__file__).parents[1] / "weights"
LONG_SIDE = 1024
# (long sides are divided by, smoothing, threshold scale, smallest region) of each segmentation, in both colour spaces
SEGMENTATIONS = (
    (2, 0.8, 150, 60),
    (2, 1.2, 400, 150),
    (2, 1.2, 1000, 300),
    (4, 0.8, 100, 25),
    (4, 0.8, 250, 60),
    (4, 1.0, 600, 120),
)
WIDTHS = {"base": (16, 24, 32, 32), "tiny": (4, 6, 8, 8)}  # states at 1/2, 1/4, 1/8, 1/16
FREE = ("CC", "Unsplash", "public domain")

Lesson = tuple[np.ndarray, np.ndarray, bool]  # base picture, taught map, held out


def free_photos(data: Path) -> list[Path]:
    """Photos whose terms allow learning: CC, CC0, public domain, Unsplash; not GPL, not unchecked."""
    with open(data / "photos" / "SOURCES.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    kept = [row["file"] for row in rows if row["licence"].startswith(FREE)]
    kept.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
    return [data / "photos" / name for name in kept]


def held_out(path: Path) -> bool:
    """One photo in twelve is kept for choosing and reporting, by its name."""
    return hashlib.sha256(path.name.encode()).digest()[1] % 12 == 0


def read_base(path: Path) -> np.ndarray:
    """The photo as a base picture: uint8[h,w,3], halved until its long side is at most 1024."""
    picture = np.asarray(Image.open(path).convert("RGB"))
    while max(picture.shape[:2]) > LONG_SIDE:
        picture = _reduced(picture, 2).round().astype(np.uint8)
    return picture


def _reduced(picture: np.ndarray, by: int) -> np.ndarray:
    h, w = picture.shape[0] // by * by, picture.shape[1] // by * by
    return picture[:h, :w].reshape(h // by, by, w // by, by, -1).mean((1, 3), dtype=np.float32)


def _borders(labels: np.ndarray, by: int, shape: tuple[int, int]) -> np.ndarray:
    """1 where a pixel of the 1/4 map touches a border of regions; `labels` at 1/`by` of the photo's size."""
    labels = labels.repeat(by // 2, 0).repeat(by // 2, 1)
    h, w = shape
    labels = np.pad(labels, ((1, 2 * h + 1), (1, 2 * w + 1)), mode="edge")[: 2 * h + 2, : 2 * w + 2]
    windows = [labels[y : y + 2 * h : 2, x : x + 2 * w : 2] for y in range(4) for x in range(4)]
    return (np.max(windows, 0) != np.min(windows, 0)).astype(np.float32)


def teach(base: np.ndarray) -> np.ndarray:
    """Share of the segmentations with a border here: float32[ceil(h/4), ceil(w/4)] of base picture uint8[h,w,3]."""
    from skimage.color import rgb2lab
    from skimage.segmentation import felzenszwalb

    shape = (-(-base.shape[0] // 4), -(-base.shape[1] // 4))
    total, count = np.zeros(shape, np.float32), 0
    for by, smoothing, scale, smallest in SEGMENTATIONS:
        rgb = _reduced(base, by) / 255
        lab = (rgb2lab(rgb) + np.array([0, 60, 60])) / np.array([100, 120, 120])
        for source in (rgb, lab.clip(0, 1)):
            labels = felzenszwalb(source, scale=scale, sigma=smoothing, min_size=smallest)
            total += _borders(labels, by, shape)
            count += 1
    return total / count


def lessons(data: Path, work: Path, limit: int) -> list[Lesson]:
    """(base picture, taught map, held out) of up to `limit` free photos; taught maps are kept in `work`."""
    result = []
    work.mkdir(parents=True, exist_ok=True)
    paths = free_photos(data)[:limit]
    for number, path in enumerate(paths):
        cached = work / f"taught_{path.stem}.npy"
        base = read_base(path)
        if not cached.exists():
            np.save(cached, (teach(base) * 255).round().astype(np.uint8))
            if number % 10 == 0:
                print(f"taught {number + 1}/{len(paths)}", flush=True)
        result.append((base, np.load(cached), held_out(path)))
    return result


class EdgeNetwork(nn.Module):
    """[B,3,H,W] in 0..255, sides multiples of 32 -> logits at 1/4, and side outputs at 1/8 and 1/16 for training."""

    def __init__(self, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        w2, w4, w8, w16 = widths
        self.in2 = nn.Conv2d(12, w2, 3, padding=1)
        self.in4, self.mix4 = nn.Conv2d(4 * w2, w4, 1), nn.Conv2d(w4, w4, 3, padding=1)
        self.in8, self.mix8 = nn.Conv2d(4 * w4, w8, 1), nn.Conv2d(w8, w8, 3, padding=1)
        self.in16, self.mix16 = nn.Conv2d(4 * w8, w16, 1), nn.Conv2d(w16, w16, 3, padding=1)
        self.far16 = nn.Conv2d(w16, w16, 3, padding=1)
        self.up8, self.join8 = nn.Conv2d(w16, w8, 1), nn.Conv2d(w8, w8, 3, padding=1)
        self.up4, self.join4 = nn.Conv2d(w8, w4, 1), nn.Conv2d(w4, w4, 3, padding=1)
        self.head4 = nn.Conv2d(w4, 1, 3, padding=1)
        self.head8, self.head16 = nn.Conv2d(w8, 1, 1), nn.Conv2d(w16, 1, 1)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h2 = F.relu(self.in2(F.pixel_unshuffle((picture - 128) / 64, 2)))
        h4 = F.relu(self.mix4(F.relu(self.in4(F.pixel_unshuffle(h2, 2)))))
        h8 = F.relu(self.mix8(F.relu(self.in8(F.pixel_unshuffle(h4, 2)))))
        h16 = F.relu(self.mix16(F.relu(self.in16(F.pixel_unshuffle(h8, 2)))))
        h16 = F.relu(h16 + self.far16(h16))
        up = F.interpolate(self.up8(h16), scale_factor=2)
        h8 = F.relu(h8 + up)
        h8 = F.relu(h8 + self.join8(h8))
        h4 = F.relu(h4 + F.interpolate(self.up4(h8), scale_factor=2))
        h4 = F.relu(h4 + self.join4(h4))
        return self.head4(h4), self.head8(h8), self.head16(h16)


def draw(lesson: Lesson, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random crop, turned, mirrored, its contrast and colours changed: float32[3,side,side], [side/4,side/4]."""
    base, taught, _ = lesson
    h, w = taught.shape[0] - side // 4, taught.shape[1] - side // 4
    y, x = (int(rng.integers(0, max(n, 0) + 1)) for n in (h - 1, w - 1))
    crop = base[4 * y : 4 * y + side, 4 * x : 4 * x + side].astype(np.float32)
    target = taught[y : y + side // 4, x : x + side // 4].astype(np.float32) / 255
    pad = [(0, side - crop.shape[0]), (0, side - crop.shape[1])]
    crop = np.pad(crop, [*pad, (0, 0)], mode="edge")
    target = np.pad(target, [(0, side // 4 - n) for n in target.shape])
    if rng.random() < 0.15:
        crop = np.repeat(crop @ np.array([[0.3], [0.59], [0.11]], np.float32), 3, axis=2)
    crop = (crop - 128) * rng.uniform(0.7, 1.15) + 128 + rng.uniform(-20, 20)
    crop = crop + rng.normal(0, rng.uniform(0, 6), crop.shape)
    turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
    crop, target = np.rot90(crop, turns), np.rot90(target, turns)
    if mirror:
        crop, target = crop[:, ::-1], target[:, ::-1]
    return crop.transpose(2, 0, 1).clip(0, 255).astype(np.float32), np.ascontiguousarray(target, dtype=np.float32)


def loss_of(outputs: tuple[Tensor, Tensor, Tensor], target: Tensor) -> Tensor:
    """Cross entropy at 1/4, and at 1/8 and 1/16 against the strongest share inside each pixel."""
    total = torch.zeros((), device=target.device)
    for out, by, weight in zip(outputs, (1, 2, 4), (1.0, 0.3, 0.2), strict=True):
        wanted = F.max_pool2d(target, by) if by > 1 else target
        entropy = F.binary_cross_entropy_with_logits(out, wanted, reduction="none")
        total = total + weight * (entropy * (1 + 3 * wanted)).mean()
    return total


def train(args: argparse.Namespace) -> EdgeNetwork:
    torch.manual_seed(args.seed)
    taught = lessons(Path(args.data), Path(args.work), args.photos)
    pupils = [lesson for lesson in taught if not lesson[2]]
    network = EdgeNetwork(WIDTHS[args.set]).to(args.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=args.rate)
    checkpoint = Path(args.work) / f"edges_{args.set}.pt"
    step = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=args.device)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    started, mean = time.time(), 0.0
    while step < args.steps:
        rng = np.random.default_rng((args.seed, step))
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1.0, 1.02 - step / args.steps)
        pairs = [draw(pupils[int(rng.integers(len(pupils)))], 256, rng) for _ in range(args.batch)]
        pictures = torch.from_numpy(np.stack([pair[0] for pair in pairs])).to(args.device)
        targets = torch.from_numpy(np.stack([pair[1] for pair in pairs]))[:, None].to(args.device)
        loss = loss_of(network(pictures), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mean += (loss.item() - mean) / min(step + 1, 100)
        step += 1
        if step % 100 == 0 or step == args.steps:
            print(f"step {step}/{args.steps} loss {mean:.4f} {time.time() - started:.0f} s", flush=True)
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
            torch.save(state, checkpoint)
    return network


def export(network: EdgeNetwork, path: Path) -> None:
    """Weights as int16 in units of 1/4096; the heads of the side outputs, used in training alone, stay behind."""
    from safetensors.numpy import save_file

    arrays = {}
    for name, value in network.state_dict().items():
        if not name.startswith(("head8", "head16")):
            arrays[name] = (value.cpu().numpy() * 4096).round().clip(-32768, 32767).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", default=os.environ.get("LAYERCAST_DATA"), help="folder with photos/SOURCES.tsv")
    parser.add_argument("--work", required=True, help="folder for taught maps and checkpoints")
    parser.add_argument("--set", choices=sorted(WIDTHS), default="base")
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if not args.data:
        parser.error("--data or LAYERCAST_DATA is needed")
    if args.device == "cpu":
        torch.set_num_threads(1)
    export(train(args), WEIGHTS / args.set / "edges.safetensors")


if __name__ == "__main__":
    main()
