"""Who says what a photo shows, where no person did: one choice for captions and for regions.

    name           captions  regions  learned from
    none           -         -
    index          yes       -        80 COCO photos: the sentence of the most similar one (codec.extract.caption)
    embedded       yes       yes      Flickr8k photos, non-commercial research only (codec.extract.captioner, .dense)
    blip, blip2    yes       -        pulled by `layercast models pull` (codec.extract.foundation)
    florence2      yes       yes      pulled, too

All of it runs where a stream is made; a stream says no more than that a caption was guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codec.extract import foundation
from codec.extract.foundation import NoModel
from codec.stream import Header
from codec.structure.regions import Box, Region, overlap

NAMES = ("none", "index", "embedded", *foundation.SOURCES)
MOST = 8  # regions
EFFORT = 5


@dataclass(frozen=True)
class Extractor:
    """One of NAMES; where its model lies and runs, if it is a pulled one; how hard the embedded one tries, 0 to 9."""

    name: str = "index"
    folder: str | None = None
    device: str | None = None
    effort: int = EFFORT

    def caption(self, picture: NDArray[np.uint8]) -> str | None:
        """A sentence about a picture uint8[H,W,C]. RuntimeError, one line, where something that it needs is missing."""
        if self.name == "none":
            return None
        if self.name == "index":
            from codec.extract.caption import guess_caption

            return guess_caption(picture)
        if self.name == "embedded":
            from codec.extract import captioner

            return captioner.caption(picture, self.effort)
        return self._foundation().captions([picture])[0]

    def regions(self, picture: NDArray[np.uint8], limit: int = MOST) -> list[Region]:
        """What stands where in a picture uint8[H,W,C], at most `limit`. RuntimeError, one line, if none can."""
        if self.name == "embedded":
            from codec.extract import dense

            return dense.find(picture, limit, self.effort)
        if self.name not in foundation.SOURCES:
            raise NoModel(f"{self.name} finds no regions; embedded and florence2 do")
        header = Header(picture.shape[1], picture.shape[0])
        found = [
            Region(Box.around(header, *each.region), each.phrase) for each in self._foundation().regions([picture])[0]
        ]
        return apart(found)[:limit]

    def _foundation(self) -> foundation.Foundation:
        return foundation.load(self.name, self.folder, self.device)


def apart(regions: list[Region], most: float = 0.7) -> list[Region]:
    """Regions in their order without those that say the same as an earlier one, or nearly cover the same cells."""
    kept: list[Region] = []
    for region in regions:
        if all(region.phrase != other.phrase or overlap(region.box, other.box) == 0 for other in kept) and all(
            overlap(region.box, other.box) < most for other in kept
        ):
            kept.append(region)
    return kept
