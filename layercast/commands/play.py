"""`layercast play`: watch a picture arrive, in a browser, in a terminal, or as a video."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codec.files import FileError
from layercast.commands.network import (
    address_of,
    link_options,
    log_option,
    logging_to,
    one_way_option,
    until_interrupted,
)
from layercast.commands.report import Failure, Progress, failing, save, warn
from layercast.commands.secret import seal_options, token_option

if TYPE_CHECKING:
    from layercast.net.endpoints import Address, Link
    from layercast.net.fetch import Change
    from layercast.net.growing import Growing
    from layercast.net.reception import Reception
    from transport.log import Log
    from transport.seal import SealKey

WAYS = ("auto", "kitty", "sixel", "blocks", "shades")
PATIENCE = 5.0
"""Seconds that the page waits for a picture's first bytes, name and size."""
SECONDS = 20
"""A file's video takes so long where no rate is given."""


@click.command()
@click.argument("source", metavar="FILE_OR_URL")
@click.option("-o", "--output", metavar="FILE", help="Keep the stream that comes from a URL in this file.")
@click.option("--no-open", is_flag=True, help="Print the page's address and open no browser.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The page's port, for ssh -L; else a free one.")
@click.option("--terminal", is_flag=True, help="Draw it in this terminal instead of a page.")
@click.option("--draw", type=click.Choice(WAYS), help="The same, and how; auto asks the terminal what it can.")
@click.option("--record", metavar="FILE.mp4", help="Make a video of how it comes; nothing is shown.")
@one_way_option
@token_option
@seal_options
@log_option
@link_options
def play(
    source: str,
    output: str | None,
    no_open: bool,
    port: int,
    terminal: bool,
    draw: str | None,
    record: str | None,
    one_way: bool,
    token: str,
    seal: SealKey | None,
    log_file: str | None,
    link: Link,
) -> None:
    """Watch a picture arrive: in a browser, in a terminal, or as a video.

    FILE is a stream, or a photo, which is encoded first; with --rate it comes as slowly as over such a link. URL is
    what `layercast receive` takes: udp://HOST:PORT/NAME, quic://, wt://, webrtc:// ...

    The page is served on this machine alone, behind an address that nobody can guess, until Ctrl-C. It asks the sender
    of a URL for what you want: a region first, no more, everything.
    """
    if record is not None and (terminal or draw is not None):
        raise click.UsageError("--record and --terminal exclude one another")
    if record is not None and not record.lower().endswith(".mp4"):
        raise click.UsageError("a video is named FILE.mp4")
    shown = _Shown(no_open, port, "auto" if terminal and draw is None else draw, record)
    if _is_url(source):
        url = address_of(source)
        with logging_to(log_file, "play") as log, tempfile.TemporaryDirectory(prefix="layercast-") as folder:
            make = _Make(url, Path(folder), token, link, seal, log, one_way)
            why = until_interrupted(_play_url(make, shown, output))
    elif output is not None:
        raise click.UsageError("--output goes with a URL: a file is here already")
    else:
        name, data = _read(source)
        if record is not None:
            from layercast.video import steady

            rate = link.rate or 8 * len(data) / SECONDS
            return _record(record, data, steady(len(data), rate), f" at {rate / 1000:,.1f} kbit/s")
        why = until_interrupted(_play_file(name, data, link.rate, shown))
    if why not in ("complete", "interrupted"):
        raise Failure(source, why)


@dataclass(frozen=True)
class _Make:
    """Makes what receives a picture into what grows."""

    url: Address
    folder: Path
    token: str
    link: Link
    seal: SealKey | None
    log: Log | None
    one_way: bool

    def __call__(self, growing: Growing) -> Reception:
        from layercast.net.reception import Reception
        from layercast.net.store import Store

        def noted(change: Change) -> None:
            if change.what == "others":
                warn(str(self.url), "there are more pictures; this one came first. A name behind it chooses")
            elif change.shelf is not None and change.shelf.about is not None:
                growing.describe(change.shelf.about.name, change.shelf.about.size)

        growing.name = self.url.name
        return Reception(
            self.url,
            Store(self.folder),
            [growing],
            token=self.token,
            link=self.link,
            seal=self.seal,
            log=self.log,
            one_way=self.one_way,
            noted=noted,
        )


