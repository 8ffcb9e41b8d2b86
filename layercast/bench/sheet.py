"""A contact sheet: the same photos at the same bytes by several codecs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from layercast.bench import work

if TYPE_CHECKING:
    from sim.metrics import Picture
    from sim.peers import Coded

SHEET_BUDGETS = (150, 600, 3000)
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


def equal_bytes(paths: Sequence[Path], peers: Sequence[str], target: Path) -> None:
    """Photos at SHEET_BUDGETS by us and the peers; a row a photo and budget."""
    from layercast.bench.streams import picture_of, stream_of
    from sim.metrics import psnr
    from sim.peers import encode_to_budget

    rows = []
    for path in paths:
        photo, data = work.load(path), stream_of(path)
        for budget in SHEET_BUDGETS:
            shown = picture_of(data[:budget])
            row: list[Shown] = [(photo, path.name), (shown, f"layercast {budget} B, {psnr(photo, shown):.1f} dB")]
            for codec in peers:
                coded = encode_to_budget(codec, photo, budget)
                text = f"{codec}: no file of {budget} B" if coded is None else _label(codec, coded, photo)
                row.append((None if coded is None else coded.picture, text))
            rows.append(row)
    contact_sheet(rows, target)


def _label(codec: str, coded: Coded, photo: Picture) -> str:
    from sim.metrics import psnr

    return f"{codec} {len(coded.data)} B, {psnr(photo, coded.picture):.1f} dB"
