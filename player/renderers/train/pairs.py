"""What streams show of photos after so many bytes: the lessons of the renderer `tiny`.

    python -m player.renderers.train.pairs --data FOLDER --runs FOLDER

Each photo whose terms allow it is made at most 768 pixels long, encoded for real, and decoded from the start to several
sizes drawn at random, with and without its edges. Kept as RUNS/pairs/NAME.npz; what is there is not made again.
"""

from __future__ import annotations

import argparse
import os
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import codec
from codec.decoder import Decoder
from codec.stream import Kind, read
from codec.train import photos
from player.renderers.known import known

LONG_SIDE = 768
SIZES = (40, 60000)  # bytes, drawn evenly in their logarithm
PREFIXES = 7
BARE = 0.1  # share of the prefixes that are the thumbnail alone


def lesson(photo: Image.Image, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """picture uint8[H,W,3]; shown uint8[n,H,W,3]; planes float16[n,5,H/4,W/4]; sizes int32[n]."""
    scale = LONG_SIDE / max(photo.size)
    if scale < 1:
        photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS)
    width, height = (side // 32 * 32 for side in photo.size)
    picture = np.asarray(photo.crop((0, 0, width, height)))
    header, chunks = read(codec.encode(picture, max_bytes=SIZES[1], caption=""))
    shown, planes, sizes = [], [], []
    for _ in range(PREFIXES):
        size = int(np.exp(rng.uniform(*np.log(SIZES)))) if rng.random() > BARE else 0
        decoder, sent, lines = Decoder(header), 0, rng.random() < 0.5
        for chunk in chunks:
            if chunk.kind == Kind.EDGES and lines:
                decoder.push(chunk)
            elif chunk.kind in (Kind.LATENT, Kind.RESIDUAL) and (sent < size or not sent):
                decoder.push(chunk)
                sent += len(chunk.payload)
        seen = known(decoder)
        shown.append(seen.picture)
        planes.append(seen.planes.astype(np.float16))
        sizes.append(sent)
    return {"picture": picture, "shown": np.stack(shown), "planes": np.stack(planes), "sizes": np.array(sizes)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("LAYERCAST_DATA")
    parser.add_argument("--data", type=Path, default=default, required=not default, help="folder of data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    a = parser.parse_args()
    folder = a.runs / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    train, held = photos.split(a.data)
    for path in tqdm([*held, *train], disable=None):
        target = folder / f"{'held' if path in held else 'train'}-{path.stem}.npz"
        if not target.exists():
            rng = np.random.default_rng(zlib.crc32(path.stem.encode()))
            with Image.open(path) as photo:
                made = lesson(photo.convert("RGB"), rng)
            np.savez(target.with_suffix(".part.npz"), **made)
            target.with_suffix(".part.npz").rename(target)


if __name__ == "__main__":
    main()
