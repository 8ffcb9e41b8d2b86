"""The demo's picture: a row a link and codec, a column a moment, and under each tile what there is to know about it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from sim.metrics import Picture
    from sim.watch import View

TILE = (288, 216)
GAP, MARGIN, LABEL = 14, 28, 128
LINE = 19
PAPER, INK, FAINT, EMPTY, RULE = "#ffffff", "#1c1c1c", "#6b6b6b", "#eceae6", "#c9c6c0"
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")


@dataclass(frozen=True)
class Row:
    """One codec over one link: its name and what was seen at each moment. `caption`: a caption stands under each
    tile."""

    name: str
    views: Sequence[View]
    caption: bool


def size_text(size: int) -> str:
    """`812 B`, `12.4 kB`."""
    return f"{size} B" if size < 1000 else f"{size / 1000:.1f} kB" if size < 99_950 else f"{size / 1000:.0f} kB"


def quality_text(view: View) -> str:
    """PSNR and SSIMULACRA2 of what is shown; `exact` where no pixel differs."""
    if view.psnr is None or view.ssimulacra2 is None:
        return ""
    if math.isinf(view.psnr):
        return "exact: every pixel"
    score = "" if math.isnan(view.ssimulacra2) else f", SSIMULACRA2 {view.ssimulacra2:.0f}"
    return f"{view.psnr:.1f} dB{score}"


def draw(photo: Picture, title: str, notes: Sequence[str], bands: Sequence[tuple[str, Sequence[Row]]]) -> Image.Image:
    """The sheet. `bands`: for each link its name and rows; all rows have views of the same moments."""
    tile = _tile_size(photo)
    times = [view.time for view in bands[0][1][0].views]
    heights = [sum(_row_height(row, tile) for row in rows) + 44 for _, rows in bands]
    top = MARGIN + 34 + LINE * len(notes) + 20
    width = 2 * MARGIN + LABEL + len(times) * (tile[0] + GAP) - GAP
    sheet = Image.new("RGB", (width, top + sum(heights) + MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN), title, INK, font(26, True))
    for place, note in enumerate(notes):
        pen.text((MARGIN, MARGIN + 38 + place * LINE), note, FAINT, font(15))
    for (name, rows), height in zip(bands, heights, strict=True):
        _draw_band(sheet, name, rows, top, tile)
        top += height
    return sheet


def _draw_band(sheet: Image.Image, name: str, rows: Sequence[Row], top: int, tile: tuple[int, int]) -> None:
    pen = ImageDraw.Draw(sheet)
    pen.line((MARGIN, top, sheet.width - MARGIN, top), RULE)
    pen.text((MARGIN, top + 11), name, INK, font(18, True))
    top += 44
    for row in rows:
        pen.multiline_text((MARGIN, top + 2), "\n".join(row.name.split()), INK, font(15, True), spacing=4)
        for place, view in enumerate(row.views):
            _draw_view(sheet, view, row.caption, (MARGIN + LABEL + place * (tile[0] + GAP), top), tile)
        top += _row_height(row, tile)


def _draw_view(sheet: Image.Image, view: View, caption: bool, at: tuple[int, int], tile: tuple[int, int]) -> None:
    pen = ImageDraw.Draw(sheet)
    x, y = at
    if view.picture is None:
        pen.rectangle((x, y, x + tile[0] - 1, y + tile[1] - 1), EMPTY)
        _centred(pen, "nothing yet", (x, y), tile, FAINT)
    else:
        sheet.paste(_fit(view.picture, tile), at)
        if view.layers == ("caption",):
            pen.rectangle((x, y, x + tile[0] - 1, y + tile[1] - 1), outline=RULE)
            _centred(pen, "\n".join(_wrapped(view.caption or "", tile[0] - 40, 17)), at, tile, "#ffffff", 17)
    y += tile[1] + 5
    pen.text((x, y), f"{view.time:g} s", INK, font(15, True))
    pen.text((x + 54, y), size_text(view.bytes) if view.bytes else "", INK, font(15))
    captions = _wrapped(view.caption or "", tile[0], 14)[:2] if caption else []
    for text, ink in [
        (", ".join(view.layers), FAINT),
        (quality_text(view), INK),
        *((line, FAINT) for line in captions),
    ]:
        y += LINE
        pen.text((x, y), text, ink, font(14))


def _row_height(row: Row, tile: tuple[int, int]) -> int:
    return tile[1] + 5 + LINE * (5 if row.caption else 3) + 14


def _tile_size(photo: Picture) -> tuple[int, int]:
    """The size of a tile: the photo's shape, as large as TILE allows; never narrower than its texts."""
    height, width = photo.shape[:2]
    scale = min(TILE[0] / width, TILE[1] / height)
    return TILE[0], max(round(height * scale), 60)


def over_white(picture: Picture) -> Image.Image:
    """A picture uint8[H, W, 1..4] as RGB; what is transparent shows white."""
    whole = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    if whole.mode in ("LA", "RGBA"):
        over = Image.new("RGBA", whole.size, "white")
        over.alpha_composite(whole.convert("RGBA"))
        whole = over
    return whole.convert("RGB")


def _fit(picture: Picture, tile: tuple[int, int]) -> Image.Image:
    """The picture in a tile, whole, on paper."""
    whole = over_white(picture)
    scale = min(tile[0] / whole.width, tile[1] / whole.height)
    size = max(round(whole.width * scale), 1), max(round(whole.height * scale), 1)
    kind = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    framed = Image.new("RGB", tile, PAPER)
    framed.paste(whole.resize(size, kind), ((tile[0] - size[0]) // 2, (tile[1] - size[1]) // 2))
    return framed


def _centred(
    pen: ImageDraw.ImageDraw, text: str, at: tuple[int, int], tile: tuple[int, int], ink: str, size: int = 15
) -> None:
    middle = at[0] + tile[0] / 2, at[1] + tile[1] / 2
    pen.multiline_text(middle, text, ink, font(size), anchor="mm", align="center", spacing=5)


def _wrapped(text: str, width: int, size: int) -> list[str]:
    """Lines of at most `width` pixels, two at most, the second with an ellipsis if there is more."""
    share = width / max(font(size).getlength(text), 1)
    lines = textwrap.wrap(text, max(int(len(text) * share) - 1, 8), max_lines=2)
    return [line.replace(" [...]", " …") for line in lines]


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans, which matplotlib ships and which has most alphabets; else Pillow's own."""
    spec = find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / FONTS[bold]
        if path.is_file():
            return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size)
