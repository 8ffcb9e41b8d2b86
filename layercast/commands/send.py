"""`layercast send`: streams, and photos made into streams, to a peer that waits for them or to whoever listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layercast.commands.network import address, link_options, log_option, logging_to, one_way_option, until_interrupted
from layercast.commands.report import Failure
from layercast.commands.secret import seal_options, token_option
from layercast.commands.sources import Report, library_of

if TYPE_CHECKING:
    from layercast.net.endpoints import Address, Link
    from layercast.net.library import Library
    from transport import BroadcastConfig
    from transport.log import Log
    from transport.seal import SealKey


@click.command()
@click.argument("sources", metavar="FILE...", nargs=-1, required=True)
@click.argument("url", metavar="URL", callback=address)
@one_way_option
@click.option("--loss", type=click.FloatRange(0, 0.95), default=0.1, show_default=True, help="One way: share lost.")
@click.option("--burst", type=click.FloatRange(min=1), metavar="N", help="One way: mean number lost in a row.")
@click.option("--name", metavar="CALLSIGN", default="", help="One way: who sends, said every ten minutes.")
@click.option("--carousel", is_flag=True, help="One way: again and again, for those who come late.")
@click.option("--json", "as_json", is_flag=True, help="Lines of JSON.")
@token_option
@seal_options
@log_option
@link_options
def send(
    sources: tuple[str, ...],
    url: Address,
    one_way: bool,
    loss: float,
    burst: float | None,
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
    follows from --loss.
    """
    from layercast.net.endpoints import ONE_WAY

    one_way = one_way or url.scheme == ONE_WAY
    if one_way and link.rate is None:
        raise Failure(str(url), "nobody answers there, so the rate cannot be found; give --rate BIT/S")
    library, report = library_of(sources, seal), Report(as_json)
    with logging_to(log_file, "send") as log:
        if one_way:
            why = until_interrupted(_broadcast(url, link, library, report, log, loss, burst, name, carousel))
        else:
            why = until_interrupted(_send(url, token, link, library, report, log))
    if why not in ("delivered", "interrupted"):
        raise Failure(str(url), f"{why}; run it again, what has arrived is not sent twice")


async def _send(url: Address, token: str, link: Link, library: Library, report: Report, log: Log | None) -> str:
    from layercast.net.endpoints import connect
    from layercast.net.ends import Sending

    try:
        channel = await connect(url, token, link)
    except (OSError, ValueError) as error:
        raise Failure(str(url), f"cannot be reached ({error}); check the address") from None
    sending = Sending(channel, link, library.find, log=log)
    try:
        why = await sending.wait_closed()
        report.tell_end(sending, why)
    finally:
        channel.close()
    return "delivered" if sending.feed.sent and sending.sender.idle else why


async def _broadcast(
    url: Address,
    link: Link,
    library: Library,
    report: Report,
    log: Log | None,
    loss: float,
    burst: float | None,
    name: str,
    carousel: bool,
) -> str:
    from layercast.net.endpoints import open_one_way
    from layercast.net.oneway import Broadcasting, broadcast_config

    try:
        channel = await open_one_way(url, link, sends=True)
    except (OSError, ValueError) as error:
        raise Failure(str(url), f"cannot be sent to ({error}); check the address") from None
    try:
        config: BroadcastConfig = broadcast_config(channel, link, loss, burst, name, carousel)
    except ValueError as error:
        channel.close()
        raise Failure(str(url), f"{error}; change that") from None
    sending = Broadcasting(channel, config, log)
    try:
        for parcel in library.find("") or ():
            sending.add(parcel)
        await sending.wait_sent()
    finally:
        stats = sending.sender.stats
        facts = {"streams": len(sending.sent), "packets": stats.packets, "bytes": stats.bytes}
        report("sent", f"sent {stats.bytes:,} bytes in {stats.packets:,} packets", **facts)
        channel.close()
    return "delivered" if sending.sender.idle else channel.closed or "interrupted"
