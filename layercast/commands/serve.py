"""`layercast serve` and `layercast send`: streams, and photos made into streams, to peers that ask for them."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.network import address, link_options, token_option, until_interrupted
from layercast.commands.report import Failure, failing

if TYPE_CHECKING:
    from layercast.net.endpoints import Address, Link
    from layercast.net.ends import Sending
    from layercast.net.library import Library
    from transport.channels import Channel

WAYS = {
    "udp": "plain UDP",
    "quic": "QUIC",
    "wt": "WebTransport",
    "webrtc": "WebRTC",
    "webrtcs": "WebRTC, opened over HTTPS",
}


def _ways(command: Any) -> Any:
    for scheme, name in reversed(WAYS.items()):
        flag = "webtransport" if scheme == "wt" else scheme
        command = click.option(f"--{flag}", "ways", flag_value=scheme, help=f"Serve over {name}.")(command)
    return command


@click.command()
@click.argument("sources", metavar="FILE_OR_FOLDER...", nargs=-1, required=True)
@_ways
@click.option("--listen", "at", metavar="HOST:PORT", default="0.0.0.0:4747", show_default=True, help="Where to listen.")
@click.option("--no-token", is_flag=True, help="Serve whoever comes.")
@click.option("--json", "as_json", is_flag=True, help="Lines of JSON.")
@token_option
@link_options
def serve(
    sources: tuple[str, ...], ways: str | None, at: str, no_token: bool, as_json: bool, token: str, link: Link
) -> None:
    """Offer streams to whoever has the token: files, or all streams of a folder, also those that come later.

    A photo among the files is encoded first. Without --token a new one is made and shown.
    """
    from layercast.net.endpoints import parse

    try:
        where = parse(f"{ways or 'udp'}://{at}")
    except ValueError as error:
        raise click.BadParameter(f"{at!r}: {error}", param_hint="--listen") from None
    library = _library(sources)
    secret = "" if no_token else token or secrets.token_urlsafe(12)
    until_interrupted(_serve(where, secret, link, library, _Log(as_json), shows_token=not token and not no_token))


@click.command()
@click.argument("sources", metavar="FILE...", nargs=-1, required=True)
@click.argument("url", metavar="URL", callback=address)
@click.option("--json", "as_json", is_flag=True, help="Lines of JSON.")
@token_option
@link_options
def send(sources: tuple[str, ...], url: Address, as_json: bool, token: str, link: Link) -> None:
    """Send streams, or photos made into streams, to a peer that runs `layercast receive --listen`."""
    library = _library(sources)
    why = until_interrupted(_send(url, token, link, library, _Log(as_json)))
    if why not in ("delivered", "interrupted"):
        raise Failure(str(url), f"{why}; run it again, what has arrived is not sent twice")


def _library(sources: tuple[str, ...]) -> Library:
    from layercast.net.library import Library

    paths = [Path(source) for source in sources]
    for path in paths:
        with failing(path):
            Library([path], _encode)
    return Library(paths, _encode)


def _encode(path: Path) -> bytes:
    from layercast.commands.encode import Wishes, make_stream

    return make_stream(str(path), Wishes())[1]


class _Log:
    """What happens, in lines for a person (stderr) or a script (stdout)."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def __call__(self, event: str, text: str, **facts: Any) -> None:
        if self._as_json:
            click.echo(json.dumps({"event": event, **facts}))
        else:
            click.echo(text, err=True)


async def _serve(where: Address, token: str, link: Link, library: Library, log: _Log, shows_token: bool) -> str:
    from layercast.net.endpoints import listen
    from layercast.net.ends import Sending

    tasks: set[asyncio.Task[None]] = set()

    async def feed(channel: Channel) -> None:
        sending = Sending(channel, link, library.find)
        log("joined", "a receiver came")
        why = await sending.wait_closed()
        _log_end(log, sending, why)

    def accept(channel: Channel) -> None:
        task = asyncio.get_running_loop().create_task(feed(channel))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        listening, at = await listen(where, token, link, accept)
    except (OSError, ValueError) as error:
        raise Failure(str(where), f"cannot be served ({error}); choose another --listen") from None
    names = len(library.names)
    log("serving", f"serving {names} stream{'s' * (names != 1)} on {at}", url=str(at), streams=names)
    if shows_token:
        click.echo(f"token: {token}", err=True)
    try:
        await asyncio.Event().wait()
    finally:
        for task in tasks:
            task.cancel()
        listening.close()
    return "interrupted"


def _log_end(log: _Log, sending: Sending, why: str) -> None:
    stats = sending.sender.stats
    if sending.feed.refused is not None:
        log("refused", f"a receiver asked for what there is not: {sending.feed.refused!r}", name=sending.feed.refused)
    facts = {"streams": len(sending.feed.sent), "packets": stats.packets, "bytes": stats.bytes, "lost": stats.lost}
    text = f"a receiver left ({why}): {stats.bytes:,} bytes in {stats.packets:,} packets, {stats.lost} lost"
    log("left", text, why=why, **facts)


async def _send(url: Address, token: str, link: Link, library: Library, log: _Log) -> str:
    from layercast.net.endpoints import connect
    from layercast.net.ends import Sending

    try:
        channel = await connect(url, token, link)
    except (OSError, ValueError) as error:
        raise Failure(str(url), f"cannot be reached ({error}); check the address") from None
    sending = Sending(channel, link, library.find)
    try:
        why = await sending.wait_closed()
        _log_end(log, sending, why)
    finally:
        channel.close()
    return "delivered" if sending.feed.sent and sending.sender.idle else why
