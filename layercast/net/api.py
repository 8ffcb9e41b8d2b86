"""`layercast.send`, `receive` and `watch`: a transfer as one call, for programs that run an event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from layercast.net.endpoints import Link, connect, parse
from layercast.net.ends import Receiving, Sending
from layercast.net.feed import Find
from layercast.net.fetch import Change, Region
from layercast.net.parcel import pack
from layercast.net.reception import Reception
from layercast.net.store import Store
from player import Player

LEVELS = {"caption": 0, "structure": 1, "latent": 2, "residual": 3}
"""The last class of protection that comes with a layer."""


async def receive(
    url: str,
    folder: str | Path,
    *,
    token: str = "",
    upto: str = "residual",
    resume: bool = True,
    region: Region | None = None,
    rate: float | None = None,
    changed: Callable[[Change], None] = lambda change: None,
) -> list[Path]:
    """Fetch streams from a peer that serves into a folder; the files that came, whole ones and beginnings.

    Args:
        url: as in `layercast receive`; a name behind the address chooses one stream.
        upto: caption (with the thumbnail), structure, latent or residual.
        resume: go on with what an earlier call began in this folder.
        region: x, y, width, height of the pixels that should come first.
        rate: the link's bit/s, where it is known.
        changed: called with everything that comes.

    Raises:
        ValueError: a URL that is none.
        OSError: the peer cannot be reached, or the disk does not take what comes.
        ConnectionError: it ended early; what came is kept, and the message says why.
    """
    to = parse(url)
    store = Store(Path(folder))
    if resume:
        store.resume()
    channel = await connect(to, token, Link(rate))
    receiving = Receiving(channel, store, changed, LEVELS[upto], to.name, region)
    try:
        why = await receiving.wait_closed()
    finally:
        receiving.fetch.finish()
        channel.close()
    if why != "complete":
        raise ConnectionError(why)
    return [shelf.file for shelf in store.shelves.values() if shelf.file is not None]


async def watch(url: str, player: Player, *, token: str = "", rate: float | None = None) -> None:
    """Receive one picture into a player until all of it is here; what the player wants is asked of the sender.

    Goes on after breaks. Of an address with several pictures the first that comes, unless a name stands behind it.

    Raises:
        ValueError: a URL that is none.
        ConnectionError: nobody is there, or the sender refused; the message says why.
    """
    to = parse(url)
    with TemporaryDirectory(prefix="layercast-") as folder:
        reception = Reception(to, Store(Path(folder)), [player], token=token, link=Link(rate))
        player.asks = reception.want if reception.asks else None
        try:
            await reception.run()
        finally:
            player.asks = None


async def send(files: Sequence[str | Path] | Find, url: str, *, token: str = "", rate: float | None = None) -> None:
    """Send streams to a peer that waits for them (`layercast receive --listen`), and return when it has all.

    Raises:
        ValueError: a URL that is none; FormatError, which is one, for a file that is no stream.
        OSError: a file cannot be read, the peer cannot be reached.
        ConnectionError: it ended early.
    """
    find = files if callable(files) else _found(files)
    channel = await connect(parse(url), token, Link(rate))
    sending = Sending(channel, Link(rate), find)
    try:
        why = await sending.wait_closed()
    finally:
        channel.close()
    if not (sending.feed.sent and sending.sender.idle):
        raise ConnectionError(why)


def _found(files: Sequence[str | Path]) -> Find:
    parcels = [pack(Path(file).read_bytes(), Path(file).name) for file in files]
    return lambda topic: [parcel for parcel in parcels if topic in ("", parcel.name)] or None
