"""`layercast bench oneway`: what arrives where nobody answers, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from sim.link import Stage
    from transport import BroadcastConfig, Item
    from transport.schedule import Key

NAMES = ("caption", "structure", "latent")
GOALS = (0.999, 0.99, 0.95)
"""Share of the runs in which all of a class must arrive; the caption and the thumbnail are one class."""
PACKET_SIZES = (51, 200, 256, 340, 1100)
RATE = 10_000
LOSS, BURST = 0.2, 4.0
ALONE = 0.5
"""Loss of each of two receivers."""
TOGETHER = 0.9999
"""Chance of each class that two receivers put together, so that all three are there in 99.9% of the runs."""
MOST_BYTES, MOST_SHARE = 12_000, 0.03
MERGED_SIZE = 256


@dataclass(frozen=True)
class Sending:
    """All datagrams of one sending, in order. `items`: what they hold; `chances`: what the sender expects, by class."""

    datagrams: list[bytes]
    items: list[Item]
    chances: dict[int, float]
    overhead: int

    def protected(self) -> list[bytes]:
        """Without the packets that hold the last class alone."""
        return [data for data in self.datagrams if self._class_of(data) < len(NAMES)]

    def size_of(self, cls: int) -> tuple[int, int, int]:
        """(packets, datagram bytes, bytes on the wire) of a class, copies and repair included."""
        sizes = [len(data) for data in self.datagrams if self._class_of(data) == cls]
        return len(sizes), sum(sizes), sum(sizes) + self.overhead * len(sizes)

    def packets_alone(self, cls: int) -> int:
        """Packets of a class without copies and repair."""
        return len({data for data in self.datagrams if data[0] & 0x80 and self._class_of(data) == cls})

    def keys(self, cls: int) -> set[Key]:
        return {item.key for item in self.items if item.cls == cls}

    @staticmethod
    def _class_of(data: bytes) -> int:
        from transport import wire

        packet = wire.parse(data)
        return packet.segments[0].cls if isinstance(packet, wire.Data) else getattr(packet, "cls", 0)


def bundled_stream() -> bytes:
    """The lossless stream of the bundled photo."""
    import codec
    from layercast.demo import BUNDLED, BUNDLED_CAPTION

    picture = work.load(Path(str(files("layercast") / "assets" / BUNDLED)))
    return codec.encode(picture, caption=BUNDLED_CAPTION)


def send(stream: bytes, config: BroadcastConfig) -> Sending:
    """One turn of a stream as the one-way sender sends it."""
    from player.items import group_of, items_of
    from transport import BroadcastSender, Item

    group = group_of(stream)
    preamble, found = items_of(stream)
    items = [
        Item(group, i.cls, i.index, i.payload, i.priority, needs=i.needs, may_cut=i.may_cut, ends=i.ends) for i in found
    ]
    sender = BroadcastSender(config)
    sender.start_group(group, preamble)
    for item in items:
        sender.submit(item)
    program = sender.program(group)
    assert program is not None
    datagrams = []
    while (now := sender.next_timer()) is not None:
        while (data := sender.poll_transmit(now)) is not None:
            datagrams.append(data)
    return Sending(datagrams, items, program.reached, config.overhead)


def lose(datagrams: Iterable[bytes], stage: Stage, seed: str) -> list[bytes]:
    """What is left of datagrams behind one stage of a link."""
    from sim.clock import Clock
    from sim.link import Link

    link, caught = Link(Clock(), [stage], seed), []
    link.arrived = lambda packet: caught.append(packet.data)
    for data in datagrams:
        link.send(data)
    return caught


def receive(datagrams: Iterable[bytes]) -> dict[Key, bytes]:
    """The whole items that a real receiver makes of datagrams."""
    from transport import ItemReceived, Receiver

    receiver = Receiver()
    for data in datagrams:
        receiver.handle_datagram(data, 0.0)
    whole = {}
    while (event := receiver.next_event()) is not None:
        if isinstance(event, ItemReceived) and event.complete:
            whole[event.key] = event.payload
    return whole


def failures(sending: Sending, burst: float | None, runs: int, seed: str) -> Counter[int]:
    """In how many runs each class was not complete behind 20% of loss."""
    from sim.link import Bursts, Loss

    missed: Counter[int] = Counter()
    datagrams = sending.protected()
    payloads = {item.key: item.payload for item in sending.items}
    for run in range(runs):
        stage = Loss(LOSS) if burst is None else Bursts(LOSS, burst)
        got = receive(lose(datagrams, stage, f"{seed}/{run}"))
        if any(payloads[key] != payload for key, payload in got.items()):
            raise AssertionError("a false item arrived")
        missed.update(cls for cls in range(len(NAMES)) if not sending.keys(cls) <= got.keys())
    return missed


def merged(sending: Sending, runs: int) -> tuple[int, int, int]:
    """Two receivers that each lose half: runs in which the merged lack something of a protected class, runs in which
    one of the two alone does (the first), and runs in which a residual that reached either is missing."""
    from sim.link import Loss

    together = alone = lacking = 0
    wanted = set().union(*(sending.keys(cls) for cls in range(len(NAMES))))
    payloads = {item.key: item.payload for item in sending.items}
    for run in range(runs):
        one, two = (lose(sending.datagrams, Loss(ALONE), f"{name}/{run}") for name in ("one", "two"))
        whole = receive([*one, *two])
        together += not wanted <= whole.keys()
        alone += not wanted <= receive(one).keys()
        reached = set(_residuals_reached(sending, [one, two]))
        lacking += not reached <= whole.keys()
        if any(payloads[key] != payload for key, payload in whole.items()):
            raise AssertionError("a false item arrived")
    return together, alone, lacking


def _residuals_reached(sending: Sending, logs: Sequence[Sequence[bytes]]) -> Iterator[Key]:
    """Residual items all bytes of which are in one log or the other."""
    from transport import wire
    from transport.ranges import Ranges

    there: dict[Key, Ranges] = {}
    for data in {data for log in logs for data in log}:
        packet = wire.parse(data)
        for part in packet.segments if isinstance(packet, wire.Data) else ():
            have = there.setdefault((packet.group, part.cls, part.index), Ranges())  # type: ignore[union-attr]
            have.add(part.offset, part.offset + len(part.payload) + part.final)
    for item in sending.items:
        if item.cls == len(NAMES) and item.key in there and there[item.key].covers(0, len(item.payload) + item.ends):
            yield item.key


@click.command("oneway", short_help="What arrives where nobody answers, and what it costs.")
@click.option("--runs", type=click.IntRange(1), default=1000, show_default=True, help="Runs of each case, seeds fixed.")
@work.options
def command(runs: int, workers: int, as_json: bool, strict: bool) -> None:
    """The bundled photo, sent once with the redundancy chosen for the link, through a modelled link a thousand times.

    20% of loss, each packet by itself or in bursts of 4 on average; then two receivers that lose 50% each and put
    together what they caught.
    """
    from transport import BroadcastConfig

    report = Report("oneway")
    stream = bundled_stream()
    report.notes.append(f"The bundled photo, lossless: {len(stream)} B. {runs} runs of each case, seeds fixed.")
    columns = (
        "loss",
        "packets B",
        "class",
        "packets",
        "sent as",
        "datagrams B",
        "on the wire B",
        "to expect",
        "missed",
    )
    table = Table(columns, title="20% loss")
    for burst in (None, BURST):
        for size in PACKET_SIZES:
            sending = send(stream, BroadcastConfig(RATE, size, loss=LOSS, burst=burst))
            missed = failures(sending, burst, runs, f"{burst}/{size}")
            _add_rows(report, table, sending, burst, size, missed, runs)
    report.tables.append(table)
    _add_merged(report, stream, runs)
    report.show(as_json, strict)


def _add_rows(
    report: Report, table: Table, sending: Sending, burst: float | None, size: int, missed: Counter[int], runs: int
) -> None:
    loss = "single" if burst is None else f"bursts of {burst:g}"
    for cls, name in enumerate(NAMES):
        packets, plain, wire = sending.size_of(cls)
        expected = (1 - sending.chances[cls]) * runs
        alone = sending.packets_alone(cls)
        table.rows.append((loss, size, name, alone, packets, plain, wire, expected, missed[cls]))
        most = int(runs * (1 - GOALS[cls]) + 1e-9)
        report.check(f"{name}, {loss}, {size} B", f"{missed[cls]} missed of {runs}", f"<= {most}", missed[cls] <= most)


def _add_merged(report: Report, stream: bytes, runs: int) -> None:
    from transport import BroadcastConfig

    targets = (TOGETHER, TOGETHER, TOGETHER, None)
    sending = send(stream, BroadcastConfig(RATE, MERGED_SIZE, loss=ALONE, receivers=2, targets=targets))
    columns = ("class", "packets", "sent as", "times", "datagrams B", "on the wire B")
    table = Table(columns, title=f"Two receivers that lose {ALONE:.0%} each, packets of {MERGED_SIZE} B")
    plain = wire = 0
    for cls, name in enumerate(NAMES):
        packets, datagrams, on_wire = sending.size_of(cls)
        alone = sending.packets_alone(cls)
        table.rows.append((name, alone, packets, packets / alone, datagrams, on_wire))
        plain, wire = plain + datagrams, wire + on_wire
    table.rows.append(("all", None, None, None, plain, wire))
    report.tables.append(table)
    together, alone, lacking = merged(sending, runs)
    most = int(runs * 0.001)
    share = plain / len(stream)
    goal = f"<= {MOST_BYTES} B, <= {MOST_SHARE:.0%} of the stream"
    fits = plain <= MOST_BYTES and share <= MOST_SHARE
    report.check("caption, structure, latent, merged", f"{together} missed of {runs}", f"<= {most}", together <= most)
    report.check("residuals that reached either, merged", f"lacking in {lacking} of {runs}", "0", lacking == 0)
    report.check("datagram bytes of the three", f"{plain} B, {share:.1%}", goal, fits)
    report.notes.append(
        f"One of the two receivers alone lacks something of the three classes in {alone} of {runs} runs. "
        f"With 28 B of IPv4 and UDP a packet the three take {wire} B, {wire / len(stream):.1%} of the stream."
    )
