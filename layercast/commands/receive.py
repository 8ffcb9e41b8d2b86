"""`layercast receive`: streams from a peer into a folder, as far as wanted, resumable."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layercast.commands.network import (
    address,
    link_options,
    log_option,
    logging_to,
    one_way_option,
    parse_region,
    until_interrupted,
)
from layercast.commands.report import Failure, failing
from layercast.commands.secret import seal_options, token_option

if TYPE_CHECKING:
    from layercast.net.endpoints import Address, Link
    from layercast.net.ends import Receiving
    from layercast.net.fetch import Change, Region
    from layercast.net.live import Progress
    from layercast.net.store import Store
    from transport.channels import Channel
    from transport.log import Log
    from transport.seal import SealKey

LEVELS = {"caption": 0, "structure": 1, "latent": 2, "residual": 3}


@click.command()
@click.argument("url", metavar="URL", callback=address)
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Where the streams are put.")
@click.option("--upto", type=click.Choice(list(LEVELS)), default="residual", help="Fetch layers up to this one.")
@click.option("--resume", is_flag=True, help="Go on with what an earlier run began; nothing is fetched twice.")
@click.option("--region", metavar="X,Y,W,H", callback=parse_region, help="Send these pixels first.")
@click.option("--listen", is_flag=True, help="Wait at URL for senders instead of going to one.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for everything that comes.")
@one_way_option
@token_option
@seal_options
@log_option
@link_options
def receive(
    url: Address,
    output: str,
    upto: str,
    resume: bool,
    region: Region | None,
    listen: bool,
    as_json: bool,
    one_way: bool,
    token: str,
    seal: SealKey | None,
    log_file: str | None,
    link: Link,
) -> None:
    """Fetch streams from a peer that serves, or with --listen from peers that send.

    URL is udp://HOST:PORT, quic://, wt://, webrtc:// or pipe:DEVICE; a name behind it chooses one stream. What has
    arrived is kept whenever it ends, with Ctrl-C too. For the layers: caption means caption and thumbnail.

    On udp-oneway://ADDRESS_OR_GROUP:PORT, and a pipe with --one-way, it listens and never sends a byte.
    """
    from layercast.net.endpoints import ONE_WAY
    from layercast.net.live import Progress
    from layercast.net.store import Store

    if url.on_stdio and as_json:
        raise click.UsageError("pipe:- needs standard output for itself; leave --json out")
    one_way = one_way or url.scheme == ONE_WAY
    if one_way and not listen:
        raise Failure(str(url), "nobody answers there; give --listen")
    with failing(output):
        store = Store(Path(output))
        if resume:
            store.resume(lazily=one_way)
    progress = Progress(as_json)
    with logging_to(log_file, "receive") as log, failing(output), _shown(progress):
        if one_way:
            why = until_interrupted(_hear(url, link, store, progress, seal, log))
        else:
            work = _listen if listen else _fetch
            make = _Make(store, progress, LEVELS[upto], region, seal, log)
            why = until_interrupted(work(url, token, link, make))
    if not as_json:
        _tell(output, store, why, to_stderr=url.on_stdio)
    if why not in ("complete", "interrupted"):
        raise Failure(str(url), f"{why}; {_remedy(why)}")


@dataclass
class _Make:
    """Makes receiving ends of what was asked for."""

    store: Store
    progress: Progress
    upto: int
    region: Region | None
    seal: SealKey | None
    log: Log | None
    count: int = 0

    def __call__(self, channel: Channel, topic: str = "") -> Receiving:
        from layercast.net.ends import Receiving
        from transport.log import labelled

        self.count += 1
        log = labelled(self.log, session=self.count) if self.log is not None else None
        changed = self.progress.handle
        return Receiving(channel, self.store, changed, self.upto, topic, self.region, seal=self.seal, log=log)


async def _fetch(url: Address, token: str, link: Link, make: _Make) -> str:
    from layercast.net.endpoints import connect

    try:
        channel = await connect(url, token, link)
    except (OSError, ValueError) as error:
        raise Failure(str(url), f"cannot be reached ({error}); check the address") from None
    receiving = make(channel, url.name)
    try:
        return await receiving.wait_closed()
    finally:
        receiving.fetch.finish()
        channel.close()


async def _listen(url: Address, token: str, link: Link, make: _Make) -> str:
    from layercast.net.endpoints import listen

    tasks: set[asyncio.Task[None]] = set()
    over = asyncio.Event()  # a pipe has one peer: when that has sent all, nobody else will come

    async def take(channel: Channel) -> None:
        receiving = make(channel)
        try:
            why = await receiving.wait_closed()
            if receiving.fetch.ended:
                click.echo(f"layercast: a sender was left: {why}; {_remedy(why)}", err=True)
        finally:
            receiving.fetch.finish()
            if url.scheme == "pipe":
                over.set()

    def accept(channel: Channel) -> None:
        task = asyncio.get_running_loop().create_task(take(channel))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        listening, at = await listen(url, token, link, accept)
    except (OSError, ValueError) as error:
        raise Failure(str(url), f"cannot be listened on ({error}); choose another address") from None
    click.echo(f"listening on {at}", err=True)
    try:
        await over.wait()
    finally:
        for task in tasks:
            task.cancel()
        listening.close()
    return "complete"


async def _hear(
    url: Address, link: Link, store: Store, progress: Progress, seal: SealKey | None, log: Log | None
) -> str:
    """Listen where nobody is answered, until interrupted or the pipe ends."""
    from layercast.net.endpoints import open_one_way
    from layercast.net.ends import FOREIGN
    from layercast.net.oneway import Listening

    try:
        channel = await open_one_way(url, link, sends=False)
    except (OSError, ValueError) as error:
        raise Failure(str(url), f"cannot be listened on ({error}); choose another address") from None
    click.echo(f"listening on {url}", err=True)

    def changed(change: Change) -> None:
        progress.handle(change)
        if change.what == "named" and not progress.as_json:
            click.echo(f"from {change.text!r}", err=True)
        elif change.what == "unwritten":
            click.echo(f"layercast: {store.folder}: {change.text}", err=True)

    listening = Listening(channel, store, changed, seal=seal, log=log)
    try:
        why = await listening.wait_closed()
    finally:
        listening.fetch.finish()
        channel.close()
        if listening.foreign:
            click.echo(f"layercast: {url}: {FOREIGN}; {_remedy(FOREIGN)}", err=True)
    return "complete" if why == "closed by the peer" else why


def _remedy(why: str) -> str:
    if "seal" in why:
        return "give the key that the sender seals with: --seal"
    if "token" in why:
        return "give the one that `layercast serve` shows with --token"
    return "ask for another" if "name" in why else "what came is kept, go on with --resume"


@contextlib.contextmanager
def _shown(progress: Progress) -> Iterator[None]:
    """A live table on a terminal, nothing elsewhere."""
    if progress.as_json or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), get_renderable=progress.table, refresh_per_second=4):
        yield


def _tell(folder: str, store: Store, why: str, to_stderr: bool) -> None:
    for shelf in store.shelves.values():
        if shelf.file is not None:
            state = "complete" if shelf.complete else f"{shelf.held:,} bytes so far"
            click.echo(f"{shelf.file}: {state}", err=to_stderr)
    if not store.shelves:
        nothing = "nothing that is not here already" if why == "complete" else "nothing came"
        click.echo(f"{folder}: {nothing}", err=to_stderr)
