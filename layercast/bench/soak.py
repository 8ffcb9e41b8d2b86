"""`layercast bench soak`: less link, less picture, never none; on every preset, and on links that nobody would build.

photos ─► tables of their quality ─┐
photos x presets ─► grids ─────────┼─► a file each in a folder, at once ─► the report
random links, by the hundred ──────┘      what has its file is not done again
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.bench import work
from layercast.bench.report import Report, Table
from layercast.cluster import cluster_option

if TYPE_CHECKING:
    from sim.journey import Load
    from sim.quality_table import QualityTable

PHOTOS = 12
SIDE, STREAM_BYTES = 256, 16_000
"""Photos are made so small, and their streams cut, so that a table of their quality takes seconds."""
CAPTION = "A photo on its way over a thin link."
BATCH = 100
"""Random links of a task."""
RISE_DB, STEP_DB, FALL_DB = 1.0, 3.0, 0.5
"""Tolerances: mean quality may be so much higher where more is lost or the link is slower; 1% more loss may cost so
much of it; what is shown may get worse by so much."""
PROBED = 40
"""States of each photo that are decoded, to see how far off its table is."""
TABLE_DB = 1.0
"""The table may be off by so much in 19 of 20 states."""


@dataclass(frozen=True)
class _Tasks:
    """Does tasks on several processes, and keeps what each gave in a file of `folder`."""

    folder: Path
    workers: int
    cluster: str | None

    def results(self, function: Callable[..., Any], tasks: Mapping[str, Sequence[Any]], label: str) -> list[Any]:
        """What `function` gave of each task, by the name of its file; only what has none is done."""
        paths = {name: self.folder / f"{name}.json" for name in tasks}
        waiting = [(function, paths[name], given) for name, given in tasks.items() if not paths[name].is_file()]
        work.each(_kept, waiting, self.workers, label, self.cluster)
        return [json.loads(path.read_text()) for path in paths.values()]


def _kept(function: Callable[..., Any], path: Path, given: Sequence[Any]) -> None:
    from sim.peers import keep_file

    keep_file(path, json.dumps(function(*given)).encode())


@click.command("soak", short_help="Graceful degradation on every link there is, and random ones; many minutes.")
@click.option("-o", "--output", default="runs/soak", show_default=True, metavar="FOLDER", help="Keeps what is done.")
@click.option("--presets", "names", metavar="A,B", help="Only these links.")
@click.option("--seeds", default=10, show_default=True, type=click.IntRange(1), help="Of each link.")
@click.option("--links", default=10_000, show_default=True, type=click.IntRange(0), help="Random links; 0 for none.")
@click.option("--once", is_flag=True, help="One way: as `send --protect-first`.")
@cluster_option
@work.picture_options
def command(
    folder: Path,
    images: int | None,
    match: str,
    output: str,
    names: str | None,
    seeds: int,
    links: int,
    once: bool,
    workers: int,
    cluster: str | None,
    as_json: bool,
    strict: bool,
) -> None:
    """Send 12 photos of FOLDER (--images: so many) over every preset at losses of 0 to 40%, and at half, once and twice
    the rate, with the same seeds at each; then a small stream over random links.

    In a session nothing is decoded: quality is looked up by the chunks held, in a table that is made once for each
    photo. Ctrl-C keeps what is done, and the same command goes on. New code wants a new folder: -o.
    """
    from sim.presets import presets

    chosen = names.split(",") if names else list(presets())
    if unknown := [name for name in chosen if name not in presets()]:
        raise click.UsageError(f"there is no link {', '.join(unknown)}; `layercast sim list` shows them")
    paths = work.pictures(folder, images or PHOTOS, match)
    tasks = _Tasks(Path(output), workers, cluster)
    found = Report("soak")
    _grids(found, tasks, paths, chosen, seeds, once)
    if links:
        _random_links(found, tasks, links)
    found.show(as_json, strict)


# --- the grid ---


@lru_cache(maxsize=2)
def _photo(path: Path) -> tuple[Load, QualityTable]:
    """A photo, made small, as it is sent, and its table."""
    import numpy as np
    from PIL import Image

    import codec
    from sim.peers import default_cache
    from sim.quality_table import QualityTable
    from sim.subject import Subject, kept_stream
    from sim.timeline import load_of

    with Image.open(path) as image:
        small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    picture = np.asarray(small)
    stream = kept_stream(picture, repr(CAPTION), lambda: codec.encode(picture, caption=CAPTION))
    subject = Subject(path.name, picture, stream[:STREAM_BYTES])
    load = load_of(subject)
    return load, QualityTable(subject, load, default_cache() / "tables" / f"{subject.fingerprint}.json")


def _table_of(path: Path) -> list[float]:
    """By how much the table of a photo is off, dB, over states drawn at random."""
    _, table = _photo(path)
    off = [table.psnr(held) - table.exact(held) for held in table.states(PROBED)]
    table.save()
    return off


def _grid_of(path: Path, preset: str, first_seed: int, seeds: int, once: bool) -> dict[str, Any]:
    from sim.degradation import grid
    from sim.presets import presets
    from sim.scenario import SendPolicy

    load, table = _photo(path)
    numbers, policy = range(first_seed, first_seed + seeds), SendPolicy(protect_all=not once)
    found = grid(path.name, load, table, presets()[preset], numbers, policy=policy)
    table.save()
    return asdict(found)


def _grids(found: Report, tasks: _Tasks, paths: Sequence[Path], chosen: Sequence[str], seeds: int, once: bool) -> None:
    """Every photo over every preset: its own seeds at each, so that chance differs from photo to photo."""
    from sim.degradation import Grid, shape_of

    offs = tasks.results(_table_of, {f"table-{path.stem}": (path,) for path in paths}, "tables")
    off = sorted(abs(each) for of_photo in offs for each in of_photo)
    given = {
        f"grid-{name}-{path.stem}-{seeds}{'-once' if once else ''}": (path, name, 1000 * place, seeds, once)
        for name in chosen
        for place, path in enumerate(paths)
    }
    grids = [Grid.of(values) for values in tasks.results(_grid_of, given, "links")]
    shapes = [shape_of([each for each in grids if each.preset == name]) for name in chosen]
    columns = ("link", "sessions", "base in", "not shown", "rises dB", "1% costs dB", "from", "slower dB", "fell dB")
    table = Table(columns, title=f"{len(paths)} photos, {seeds} seeds, loss of 0 to 40%; the worst of all looks")
    for shape in shapes:
        mine = [each for each in grids if each.preset == shape.preset]
        counts = [sum(getattr(each, count) for each in mine) for count in ("sessions", "with_base", "never_shown")]
        worst = (shape.rises, shape.step, f"{shape.at:.0%}", shape.slower_is_better, max(each.fell for each in mine))
        table.rows.append((shape.preset, *counts, *worst))
    found.tables.append(table)
    found.notes.append(f"Streams of {STREAM_BYTES:,} B at most of photos of at most {SIDE} pixels a side.")
    never, base = sum(each.never_shown for each in grids), sum(each.with_base for each in grids)
    found.check("nothing shown though a packet of the base is in", f"{never} of {base:,}", "0", not never)
    for what, most, goal in (
        ("more loss, a better picture: at most", max(shape.rises for shape in shapes), RISE_DB),
        ("1% more loss costs at most", max(shape.step for shape in shapes), STEP_DB),
        ("a slower link, a better picture: at most", max(shape.slower_is_better for shape in shapes), RISE_DB),
        ("the shown picture gets worse by at most", max(each.fell for each in grids), FALL_DB),
        ("the table is off, 95% of the states", off[int(0.95 * len(off))], TABLE_DB),
    ):
        found.check(what, f"{most:.2f} dB", f"<= {goal:g} dB", most <= goal)


# --- random links ---


@lru_cache(maxsize=1)
def _small() -> Load:
    """A small stream, of few items."""
    import numpy as np

    import codec
    from sim.subject import Subject
    from sim.timeline import load_of

    y, x = np.mgrid[:40, :56]
    picture = np.stack([x * 4, y * 6, 128 + 100 * np.sin(x / 9)], 2).astype(np.uint8)
    return load_of(Subject("waves", picture, codec.encode(picture, caption="Waves at dusk.", weights=0)))


def _trials(first: int, count: int) -> list[dict[str, Any]]:
    from sim.random_links import trial

    return [asdict(trial(_small(), seed)) for seed in range(first, first + count)]


def _random_links(found: Report, tasks: _Tasks, links: int) -> None:
    """So many links, and everything that went wrong."""
    given = {
        f"random-{first}-{min(BATCH, links - first)}": (first, min(BATCH, links - first))
        for first in range(0, links, BATCH)
    }
    trials = [each for batch in tasks.results(_trials, given, "random links") for each in batch]
    crashes = [each for each in trials if each["crash"]]
    wrong = [each for each in trials if each["wrong"]]
    base, whole = (sum(each[key] for each in trials) for key in ("base", "whole"))
    found.notes.append(f"{links:,} random links: {base:,} brought a packet of the base, {whole:,} the whole stream.")
    found.notes += [f"Link {each['seed']}: {each['wrong'] or each['crash']}" for each in (*crashes, *wrong)][:20]
    found.check("random links: crashes", str(len(crashes)), "0", not crashes)
    found.check("random links: undecodable, or not what was sent", f"{len(wrong)} of {base:,}", "0", not wrong)
