"""The photos that pixel networks may learn from: rows of photos/SOURCES.tsv whose terms allow it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_ALLOWED = ("CC", "public domain", "Unsplash")
_HELD_OUT = 12  # every twelfth photo chooses models and is never trained on


def allowed(data: Path) -> list[Path]:
    """Photos under `data`/photos whose licence is Creative Commons, public domain or Unsplash, in the list's order."""
    with open(data / "photos" / "SOURCES.tsv", newline="", encoding="utf-8") as rows:
        listed = [(row["file"], row["licence"]) for row in csv.DictReader(rows, delimiter="\t")]
    return [data / "photos" / name for name, terms in listed if terms.startswith(_ALLOWED) or "public domain" in terms]


def split(data: Path) -> tuple[list[Path], list[Path]]:
    """(training photos, held-out photos)."""
    photos = allowed(data)
    return [p for i, p in enumerate(photos) if i % _HELD_OUT], photos[::_HELD_OUT]


def load(path: Path) -> NDArray[np.uint8]:
    """uint8[H,W,3]."""
    with Image.open(path) as photo:
        return np.asarray(photo.convert("RGB"))
