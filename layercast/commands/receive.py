"""`layercast receive`: streams from a peer into a folder, as far as wanted, resumable."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layercast.commands.network import address, link_options, parse_region, token_option, until_interrupted
from layercast.commands.report import Failure, failing

if TYPE_CHECKING:
    from layercast.net.endpoints import Address, Link
    from layercast.net.fetch import Region
    from layercast.net.live import Progress
    from layercast.net.store import Store
    from transport.channels import Channel

LEVELS = {"caption": 0, "structure": 1, "latent": 2, "residual": 3}


@click.command()
@click.argument("url", metavar="URL", callback=address)
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Where the streams are put.")
@click.option("--upto", type=click.Choice(list(LEVELS)), default="residual", help="Fetch layers up to this one.")
@click.option("--resume", is_flag=True, help="Go on with what an earlier run began; nothing is fetched twice.")
@click.option("--region", metavar="X,Y,W,H", callback=parse_region, help="Send these pixels first.")
@click.option("--listen", is_flag=True, help="Wait at URL for senders instead of going to one.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for everything that comes.")
@token_option
@link_options
def receive(
    url: Address,
    output: str,
    upto: str,
    resume: bool,
    region: Region | None,
    listen: bool,
    as_json: bool,
    token: str,
    link: Link,
) -> None:
    """Fetch streams from a peer that serves, or with --listen from peers that send.

    URL is udp://HOST:PORT, quic://, wt://, webrtc:// or pipe:DEVICE; a name behind it chooses one stream. What has
    arrived is kept whenever it ends, with Ctrl-C too. For the layers: caption means caption and thumbnail.
    """
    from layercast.net.live import Progress
    from layercast.net.store import Store

    if url.on_stdio and as_json:
        raise click.UsageError("pipe:- needs standard output for itself; leave --json out")
    with failing(output):
        store = Store(Path(output))
        if resume:
            store.resume()
    progress = Progress(as_json)
    work = _listen if listen else _fetch
    with failing(output), _shown(progress):
        why = until_interrupted(work(url, token, link, store, progress, LEVELS[upto], region))
    if not as_json:
        _tell(output, store, why, to_stderr=url.on_stdio)
    if why not in ("complete", "interrupted"):
        raise Failure(str(url), f"{why}; {_remedy(why)}")


async def _fetch(
    url: Address, token: str, link: Link, store: Store, progress: Progress, upto: int, region: Region | None
) -> str:
    from layercast.net.endpoints import connect
    from layercast.net.ends import Receiving

    try:
        channel = await connect(url, token, link)
    except (OSError, ValueError) as error:
        raise Failure(str(url), f"cannot be reached ({error}); check the address") from None
    receiving = Receiving(channel, store, progress.handle, upto, url.name, region)
    try:
        return await receiving.wait_closed()
    finally:
        receiving.fetch.finish()
        channel.close()


async def _listen(
    url: Address, token: str, link: Link, store: Store, progress: Progress, upto: int, region: Region | None
) -> str:
    from layercast.net.endpoints import listen
    from layercast.net.ends import Receiving

    tasks: set[asyncio.Task[None]] = set()

    async def take(channel: Channel) -> None:
        receiving = Receiving(channel, store, progress.handle, upto, "", region)
        try:
            await receiving.wait_closed()
        finally:
            receiving.fetch.finish()

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
        await asyncio.Event().wait()
    finally:
        for task in tasks:
            task.cancel()
        listening.close()
    return "interrupted"


def _remedy(why: str) -> str:
    if "token" in why:
        return "give the one that `layercast serve` shows with --token"
    return "ask for another" if "name" in why else "what came is kept, go on with --resume"


@contextlib.contextmanager
def _shown(progress: Progress):  # type: ignore[no-untyped-def]
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
