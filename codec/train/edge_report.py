"""Figures for edges: bytes and F-score of the decoded maps, beside direct coding of a binary map; a sheet to look at.

The F-score asks whether the decoded map's lines lie within a tolerance of the network's lines and the other way
round; its threshold is the best one over all photos. Direct coding is what the tokens must beat: the thinned binary
map at 1/8 (and 1/4), each pixel under the ten pixels that a JBIG coder looks at, ideal bits with a table learnt from
the photos that the tokens learnt from.

    python -m codec.train.edge_report --data FOLDER --work FOLDER [--photos held|kodak] [--sheet OUT.png] [--images 5 8]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from codec.stream import Header
from codec.structure.edges import EdgeDecoder, encode, extract
from codec.structure.ridges import ridge
from codec.train.edges import free_photos, held_out, read_base

REFERENCE = 64  # strength from which the network's line counts
THRESHOLDS = (12, 16, 24, 32, 48, 64, 80, 96, 128)
TOLERANCES = (1, 2)
TEMPLATE = ((-2, -1), (-2, 0), (-2, 1), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (0, -2), (0, -1))

Maps = list[np.ndarray]


def thin(strength: np.ndarray, threshold: float) -> np.ndarray:
    """bool[h,w]: ridges of a map uint8[h,w] that are at least `threshold` strong."""
    return ridge(strength.astype(np.float32)) & (strength >= threshold)


def within(points: np.ndarray, of: np.ndarray, tolerance: float) -> tuple[int, int]:
    """How many of `points` lie within `tolerance` pixels of a point `of`, and how many there are."""
    count = int(points.sum())
    if not of.any() or not count:
        return 0, count
    return int((distance_transform_edt(~of)[points] <= tolerance).sum()), count


def f_score(wanted: Maps, found: Maps, tolerance: float) -> float:
    """F-score of lines bool[h,w], precision and recall over all maps together."""
    right, all_found = np.sum([within(f, w, tolerance) for w, f in zip(wanted, found, strict=True)], axis=0)
    hit, all_wanted = np.sum([within(w, f, tolerance) for w, f in zip(wanted, found, strict=True)], axis=0)
    precision, recall = right / max(all_found, 1), hit / max(all_wanted, 1)
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def best_f(wanted: Maps, decoded: Maps, tolerance: float) -> tuple[float, int]:
    """The best F-score over THRESHOLDS, and its threshold."""
    return max((f_score(wanted, [thin(m, t) for m in decoded], tolerance), t) for t in THRESHOLDS)


def halved(lines: np.ndarray) -> np.ndarray:
    """1 where a 2x2 block holds a line."""
    padded = np.pad(lines, [(0, n % 2) for n in lines.shape])
    return padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2).any((1, 3))


def contexts(binary: np.ndarray) -> np.ndarray:
    """Number 0..1023 of the ten known pixels around each pixel."""
    padded = np.pad(binary, 2).astype(np.int64)
    h, w = binary.shape
    parts = [padded[2 + dy : 2 + dy + h, 2 + dx : 2 + dx + w] for dy, dx in TEMPLATE]
    return sum(part << bit for bit, part in enumerate(parts))


def direct_table(pupils: Maps) -> np.ndarray:
    """Probability of a 1 in each context, learnt."""
    ones, every = np.full(1024, 0.05), np.full(1024, 0.5)
    for binary in pupils:
        number = contexts(binary).reshape(-1)
        every += np.bincount(number, minlength=1024)
        ones += np.bincount(number, binary.reshape(-1), 1024)
    return ones / every


def direct_bytes(binary: np.ndarray, table: np.ndarray) -> float:
    """Ideal bytes of a binary map under the table."""
    p = table[contexts(binary)]
    return float(-np.log2(np.where(binary, p, 1 - p)).sum() / 8)


def direct(name: str, pupils: Maps, edges: Maps, wanted: Maps, smaller: bool) -> None:
    """A line for each strength from which lines are coded directly."""
    reduce: Callable[[np.ndarray], np.ndarray] = halved if smaller else np.asarray
    for threshold in (REFERENCE, 128, 192):
        table = direct_table([reduce(thin(m, threshold)) for m in pupils])
        coded = [reduce(thin(m, threshold)) for m in edges]
        size = np.mean([direct_bytes(binary, table) for binary in coded])
        if smaller:
            grown = [binary.repeat(2, 0).repeat(2, 1) for binary in coded]
            coded = [g[: m.shape[0], : m.shape[1]] for g, m in zip(grown, edges, strict=True)]
        scores = ", ".join(f"F {f_score(wanted, coded, t):.3f} at {t} px" for t in TOLERANCES)
        print(f"direct at {name}, strength >= {threshold}: {size:.0f} B, {scores}")


def report(args: argparse.Namespace, paths: list[Path]) -> None:
    bases = [read_base(path) for path in paths]
    edges = [extract(base, args.set) for base in bases]
    headers = [Header(base.shape[1], base.shape[0], weights={"tiny": 0, "base": 1}[args.set]) for base in bases]
    payloads = [encode(strength, header) for strength, header in zip(edges, headers, strict=True)]
    decoded: list[Maps] = [[], []]
    for header, pair in zip(headers, payloads, strict=True):
        decoder = EdgeDecoder(header)
        for index in (0, 1):
            decoder.push(index, pair[index])
            decoded[index].append(decoder.map())
    wanted = [thin(strength, REFERENCE) for strength in edges]
    pixels = np.mean([strength.size for strength in edges])
    print(f"{len(paths)} photos, {pixels:.0f} map pixels on average")
    for index, name in enumerate(("coarse", "coarse + fine")):
        size = np.array([sum(map(len, pair[: index + 1])) for pair in payloads])
        scores = ", ".join(
            "F {:.3f} at {} px (strength >= {})".format(*_scored(wanted, decoded[index], t)) for t in TOLERANCES
        )
        print(f"{name}: {size.mean():.0f} B (largest {size.max()}), {scores}")
    pupils = [np.load(path) for path in sorted(Path(args.work).glob(f"map_{args.set}_*.npy"))]
    names = {f"map_{args.set}_{path.stem}" for path in paths}
    kept = [
        m
        for m, path in zip(pupils, sorted(Path(args.work).glob(f"map_{args.set}_*.npy")), strict=True)
        if path.stem not in names
    ]
    direct("1/8", kept, edges, wanted, smaller=True)
    direct("1/4", kept, edges, wanted, smaller=False)
    if args.sheet:
        sheet(bases, [edges, *decoded], args.sheet)


def _scored(wanted: Maps, decoded: Maps, tolerance: int) -> tuple[float, int, int]:
    score, threshold = best_f(wanted, decoded, tolerance)
    return score, tolerance, threshold


def sheet(bases: Maps, columns: list[Maps], out: str) -> None:
    """source | network | coarse | coarse + fine, a row a photo, two photos side by side."""
    rows = []
    for base, *maps in zip(bases, *columns, strict=True):
        size = (base.shape[1] * 300 // base.shape[0], 300)
        cells = [np.asarray(Image.fromarray(base).resize(size))]
        cells += [np.asarray(Image.fromarray(m).resize(size, Image.Resampling.NEAREST).convert("RGB")) for m in maps]
        rows.append(np.concatenate(cells, axis=1))
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0))) for row in rows]
    Image.fromarray(np.concatenate(rows)).save(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", default=os.environ.get("LAYERCAST_DATA"), help="folder with photos and kodak")
    parser.add_argument("--work", required=True, help="the folder that edge_vq kept its maps in")
    parser.add_argument("--set", choices=("base", "tiny"), default="base")
    parser.add_argument("--photos", choices=("held", "kodak"), default="held")
    parser.add_argument("--images", type=int, nargs="*", help="only these, counted from 1")
    parser.add_argument("--sheet", help="a picture: source, network's edges, decoded coarse, decoded fine")
    args = parser.parse_args()
    if not args.data:
        parser.error("--data or LAYERCAST_DATA is needed")
    held = [path for path in free_photos(Path(args.data)) if held_out(path)]
    paths = sorted((Path(args.data) / "kodak").glob("*.png")) if args.photos == "kodak" else held
    report(args, [paths[n - 1] for n in args.images] if args.images else paths)


if __name__ == "__main__":
    main()
