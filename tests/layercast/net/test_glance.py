"""What a page is told with the answer: enough for caption and thumbnail, bounded, nothing of what is sealed."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import codec
import layercast
from codec.decoder import Decoder
from codec.stream import Chunk, parse_header
from layercast.net.glance import MOST_BYTES, Glance
from layercast.net.library import Library
from layercast.net.parcel import pack
from player.items import key_of
from tests.fuzz.parsers import streams


def library(folder: Path, *data: bytes) -> Library:
    for n, stream in enumerate(data):
        (folder / f"photo {n}.lcast").write_bytes(stream)
    return Library([folder], lambda path: b"")


def told(glance: Glance, query: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(asyncio.run(glance.beside(query))))
    return found


def test_caption_and_thumbnail_are_there_whole(tmp_path: Path) -> None:
    data = next(data for data in streams() if layercast.Stream(data).caption)
    found = told(Glance(library(tmp_path, data)), {"name": "photo 0", "caption": "text"})
    parcel = pack(data, "photo 0.lcast")
    (stream,) = found["streams"]
    assert (stream["group"], stream["name"], stream["size"]) == (parcel.group, "photo 0.lcast", len(data))
    assert stream["caption"] == layercast.Stream(data).caption and stream["guessed"] is False
    header, _ = parse_header(b64decode(stream["header"]))
    decoder = Decoder(header)
    for cls, index, text in stream["items"]:
        payload = b64decode(text)
        assert cls == 0
        decoder.push(Chunk(*key_of(index), payload, len(payload)))
    assert decoder.caption == stream["caption"] and list(decoder.layers()) == ["caption", "latent"]
    assert "caption" not in told(Glance(library(tmp_path, data)), {})["streams"][0]


def test_unknown_names_and_full_folders(tmp_path: Path) -> None:
    found = told(Glance(library(tmp_path)), {"name": "../secret"})
    assert found == {"streams": [], "count": 0}
    grey = np.full((8, 8, 1), 99, np.uint8)
    many = [codec.encode(grey, caption=f"{n} {'Wœrd ' * 60}", weights=0) for n in range(12)]
    found = told(Glance(library(tmp_path, *many)), {})
    assert found["count"] == 12 and 0 < len(found["streams"]) < 12
    sizes = [len(b64decode(item[2])) for stream in found["streams"] for item in stream["items"]]
    assert sum(sizes) <= MOST_BYTES


def test_nothing_is_told_of_what_is_sealed(tmp_path: Path) -> None:
    assert told(Glance(library(tmp_path, *streams()), sealed=True), {"caption": "text"}) == {"sealed": True}
