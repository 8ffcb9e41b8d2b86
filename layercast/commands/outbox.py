"""`layercast send --spool`: an outbox on disk, filled with --queue, emptied whenever the link lets it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layercast.commands.report import Failure, failing
from layercast.commands.sources import Report, encode_file, sealed

if TYPE_CHECKING:
    from layercast.net.endpoints import Address, Link
    from layercast.net.spool import Spool
    from layercast.net.windows import Windows
    from transport.log import Log
    from transport.seal import SealKey


def parse_bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """200kB, 1.5MB, 50000; /day behind it is allowed."""
    from layercast.net.outbox import parse_budget

    try:
        return None if value is None else parse_budget(value).bytes
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def open_spool(folder: str, limit: int | None, newest_first: bool, budget: int | None) -> Spool:
    """Raises Failure."""
    from layercast.net.outbox import Budget
    from layercast.net.spool import Spool

    with failing(folder):
        spool = Spool(folder, limit, newest_first, Budget(budget) if budget is not None else None)
        spool.thin()
        return spool


def read_windows(path: str | None) -> Windows:
    """The windows of a file; always, if there is none. Raises Failure."""
    from layercast.net.windows import Windows, parse_windows

    if path is None:
        return Windows()
    with failing(path):
        text = Path(path).read_text()
    try:
        return Windows(parse_windows(text))
    except ValueError as error:
        raise Failure(path, f"{error}; mend the file") from None


def queue_files(spool: Spool, sources: Sequence[str], report: Report) -> None:
    """Put files into the outbox; each is safe on the disk once that is said. Raises Failure."""
    for source in sources:
        path = Path(source)
        with failing(path):
            data = path.read_bytes() if path.suffix == ".lcast" else encode_file(path)
            queue(spool, f"{path.stem}.lcast", data, report)


def queue(spool: Spool, name: str, data: bytes, report: Report) -> None:
    """Put a stream into the outbox."""
    spool.add(data, name, time.time())
    report("queued", f"{name}: waits in {spool.folder}", name=name, bytes=len(data))


async def empty(
    spool: Spool,
    windows: Windows,
    url: Address,
    token: str,
    link: Link,
    seal: SealKey | None,
    report: Report,
    log: Log | None,
) -> str:
    """Send what waits until nothing does; "delivered". Raises Failure where waiting is of no use."""
    from layercast.net.despatch import pause_for

    why, attempt = "", 0
    while spool.next() is not None:
        pause = pause_for(windows, why, attempt, time.time())
        if pause is None:
            return "there are no more windows"
        if pause:
            text = f"{len(spool.waiting())} streams wait for {pause:.0f} s ({why or 'no window'})"
            report("waiting", text, seconds=round(pause), why=why or "no window")
            await asyncio.sleep(pause)
        before = len(spool.waiting())
        why = await _session(spool, windows, url, token, link, seal, report, log)
        if any(word in why for word in ("token", "certificate")):
            return why
        attempt = 0 if len(spool.waiting()) < before or why in ("budget", "window") else attempt + 1
    return "delivered"


async def _session(
    spool: Spool,
    windows: Windows,
    url: Address,
    token: str,
    link: Link,
    seal: SealKey | None,
    report: Report,
    log: Log | None,
) -> str:
    from layercast.net.despatch import Despatch, Metered, run_session
    from layercast.net.endpoints import connect
    from layercast.net.ends import Sending

    try:
        channel = Metered(await connect(url, token, link), spool, time.time)
    except OSError as error:  # the link may come back
        return f"cannot be reached: {error}"
    except ValueError as error:
        raise Failure(str(url), f"cannot be sent to ({error}); check the address") from None
    despatch = Despatch(spool, lambda parcel: sealed(parcel, seal), time.time)
    sending = Sending(
        channel,
        link,
        lambda topic: None if topic else despatch.next_parcels(),
        ends=False,
        newest_first=spool.newest_first,
        noted=despatch.handle,
        log=log,
    )
    try:
        why = await run_session(despatch, sending, channel, windows, time.time)
        report.tell_end(sending, why)
        return why
    finally:
        channel.close()
