"""Streams whose chunks are lost, repeated, reordered and cut by a seed, and what Python's decoder shows of them.

One line of JSON a stream: its header and events in order; an event is a chunk that comes, or a look: the SHA-256 of the
pixels and of the edges, the caption, the share that is exact. `replay.mjs` does the same in JavaScript and compares.
Also writes the small streams that `hostile.mjs` damages.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec import Chunk, Decoder, Kind, stream
from codec.encoder import encode
from codec.structure import meta, regions
from tests.codec.test_decoder import source

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "layercast/assets/rocket.webp"
LOOKS = 6  # moments of a stream
# width, height, channels, weights, regions that go first
SHAPES: tuple[tuple[int, int, int, int, tuple[tuple[int, int, int, int], ...]], ...] = (
    (1, 1, 3, 0, ()), (1, 400, 4, 0, ()), (17, 33, 1, 0, ()), (140, 20, 2, 0, ()), (120, 90, 3, 0, ()),
    (300, 201, 4, 0, ((40, 50, 60, 60),)), (257, 129, 1, 0, ()), (129, 257, 2, 0, ()), (1400, 700, 3, 0, ()),
    (64, 64, 3, 1, ()), (33, 47, 3, 1, ()), (97, 130, 1, 1, ()), (200, 150, 2, 1, ()), (255, 131, 4, 1, ()),
    (320, 240, 3, 1, ((100, 80, 90, 90),)), (500, 333, 3, 1, ()), (333, 500, 1, 1, ()), (768, 512, 3, 1, ()),
    (640, 427, 3, 1, ((300, 200, 128, 64), (20, 20, 40, 40))), (1100, 300, 3, 1, ()),
)  # fmt: skip
HONEST = (
    (1, 1, 3, 0), (17, 33, 1, 0), (40, 20, 2, 0), (70, 50, 3, 0), (66, 40, 4, 0), (130, 20, 3, 0), (64, 64, 3, 1),
    (90, 66, 3, 1),
)  # fmt: skip
CAPTIONS = ("A blue box.", "Ein Stück Käse, 3 Mäuse & Kätzchen!", "two dogs play with a red frisbee in the snow", "")


def photo(width: int, height: int, channels: int) -> NDArray[np.uint8]:
    """The bundled photo in any size, with a soft alpha where one is wanted."""
    with Image.open(PHOTO) as image:
        pixels = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))
    if channels < 3:
        pixels = pixels[..., 1:2]
    if channels in (2, 4):
        alpha = np.clip(np.add.outer(np.arange(height), np.arange(width)), 0, 255).astype(np.uint8)
        pixels = np.concatenate([pixels, alpha[..., None]], axis=2)
    return np.ascontiguousarray(pixels)


def picture(width: int, height: int, channels: int, weights: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    if weights == 0:
        return source(width, height, channels)
    pixels = photo(width, height, channels)
    if width == 33:  # noise
        pixels = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    return pixels


def arrivals(chunks: list[Chunk], rng: np.random.Generator, link: str) -> list[Chunk]:
    """The chunks as a link delivers them: a "good" one, a "lossy" one, or one that also "damages" pixels' payloads."""
    if link == "good":
        return chunks
    if link == "damaging":
        chunks = [damaged(chunk, rng) if rng.random() < 0.1 else chunk for chunk in chunks]
    came: list[tuple[float, Chunk]] = []
    for at, chunk in enumerate(chunks):
        if rng.random() < 0.04:
            continue
        when = at + rng.exponential(4) if rng.random() < 0.3 else float(at)
        if rng.random() < 0.1 and len(chunk.payload) > 1:
            part = int(rng.integers(0, len(chunk.payload)))
            came.append((when, Chunk(chunk.kind, chunk.index, chunk.payload[:part], chunk.length)))
            if rng.random() < 0.3:
                continue
            when += rng.exponential(8)
        came.append((when, chunk))
        if rng.random() < 0.05:
            came.append((when + 3, chunk))
    return [chunk for _, chunk in sorted(came, key=lambda pair: pair[0])]


