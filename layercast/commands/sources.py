"""What the commands that serve and send share: streams of files, lines that say what happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.report import failing

if TYPE_CHECKING:
    from layercast.net.ends import Sending
    from layercast.net.library import Library
    from layercast.net.parcel import Parcel
    from transport.seal import SealKey


def library_of(sources: tuple[str, ...], seal: SealKey | None) -> Library:
    """The streams of files and folders, photos made into streams; sealed with a key if there is one. Raises Failure."""
    from layercast.net.library import Library

    paths = [Path(source) for source in sources]
    for path in paths:
        with failing(path):
            Library([path], encode_file)
    return Library(paths, encode_file, lambda parcel: sealed(parcel, seal))


def sealed(parcel: Parcel, seal: SealKey | None) -> Parcel:
    """The parcel, sealed if there is a key."""
    if seal is None:
        return parcel
    from layercast.net.sealing import seal_parcel

    return seal_parcel(parcel, seal)


def encode_file(path: Path) -> bytes:
    """The stream of a photo, as `layercast encode` makes it. Raises Failure."""
    from layercast.commands.encode import Wishes, make_stream

    return make_stream(str(path), Wishes())[1]


class Report:
    """What happens, in lines for a person (stderr) or a script (stdout)."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def __call__(self, event: str, text: str, **facts: Any) -> None:
        if self._as_json:
            click.echo(json.dumps({"event": event, **facts}))
        else:
            click.echo(text, err=True)

    def tell_end(self, sending: Sending, why: str) -> None:
        """What became of a session."""
        stats, feed = sending.sender.stats, sending.feed
        if feed.refused is not None:
            self("refused", f"a receiver asked for what there is not: {feed.refused!r}", name=feed.refused)
        facts = {"streams": len(feed.sent), "packets": stats.packets, "bytes": stats.bytes, "lost": stats.lost}
        text = f"a receiver left ({why}): {stats.bytes:,} bytes in {stats.packets:,} packets, {stats.lost} lost"
        self("left", text, why=why, **facts)
