"""Trains the residual layer's in-loop filter, twin of codec/residual/filter.py (there: whole numbers, numpy).

    python -m codec.train.residual_filter prepare --data FOLDER --runs RUNS
    python -m codec.train.residual_filter train --runs RUNS --minutes 10 [--hidden 22] [--name filter]
    python -m codec.train.residual_filter freeze --runs RUNS --out codec/weights/base [--name filter]
    python -m codec.train.residual_filter evaluate --data FOLDER

Each sample is a crop of 2x2 cells with the decoder's real base, after a random step of the layout, which some of its
cells have made and some have not; thresholds are drawn around those of the format, so that the filter holds for others.
What is known of a coefficient after so many passes depends on itself alone, so no pass is run: see `intervals`. The
loss is the share of each level's squared error, in units of the threshold, that is left. `train` goes on from its
checkpoint.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import lru_cache
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from codec import integer, residual
from codec.residual import filter as filters
from codec.residual.filter import ACTIVE, FIRST
from codec.residual.layout import sequence
from codec.residual.painting import POINTS
from codec.residual.passes import LIMIT
from codec.residual.tables import TOPS
from codec.residual.transform import CORES, DOUBLED, EIGHTHS, GROUPS, LARGEST, SIDES, analyse, rise, to_planes
from codec.stream import Header
from codec.train import photos
from codec.train.bases import base_of
from codec.train.freeze import matrix

CROP = 256
STEPS = 11  # samples stand after one of so many first steps
SCALES = (0.7, 0.85, 1.0, 1.2, 1.4)  # of all thresholds of a sample
BAND_SCALES = (0.6, 0.8, 1.0, 1.0, 1.25, 1.6)  # of one group's
MAGNITUDES = 1 << 13  # larger ones count as this
FLOOR = 0.002  # error that a flat crop counts for
INPUTS = 7

Bands = list[tuple[NDArray[np.int16], NDArray[np.int16]]]  # by group: the picture's, the base's, [o,h,w]
Known = dict[str, NDArray[np.float32]]


class Network(nn.Module):
    """A small network for each of the filtered levels, in units of the threshold."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(INPUTS, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU(),
                nn.Conv2d(hidden, 3, 1),
            )
            for _ in range(FIRST, GROUPS)
        )  # fmt: skip
        for level in self.levels:
            nn.init.normal_(level[-1].weight, 0, 0.02)
            nn.init.zeros_(level[-1].bias)

    def forward(self, low: Tensor, known: list[dict[str, Tensor]]) -> list[Tensor]:
        """The coefficients that are proposed for each level, from the low band of the first, [B,h,w]."""
        proposals = []
        for number, (level, d) in enumerate(zip(self.levels, known, strict=True)):
            mean = F.avg_pool2d(F.pad(low[:, None], (2, 2, 2, 2), mode="replicate"), 5, 1)
            step = d["step"]
            inputs = torch.cat([(low[:, None] - mean) / step[:, :1], d["value"] / step, d["base"] / step], 1)
            moved = level(inputs.clamp(-8, 8)) * step * (step < ACTIVE[1])
            proposals.append(d["value"] + moved)
            placed = proposals[-1].detach().clamp(d["least"], d["most"])
            low = risen(low, placed, doubled=number >= GROUPS - FIRST - DOUBLED)
        return proposals


def risen(low: Tensor, bands: Tensor, doubled: bool) -> Tensor:
    """One level of synthesis without rounding: low [B,h,w], bands [B,3,h,w] -> [B,2h,2w]."""
    high_low, low_high, both = bands.unbind(1)
    if doubled:
        low, both = low / 2, both * 2
    return _risen(_risen(low, high_low, 2), _risen(low_high, both, 2), 1)


def _risen(low: Tensor, high: Tensor, axis: int) -> Tensor:
    count = low.shape[axis]
    low = low - _filtered(high, axis, -2, odd=1) / 32
    high = high + _filtered(low, axis, -1, odd=0) / 16
    return torch.stack([low, high], axis + 1).flatten(axis, axis + 1).narrow(axis, 0, 2 * count)


def _filtered(half: Tensor, axis: int, start: int, odd: int) -> Tensor:
    """As codec.residual.transform, for signals of even length."""
    count = half.shape[axis]
    positions = np.abs(2 * np.arange(start, count + start + 3) + odd)
    positions = np.minimum(positions, 4 * count - 2 - positions) >> 1
    taps = half.index_select(axis, torch.from_numpy(positions))
    a, b, c, d = (taps.narrow(axis, i, count) for i in range(4))
    return 9 * (b + c) - (a + d)


@lru_cache(4096)
def intervals(top: int, passes: int) -> tuple[NDArray[np.int32], NDArray[np.int32], bool]:
    """(low, high) of each magnitude 0, 1, ... after so many passes, and whether any pass asked."""
    magnitudes = np.arange(MAGNITUDES)
    low, high = np.zeros(MAGNITUDES, np.int32), np.full(MAGNITUDES, 32767, np.int32)
    begun = False
    for number in range(passes):
        if not begun and (top >> number) + 1 > LIMIT:
            continue
        if not begun:
            high[:], begun = (top >> number) + 1, True
        middle = np.where(low == 0, (top >> number + 1) + 1, (low + high) >> 1)
        asked, above = high - low > 1, magnitudes >= middle
        low, high = np.where(asked & above, middle, low), np.where(asked & ~above, middle, high)
    return low, high, begun


