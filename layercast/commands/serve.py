"""`layercast serve`: streams, and photos made into streams, to peers that ask for them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.network import link_options, log_option, logging_to, until_interrupted
from layercast.commands.report import Failure
from layercast.commands.secret import seal_options, token_option
from layercast.commands.sources import Report, library_of

if TYPE_CHECKING:
    from layercast.net.endpoints import Address, Link, Web
    from layercast.net.library import Library
    from transport.channels import Channel
    from transport.limits import LimitsConfig
    from transport.log import Log
    from transport.seal import SealKey

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
@click.option("--page", is_flag=True, help="Serve a web page that plays them, too; it speaks WebRTC.")
@click.option("--page-folder", metavar="FOLDER", help="Another page than the one that comes with layercast.")
@click.option("--no-token", is_flag=True, help="Serve whoever comes.")
@click.option("--max-sessions", type=click.IntRange(min=1), default=256, show_default=True, help="At once, in all.")
@click.option("--max-per-peer", type=click.IntRange(min=1), default=16, show_default=True, help="At once, of one host.")
@click.option("--json", "as_json", is_flag=True, help="Lines of JSON.")
@token_option
@seal_options
@log_option
@link_options
def serve(
    sources: tuple[str, ...],
    ways: str | None,
    at: str,
    page: bool,
    page_folder: str | None,
    no_token: bool,
    max_sessions: int,
    max_per_peer: int,
    as_json: bool,
    token: str,
    seal: SealKey | None,
    log_file: str | None,
    link: Link,
) -> None:
    """Offer streams to whoever has the token: files, or all streams of a folder, also those that come later.

    A photo among the files is encoded first. Without a token a new one is made and shown.

    With --page, a browser shows them: the line "open ..." says where. Its address holds the token behind a #, which a
    browser does not send on.
    """
    from layercast.net.endpoints import parse
    from layercast.net.guard import limits_for
    from transport.token import make_token

    wants_page = page or page_folder is not None
    if wants_page and ways not in (None, "webrtc", "webrtcs"):
        raise click.UsageError("--page goes with --webrtc or --webrtcs alone")
    try:
        where = parse(f"{ways or ('webrtc' if wants_page else 'udp')}://{at}")
    except ValueError as error:
        raise click.BadParameter(f"{at!r}: {error}", param_hint="--listen") from None
    library = library_of(sources, seal)
    pages = _pages(library, page_folder, seal is not None, link.rate) if wants_page else None
    secret = "" if no_token else token or make_token()
    limits = limits_for(max_sessions, max_per_peer)
    shown = secret if not token else ""
    with logging_to(log_file, "serve") as log:
        until_interrupted(_serve(where, secret, link, library, Report(as_json), limits, log, shown, pages))


def _pages(library: Library, folder: str | None, sealed: bool, rate: float | None) -> Web:
    from layercast.net.endpoints import Web
    from layercast.net.glance import Glance
    from layercast.net.page import FOLDER, Page, PageError

    path = Path(folder) if folder is not None else FOLDER
    try:
        return Web(Page(path, rate).attach, Glance(library, sealed).beside)
    except (PageError, OSError) as error:
        raise Failure("--page", str(error)) from None


async def _serve(
    where: Address,
    token: str,
    link: Link,
    library: Library,
    report: Report,
    limits: LimitsConfig,
    log: Log | None,
    shown: str,
    pages: Web | None,
) -> str:
    from layercast.net.endpoints import listen
    from layercast.net.ends import Sending
    from layercast.net.guard import Guard, Guarded
    from transport.log import labelled

    guard = Guard(limits)
    tasks: set[asyncio.Task[None]] = set()
    count = 0

    async def feed(channel: Guarded, number: int) -> None:
        try:
            own = labelled(log, session=number) if log is not None else None
            sending = Sending(channel, link, library.find, log=own)
            report("joined", "a receiver came")
            report.tell_end(sending, await sending.wait_closed())
        finally:
            guard.release(channel)

    def accept(channel: Channel) -> None:
        nonlocal count
        found = guard.admit(channel)
        if isinstance(found, str):
            report("turned away", f"a receiver was turned away: {found}", why=found)
            return
        count += 1
        task = asyncio.get_running_loop().create_task(feed(found, count))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        listening, at = await listen(where, token, link, accept, limits, pages)
    except (OSError, ValueError) as error:
        raise Failure(str(where), f"cannot be served ({error}); choose another --listen") from None
    names = len(library.names)
    report("serving", f"serving {names} stream{'s' * (names != 1)} on {at}", url=str(at), streams=names)
    if shown:
        click.echo(f"token: {shown}", err=True)
    if pages is not None:
        url = f"http{'s' * (at.scheme == 'webrtcs')}://{str(at).partition('://')[2].partition('?')[0]}/"
        behind = f"#token={shown}" if shown else " (behind it, #token=, then the token)" if token else ""
        report("page", f"open {url}{behind} in a browser", url=url)
    try:
        await asyncio.Event().wait()
    finally:
        for task in tasks:
            task.cancel()
        guard.close()
        listening.close()
    return "interrupted"
