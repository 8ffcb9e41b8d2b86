"""`layercast bench rivals FOLDER`: every link beside every peer, in virtual time: who shows a picture first, who shows
more over time.

Each peer is kindly treated (sim/rivals.py): ideal streams, no handshakes, the best of its scales. What was measured is
kept by the bytes or the chunks held, so a second run decodes nothing twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import chain
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from layercast.bench import work
from layercast.bench.report import Report, Table
from layercast.bench.streams import guess
from layercast.commands.report import Failure, Progress

if TYPE_CHECKING:
    from sim.contest import Entry, Standing
    from sim.measure import Row

AT_75, SMALLEST = ("progressive-jpeg", "jpegxl"), ("progressive-jpeg-small", "jpegxl-small")
UNDER_LOSS = ("ssdv", "ssdv-small", "avif")
SOONER, LOSS = 5.0, 0.01
BUNDLED = "rocket.webp"


def photos(folder: Path, images: int, match: str) -> list[Path]:
    """The bundled photo and so many of the folder, evenly spread."""
    listed = work.pictures(folder, None, match)
    step = max(1, len(listed) // images)
    return [Path(str(files("layercast") / "assets" / BUNDLED)), *listed[::step][:images]]


def report(rows: Sequence[Row], links: Sequence[Entry], peers: Sequence[str]) -> Report:
    """All tables and the goals."""
    from sim.contest import standings

    found = [_named(each, links) for each in standings(rows, links)]
    pictures, seeds = {row.image for row in rows}, {row.seed for row in rows}
    names = ", ".join(sorted(pictures))
    notes = [
        f"{len(pictures)} pictures ({names}), each with the caption that `layercast encode` guesses, and {len(seeds)}"
        " seed(s) where a link is subject to chance. Never: not while the link could have carried 30 kB. One way:"
        " nobody answers; the peers' ideal streams know of every loss all the same."
    ]
    said = Report("rivals", notes)
    by_picture = {
        image: [_named(each, links) for each in standings([row for row in rows if row.image == image], links)]
        for image in dict.fromkeys(row.image for row in rows)
    }
    same = _by_place(by_picture.values())
    said.tables += [
        _table("Times sooner until recognisable, the one-way delay left out: the median of the pictures, and the least;"
               " below 1 we are later", found, peers,
               lambda each: _middle_and_least([own.sooner for own in same[each.link, each.peer]])),
        _table("Seconds until recognisable, all of the delay counted, the median of the pictures", found, peers,
               lambda each: _seconds(median(own.theirs for own in same[each.link, each.peer])),
               lambda each: _seconds(median(own.ours for own in same[each.link, each.peer]))),
        _table("Area: mean SSIMULACRA2 over looks evenly spread in the logarithm of the bytes that the link could have"
               " carried, mean over the pictures", [each for each in found if each.area_ours is not None], peers,
               lambda each: f"{each.area_theirs:.1f}", lambda each: f"{each.area_ours:.1f}"),
        _losses(found),
        _sizes(rows),
    ]  # fmt: skip
    _goals(said, by_picture, links)
    return said


def _by_place(by_picture: Iterable[Sequence[Standing]]) -> dict[tuple[str, str], list[Standing]]:
    """By link and peer: how each picture fared."""
    found: dict[tuple[str, str], list[Standing]] = {}
    for standing in chain.from_iterable(by_picture):
        found.setdefault((standing.link, standing.peer), []).append(standing)
    return found


def _middle_and_least(ratios: Sequence[float]) -> str:
    least, middle = _times(min(ratios)), _times(median(ratios))
    return middle if middle == least else f"{middle} ({least})"


def _named(each: Standing, links: Sequence[Entry]) -> Standing:
    """With a link's name that says whether anybody answers."""
    (entry,) = [entry for entry in links if entry.name == each.link]
    return each if entry.preset.feedback else replace(each, link=f"{each.link}, one way")


def _table(
    title: str,
    found: Sequence[Standing],
    peers: Sequence[str],
    theirs: Callable[[Standing], str],
    ours: Callable[[Standing], str] | None = None,
) -> Table:
    """A row a link, a column a peer."""
    cells = {(each.link, each.peer): each for each in found}
    table = Table(("link", *(("layercast",) if ours else ()), *peers), title=title)
    for link in dict.fromkeys(each.link for each in found):
        row = [cells[link, peer] for peer in peers if (link, peer) in cells]
        table.rows.append((link, *((ours(row[0]),) if ours else ()), *(theirs(each) for each in row)))
    return table


def _times(ratio: float) -> str:
    if math.isinf(ratio):
        return "never"
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


def _seconds(time: float) -> str:
    if math.isinf(time):
        return "never"
    return f"{time:,.0f}" if time >= 100 else f"{time:.1f}" if time >= 10 else f"{time:.2f}"