def known_of(ours: NDArray[np.int16], base: NDArray[np.int16], group: int, passes: NDArray[np.int64], tops: list[int]):
    """What the decoder has of a group's bands [o,h,w] after passes[rows, columns]: value, least, most, step, base."""
    names = ("value", "least", "most", "step")
    out: Known = {name: np.zeros(ours.shape, np.float32) for name in names} | {"base": base.astype(np.float32)}
    side = SIDES[group]
    for count in np.unique(passes):
        here = np.kron(passes == count, np.ones((side, side), bool))[: ours.shape[1], : ours.shape[2]]
        for o, top in enumerate(tops):
            known = _known(ours[o], base[o], CORES[0][group][o], int(count), top)
            for name, values in zip(names, known, strict=True):
                out[name][o][here] = values[here] if isinstance(values, np.ndarray) else values
    return out


def _known(ours: NDArray[np.int16], base: NDArray[np.int16], core: int, passes: int, top: int):
    lows, highs, begun = intervals(top, passes)
    theirs = base.astype(np.int32)
    theirs = theirs - np.clip(theirs, -core, core) if begun else theirs
    coded = ours - theirs
    magnitude, sign = np.minimum(np.abs(coded), MAGNITUDES - 1), np.sign(coded)
    low, most = lows[magnitude], highs[magnitude] - 1
    size = most + 1 - low
    depth = (low >> 1 >= size).astype(int) + (low >> 2 >= size)
    value = np.where(low > 0, low + ((size - 1) * POINTS[depth] >> 8 - EIGHTHS) / (1 << EIGHTHS), 0) * sign
    nearest = np.where(low > 0, low, -most)
    least, largest = np.where(sign < 0, -most, nearest), np.where(sign < 0, -nearest, most)
    return value + theirs, least + theirs, np.where(low > 0, largest, most) + theirs, max(1.0, top / 2**passes)


def bands_of(photo: NDArray[np.uint8], base: NDArray[np.uint8]) -> Bands:
    """Luma's bands of a crop and of its base, by group."""
    ours, theirs = (analyse(to_planes(picture)[0]) for picture in (photo, base))
    limited = [[np.clip(band, -LARGEST, LARGEST) for band in bands] for bands in theirs]
    return [(np.stack(a).astype(np.int16), np.stack(b).astype(np.int16)) for a, b in zip(ours, limited, strict=True)]


