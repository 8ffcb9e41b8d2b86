"""The smallest file of a codec from which a photo is recognisable: what a careful user of another codec would send.

At each scale of SCALES the lowest setting is found whose enlarged picture is recognisable; the fewest bytes count. The
true size costs the peer nothing. Results are kept on disk.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image

from sim.measure import RECOGNISABLE
from sim.metrics import Picture, feature_distance, to_rgb
from sim.peers import PEERS, Peer, avif, default_cache, jpeg, jxl, keep_file, versions

SCALES = (4, 3, 6, 2, 8, 12, 16, 24, 1.5, 1)
"""Likely ones first: what was found bounds what is tried at the others."""
_RULES = 2  # counts up when the search changes, so that no kept result is taken for a new one


class Smallest(NamedTuple):
    """A file, and its feature distance."""

    data: bytes
    features: float


CODECS = {
    peer.name: peer
    for peer in (
        PEERS["jpeg"],
        PEERS["progressive-jpeg"],
        Peer("ssdv", range(1, 96), partial(jpeg, optimize=False, subsampling="4:2:0"), PEERS["jpeg"].decode),
        Peer("avif", PEERS["avif"].settings, partial(avif, speed=4), PEERS["avif"].decode),
        Peer("jxl", PEERS["jxl"].settings, partial(jxl, effort=9), PEERS["jxl"].decode),
    )
}
"""As their users would set them for few bytes; SSDV's JPEG has fixed tables, which it does not send."""


def smallest(picture: Picture, codec: str) -> Smallest:
    """The smallest file of CODECS for uint8[H, W, C]; the best at full size if none is recognisable. Kept."""
    colours = to_rgb(picture)
    said = f"{codec} {colours.shape} {versions()} {SCALES} {_RULES}"
    name = hashlib.sha256(said.encode() + colours.tobytes()).hexdigest()
    path = default_cache() / "smallest" / name[:2] / name
    if path.is_file():
        head, _, data = path.read_bytes().partition(b"\n")
        return Smallest(data, float(json.loads(head)))
    best: Smallest | None = None
    for scale in SCALES:
        best = _Scale(CODECS[codec], colours, scale).least(best)
    if best is None:
        best = _Scale(CODECS[codec], colours, 1).at(-1)
    keep_file(path, json.dumps(best.features).encode() + b"\n" + best.data)
    return best


class _Scale:
    """A photo at one scale under one codec."""

    def __init__(self, peer: Peer, photo: Picture, scale: float) -> None:
        self._peer, self._photo = peer, photo
        whole = Image.fromarray(photo)
        size = max(1, round(whole.width / scale)), max(1, round(whole.height / scale))
        self._image = whole.resize(size, Image.Resampling.LANCZOS) if scale != 1 else whole
        self._files: dict[int, bytes] = {}

    def _file(self, place: int) -> bytes:
        if place not in self._files:
            self._files[place] = self._peer.encode(self._image, self._peer.settings[place])
        return self._files[place]

    def at(self, place: int) -> Smallest:
        data = self._file(place)
        return Smallest(data, feature_distance(self._photo, enlarged(self._peer.decode(data), self._photo)))

    def least(self, best: Smallest | None) -> Smallest | None:
        """The smallest recognisable file of this scale, by halving, if it is smaller than `best`; else `best`."""
        high = self._below(None if best is None else len(best.data))
        if high < 0 or (found := self.at(high)).features > RECOGNISABLE:
            return best
        low = 0
        while low < high:
            middle = (low + high) // 2
            tried = self.at(middle)
            if tried.features <= RECOGNISABLE:
                found, high = tried, middle
            else:
                low = middle + 1
        return found

    def _below(self, size: int | None) -> int:
        """The last setting whose file is smaller than `size`; -1 if none is."""
        low, high = 0, len(self._peer.settings)
        if size is None:
            return high - 1
        if len(self._file(0)) >= size:
            return -1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if len(self._file(middle)) < size else (low, middle)
        return low


def enlarged(image: Image.Image, photo: Picture) -> Picture:
    """An image at the size of a photo, uint8[H, W, 3]."""
    size = photo.shape[1], photo.shape[0]
    whole = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(whole.convert("RGB"), np.uint8)
