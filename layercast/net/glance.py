"""What a page is told with the answer to its offer: of each stream its name, header, caption and thumbnail, so that
they are on its screen before the channel is open. The channel then sends none of it again.

    {"sdp": ..., "count": ...,
     "streams": [{"group", "name", "size", "header", "caption", "guessed", "items": [[class, index, payload], ...]}]}

Header and payloads are base64. `caption` is the caption as text, for a page that lacks the caption model yet and says
so (`?caption=text`); `guessed`: a program found it. `count`: of all streams, told of here or not. Of sealed streams
nothing is told but `sealed`, for a page cannot open them.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from codec import caption
from codec.stream import FormatError, Kind, parse_header
from layercast.net.library import Library
from layercast.net.parcel import ABOUT, Parcel
from player.items import index_of
from transport import BASE

MOST_BYTES = 2000
"""Of headers and payloads in one answer: two seconds of a very thin link. The first stream is always there."""
_CAPTION = (BASE, index_of((Kind.CAPTION, 0)))


class Glance:
    """The glances of a library's streams. `sealed`: payloads are, and nothing of them is told."""

    def __init__(self, library: Library, sealed: bool = False) -> None:
        self._library = library
        self._sealed = sealed
        self._text = lru_cache(maxsize=256)(_caption)

    async def beside(self, query: Mapping[str, str]) -> dict[str, object]:
        """What stands beside an answer: the streams of `name` ("" for all), as many as there is room for."""
        if self._sealed:
            return {"sealed": True}
        parcels = self._library.find(query.get("name", "")) or []
        plain = query.get("caption") == "text"
        told = [self._of(parcel, plain) for parcel in _that_fit(parcels)]
        return {"streams": await asyncio.gather(*told), "count": len(parcels)}

    async def _of(self, parcel: Parcel, plain: bool) -> dict[str, object]:
        about: dict[str, object] = {
            "group": parcel.group,
            "name": parcel.name,
            "size": parcel.size,
            "header": b64encode(parcel.preamble).decode(),
        }
        items = [item for item in parcel.items if item.cls == BASE and item.ends]
        found = await asyncio.to_thread(self._text, parcel) if plain else None  # the first takes the caption's tables
        told = [[item.cls, item.index, b64encode(item.payload).decode()] for item in items if item.key[1:] != ABOUT]
        return {**about, "items": told, **({} if found is None else {"caption": found.text, "guessed": found.guessed})}


def _that_fit(parcels: Sequence[Parcel]) -> Iterator[Parcel]:
    room = MOST_BYTES
    for place, parcel in enumerate(parcels):
        room -= sum(len(item.payload) for item in parcel.items if item.cls == BASE) + len(parcel.preamble)
        if room < 0 and place:
            return
        yield parcel


def _caption(parcel: Parcel) -> caption.Caption | None:
    """The caption; None where there is none that can be read."""
    for item in parcel.items:
        if (item.cls, item.index) == _CAPTION:
            try:
                header, _ = parse_header(parcel.preamble)
                return caption.decode(item.payload, header.weights, item.ends)
            except (FormatError, OSError):
                return None
    return None
