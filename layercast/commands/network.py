"""What the commands that go over a network share: addresses, logs, what is known of the link, Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from layercast.commands.report import failing, warn
from layercast.net.endpoints import Address, Link, parse
from transport.log import Log, Value


def address(ctx: click.Context, param: click.Parameter, value: str) -> Address:
    """A URL as a click argument or option."""
    return address_of(value)


def address_of(value: str) -> Address:
    """A URL that a user wrote. Raises BadParameter."""
    try:
        return parse(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from None


def parse_region(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int, int, int] | None:
    if value is None:
        return None
    parts = value.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise click.BadParameter(f"{value!r} is not X,Y,W,H in pixels")
    x, y, width, height = (int(part) for part in parts)
    return x, y, width, height


def log_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--log, handed on as `log_file`."""
    return click.option("--log", "log_file", metavar="FILE", help="Write what happens, a line of JSON an event.")(
        command
    )


def one_way_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--one-way: a pipe that leads one way only."""
    return click.option("--one-way", is_flag=True, help="The pipe leads one way: nobody answers.")(command)


@contextlib.contextmanager
def logging_to(path: str | None, title: str) -> Iterator[Log | None]:
    """A log in a file while the body runs, or None. Raises Failure; a disk that fills up later ends the log alone."""
    if path is None:
        yield None
        return
    from layercast.net.logs import LogFile

    with failing(path):
        file = LogFile(path, f"layercast {title} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    broken = False

    def log(time: float, category: str, name: str, data: Mapping[str, Value]) -> None:
        nonlocal broken
        if broken:
            return
        try:
            file(time, category, name, data)
        except OSError as error:
            broken = True
            warn(path, f"the log ends here ({error.strerror})")

    try:
        yield log
    finally:
        with contextlib.suppress(OSError):
            file.close()


def _ice_servers(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Looks at each before anything begins; a bad one is not shown, for it may hold a password."""
    if value:
        from transport.channels.webrtc import IceServer

        try:
            for text in value:
                IceServer.parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return value


def link_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--rate, --rtt, --packet and --ice, handed on as `link`."""

    @click.option("--rate", type=click.FloatRange(min=100), metavar="BIT/S", help="The link's rate; else it is found.")
    @click.option("--rtt", type=click.FloatRange(min=0), metavar="S", help="The link's round trip, as a first guess.")
    @click.option("--packet", type=click.IntRange(min=40, max=1472), metavar="B", help="Largest packet.")
    @click.option(
        "--ice",
        multiple=True,
        metavar="SERVER",
        envvar="LAYERCAST_ICE",
        callback=_ice_servers,
        help="WebRTC through NAT: stun:HOST, turn:NAME:PASSWORD@HOST; both, if need be.  [environment: LAYERCAST_ICE]",
    )
    @functools.wraps(command)
    def with_link(
        rate: float | None, rtt: float | None, packet: int | None, ice: tuple[str, ...], **others: Any
    ) -> Any:
        return command(link=Link(rate, rtt, packet, ice), **others)

    return with_link


def until_interrupted(work: Coroutine[Any, Any, str]) -> str:
    """Run to the end; "interrupted" after Ctrl-C or SIGTERM, when `work` has had its `finally`."""

    async def guarded() -> str:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            if os.name == "posix":
                loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return "interrupted"

    return asyncio.run(guarded())
