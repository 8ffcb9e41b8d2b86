"""A folder of streams as one web page: captions and thumbnails, of which only the first bytes are read and decoded.

The page is one file without scripts and asks nobody for anything: thumbnails stand in it, its policy allows nothing
else. Captions and names come from streams, so they are text and never markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from codec.decoder import decode
from layercast.sheet import over_white, size_text

FIRST = 3000
"""Bytes of a stream that its thumbnail is made of."""
SIDE = 320
"""Pixels of a thumbnail's longer side, at most."""
_STYLE = """
:root { color-scheme: light dark }
body { margin: 0 auto; max-width: 75rem; padding: 1rem; font: 1rem/1.45 system-ui, sans-serif }
h1 { font-size: 1.25rem; overflow-wrap: anywhere }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); gap: 1rem; padding: 0 }
li { list-style: none }
a { display: block; height: 100%; color: inherit; text-decoration: none; border-radius: .5rem; overflow: hidden;
    border: 1px solid light-dark(#d0d0cb, #45484c); background: light-dark(#fff, #1d1f22) }
a:hover, a:focus-visible { outline: 3px solid light-dark(#0b57a4, #8ab8ec) }
img { display: block; width: 100%; height: auto; aspect-ratio: 4 / 3; object-fit: contain;
    background: light-dark(#eeeeea, #101113) }
p { margin: .6rem .8rem; overflow-wrap: anywhere }
small { display: block; margin-top: .3rem; color: light-dark(#5a5f66, #a5abb3) }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
_PAGE = """<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<ul>
{cards}
</ul>
</main>
</body>
</html>
"""
_CARD = """<li><a href="{link}">
<img src="data:image/webp;base64,{thumbnail}" alt="{alt}" width="{width}" height="{height}" loading="lazy">
<p>{caption}<small>{name} · {size} · {pixels}</small></p>
</a></li>"""


@dataclass(frozen=True)
class Card:
    """A stream in the gallery. thumbnail: a WebP of `shown` pixels; pixels: of the picture; size: bytes of the file."""

    path: Path
    caption: str
    thumbnail: bytes
    shown: tuple[int, int]
    pixels: tuple[int, int]
    size: int


def read_card(path: Path) -> Card:
    """What the first bytes of a stream tell. Raises OSError, FormatError."""
    with path.open("rb") as file:
        decoded = decode(file.read(FIRST))
        size = os.fstat(file.fileno()).st_size
    image = over_white(decoded.picture)
    image.thumbnail((SIDE, SIDE))
    packed = io.BytesIO()
    image.save(packed, "WEBP", quality=75, method=4)
    header = decoded.header
    return Card(path, decoded.caption or "", packed.getvalue(), image.size, (header.width, header.height), size)


def page(cards: Sequence[Card], title: str, folder: Path) -> str:
    """The page; its links lead from `folder`, where it will lie, to the files."""
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return _PAGE.format(
        lang="en",
        policy=html.escape(_POLICY.format(style=style)),
        title=html.escape(title),
        style=_STYLE,
        cards="\n".join(_card(card, folder) for card in cards),
    )


def _card(card: Card, folder: Path) -> str:
    link = Path(os.path.relpath(card.path.resolve(), folder.resolve())).as_posix()
    return _CARD.format(
        link=html.escape("./" + quote(link)),
        thumbnail=base64.b64encode(card.thumbnail).decode(),
        alt=html.escape(card.caption or f"{card.path.name}, without a caption"),
        caption=html.escape(card.caption),
        width=card.shown[0],
        height=card.shown[1],
        name=html.escape(card.path.name),
        size=size_text(card.size),
        pixels=f"{card.pixels[0]} × {card.pixels[1]}",
    )