@dataclass(frozen=True)
class _Shown:
    """How it is shown. draw: the way to draw in a terminal, None for the page."""

    no_open: bool
    port: int
    draw: str | None
    record: str | None


def _is_url(source: str) -> bool:
    return "://" in source or source.startswith("pipe:")


def _read(source: str) -> tuple[str, bytes]:
    """(name, stream) of a file; a photo is encoded. Raises Failure."""
    from codec.stream import read
    from layercast.commands.sources import encode_file

    path = Path(source)
    with failing(path):
        data = path.read_bytes() if path.suffix == ".lcast" else encode_file(path)
        read(data)
    return f"{path.stem}.lcast", data


async def _play_file(name: str, data: bytes, rate: float | None, shown: _Shown) -> str:
    from layercast.net.growing import Growing, replay

    if rate is None:
        return await _show(Growing.of_file(name, data), shown)
    growing = Growing(name, len(data))
    task = asyncio.create_task(replay(growing, data, rate))
    try:
        return await _show(growing, shown)
    finally:
        task.cancel()


async def _play_url(make: Callable[[Growing], Reception], shown: _Shown, output: str | None) -> str:
    from layercast.net.growing import Growing

    growing = Growing()
    reception = make(growing)
    task = asyncio.create_task(_receive(reception, growing))
    try:
        return await _show(growing, shown, reception)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        growing.end("interrupted")
        if output is not None and reception.shelf is not None:
            save(output, reception.stream())
        if shown.record is not None and growing.data:
            _record(shown.record, bytes(growing.data), growing.marks, "")


async def _receive(reception: Reception, growing: Growing) -> None:
    try:
        await reception.run()
        growing.end()
    except (OSError, FileError) as error:
        growing.end(failed=str(error))


async def _show(growing: Growing, shown: _Shown, reception: Reception | None = None) -> str:
    """Until all is here, a page until Ctrl-C; "complete", or why not."""
    if shown.record is not None:
        async for _ in growing.reads():
            pass
    elif shown.draw is not None:
        await _draw(growing, shown.draw, reception)
    else:
        await _serve(growing, shown, reception)
    return growing.failed or "complete"


async def _draw(growing: Growing, way: str, reception: Reception | None) -> None:
    from rich.console import Console

    from layercast.terminal import Lines, Screen, TerminalError, drawing, follow, is_terminal
    from player import Player

    console = Console()
    try:
        screen = Screen(console, drawing(way)) if is_terminal() else Lines(console)
    except TerminalError as error:
        raise Failure("--terminal", str(error)) from None
    with failing(growing.name):
        await follow(growing, Player(), screen, (lambda: "") if reception is None else reception.trouble)


async def _serve(growing: Growing, shown: _Shown, reception: Reception | None) -> None:
    """The page, until Ctrl-C, as soon as something is there; where nothing comes at all there is none."""
    from layercast.net.page import Page, PageError
    from layercast.net.playing import Playing

    asks = reception.want if reception is not None and reception.asks else None
    try:
        playing = Playing(growing, Page(), asks, dict if reception is None else reception.facts)
        await growing.described(PATIENCE)
        if growing.failed and not growing.data:
            return
        async with playing.serving(shown.port) as url:
            click.echo(f"open {url}" if shown.no_open else f"showing {url}", err=True)
            if not shown.no_open and not await asyncio.to_thread(webbrowser.open, url):
                warn("play", "no browser could be opened; open that address yourself")
            async for _ in growing.reads():
                pass
            if growing.failed:
                warn(growing.name, f"{growing.failed}; what came is shown until Ctrl-C")
            await asyncio.Event().wait()
    except PageError as error:
        raise Failure("play", str(error)) from None
    except OSError as error:
        raise Failure(f"--port {shown.port}", f"cannot be had ({error.strerror}); leave it out") from None


def _record(path: str, data: bytes, marks: Sequence[tuple[float, int]], about: str) -> None:
    from av import FFmpegError

    from layercast import video

    progress = Progress(path)
    try:
        with failing(path):
            frames, seconds = video.record(path, data, marks, about, lambda share: progress("frames", share))
    except (ValueError, FFmpegError) as error:
        raise Failure(path, f"{error}; give another --rate") from None
    finally:
        progress.close()
    click.echo(f"{path}: {frames} frames, {seconds:.1f} s, {Path(path).stat().st_size:,} bytes")
