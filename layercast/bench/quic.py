"""`layercast bench quic`: how long a first caption takes over QUIC and WebTransport, from the first packet on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from sim.virtual import Network
    from transport.channels.quic_base import LinkProfile

CLIENT, SERVER, PORT = "10.0.0.1", "10.0.0.2", 443
TOKEN = "a token of 32 characters or so .."
ITEMS = (300, 16)
"""Bytes of a caption: the one that figures are compared by, and a real one."""
CHANNELS = ("quic", "webtransport")
SEEDS = 100


@dataclass(frozen=True)
class Case:
    """A link (bit/s, round trip in seconds, share lost) and an opening.

    profile: what both ends know of the link: nothing, rate (the rule), or lossless; ticket: the client was there
    before; token: the server asks for one. goal: seconds at most for 300 B over QUIC.
    """

    name: str
    rate: float
    round_trip: float
    loss: float = 0.0
    profile: str = "rate"
    ticket: bool = False
    token: bool = True
    goal: float | None = None


CASES = (
    Case("cold, nothing known", 10_000, 0.1, profile="nothing"),
    Case("cold, by rule", 10_000, 0.1, goal=4.8),
    Case("cold, lossless profile", 10_000, 0.1, profile="lossless", goal=3.7),
    Case("with a ticket (0-RTT)", 10_000, 0.1, ticket=True, goal=2.2),
    Case("cold, lossless, no token", 10_000, 0.1, profile="lossless", token=False),
    Case("cold, by rule", 50_000, 0.1),
    Case("with a ticket (0-RTT)", 50_000, 0.1, ticket=True),
)
LOSSY = Case("cold, by rule", 50_000, 0.5, 0.05)
MEDIAN, P95 = 1.8, 2.6
"""Goals of the lossy case, seconds."""


@dataclass(frozen=True)
class Opening:
    """`wait`: seconds from the client's first packet to the whole caption; wire bytes that were sent up and down."""

    wait: float
    up: int
    down: int


def run(case: Case, channel: str = "quic", size: int = ITEMS[0], seed: int = 1) -> Opening:
    """One client that connects and gets a caption of `size` bytes, in virtual time."""
    from sim import virtual

    return virtual.run(lambda network: _story(network, case, channel, size, seed))


def _profile(case: Case) -> LinkProfile:
    from transport.channels.quic_base import LinkProfile

    rate = None if case.profile == "nothing" else case.rate
    return LinkProfile(rate, case.round_trip, lossless=case.profile == "lossless")


async def _story(network: Network, case: Case, kind: str, size: int, seed: int) -> Opening:
    from sim.link import LinkSpec
    from transport import Item, ItemReceived, Receiver, Sender, SenderConfig, packet_size
    from transport.channels import certificate, quic, webtransport
    from transport.channels.quic_base import Settings
    from transport.driver import Driver

    loop = asyncio.get_running_loop()
    up, down = network.join(CLIENT, SERVER, LinkSpec(case.rate, case.round_trip / 2, case.loss), seed)
    ways: Any = {"quic": quic, "webtransport": webtransport}[kind]
    own, token, settings = certificate.make(), TOKEN if case.token else "", Settings(_profile(case))

    def accept(channel: Any) -> None:
        packet = min(packet_size(case.rate), channel.largest)
        sender = Sender(SenderConfig(packet_size=packet, overhead=channel.overhead, rate=case.rate))
        sender.start_group(1, b"preamble")
        sender.submit(Item(1, 0, 0, bytes(size)))
        Driver(sender, channel).start()

    await ways.serve(SERVER, PORT, accept, own, token, settings=settings)
    tickets: dict[str, Any] = {}
    wait = 0.0
    for _ in range(1 + case.ticket):
        start, before = loop.time(), (len(up.log), len(down.log))
        channel = await ways.connect(SERVER, PORT, own.fingerprint, token, settings=settings, tickets=tickets)
        receiver, whole = Receiver(), asyncio.Event()

        def take(receiver: Receiver = receiver, whole: asyncio.Event = whole) -> None:
            while (event := receiver.next_event()) is not None:
                if isinstance(event, ItemReceived) and event.complete:
                    whole.set()

        Driver(receiver, channel, take).start()
        await whole.wait()
        wait = loop.time() - start
        sizes = [
            sum(event.size for event in link.log[since:] if event.what == "sent")
            for link, since in zip((up, down), before, strict=True)
        ]
        if case.ticket and not tickets:
            await asyncio.sleep(30.0)
        channel.close()
        await asyncio.sleep(30.0)
    return Opening(wait, sizes[0], sizes[1])


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the ascending values do not exceed."""
    return values[max(round(share * len(values)) - 1, 0)]


@click.command("quic", short_help="How long a first caption takes over QUIC and WebTransport.")
@click.option("--seeds", default=SEEDS, show_default=True, type=click.IntRange(1), help="Runs of the case with loss.")
@work.options
def command(seeds: int, workers: int, as_json: bool, strict: bool) -> None:
    """A server sends a caption as soon as it may; seconds from the client's first packet until it is whole.

    Virtual time, real aioquic at both ends; wire bytes with IP and UDP. The base goes twice, in packets of the link's
    size (250 B at 10 kbit/s), and the server's session knows the link's rate.
    """
    found = Report("quic")
    columns = ("opening", "kbit/s", "round trip s", "item B", "channel", "seconds", "bytes up", "bytes down")
    table = Table(columns, title="no loss")
    for case in CASES:
        for size in ITEMS:
            for channel in CHANNELS:
                opening = run(case, channel, size)
                link = (case.name, case.rate / 1000, case.round_trip, size, channel)
                table.rows.append((*link, opening.wait, opening.up, opening.down))
                if case.goal is not None and channel == "quic" and size == ITEMS[0]:
                    name = f"{case.name}, {case.rate / 1000:g} kbit/s"
                    found.check(name, f"{opening.wait:.2f} s", f"<= {case.goal} s", opening.wait <= case.goal)
    found.tables.append(table)
    lossy = ("channel", "item B", "runs", "median s", "95% s", "longest s")
    table = Table(lossy, title=f"{LOSSY.rate / 1000:g} kbit/s, {LOSSY.round_trip} s, {LOSSY.loss:.0%} loss")
    for channel in CHANNELS:
        for size in ITEMS:
            tasks = [(LOSSY, channel, size, seed) for seed in range(seeds)]
            waits = sorted(opening.wait for opening in work.each(run, tasks, workers, channel))
            middle, late = percentile(waits, 0.5), percentile(waits, 0.95)
            table.rows.append((channel, size, seeds, middle, late, waits[-1]))
            if channel == "quic" and size == ITEMS[0]:
                found.check("5% loss, median", f"{middle:.2f} s", f"<= {MEDIAN} s", middle <= MEDIAN)
                found.check("5% loss, 95%", f"{late:.2f} s", f"<= {P95} s", late <= P95)
    found.tables.append(table)
    found.show(as_json, strict)
