"""`layercast bench peers`: how many receivers at 50 kbit/s one server holds on half a core."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from transport import Item, Receiver

RATE = 50_000.0
GOALS = {"udp": None, "quic": 500, "wt": None, "webrtc": 200}
TOKEN = "bench"
GROUP = 1
PIECE = 1000


@dataclass(frozen=True)
class Load:
    """What a server spent on its receivers: processor seconds and packets, in so many seconds."""

    receivers: int
    seconds: float
    cpu: float
    packets: int

    @property
    def on_half_a_core(self) -> float:
        """Receivers that half a core would carry at this cost."""
        return 0.5 * self.receivers * self.seconds / self.cpu


def _bulk(seconds: float) -> list[Item]:
    from transport import Item

    count = int(RATE / 8 * seconds / PIECE) + 20
    return [Item(GROUP, 3, n, bytes(PIECE), n, may_cut=True) for n in range(count)]


def _server(way: str, receivers: int, seconds: float, pipe: Connection) -> None:
    """The child process: serves until all have come, then measures itself."""
    asyncio.run(_serve(way, receivers, seconds, pipe))


async def _serve(way: str, receivers: int, seconds: float, pipe: Connection) -> None:
    from layercast.net.endpoints import Address, Link, listen
    from layercast.net.ends import Sending
    from layercast.net.parcel import Parcel
    from transport.channels import Channel

    items = tuple(_bulk(3 * seconds + 30))
    parcel = Parcel(GROUP, b"", "bulk", 0, items)
    link = Link(rate=RATE)
    sending: list[Sending] = []
    full = asyncio.Event()

    def accept(channel: Channel) -> None:
        sending.append(Sending(channel, link, lambda topic: [parcel]))
        if len(sending) == receivers:
            full.set()

    listening, at = await listen(Address(way, "127.0.0.1", 0), TOKEN, link, accept)
    pipe.send(at)
    await full.wait()
    await asyncio.sleep(2)
    before, cpu, start = sum(s.sender.stats.packets for s in sending), time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    spent = time.process_time() - cpu
    packets = sum(s.sender.stats.packets for s in sending) - before
    pipe.send(Load(receivers, time.monotonic() - start, spent, packets))
    listening.close()


async def _receive(at: object, receivers: int, done: Callable[[], bool]) -> None:
    from layercast.net.endpoints import Address, Link, connect
    from transport import Receiver
    from transport.driver import Driver

    assert isinstance(at, Address)
    drivers = []
    for _ in range(receivers):
        receiver = Receiver()
        receiver.want(3)
        driver = Driver(receiver, await connect(at, TOKEN, Link(rate=RATE)), partial(_drain, receiver))
        driver.start()
        drivers.append(driver)
    while not done():
        await asyncio.sleep(0.2)
    for driver in drivers:
        driver.channel.close()


def _drain(receiver: Receiver) -> None:
    while receiver.next_event() is not None:
        pass


def measure(way: str, receivers: int, seconds: float) -> Load:
    """A real server process and real receivers over loopback."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_server, args=(way, receivers, seconds, there), daemon=True)
    child.start()
    asyncio.run(_receive(here.recv(), receivers, here.poll))
    load = here.recv()
    child.join()
    assert isinstance(load, Load)
    return load


@click.command("peers", short_help="How many receivers one server holds.")
@click.option("--receivers", type=click.IntRange(1), default=16, show_default=True, help="Real receivers, at once.")
@click.option("--seconds", type=click.FloatRange(1), default=10.0, show_default=True, help="How long to measure.")
@click.option("--way", "ways", type=click.Choice(list(GOALS)), multiple=True, help="Only these.  [default: all]")
@work.options
def command(receivers: int, seconds: float, ways: tuple[str, ...], workers: int, as_json: bool, strict: bool) -> None:
    """Processor time of a server with real receivers at 50 kbit/s each on loopback, their own left out."""
    found = Report("peers")
    columns = ("way", "receivers", "packets a s", "core used", "packets a core-second", "receivers on half a core")
    table = Table(columns)
    for way in ways or GOALS:
        load = measure(way, receivers, seconds)
        share = load.cpu / load.seconds
        table.rows.append(
            (way, receivers, load.packets / load.seconds, share, load.packets / load.cpu, load.on_half_a_core)
        )
        goal = GOALS[way]
        if goal is not None:
            figure = f"{load.on_half_a_core:.0f}"
            found.check(f"receivers on half a core, {way}", figure, f">= {goal}", load.on_half_a_core >= goal)
    found.tables.append(table)
    found.show(as_json, strict)
