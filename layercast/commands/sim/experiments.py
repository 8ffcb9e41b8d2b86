"""`layercast sim run`, `sweep` and `report`: scenarios carried out, and what is made of their rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.cluster import cluster_option, spread_as_done
from layercast.commands.report import Failure, Progress, failing
from layercast.commands.sim.naming import scenario_of, telling

if TYPE_CHECKING:
    from sim.experiment import Spread, Task
    from sim.measure import Row
    from sim.scenario import Scenario

Decorated = Callable[..., Any]


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


@click.command()
@_options
def run(scenario: str, **options: Any) -> None:
    """Carry a scenario out, once for each image and seed, whatever it says of a sweep."""
    _carry_out(scenario_of(scenario, **options).changed({"vary": {}}), **options)


@click.command()
@click.option("--vary", multiple=True, metavar="KEY=A,B,C", help="Try these values of KEY; several make a grid.")
@cluster_option
@_options
def sweep(scenario: str, vary: Sequence[str], **options: Any) -> None:
    """Carry a scenario out at every point of a grid."""
    _carry_out(scenario_of(scenario, vary, **options), **options)


@click.command()
@click.argument("folder", metavar="FOLDER")
@click.option("--export", type=click.Choice(["json", "parquet"]), help="The raw rows instead, as lines or a table.")
@click.option("-o", "--output", metavar="FILE", help="Of the export.  [default: json printed, FOLDER/rows.parquet]")
def report(folder: str, export: str | None, output: str | None) -> None:
    """Draw the plots and write report.html anew from the rows in FOLDER; or export the rows."""
    from sim.experiment import rows_in

    rows = [row for _, row in rows_in(Path(folder))]
    if not rows:
        raise Failure(folder, "holds no rows; `sim run -o FOLDER` makes some")
    if output is not None and export is None:
        raise click.UsageError("-o is where an export goes: add --export json or parquet")
    if export is not None:
        _export(rows, export, folder, output)
        return
    with telling(folder):
        values = json.loads((Path(folder) / "scenario.json").read_text())
        _write_report(rows, Path(folder), values, sorted(Path(folder).glob("sheet*.png")))
    click.echo(f"{Path(folder) / 'report.html'}: {len(rows)} rows")


def _export(rows: Sequence[Row], kind: str, folder: str, output: str | None) -> None:
    from sim.export import NoWriter, json_lines, write_parquet

    if kind == "json" and output is None:
        for line in json_lines(rows):
            click.echo(line)
        return
    target = Path(output) if output is not None else Path(folder) / "rows.parquet"
    with failing(target):
        if kind == "json":
            target.write_text("".join(f"{line}\n" for line in json_lines(rows)), encoding="utf-8")
        else:
            try:
                write_parquet(rows, target)
            except NoWriter as error:
                raise Failure(target, str(error)) from None
    click.echo(f"{target}: {len(rows)} rows")


def _carry_out(
    scenario: Scenario,
    *,
    output: str | None,
    workers: int,
    resume: bool,
    packets: bool,
    no_pictures: bool,
    as_json: bool,
    cluster: str | None = None,
    **_: Any,
) -> None:
    from sim.experiment import run_all, tasks_of

    if (resume or packets) and output is None:
        raise click.UsageError("--resume and --packets need a folder: -o FOLDER")
    folder = None if output is None else _folder(output, scenario, resume)
    tasks = tasks_of(scenario, not no_pictures, folder / "packets" if folder is not None and packets else None)
    progress = Progress(scenario.name)
    try:
        with telling(scenario.name):
            elsewhere = None if cluster is None else _on_cluster(cluster, workers)
            rows = run_all(tasks, folder, workers, resume, progress, elsewhere)
    except KeyboardInterrupt:
        progress.close()
        kept = f"; what is done is in {folder}, --resume does the rest" if folder is not None else ""
        raise Failure(scenario.name, f"stopped{kept}") from None
    finally:
        progress.close()
    _show(rows, scenario, as_json)
    if folder is not None:
        from layercast.commands.sim.sheets import write_sheets

        progress("contact sheets", 1.0)
        sheets = write_sheets(scenario, rows, folder)
        progress.close()
        _write_report(rows, folder, scenario.values, sheets)
        click.echo(f"{folder / 'report.html'}: tables and plots", err=as_json)


def _on_cluster(address: str, workers: int) -> Spread:
    """Does tasks on a Ray cluster, each of whose machines has the files that the scenario names."""
    from sim.experiment import run_task

    def spread(tasks: Sequence[Task]) -> Iterator[tuple[Task, list[Row]]]:
        for place, rows in spread_as_done(run_task, [(task,) for task in tasks], address, workers):
            yield tasks[place], rows

    return spread


def _folder(output: str, scenario: Scenario, resume: bool) -> Path:
    """The folder, with the scenario in it; one that holds other rows is left alone."""
    folder = Path(output)
    with failing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "rows.msgpack").exists() and not resume:
            raise Failure(folder, "holds rows already; --resume adds to them, or choose another folder")
        (folder / "scenario.json").write_text(json.dumps(scenario.values, indent=2))
    return folder


def _write_report(rows: Sequence[Row], folder: Path, values: Any, sheets: Sequence[Path]) -> None:
    from sim.plots import draw_all
    from sim.report import html_report

    plots = [*draw_all(rows, folder), *sheets]
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
