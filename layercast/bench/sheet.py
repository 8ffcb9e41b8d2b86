"""A contact sheet: the same photos at the same bytes by several codecs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.metrics import Picture

CELL = 256  # pixels of a cell's longer side
LINE = 16  # pixels of a line of text
Shown = tuple["Picture | None", str]


def contact_sheet(rows: Sequence[Sequence[Shown]], path: Path) -> None:
    """Writes a PNG of rows of (picture or None, text below it); pictures uint8[H, W, 3] of any size."""
    import numpy as np
    from PIL import Image, ImageDraw

    columns = max(len(row) for row in rows)
    sheet = Image.new("RGB", (columns * CELL, len(rows) * (CELL + LINE)), "white")
    draw = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        for x, (picture, text) in enumerate(row):
            left, top = x * CELL, y * (CELL + LINE)
            if picture is not None:
                image = Image.fromarray(np.asarray(picture))
                image.thumbnail((CELL - 4, CELL - 4), Image.Resampling.LANCZOS)
                sheet.paste(image, (left + 2, top + 2 + (CELL - 4 - image.height)))
            draw.text((left + 2, top + CELL), text, fill="black")
    sheet.save(path)
