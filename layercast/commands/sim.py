"""`layercast sim`: one's own stream and its peers over a modelled link, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.report import Failure, Progress, failing, save

if TYPE_CHECKING:
    from sim.measure import Row
    from sim.packetlog import PacketLog
    from sim.scenario import Scenario

BUNDLED, BUNDLED_CAPTION = "rocket.webp", "A rocket stands on its launch pad at dusk."
Decorated = Callable[..., Any]


@click.group("sim")
def sim() -> None:
    """Send photos over modelled links in virtual time: what is to be seen when, beside other codecs.

    Hours pass in seconds, and the same seed gives the same run. SCENARIO is a TOML file, or the name of a scenario or a
    link that `layercast sim list` shows. docs/simulator.md says all.
    """


def _options(command: Decorated) -> Decorated:
    """What run and sweep have in common."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="A line of JSON for each contender and point."),
        click.option("--no-pictures", is_flag=True, help="Decode nothing: times and bytes alone, much faster."),
        click.option("--packets", is_flag=True, help="Keep each run's packets in the folder, for sim replay."),
        click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes."),
        click.option("--resume", is_flag=True, help="Keep the runs that the folder holds, do the others."),
        click.option("-o", "--output", metavar="FOLDER", help="Rows, plots and report.html go there."),
        click.option("--policy", metavar="MODULE:CLASS", help="Your own sender, made of a transport.SenderConfig."),
        click.option("--peers", metavar="A,B", help="Who else sends the photo; your own is module:function."),
        click.option("--until", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Length of a run."),
        click.option("--seeds", type=click.IntRange(1), metavar="N", help="Runs of each, with other losses."),
        click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a value: link.loss=0.1"),
        click.option("--caption", "captions", multiple=True, metavar="TEXT", help="Of each photo, in their order."),
        click.option("--image", "images", multiple=True, metavar="FILE", help="A photo or a stream; repeatable."),
        click.argument("scenario", metavar="SCENARIO"),
    ):
        command = option(command)
    return command


@sim.command()
@_options
def run(scenario: str, **options: Any) -> None:
    """Carry a scenario out, once for each image and seed, whatever it says of a sweep."""
    _carry_out(_scenario(scenario, **options).changed({"vary": {}}), **options)


@sim.command()
@click.option("--vary", multiple=True, metavar="KEY=A,B,C", help="Try these values of KEY; several make a grid.")
@_options
def sweep(scenario: str, vary: Sequence[str], **options: Any) -> None:
    """Carry a scenario out at every point of a grid."""
    _carry_out(_scenario(scenario, vary, **options), **options)


@sim.command("list")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON each.")
def list_(as_json: bool) -> None:
    """List links, scenarios and peers."""
    from sim.presets import presets
    from sim.scenario import PEERS, bundled

    if as_json:
        for preset in presets().values():
            facts = {name: value for name, value in asdict(preset).items() if value not in (None, (), "")}
            click.echo(json.dumps({"kind": "link", **facts, "packet": preset.packet_size}, default=str))
        for name, found in bundled().items():
            click.echo(json.dumps({"kind": "scenario", "name": name, "about": found.about}))
        for name in PEERS:
            click.echo(json.dumps({"kind": "peer", "name": name}))
        return
    click.echo("links")
    for preset in presets().values():
        click.echo(f"  {preset.name:20} {preset.packet_size:>5} B  {preset.about}")
    click.echo("\nscenarios")
    for name, found in bundled().items():
        click.echo(f"  {name:20}          {found.about}")
    click.echo(f"\npeers\n  {', '.join(PEERS)}")


@sim.command()
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
    with _telling(log):
        from sim.packetlog import PacketLog

        found = PacketLog.load(Path(log))
    if pcap is not None:
        save(pcap, found.pcap(side))
        click.echo(f"{pcap}: the datagrams at the {side}'s wire", err=as_json)
    with _telling(log):
        _replayed(found, log, image, caption, as_json)


@sim.command()
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

    with _telling(file):
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


@sim.command()
@click.argument("folder", metavar="FOLDER")
@click.option("--export", type=click.Choice(["json"]), help="Print the raw rows instead.")
def report(folder: str, export: str | None) -> None:
    """Draw the plots and write report.html anew from the rows in FOLDER; or export the rows."""
    from sim.experiment import rows_in

    rows = [row for _, row in rows_in(Path(folder))]
    if not rows:
        raise Failure(folder, "holds no rows; `sim run -o FOLDER` makes some")
    if export == "json":
        for row in rows:
            click.echo(json.dumps(row.plain()))
        return
    with _telling(folder):
        values = json.loads((Path(folder) / "scenario.json").read_text())
        _write_report(rows, Path(folder), values)
    click.echo(f"{Path(folder) / 'report.html'}: {len(rows)} rows")


@contextmanager
def _telling(path: str) -> Iterator[None]:
    """What is wrong with what a person wrote becomes one line; the messages of sim name the file themselves."""
    from sim.packetlog import WrongLog
    from sim.rates import WrongTrace
    from sim.tables import WrongTable

    try:
        with failing(path):
            yield
    except (WrongTable, WrongTrace, WrongLog) as error:
        raise _Told(str(error)) from None
    except UnicodeDecodeError:
        raise Failure(path, "is no text; check the name") from None


