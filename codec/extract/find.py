"""Faces and written words in a photo, by packaged detectors: what a stream may send first.

Faces by OpenCV's frontal cascade (Viola and Jones, 2001), words by RapidOCR (PP-OCR networks). Both come with the extra
`find`. What they find only orders chunks and is never needed to decode; like every detector they miss and mistake some.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.region import Region

_SMALLEST_FACE = 24  # pixels a side
_AGREEING = 7  # overlapping hits that make a face; fewer find more, and more that is none
_SURE = 0.7  # of what a word says, from which it counts as one


class NoDetector(RuntimeError):
    """A detector that is not installed. The message says what to install."""


@dataclass(frozen=True)
class Words:
    """A line of text: its region, what it says, how sure the reader is (0..1)."""

    region: Region
    text: str
    sure: float


def faces(picture: NDArray[np.uint8]) -> list[Region]:
    """Regions of the faces that look out of picture uint8[H,W,C], the largest first. NoDetector if not installed."""
    cv2 = _module("cv2")
    finder = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    grey = cv2.equalizeHist(cv2.cvtColor(_colour(picture), cv2.COLOR_RGB2GRAY))
    found = finder.detectMultiScale(grey, 1.1, _AGREEING, minSize=(_SMALLEST_FACE, _SMALLEST_FACE))
    regions = [(int(x), int(y), int(width), int(height)) for x, y, width, height in found]
    return sorted(regions, key=lambda region: -region[2] * region[3])


def words(picture: NDArray[np.uint8]) -> list[Words]:
    """What is written in picture uint8[H,W,C], line by line as far as it could be read. NoDetector if not installed."""
    reader = _module("rapidocr").RapidOCR(params={"Global.log_level": "error"})
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)  # it warns where there is no text
    told = reader(np.ascontiguousarray(_colour(picture)[..., ::-1]), use_cls=False)
    if told.boxes is None or told.txts is None:
        return []
    lines = zip(told.boxes, told.txts, told.scores, strict=True)
    height, width = picture.shape[:2]
    return [
        Words(_around(box, width, height), text, float(sure))
        for box, text, sure in lines
        if sure >= _SURE and any(sign.isalnum() for sign in text)
    ]


def _around(corners: NDArray[np.floating[Any]], width: int, height: int) -> Region:
    x0, y0 = np.floor(np.min(corners, axis=0)).astype(int).clip(0, (width - 1, height - 1))
    x1, y1 = np.ceil(np.max(corners, axis=0)).astype(int).clip((x0 + 1, y0 + 1), (width, height))
    return int(x0), int(y0), int(x1 - x0), int(y1 - y0)


def _colour(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    colour = picture[..., :3] if picture.shape[2] >= 3 else picture[..., :1].repeat(3, axis=2)
    return np.ascontiguousarray(colour)


def _module(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise NoDetector(f"the package {name} finds them and is not here; pip install 'layercast[find]'") from None