def sample(bands: Bands, rng: np.random.Generator) -> tuple[NDArray[np.float32], list[Known]]:
    """The low band that enters the first filtered level, and what is known of the others."""
    done = [np.zeros(GROUPS, np.int64)]
    for step, units, _, _ in sequence(3)[:STEPS]:
        done.append(done[-1].copy())
        for plane, group in units:
            if plane == 0:
                done[-1][group] = step.numbers.stop
    at = int(rng.integers(1, STEPS))
    later = rng.random((CROP // 128, CROP // 128)) < (rng.random() if rng.random() < 0.6 else 1)
    scale = SCALES[rng.integers(len(SCALES))]
    known = []
    for group, (ours, base) in enumerate(bands):
        factor = scale * BAND_SCALES[rng.integers(len(BAND_SCALES))]
        tops = [int(top * factor) for top in TOPS[0][group]]
        known.append(known_of(ours, base, group, np.where(later, done[at][group], done[at - 1][group]), tops))
    eighths = [(d["value"] * (1 << EIGHTHS)).astype(np.int32) for d in known[:FIRST]]
    low = eighths[0][0]
    for group in range(1, FIRST):
        low = rise(low, list(eighths[group]), group, smoothly=True)
    return low.astype(np.float32) / (1 << EIGHTHS), known[FIRST:]


def prepare(data: Path, runs: Path) -> None:
    """Crops of the training photos beside those of their bases: RUNS/filter_pairs.npz."""
    rng = np.random.default_rng(0)
    ours, theirs = [], []
    for path in tqdm(photos.split(data)[0]):
        photo = photos.load(path)
        base = base_of(photo)
        for _ in range(4):
            y, x = (int(rng.integers(0, (side - CROP) // 8 + 1)) * 8 for side in photo.shape[:2])
            ours.append(photo[y : y + CROP, x : x + CROP])
            theirs.append(base[y : y + CROP, x : x + CROP])
    np.savez(runs / "filter_pairs.npz", photo=np.array(ours), base=np.array(theirs))


def train(runs: Path, name: str, hidden: int, minutes: float, rate: float, batch: int, seed: int) -> None:
    """Trains for so long, the learning rate running out; goes on from RUNS/NAME.pt if that is there."""
    stored = np.load(runs / "filter_pairs.npz")
    crops, bases = stored["photo"], stored["base"]
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network, checkpoint = Network(hidden), runs / f"{name}.pt"
    if checkpoint.exists():
        network.load_state_dict(torch.load(checkpoint, weights_only=True))
    optimiser = torch.optim.Adam(network.parameters(), rate)
    start, steps, left = time.time(), 0, []
    while (share := (time.time() - start) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * (0.5 + 0.5 * np.cos(np.pi * share)) + 2e-5
        bands = [bands_of(crops[i], bases[i]) for i in rng.integers(0, len(crops), batch)]
        lows, known = zip(*(sample(b, rng) for b in bands), strict=True)
        stacked = [{k: torch.from_numpy(np.stack([x[i][k] for x in known])) for k in known[0][i]} for i in range(3)]
        truths = [torch.from_numpy(np.stack([b[FIRST + i][0] for b in bands]).astype(np.float32)) for i in range(3)]
        loss, shares = _loss(network, torch.from_numpy(np.stack(lows)), stacked, truths)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        left.append(shares)
        steps += 1
        if steps % 100 == 0:
            ratio = np.sum(left[-300:], axis=0)
            gone = np.round(1 - ratio[:, 0] / ratio[:, 1], 4).tolist()
            print(f"{steps} steps, {time.time() - start:.0f} s: error gone, coarse to fine: {gone}", flush=True)
            torch.save(network.state_dict(), checkpoint)
    torch.save(network.state_dict(), checkpoint)


def _loss(network: Network, low: Tensor, known: list[dict[str, Tensor]], truths: list[Tensor]):
    loss, shares = torch.zeros(()), []
    for proposal, d, truth in zip(network(low, known), known, truths, strict=True):
        counted = ((d["most"] > d["least"]) & (d["step"] < ACTIVE[1])).float()

        def error(values: Tensor, d=d, truth=truth, counted=counted) -> Tensor:
            return (((truth - values) / d["step"]) ** 2 * counted).mean()

        before = error(d["value"])
        loss = loss + error(proposal) / (before + FLOOR)
        shares.append((float(error(proposal.detach().clamp(d["least"], d["most"]))), float(before)))
    return loss, shares


def frozen(state: dict[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    """The network in whole numbers, as codec/residual/filter.py reads it."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for level in range(GROUPS - FIRST):
        for place, name in ((0, "a"), (2, "b"), (4, "c")):
            weight, bias = (state[f"levels.{level}.{place}.{kind}"].double().numpy() for kind in ("weight", "bias"))
            w, b, shift = integer.quantised(matrix(weight), bias)
            key = f"{FIRST + level}.{name}"
            arrays |= {f"{key}.weight": w.astype(np.int16), f"{key}.bias": b, f"{key}.shift": shift}
            arrays[f"{key}.size"] = np.array(weight.shape[2], np.int32)
    return arrays


def evaluate(data: Path, every: int = 3, steps: tuple[int, ...] = (1, 2, 3, 4, 6, 8)) -> None:
    """Prints PSNR with and without the filter on held-out photos, after some steps of the residual."""
    rows: dict[int, list[list[float]]] = {step: [] for step in steps}
    for path in tqdm(photos.split(data)[1][::every]):
        photo = photos.load(path)
        header, base = Header(photo.shape[1], photo.shape[0], 3, 1), base_of(photo)
        chunks, layout = residual.encode(photo, base, header), residual.Layout.of(header)
        for step in steps:
            taken = [(i, payload, True) for i, payload in chunks if layout.place(i)[0] <= step]
            row = [8 * sum(len(payload) + 2 for _, payload, _ in taken) / header.pixels]
            for bounds in ((0, 0), ACTIVE):
                with mock.patch.object(filters, "ACTIVE", bounds):
                    decoder = residual.ResidualDecoder(header)
                    decoder.push_many(taken)
                    error = np.mean((decoder.correct(base).astype(np.float64) - photo) ** 2)
                row.append(10 * np.log10(255**2 / error))
            rows[step].append(row)
    for step, values in rows.items():
        bpp, plain, filtered = np.mean(values, axis=0)
        gains = [f"{row[2] - row[1]:+.2f}" for row in values]
        print(f"step {step}: {bpp:.2f} bpp, PSNR {plain:.2f} -> {filtered:.2f} dB; each {' '.join(gains)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("prepare", "train", "freeze", "evaluate"))
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of pairs and checkpoints")
    parser.add_argument("--data", type=Path, help="folder of the data sets (prepare, evaluate)")
    parser.add_argument("--out", type=Path, help="folder of the weights set (freeze)")
    parser.add_argument("--name", default="filter", help="of the checkpoint")
    parser.add_argument("--hidden", type=int, default=22)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    if a.what == "prepare" and a.data:
        prepare(a.data, a.runs)
    elif a.what == "evaluate" and a.data:
        evaluate(a.data)
    elif a.what == "train":
        train(a.runs, a.name, a.hidden, a.minutes, a.rate, a.batch, a.seed)
    elif a.what == "freeze" and a.out:
        state = torch.load(a.runs / f"{a.name}.pt", map_location="cpu", weights_only=True)
        save_file(frozen(state), a.out / "residual_filter.safetensors")
    else:
        sys.exit("prepare and evaluate need --data, freeze needs --out")


if __name__ == "__main__":
    main()