class _Told(click.ClickException):
    """A failure whose message names its file."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        click.echo(f"layercast: {self.message}", err=True)


def _scenario(
    name: str,
    vary: Sequence[str] = (),
    *,
    images: Sequence[str],
    captions: Sequence[str],
    changes: Sequence[str],
    seeds: int | None,
    until: float | None,
    peers: str | None,
    policy: str | None,
    **_: Any,
) -> Scenario:
    """The scenario by its name or file, with what the command line changes."""
    from sim.experiment import check_names
    from sim.scenario import Scenario, bundled, parse_value

    with _telling(name):
        found = _named(name, bundled, Scenario)
        values: dict[str, Any] = dict(_pair(change, parse_value) for change in changes)
        values.update({"seeds": seeds} if seeds is not None else {})
        values.update({"until": until} if until is not None else {})
        values.update({"peers": [each for each in peers.split(",") if each]} if peers is not None else {})
        values.update({"policy.sender": policy} if policy is not None else {})
        if images or not found.images:
            values.update(_pictures(images, captions))
        grid = {key: list(several) for key, several in (_several(each, parse_value) for each in vary)}
        if grid:
            values["vary"] = grid
        found = found.changed(values) if values else found
        for point in found.points:
            found.changed(point)  # what cannot be is said before anything is run
        check_names(found)
    return found


def _named(name: str, bundled: Callable[[], dict[str, Scenario]], kind: type[Scenario]) -> Scenario:
    from sim.presets import presets

    if name.endswith(".toml") or Path(name).is_file():
        return kind.load(name)
    if name in (scenarios := bundled()):
        return scenarios[name]
    if name in presets():
        return kind.of_link(name)
    raise Failure(name, "is no file, and no scenario or link of this name comes along; `layercast sim list` shows them")


def _pictures(images: Sequence[str], captions: Sequence[str]) -> dict[str, Any]:
    """The photos of the command line, or the bundled one."""
    if images:
        for image in images:
            if not Path(image).is_file():
                raise Failure(image, "no such file; check the name")
        return {"images": [str(Path(image).resolve()) for image in images], "captions": list(captions)}
    path = Path(str(files("layercast") / "assets" / BUNDLED))
    return {"images": [str(path)], "captions": [captions[0] if captions else BUNDLED_CAPTION]}


def _pair(text: str, parse: Callable[[str], Any]) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"{text!r}: give KEY=VALUE, such as link.loss=0.1")
    return key, parse(value)


def _several(text: str, parse: Callable[[str], Any]) -> tuple[str, list[Any]]:
    key, value = _pair(text, lambda each: each)
    whole = parse(value)
    return key, whole if isinstance(whole, list) else [parse(each) for each in value.split(",")]


def _carry_out(
    scenario: Scenario,
    *,
    output: str | None,
    workers: int,
    resume: bool,
    packets: bool,
    no_pictures: bool,
    as_json: bool,
    **_: Any,
) -> None:
    from sim.experiment import run_all, tasks_of

    if (resume or packets) and output is None:
        raise click.UsageError("--resume and --packets need a folder: -o FOLDER")
    folder = None if output is None else _folder(output, scenario, resume)
    tasks = tasks_of(scenario, not no_pictures, folder / "packets" if folder is not None and packets else None)
    progress = Progress(scenario.name)
    try:
        with _telling(scenario.name):
            rows = run_all(tasks, folder, workers, resume, progress)
    except KeyboardInterrupt:
        progress.close()
        kept = f"; what is done is in {folder}, --resume does the rest" if folder is not None else ""
        raise Failure(scenario.name, f"stopped{kept}") from None
    finally:
        progress.close()
    _show(rows, scenario, as_json)
    if folder is not None:
        _write_report(rows, folder, scenario.values)
        click.echo(f"{folder / 'report.html'}: tables and plots", err=as_json)


def _folder(output: str, scenario: Scenario, resume: bool) -> Path:
    """The folder, with the scenario in it; one that holds other rows is left alone."""
    folder = Path(output)
    with failing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "rows.msgpack").exists() and not resume:
            raise Failure(folder, "holds rows already; --resume adds to them, or choose another folder")
        (folder / "scenario.json").write_text(json.dumps(scenario.values, indent=2))
    return folder


def _write_report(rows: Sequence[Row], folder: Path, values: Any) -> None:
    from sim.plots import draw_all
    from sim.report import html_report

    plots = draw_all(rows, folder)
    (folder / "report.html").write_text(html_report(rows, plots, values), encoding="utf-8")


def _show(rows: Sequence[Row], scenario: Scenario, as_json: bool) -> None:
    from sim.report import COLUMNS, cells
    from sim.scenario import said
    from sim.summary import summarise

    found = summarise(rows)
    if as_json:
        for each in found:
            click.echo(json.dumps({"scenario": scenario.name, **each.plain()}))
        return
    click.echo(f"{scenario.name}: {scenario.link.about or scenario.about}")
    counts = f"{len(scenario.images)} photo(s), {len(scenario.seeds)} seed(s)"
    click.echo(f"{counts}, {scenario.until:g} s, {scenario.channel}")
    for point in list({repr(each.point): each.point for each in found}.values()):
        click.echo(f"\n{said(point)}" if point else "")
        _table([list(COLUMNS), *[cells(each) for each in found if each.point == point]])


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())


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
