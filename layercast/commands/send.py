"""`layercast send`: streams, and photos made into streams, to a peer that waits for them or to whoever listens."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from layercast.commands.network import link_options, log_option, logging_to, one_way_option, until_interrupted
from layercast.commands.outbox import empty, open_spool, parse_bytes, queue, queue_files, read_windows
from layercast.commands.pictures import parse_seconds, send_pictures, take
from layercast.commands.report import Failure, failing
from layercast.commands.secret import seal_options, token_option
from layercast.commands.sources import Report, library_of, sealed

if TYPE_CHECKING:
    from layercast.net.capture import Shots
    from layercast.net.endpoints import Address, Link
    from layercast.net.library import Library
    from layercast.net.oneway import OneWay
    from layercast.net.parcel import Parcel
    from layercast.net.spool import Spool
    from transport.log import Log
    from transport.seal import SealKey


@click.command()
@click.argument("words", metavar="[FILE]... URL", nargs=-1)
@click.option("--camera", metavar="SOURCE", help="Send what a camera sees: a device, its number, or a URL.")
@click.option("--video", metavar="SOURCE", help="Send frames of a stored video.")
@click.option(
    "--every", metavar="TIME", default="5s", show_default=True, callback=parse_seconds, help="Between frames."
)
@click.option(
    "--if-changed", type=click.FloatRange(min=0), metavar="T", help="Only frames that differ so much (0-255)."
)
@click.option(
    "--max-bytes", metavar="BYTES", default="20kB", show_default=True, callback=parse_bytes, help="Of a frame."
)
@click.option("--newest-first/--oldest-first", default=None, help="Which go first.  [default: a camera's newest]")
@click.option("--spool", "folder", metavar="FOLDER", help="Send what waits in this outbox, and FILEs that join it.")
@click.option("--queue", "queues", is_flag=True, help="Only put into the outbox; there is no URL then.")
@click.option("--budget", metavar="BYTES/day", callback=parse_bytes, help="What the outbox may send in a day (UTC).")
@click.option("--windows", "windows_file", metavar="FILE", help="When the outbox may send: a TOML file of windows.")
@click.option(
    "--max-size", metavar="BYTES", callback=parse_bytes, help="What the outbox may hold; old ones are thinned."
)
@one_way_option
@click.option("--loss", type=click.FloatRange(0, 0.95), default=0.1, show_default=True, help="One way: share lost.")
@click.option("--burst", type=click.FloatRange(min=1), metavar="N", help="One way: mean number lost in a row.")
@click.option(
    "--protect-all/--protect-first",
    default=True,
    help="One way: repair for everything (the default), or for what comes first alone.",
)
@click.option("--name", metavar="CALLSIGN", default="", help="One way: who sends, said every ten minutes.")
@click.option("--carousel", is_flag=True, help="One way: again and again, for those who come late.")
@click.option("--json", "as_json", is_flag=True, help="Lines of JSON.")
@token_option
@seal_options
@log_option
@link_options
def send(
    words: tuple[str, ...],
    camera: str | None,
    video: str | None,
    every: float,
    if_changed: float | None,
    max_bytes: int,
    newest_first: bool | None,
    folder: str | None,
    queues: bool,
    budget: int | None,
    windows_file: str | None,
    max_size: int | None,
    one_way: bool,
    loss: float,
    burst: float | None,
    protect_all: bool,
    name: str,
    carousel: bool,
    as_json: bool,
    token: str,
    seal: SealKey | None,
    log_file: str | None,
    link: Link,
) -> None:
    """Send streams, or photos made into streams, to a peer that runs `layercast receive --listen`.

    To udp-oneway://HOST:PORT, or a pipe with --one-way, nobody answers: --rate must be given, and what is protected how
    follows from --loss. With --camera or --video pictures are sent as they are taken; with --spool an outbox on disk
    is emptied, over restarts and lost links.
    """
    from layercast.net.capture import Shots
    from layercast.net.endpoints import ONE_WAY
    from layercast.net.oneway import OneWay

    if queues and folder is None:
        raise click.UsageError("--queue needs --spool FOLDER")
    if camera is not None and video is not None:
        raise click.UsageError("--camera and --video exclude one another")
    sources, url = (words, None) if queues else _taken_apart(words)
    source = camera if camera is not None else video
    if source is None and folder is None and not sources:
        raise click.UsageError("what should be sent? Name files, --camera, --video or --spool")
    if source is not None and (sources or (folder is not None and not queues)):
        raise click.UsageError("--camera and --video go alone, or into an outbox with --spool and --queue")
    one_way = one_way or (url is not None and url.scheme == ONE_WAY)
    if one_way and (url is None or link.rate is None):
        raise Failure(str(url), "nobody answers there, so the rate cannot be found; give --rate BIT/S")
    if one_way and folder is not None:
        raise Failure(str(url), "nobody answers there, so an outbox cannot know what arrived; send the files")
    shots = None if source is None else Shots(source, every, if_changed, max_bytes)
    newest = camera is not None if newest_first is None else newest_first
    report = Report(as_json)
    wishes = OneWay(loss, burst, name, carousel, newest, protect_all)
    with logging_to(log_file, "send") as log:
        if folder is not None:
            why = _through_outbox(
                folder,
                max_size,
                bool(newest_first),
                budget,
                windows_file,
                sources,
                shots,
                url,
                token,
                link,
                seal,
                report,
                log,
            )
        elif url is None:
            raise click.UsageError("there is no URL")
        elif one_way:
            find = _found(sources, seal)
            why = until_interrupted(_broadcast(url, link, find, shots, seal, report, log, wishes))
        elif shots is not None:
            sending = send_pictures(shots, url, token, link, lambda each: sealed(each, seal), newest, report, log)
            why = until_interrupted(sending)
        else:
            why = until_interrupted(_send(url, token, link, library_of(sources, seal), report, log, newest))
    if why not in ("delivered", "interrupted"):
        raise Failure(str(url), f"{why}; run it again, what has arrived is not sent twice")


def _taken_apart(words: tuple[str, ...]) -> tuple[tuple[str, ...], Address]:
    from layercast.net.endpoints import parse

    if not words:
        raise click.UsageError("where to? The last argument is a URL")
    try:
        return words[:-1], parse(words[-1])
    except ValueError as error:
        raise click.BadParameter(f"{words[-1]!r}: {error}", param_hint="URL") from None


def _found(sources: tuple[str, ...], seal: SealKey | None) -> list[Parcel]:
    return (library_of(sources, seal).find("") or []) if sources else []


def _through_outbox(
    folder: str,
    max_size: int | None,
    newest_first: bool,
    budget: int | None,
    windows_file: str | None,
    sources: tuple[str, ...],
    shots: Shots | None,
    url: Address | None,
    token: str,
    link: Link,
    seal: SealKey | None,
    report: Report,
    log: Log | None,
) -> str:
    windows = read_windows(windows_file)
    spool = open_spool(folder, max_size, newest_first, budget)
    with contextlib.closing(spool), failing(folder):
        queue_files(spool, sources, report)
        if shots is not None:
            return until_interrupted(_queue_shots(spool, shots, report))
        if url is None:
            return "delivered"
        return until_interrupted(empty(spool, windows, url, token, link, seal, report, log))


async def _queue_shots(spool: Spool, shots: Shots, report: Report) -> str:
    await take(shots, lambda name, data: queue(spool, f"{name}.lcast", data, report))
    return "delivered"


async def _send(
    url: Address, token: str, link: Link, library: Library, report: Report, log: Log | None, newest_first: bool
) -> str:
    from layercast.net.endpoints import connect
    from layercast.net.ends import Sending

    try:
        channel = await connect(url, token, link)
    except (OSError, ValueError) as error:
        raise Failure(str(url), f"cannot be reached ({error}); check the address") from None
    sending = Sending(channel, link, library.find, leaves=True, newest_first=newest_first, log=log)
    try:
        why = await sending.wait_closed()
        report.tell_end(sending, why)
    finally:
        channel.close()
    return "delivered" if sending.feed.sent and sending.sender.idle else why


async def _broadcast(
    url: Address,
    link: Link,
    parcels: list[Parcel],
    shots: Shots | None,
    seal: SealKey | None,
    report: Report,
    log: Log | None,
    wishes: OneWay,
) -> str:
    from layercast.net.endpoints import open_one_way
    from layercast.net.oneway import Broadcasting, broadcast_config
    from layercast.net.parcel import pack

    try:
        channel = await open_one_way(url, link, sends=True)
    except (OSError, ValueError) as error:
        raise Failure(str(url), f"cannot be sent to ({error}); check the address") from None
    try:
        config = broadcast_config(channel, link, wishes)
    except ValueError as error:
        channel.close()
        raise Failure(str(url), f"{error}; change that") from None
    sending = Broadcasting(channel, config, log)
    try:
        for parcel in parcels:
            sending.add(parcel)
        if shots is not None:
            await take(shots, lambda name, data: sending.add_latest(sealed(pack(data, f"{name}.lcast"), seal)))
        await sending.wait_sent()
    finally:
        stats = sending.sender.stats
        facts = {"streams": len(sending.sent), "packets": stats.packets, "bytes": stats.bytes}
        report("sent", f"sent {stats.bytes:,} bytes in {stats.packets:,} packets", **facts)
        channel.close()
    return "delivered" if sending.sender.idle else channel.closed or "interrupted"