def _losses(found: Sequence[Standing]) -> Table:
    """In how many runs we were not first, or showed less."""
    table = Table(("peer", "we are later in", "times sooner at worst", "less area in"), title="Losses")
    for peer in dict.fromkeys(each.peer for each in found):
        own = [each for each in found if each.peer == peer]
        seen = [each for each in own if each.area_won is not None]
        late = f"{sum(each.runs - each.won for each in own)} of {sum(each.runs for each in own)} runs"
        less = f"{sum(each.runs - (each.area_won or 0) for each in seen)} of {sum(each.runs for each in seen)} runs"
        table.rows.append((peer, late, _times(min(each.worst for each in own)), less))
    return table


def _sizes(rows: Sequence[Row]) -> Table:
    """What each picture takes of each codec until it is recognisable, at the least over all links, and in all."""
    table = Table(("picture", "codec", "B until recognisable", "B in all"), title="Bytes of the files")
    shown = dict.fromkeys((row.image, row.codec) for row in rows)
    for image, codec in shown:
        own = [row for row in rows if (row.image, row.codec) == (image, codec)]
        needed = min((row.needed for row in own if row.needed is not None), default=None)
        table.rows.append((image, codec, needed, own[0].size))
    return table


def _holds(ratio: float, least: float) -> bool:
    return ratio >= least and ratio > 1


def _goals(said: Report, by_picture: Mapping[str, Sequence[Standing]], links: Sequence[Entry]) -> None:
    """Each goal for each picture: the median over the seeds counts."""
    ways = {entry.name: "" if entry.preset.feedback else ", one way" for entry in links}
    thin = {entry.name + ways[entry.name] for entry in links if entry.thin}
    lossy = {entry.name + ways[entry.name] for entry in links if entry.preset.loss > LOSS}
    for peers, where, names, least in (
        (AT_75, "under 100 kbit/s", thin, SOONER),
        (SMALLEST, "under 100 kbit/s", thin, 1.0),
        (UNDER_LOSS, "with more than 1% lost", lossy, 1.0),
    ):
        for peer in peers:
            held = []
            for image, found in by_picture.items():
                own = [each for each in found if each.peer == peer and each.link in names]
                held.append((image, sum(_holds(each.sooner, least) for each in own), len(own)))
            if any(count for _, _, count in held):
                figure = ", ".join(f"{image} on {good} of {count} links" for image, good, count in held)
                goal = f"{least:g}x sooner" if least > 1 else "sooner"
                ok = all(good == count for _, good, count in held)
                said.check(f"first picture {goal} than {peer}, {where}", figure, "all", ok)


@click.command("rivals", short_help="Every link beside every peer: who shows a picture first.")
@click.option("--links", metavar="A,B", help="Only these presets.  [default: all]")
@click.option("--peers", metavar="A,B", help="Only these peers.  [default: all]")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Runs where chance is at work.")
@click.option("--match", default="*", help="Only file names of this pattern.")
@click.option("--images", type=click.IntRange(1), default=4, show_default=True, help="Pictures of the folder.")
@click.option("--resume", is_flag=True, help="Keep the runs that the output folder holds, do the others.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Rows and plots go there.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@work.options
def command(
    folder: Path, output: Path | None, resume: bool, images: int, match: str, seeds: int, peers: str | None,
    links: str | None, workers: int, as_json: bool, strict: bool,
) -> None:  # fmt: skip
    """Send the bundled photo and some of FOLDER over every link, by ourselves and by every peer.

    Each link is looked at when it could have carried 300 B, 1 kB, ... 30 kB. The first pictures take minutes each;
    what was measured is kept.
    """
    from sim.contest import entries, tasks
    from sim.experiment import run_all
    from sim.rivals import rival
    from sim.scenario import PEERS
    from sim.tables import WrongTable

    work.one_thread()
    names = tuple(name for name in (peers or "").split(",") if name) or PEERS
    wanted = [name for name in (links or "").split(",") if name]
    if resume and output is None:
        raise click.UsageError("--resume needs a folder: -o FOLDER")
    try:
        for name in names:
            rival(name)
        chosen = entries(wanted)
    except WrongTable as error:
        raise click.ClickException(str(error)) from None
    except KeyError as error:
        raise click.BadParameter(f"no link {error}; `layercast sim list` shows them", param_hint="--links") from None
    paths = photos(folder, images, match)
    captions = [guess(work.load(path)) for path in paths]
    progress = Progress("rivals")
    try:
        rows = run_all(tasks(chosen, paths, captions, seeds, names), output, workers, resume, progress)
    except KeyboardInterrupt:
        kept = f"; what is done is in {output}, --resume does the rest" if output is not None else ""
        raise Failure("rivals", f"stopped{kept}") from None
    finally:
        progress.close()
    report(rows, chosen, names).show(as_json, strict)
