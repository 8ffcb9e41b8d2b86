"""`layercast send --camera` and `--video`: pictures to a peer, or into an outbox, as they are taken."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from layercast.commands.report import Failure
from layercast.commands.sources import Report

if TYPE_CHECKING:
    from layercast.net.capture import Shots
    from layercast.net.endpoints import Address, Link
    from layercast.net.parcel import Parcel
    from transport.log import Log


def parse_seconds(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """5s, 0.5, 2min, 1h: seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|)", value.strip())
    if not found:
        raise click.BadParameter(f"{value!r} is no time like 5s, 2min or 1h")
    return float(found.group(1)) * {"": 1, "s": 1, "min": 60, "h": 3600}[found.group(2)]


async def take(shots: Shots, put: Callable[[str, bytes], None]) -> None:
    """Hand on every picture with its name. Raises Failure when the source fails."""
    from codec.files import FileError
    from layercast.net.camera import shown
    from layercast.net.capture import capture

    try:
        async for name, data in capture(shots):
            put(name, data)
    except FileError as error:
        raise Failure(shown(shots.source), str(error)) from None
    except ValueError as error:
        raise Failure(shown(shots.source), f"{error}; check the source") from None


async def send_pictures(
    shots: Shots,
    url: Address,
    token: str,
    link: Link,
    wrap: Callable[[Parcel], Parcel],
    newest_first: bool,
    report: Report,
    log: Log | None,
) -> str:
    """Send what a camera sees until it ends, the peer leaves or the user does."""
    from layercast.net.capture import Backlog
    from layercast.net.endpoints import connect
    from layercast.net.ends import Sending
    from layercast.net.parcel import pack

    try:
        channel = await connect(url, token, link)
    except (OSError, ValueError) as error:
        raise Failure(str(url), f"cannot be reached ({error}); check the address") from None
    backlog = Backlog()
    nothing_yet: list[Parcel] = []
    sending = Sending(
        channel,
        link,
        lambda topic: None if topic else nothing_yet,
        ends=False,
        newest_first=newest_first,
        noted=backlog.handle,
        log=log,
    )

    def put(name: str, data: bytes) -> None:
        if backlog.full and not newest_first:
            report("left out", f"{name}: left out, too many wait", name=name)
            return
        if backlog.full:
            oldest = backlog.oldest
            backlog.drop(oldest)
            sending.cancel(oldest)
        parcel = wrap(pack(data, f"{name}.lcast"))
        backlog.add(parcel)
        sending.add(parcel)
        report("taken", f"{name}: {len(data):,} bytes", name=name, bytes=len(data))

    taking = asyncio.ensure_future(take(shots, put))
    ended = asyncio.ensure_future(sending.wait_closed())
    try:
        await asyncio.wait((taking, ended), return_when=asyncio.FIRST_COMPLETED)
        if taking.done():
            taking.result()
            sending.finish()
        why = await ended
        report.tell_end(sending, why)
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        channel.close()
    return "delivered" if taking.done() and not taking.cancelled() and sending.sender.idle else why
