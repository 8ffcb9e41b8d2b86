"""`layercast sim replay` and `trace`: recorded packets given to a new receiver; rates read, converted and drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.report import Failure, failing, save
from layercast.commands.sim.naming import telling

if TYPE_CHECKING:
    from sim.measure import Row
    from sim.packetlog import PacketLog


@click.command()
@click.argument("log", metavar="LOG")
@click.option("--image", metavar="FILE", help="The photo or stream that was sent: measures the pictures too.")
@click.option("--caption", metavar="TEXT", help="The caption it was sent with.")
@click.option("--pcap", metavar="FILE", help="Write the datagrams as a capture for Wireshark or tcpdump.")
@click.option("--side", type=click.Choice(["sender", "receiver"]), default="sender", help="Whose wire the capture is.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON.")
def replay(log: str, image: str | None, caption: str | None, pcap: str | None, side: str, as_json: bool) -> None:
    """Give a recorded run's packets to a new receiver, and tell what it made of them.

    LOG is one of the files that `sim run -o FOLDER --packets` keeps in FOLDER/packets.
    """
    with telling(log):
        from sim.packetlog import PacketLog
        from sim.scenario import ANSWERED as SEALED

        found = PacketLog.load(Path(log))
    if not found.of_run:
        raise Failure(
            log, "holds packets of `sim shell`, no run; give --packets a name that ends in .pcap for a capture"
        )
    if pcap is not None:
        save(pcap, found.pcap(side))
        click.echo(f"{pcap}: the datagrams at the {side}'s wire", err=as_json)
    if found.channel in SEALED:
        if pcap is None:
            raise Failure(
                log, f"was sent over {found.channel}, whose packets only its two ends can read; --pcap exports them"
            )
        return
    with telling(log):
        _replayed(found, log, image, caption, as_json)


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--to", "kind", type=click.Choice(["mahimahi", "rows"]), help="Write it as this kind.")
@click.option("-o", "--output", metavar="FILE", help="Where to; standard output otherwise.")
@click.option("--every", type=click.FloatRange(0.01), default=1.0, show_default=True, help="Seconds of a row.")
@click.option("--plot", metavar="PNG", help="Draw the rate in time.")
def trace(file: str, kind: str | None, output: str | None, every: float, plot: str | None) -> None:
    """Tell about a trace, convert it, draw it; or make one of what arrived in a packet log (.jsonl).

    Two kinds are read: mahimahi's (a line is a ms at which 1,500 B may pass) and rows (seconds and Mbit/s).
    """
    from sim import traces

    with telling(file):
        if file.endswith(".jsonl"):
            from sim.packetlog import PacketLog

            found = traces.of_log(PacketLog.load(Path(file)).events("there"), every)
        else:
            found = traces.read(file)
        text = None
        if kind is not None:
            text = (traces.to_rows(found, every) if kind == "rows" else traces.to_mahimahi(found)).text()
        elif file.endswith(".jsonl"):
            text = found.text()
    if text is not None and output is not None:
        save(output, text.encode())
    elif text is not None:
        click.echo(text, nl=False)
    if plot is not None:
        traces.draw(found, Path(plot), Path(file).name, every)
    if text is None or output is not None:
        rates = sorted(found.rates(every))
        click.echo(
            f"{file}: {found.kind}, {found.seconds:,.0f} s, mean {found.mean() / 1000:,.1f} kbit/s,"
            f" median {rates[len(rates) // 2] / 1000:,.1f}, {min(rates) / 1000:,.1f} to {max(rates) / 1000:,.1f}"
        )


def _replayed(log: PacketLog, name: str, image: str | None, caption: str | None, as_json: bool) -> None:
    from sim.measure import MARKS
    from sim.report import seconds

    journey = log.journey()
    same = log.about.get("digest") in (None, journey.digest)
    items = [a for a in journey.arrivals if getattr(a.event, "complete", False)]
    told: dict[str, Any] = {
        "log": name,
        "packets": sum(what == "arrived" and way == "there" for way, _, what, _ in log.packets),
        "items": len(items),
        "last": items[-1].time if items else None,
        "digest": "same" if same else "other",
    }
    if image is not None:
        row = _measured_again(log, image, caption)
        told["times"] = row.times
        told["area"] = row.area
    if as_json:
        click.echo(json.dumps(told))
        return
    last = seconds(told["last"]) if items else "-"
    click.echo(f"{name}: {told['packets']:,} packets arrived, {len(items):,} items whole, the last after {last} s")
    if not same:
        click.echo("the log is not that of the run it names: somebody changed it")
    if image is not None:
        marks = [f"{mark} {seconds(told['times'][mark])} s" for mark in MARKS if mark in told["times"]]
        click.echo(", ".join(marks) + f", area {told['area']:.1f}")


def _measured_again(log: PacketLog, image: str, caption: str | None) -> Row:
    import hashlib

    from sim.measure import Judge, Row, measure
    from sim.scenario import read_scenario
    from sim.subject import Subject
    from sim.timeline import load_of, of_journey

    with failing(image):
        subject = Subject.load(Path(image), caption)
    if hashlib.sha256(subject.stream).hexdigest() != log.about.get("stream"):
        raise Failure(image, "gives another stream than was sent; name the photo and its --caption as they were")
    scenario = read_scenario(log.about["scenario"], "scenario", Path())
    timeline = of_journey(subject, load_of(subject, scenario.policy.upto), log.journey())
    row = Row(scenario.name, subject.name, int(log.about["seed"]), timeline.name, scenario.channel)
    measure(row, timeline, scenario.looks, Judge(subject), lambda time: 0.0)
    return row
