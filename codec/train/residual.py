"""Learns the tables of the residual layer from photos: weights of the contexts, their bins, probabilities.

    python -m codec.train.residual --data FOLDER --out codec/weights/base/residual.safetensors

FOLDER holds `cid22/*.webp`, `wallpapers/*` and SOURCES.tsv. Two rounds over the same cells: in the first, least
squares find for each kind of decision the weights that best predict a coefficient's logarithm from what is known
around it; in the second, decisions are counted by bins of the context sum. Everything ends as integers.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file

from codec.residual import passes
from codec.residual.layout import Layout, sequence
from codec.residual.passes import State, Unit, run_items, schedule
from codec.residual.tables import (
    BINS,
    BLOCK_CONTEXTS,
    CLASSES,
    FEATURES,
    FINE,
    PASSES,
    SIGN_BINS,
    SIGN_FEATURES,
    Tables,
)  # fmt: skip
from codec.residual.transform import CELL, GROUPS, coefficients
from codec.train.bases import base_of

LEADING = (PASSES, 3, GROUPS, 3)  # of most arrays: pass, role, group, orientation
SIDE = 1024
ALONE = 0.1  # of the photos have the thumbnail as their base
HELD_OUT = 6  # every sixth loss-free photo is kept for choosing
PRIOR = 24.0  # decisions that a bin's prior counts for
ALLOWED = ("CC", "public domain", "Unsplash")


def photos(data: Path, held_out: bool) -> list[Path]:
    """The photos to learn from, or those kept apart, whose terms allow it."""
    clean = sorted((data / "cid22").glob("*.webp"))
    if held_out:
        return clean[::HELD_OUT]
    rows = [line.split("\t") for line in (data / "SOURCES.tsv").read_text().splitlines()[1:]]
    free = [data / row[0] for row in rows if any(word in row[2] for word in ALLOWED) and "not checked" not in row[2]]
    lossy = [path for path in free if path.parent.name == "wallpapers" and "GPL" not in str(path)]
    return [path for i, path in enumerate(clean) if i % HELD_OUT] + sorted(lossy)


def picture(path: Path) -> NDArray[np.uint8]:
    """The photo; one from a lossy file is halved, which hides its losses."""
    image = Image.open(path).convert("RGB")
    if path.suffix.lower() != ".webp":
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    return np.asarray(image)


@lru_cache(256)
def example(path: Path, chunks: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photo, whole cells and at most SIDE pixels a side, and the base of its first `chunks` latents (0: all)."""
    photo = picture(path)
    height, width = (min(side, SIDE) // CELL * CELL for side in photo.shape[:2])
    photo = np.ascontiguousarray(photo[:height, :width])
    return photo, base_of(photo, chunks)


def cells_of(photo: NDArray[np.uint8], base: NDArray[np.uint8]) -> tuple[State, list[list[NDArray[np.int16]]]]:
    """An untouched state of all whole cells of a photo, and their coefficients by plane and group."""
    height, width = (side // CELL * CELL for side in photo.shape[:2])
    rows, columns = height // CELL, width // CELL
    truth = coefficients(photo[:height, :width], base[:height, :width], rows, columns)
    return State((0, 1, 2), Layout(width, height, 3).inside), truth


class _Silent:
    """A coder that only repeats the truth."""

    bits = 0.0
    dry = False

    def code(self, p1, ends, truth):
        self.bits -= float(np.log2(np.where(truth > 0, p1, 65536 - p1) / 65536).sum())
        return truth, None


def _fit(products: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Least squares weights from sums of products [..., size + 1, size + 1] (the target last), pooled over passes."""
    pooled = products.sum(axis=0, keepdims=True) if products.ndim > 6 else products
    count = np.maximum(pooled[..., size - 1, size - 1], 1)[..., None, None]
    mixed = products + 300 * pooled / count
    ridge = (
        1e-3
        * np.eye(size)
        * np.maximum(mixed[..., :size, :size].diagonal(axis1=-2, axis2=-1).mean(-1), 1)[..., None, None]
    )
    return np.linalg.solve(mixed[..., :size, :size] + ridge, mixed[..., :size, size:])[..., 0]


class Sums:
    """Round one: sums of products of features and targets."""

    def __init__(self) -> None:
        self.magnitude = np.zeros((*LEADING, 4, FEATURES + 1, FEATURES + 1))
        self.sign = np.zeros((3, GROUPS, 3, 4, SIGN_FEATURES + 1, SIGN_FEATURES + 1))

    def unit(sums) -> type[Unit]:
        class Summing(Unit):
            def _chances(self, phase, where, bottom, top, told):
                here = (
                    slice(None),
                    slice(None),
                    slice(passes.PHASES[phase][0], None, 2),
                    slice(passes.PHASES[phase][1], None, 2),
                )
                target = np.minimum(abs(self.truth[here]).reshape(-1)[where], 1 << 13)
                o = self._orientation(where)
                rows = np.zeros((where.size, FEATURES + 1), np.float32)
                rows[:, FEATURES - 1] = 1
                for number, values in self._features(phase):
                    rows[:, number] = values.reshape(-1)[where]
                for i, scale in enumerate(self.tables.scale(self.role, self.group, self.number)):
                    part = o == i
                    rows[part, FEATURES] = scale[target[part]]
                    sums.magnitude[self.number, self.role, self.group, i, phase] += rows[part].T @ rows[part]
                return np.full(where.size, 32768)

            def run(self, coder, truth):
                self.truth = truth
                super().run(coder, truth)

            def _tilt(self, phase, where):
                row, column = passes.PHASES[phase]
                half = self.side // 2
                cell, rest = np.divmod(where, self.count * half * half)
                o, rest = np.divmod(rest, half * half)
                y, x = rest // half * 2 + row, rest % half * 2 + column
                rows = np.zeros((where.size, SIGN_FEATURES + 1), np.float32)
                for number, values in self._sign_features(cell, o, y, x):
                    rows[:, number] = values
                rows[:, SIGN_FEATURES] = np.sign(self.truth[cell, o, y, x])
                for i in range(self.count):
                    sums.sign[self.role, self.group, i, phase] += rows[o == i].T @ rows[o == i]
                return np.zeros(where.size, np.int32)

            def _sign_chances(self, where, tilt, told):
                return np.full(where.size, 32768)

        return Summing

    def arrays(self, tied: bool) -> dict[str, NDArray[np.generic]]:
        magnitude = _pooled(self.magnitude, tied)
        sign = self.sign.sum(axis=2, keepdims=True) if tied else self.sign
        weights, tilts = np.rint(_fit(magnitude, FEATURES) * 64), np.rint(_fit(sign, SIGN_FEATURES) * 2048)
        return {
            "weights": np.clip(weights, -1024, 1023).astype(np.int16),
            "sign_weights": np.clip(tilts, -1024, 1023).astype(np.int16),
        }


class Counts:
    """Round two: decisions counted by context, [..., 2]: zeros and ones."""

    def __init__(self) -> None:
        self.blocks = np.zeros((*LEADING, BLOCK_CONTEXTS, 2))
        self.zero = np.zeros((*LEADING, 2, FINE, 2))
        self.refine = np.zeros((*LEADING, CLASSES - 2, FINE // 4, 2))
        self.sign = np.zeros((3, GROUPS, 3, SIGN_BINS, 2))

    def unit(counts) -> type[Unit]:
        class Counting(Unit):
            def _chances(self, phase, where, bottom, top, told):
                o = self._orientation(where)
                fine = np.clip(self._energy(phase).reshape(-1)[where] >> 4, 0, FINE - 1)
                kind = self._kind(where, phase, bottom, top)
                place = self.number, self.role, self.group
                zero = kind < 2
                into = counts.zero[place]
                flat = np.ravel_multi_index((o[zero], kind[zero], fine[zero], told[zero]), into.shape)
                into += np.bincount(flat, minlength=into.size).reshape(into.shape)
                into = counts.refine[place]
                flat = np.ravel_multi_index((o[~zero], kind[~zero] - 2, fine[~zero] >> 2, told[~zero]), into.shape)
                into += np.bincount(flat, minlength=into.size).reshape(into.shape)
                return np.full(where.size, 32768)

            def _sign_chances(self, where, tilt, told):
                bins = np.minimum(abs(tilt) >> 6, SIGN_BINS - 1)
                np.add.at(
                    counts.sign[self.role, self.group],
                    (self._orientation(where), bins, ((tilt < 0) == told).astype(int)),
                    1,
                )
                return np.full(where.size, 32768)

            def _code_blocks(self, coder, p1, where, told):
                squares = self.open.shape[-1] ** 2
                o = where // squares % self.count
                np.add.at(
                    counts.blocks[self.number, self.role, self.group],
                    (o, self._block_context().ravel()[where], told),
                    1,
                )
                return told, None

        return Counting

    def arrays(self, tied: bool) -> dict[str, NDArray[np.generic]]:
        zeros, refines = _pooled(self.zero, tied), _pooled(self.refine, tied)
        cuts = _cuts(zeros.sum(axis=-3))
        fine = np.arange(FINE)
        bins = np.array([np.searchsorted(c, fine, side="right") for c in cuts.reshape(-1, BINS - 1)])
        bins = bins.reshape(*cuts.shape[:-1], FINE)
        zero = _binned(zeros, bins[..., None, :])
        pooled = np.broadcast_to(_smooth(zeros.sum(axis=(0, 3), keepdims=True)), zeros.shape[:-1])
        zero_prior = np.take_along_axis(pooled, np.broadcast_to(_centres(bins)[..., None, :], zero.shape[:-1]), -1)
        refine = _binned(refines, bins[..., None, ::4]).sum(axis=0)
        if tied:
            refine = refine.sum(axis=(0, 1), keepdims=True)
        refine_prior = _ratio(refine.sum(axis=2, keepdims=True), np.full(BINS, 0.4), PRIOR)
        sign = self.sign.sum(axis=2, keepdims=True) if tied else self.sign
        blocks = self.blocks.sum(axis=(1, 3), keepdims=True) if tied else self.blocks
        block_prior = _ratio(self.blocks.sum(axis=(0, 3), keepdims=True), np.float64(0.1), 2)
        if tied:
            block_prior = block_prior.mean(axis=1, keepdims=True)
        return {
            "cuts": cuts.astype(np.int16),
            "zero": _units(_ratio(zero, zero_prior, PRIOR)),
            "refine": _units(_ratio(refine, refine_prior, PRIOR)),
            "sign": _units(_ratio(sign, np.float64(0.5), 50)),
            "blocks": _units(_ratio(blocks, block_prior, 8)),
        }


def _pooled(array: NDArray[np.float64], tied: bool) -> NDArray[np.float64]:
    """Summed over passes and orientations, if tied."""
    return array.sum(axis=(0, 3), keepdims=True) if tied else array


def _ratio(counts: NDArray[np.float64], prior: NDArray[np.float64] | np.float64, weight: float) -> NDArray[np.float64]:
    return (counts[..., 1] + weight * prior) / (counts.sum(axis=-1) + weight)


def _units(p: NDArray[np.float64]) -> NDArray[np.uint16]:
    return np.clip(np.rint(p * 65536), 4, 65532).astype(np.uint16)


def _smooth(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ratio of ones along the fine axis, over a window of 33 steps."""
    summed = np.cumsum(np.pad(counts, [(0, 0)] * (counts.ndim - 2) + [(17, 16), (0, 0)], mode="edge"), axis=-2)
    return _ratio(summed[..., 33:, :] - summed[..., :-33, :], np.float64(0.1), 2)


def _cuts(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where to cut the fine axis of counts [..., FINE, 2], so that each bin holds equally much uncertainty."""
    counts = counts + 1e-6
    weight = np.sqrt((counts[..., 0] + 1e-3) * (counts[..., 1] + 1e-3)) + 1e-9
    share = np.cumsum(weight, axis=-1) / weight.sum(axis=-1, keepdims=True)
    flat = share.reshape(-1, FINE)
    wanted = np.arange(1, BINS) / BINS
    return (
        np.array([np.searchsorted(row, wanted) + 1 for row in flat]).clip(1, FINE).reshape(*share.shape[:-1], BINS - 1)
    )


def _binned(counts: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """counts [..., fine, 2] summed by bins [..., fine]: [..., BINS, 2]."""
    bins = np.broadcast_to(bins, counts.shape[:-1])
    return np.stack([np.where((bins == b)[..., None], counts, 0).sum(axis=-2) for b in range(BINS)], axis=-2)


def _centres(bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """A fine step in the middle of each bin: [..., BINS]."""
    flat = bins.reshape(-1, FINE)
    wanted = np.arange(BINS)
    first = np.array([np.searchsorted(row, wanted, side="left") for row in flat])
    last = np.array([np.searchsorted(row, wanted, side="right") for row in flat])
    return np.clip((first + last) // 2, 0, FINE - 1).reshape(*bins.shape[:-1], BINS)


def run_round(paths: list[Path], current: Tables, kind: type[Unit], limit: int, seed: int) -> float:
    """One round over `limit` random cells of each photo; returns coded bits (ideal) of the last tables per pixel."""
    coder, pixels = _Silent(), 0
    for i, path in enumerate(paths):
        rng = np.random.default_rng([seed, i])
        photo, base = example(path, 1 if rng.random() < ALONE else 0)
        state, truth = cells_of(photo, base)
        count = state.inside[0].shape[0]
        if not count:
            continue
        chosen = np.sort(rng.permutation(count)[:limit])
        state, truth = state.take(chosen), [[band[chosen] for band in plane] for plane in truth]
        for step, units, links, _ in sequence(3):
            items = schedule([step.numbers.start] * len(units), units, step.numbers.stop)
            run_items(state, current, coder, items, links, truth, kind)
        pixels += chosen.size * CELL * CELL
    return coder.bits / max(1, pixels)


def empty() -> dict[str, NDArray[np.generic]]:
    """Tables that say nothing: the start, and the shapes."""
    return {
        "weights": np.zeros((*LEADING, 4, FEATURES), np.int16),
        "sign_weights": np.zeros((3, GROUPS, 3, 4, SIGN_FEATURES), np.int16),
        "cuts": np.tile(np.arange(1, BINS) * (FINE // BINS), (*LEADING, 1)).astype(np.int16),
        "zero": np.full((*LEADING, 2, BINS), 32768, np.uint16),
        "refine": np.full((3, GROUPS, 3, CLASSES - 2, BINS), 32768, np.uint16),
        "sign": np.full((3, GROUPS, 3, SIGN_BINS), 32768, np.uint16),
        "blocks": np.full((*LEADING, BLOCK_CONTEXTS), 32768, np.uint16),
    }


def learn(paths: list[Path], limit: int, seed: int, tied: bool) -> dict[str, NDArray[np.generic]]:
    """All tables, from `limit` cells of each photo. tied: one for all passes and orientations (the tiny set)."""
    arrays = empty()
    start = time.time()
    sums = Sums()
    run_round(paths, Tables(arrays), sums.unit(), limit, seed)
    arrays.update(sums.arrays(tied))
    print(f"round 1: {time.time() - start:.0f} s", file=sys.stderr)
    counts = Counts()
    run_round(paths, Tables(arrays), counts.unit(), limit, seed)
    arrays.update(counts.arrays(tied))
    print(f"round 2: {time.time() - start:.0f} s", file=sys.stderr)
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with cid22/, wallpapers/ and SOURCES.tsv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cells", type=int, default=16, help="cells to learn from in each photo")
    parser.add_argument("--every", type=int, default=1, help="use every n-th photo only")
    parser.add_argument("--tied", action="store_true", help="small tables: the tiny set")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    arrays = learn(photos(options.data, False)[:: options.every], options.cells, options.seed, options.tied)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, options.out)
    held_out = run_round(photos(options.data, True), Tables(arrays), Unit, options.cells, options.seed)
    print(f"held out: {held_out:.4f} bpp")


if __name__ == "__main__":
    main()
