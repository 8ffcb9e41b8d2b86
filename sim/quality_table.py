"""How good a set of chunks looks, without decoding it: looked up in a table that a few decodings of the stream fill.

    what is held ─┬─► latents ─► the error of their picture, decoded once for each set
                  └─► residuals ─► what each takes from that error, measured once

A residual corrects the picture of the whole base in cells of its own, so what several take off the squared error adds
up, about: `QualityTable.exact` decodes, to say how far off that is.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from random import Random

import numpy as np

from codec.stream import Kind
from player import Player
from player.items import key_of
from sim.journey import Load
from sim.metrics import Picture, to_rgb
from sim.peers import keep_file
from sim.subject import Subject, codec_digest
from transport import Item

POINTS = (0.25, 0.5, 0.75, 1.0)
"""Shares of a residual chunk at which it is measured; straight lines in between."""
BEST = 60.0
"""dB; what is better counts as this."""

Held = Mapping[int, int]
"""Item index -> bytes of it that are here, from its start."""


class QualityTable:
    """PSNR of what is held of one stream, against its photo. `keep`: where to keep what was measured."""

    def __init__(self, subject: Subject, load: Load, keep: Path | None = None) -> None:
        self._subject = subject
        self._load = load
        self._residuals = {i.index: i for i in load.items if key_of(i.index)[0] == Kind.RESIDUAL}
        self._sizes = {item.index: len(item.payload) for item in load.items}
        self._path = keep
        name = f"{codec_digest()} {hashlib.sha256(subject.stream).hexdigest()} {subject.fingerprint}"
        kept = json.loads(keep.read_text()) if keep is not None and keep.is_file() else {}
        kept = kept if kept.get("name") == name else {"name": name, "errors": {}, "gains": self._measure()}
        self._kept = kept
        self._gains: dict[int, list[float]] = {int(index): gains for index, gains in kept["gains"].items()}
        self._errors: dict[str, float] = kept["errors"]
        self._known = -1
        self.save()

    def psnr(self, held: Held | None) -> float:
        """dB; None: nothing can be shown, which counts as a grey picture."""
        if held is None:
            return _decibels(self._error(np.full_like(self._subject.picture, 128)))
        base = self._latents(held)
        error = self._errors.get(name := repr(base))
        if error is None:
            error = self._errors[name] = self._error(self._decode(base))
        return _decibels(max(error - sum(self._gain(index, held) for index in held), 0.0))

    def exact(self, held: Held) -> float:
        """The same by decoding."""
        return _decibels(self._error(self._decode(held)))

    def states(self, count: int, seed: str = "states") -> list[dict[int, int]]:
        """States as a lossy link leaves them, drawn: up to some item, with gaps, some items in part."""
        rng, found = Random(seed), []
        for _ in range(count):
            loss, items = rng.uniform(0, 0.4), self._load.items[: rng.randint(1, len(self._load.items))]
            arrived = [item for item in items if rng.random() >= loss]
            found.append({i.index: math.ceil(len(i.payload) * min(1.0, rng.uniform(0.2, 4))) for i in arrived})
        return found

    def save(self) -> None:
        if self._path is not None and len(self._errors) != self._known:
            keep_file(self._path, json.dumps(self._kept).encode())
            self._known = len(self._errors)

    def _latents(self, held: Held) -> dict[int, int]:
        """What of `held` paints the picture that residuals correct: latents whose needs are here, whole."""
        found: dict[int, int] = {}
        for item in sorted(self._load.items, key=lambda item: item.index):
            here = held.get(item.index, 0)
            if here and key_of(item.index)[0] == Kind.LATENT:
                if all(found.get(need) == self._sizes.get(need) for _, need in item.needs):
                    found[item.index] = here
        return found

    def _gain(self, index: int, held: Held) -> float:
        """What a residual takes off the squared error; nothing without what it needs, which the base does not."""
        item = self._residuals.get(index)
        if item is None or not all(held.get(need) == self._sizes.get(need) for need in _residuals_needed(item)):
            return 0.0
        share = held[index] / max(len(item.payload), 1)
        place = min(bisect_right(POINTS, share), len(POINTS) - 1)
        points, gains = (0.0, *POINTS), (0.0, *self._gains[index])
        along = (share - points[place]) / (points[place + 1] - points[place])
        return gains[place] + min(along, 1.0) * (gains[place + 1] - gains[place])

    def _measure(self) -> dict[str, list[float]]:
        """Of each residual: how much less the error is with a part of it, behind all that stand before it."""
        player, found = Player(), {}
        player.start(self._load.preamble, 0.0)
        for item in self._load.items:
            if item.index not in self._residuals:
                _push(player, item, len(item.payload))
        before = self._shown(player)
        for item in self._residuals.values():
            gains = []
            for point in POINTS:
                _push(player, item, math.ceil(point * len(item.payload)))
                gains.append(before - self._shown(player))
            before -= gains[-1]
            found[str(item.index)] = gains
        return found

    def _decode(self, held: Held) -> Picture:
        player = Player()
        player.start(self._load.preamble, 0.0)
        for item in self._load.items:
            if item.index in held:
                _push(player, item, held[item.index])
        picture = player.picture(0.0)
        assert picture is not None, "the header is here"
        return picture

    def _shown(self, player: Player) -> float:
        picture = player.picture(0.0)
        assert picture is not None, "the header is here"
        return self._error(picture)

    def _error(self, picture: Picture) -> float:
        """Mean squared error over RGB."""
        return float(np.mean((to_rgb(self._subject.picture).astype(np.float64) - to_rgb(picture)) ** 2))


def _push(player: Player, item: Item, size: int) -> None:
    player.push(item.index, item.payload[:size], size == len(item.payload) and item.ends, 0.0)


def _residuals_needed(item: Item) -> list[int]:
    return [index for _, index in item.needs if key_of(index)[0] == Kind.RESIDUAL]


def _decibels(error: float) -> float:
    return BEST if error <= 255**2 / 10 ** (BEST / 10) else 10 * math.log10(255**2 / error)