def damaged(chunk: Chunk, rng: np.random.Generator) -> Chunk:
    """With some bits of its payload turned over, if it shows pixels."""
    if chunk.kind not in (Kind.LATENT, Kind.RESIDUAL) or not chunk.payload:
        return chunk
    payload = bytearray(chunk.payload)
    for _ in range(int(rng.integers(1, 4))):
        reach = min(len(payload), int(rng.choice([2, 20, 20_000])))  # early bits spoil more
        payload[int(rng.integers(0, reach))] ^= 1 << int(rng.integers(0, 8))
    return Chunk(chunk.kind, chunk.index, bytes(payload))


def look(decoder: Decoder) -> dict[str, Any]:
    pixels = decoder.picture()
    edges = decoder.edge_map()
    return {
        "pixels": hashlib.sha256(pixels.tobytes()).hexdigest(),
        "edges": None if edges is None else hashlib.sha256(edges.tobytes()).hexdigest(),
        "caption": decoder.caption,
        "facts": decoder.meta,
        "exact": decoder.exact_area(),
        "verified": decoder.verified(),
    }


def play(data: bytes, rng: np.random.Generator, link: str, looks: int = LOOKS) -> dict[str, Any]:
    """A stream's header and events."""
    header, chunks = stream.read(data)
    came = arrivals(chunks, rng, link)
    bounds = [round(len(came) * (i / looks) ** 2) for i in range(looks + 1)]
    decoder, events = Decoder(header), []
    for first, last in pairwise(bounds):
        for chunk in came[first:last]:
            decoder.push(chunk)
            kind: Kind = chunk.kind
            events.append({"chunk": [int(kind), chunk.index, chunk.payload.hex(), chunk.length]})
        events.append({"look": look(decoder)})
    return {"header": header.encode().hex(), "events": events}


def cases(seed: int, upto: int) -> Iterator[dict[str, Any]]:
    for number, (width, height, channels, weights, roi) in enumerate(SHAPES[:upto]):
        rng = np.random.default_rng([seed, number])
        pixels = picture(width, height, channels, weights, rng)
        words, facts = CAPTIONS[number % len(CAPTIONS)], {"time": "noon", "lens": "50 mm"}
        data = encode(pixels, caption=words, roi=roi, weights=weights, meta_data=facts)
        for link in ("good", "lossy", "damaging"):
            yield {"name": f"{width}x{height}x{channels} set {weights}, {link} link"} | play(data, rng, link)


def honest() -> Iterator[bytes]:
    """Small streams with chunks of every kind, for hostile.mjs to damage."""
    for width, height, channels, weights in HONEST:
        pixels = picture(width, height, channels, weights, np.random.default_rng(1))
        words, facts = CAPTIONS[(width + channels) % len(CAPTIONS)], {"time": "noon", "lens": "50 mm"}
        header, chunks = stream.read(encode(pixels, caption=words, weights=weights, meta_data=facts))
        boxes = [
            regions.Region(regions.Box(1, 2, 5, 6), "a red ball"),
            regions.Texture(regions.Box(0, 0, 15, 15), b"xyz"),
        ]
        chunks.insert(2, Chunk(Kind.REGIONS, 0, regions.encode(boxes, weights)))
        parts = meta.encode_profile(bytes(range(200)) * 3)
        chunks[3:3] = [Chunk(Kind.META, 1 + number, part) for number, part in enumerate(parts)]
        yield stream.write(header, chunks)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", default=1)
@click.option("--upto", default=len(SHAPES), help="So many of the pictures.")
def main(folder: Path, seed: int, upto: int) -> None:
    """Writes into FOLDER what replay.mjs and hostile.mjs read: a line a stream."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "honest.json").write_text(json.dumps([base64.b64encode(data).decode() for data in honest()]))
    with (folder / "streams.jsonl").open("w") as file:
        for case in cases(seed, upto):
            file.write(json.dumps(case) + "\n")


if __name__ == "__main__":
    main()
