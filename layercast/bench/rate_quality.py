"""`layercast bench rate-quality FOLDER`: prefixes of our streams beside other codecs at equal bytes.

Every byte of ours is charged: header, caption, framing. The others choose their scale and setting freely at each
budget (sim/peers.py), by PSNR, and their true size in pixels costs them nothing. An interrupted run goes on where it
was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from layercast.bench import budgets as wanted
from layercast.bench import work
from layercast.bench.bd_rate import bd_rates
from layercast.bench.comparison import HASHES, duels, means
from layercast.bench.points import OURS, Point, measure
from layercast.bench.report import Report
from layercast.cluster import cluster_option

PEERS = ("progressive-jpeg", "webp", "avif", "jxl", "jp2")
SHEET_PICTURES = 4


def report(points: Sequence[Point], budgets: Sequence[wanted.Budget], peers: Sequence[str], pictures: int) -> Report:
    """Means, duels and BD-rates of all points."""
    from layercast.bench.measures import absent

    note = f"{pictures} pictures; every byte of ours counted, the others downscaled at will, each try chosen by PSNR."
    found = Report("rate-quality", [note, *absent()])
    found.tables += [means(points, budgets, peers, pictures), duels(points, budgets, peers)]
    found.tables.append(bd_rates(points, budgets, peers))
    return found


def _peers(text: str) -> tuple[str, ...]:
    """The codecs named. BadParameter for an unknown one."""
    from sim.peers import LOSSY

    chosen = LOSSY if text == "all" else tuple(name for name in text.split(",") if name)
    unknown = [name for name in chosen if name not in LOSSY]
    if unknown:
        raise click.BadParameter(f"unknown codec {unknown[0]!r}; one of {', '.join(LOSSY)}", param_hint="--peers")
    return chosen


def _budgets(text: str) -> list[wanted.Budget]:
    try:
        return wanted.parse(text)
    except ValueError:
        raise click.BadParameter("bytes (600) or bits per pixel (0.25bpp) by commas", param_hint="--budgets") from None


@click.command("rate-quality", short_help="Prefixes of our streams beside other codecs at equal bytes.")
@click.option("--peers", default=",".join(PEERS), help="Codecs to compare with, by commas; 'all' for every one.")
@click.option("--budgets", default=wanted.DEFAULT, help="Bytes or bits per pixel, by commas; 0: thumbnail.")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Also write a contact sheet (PNG).")
@click.option("--plots", type=click.Path(file_okay=False, path_type=Path), help="Also draw curves into this folder.")
@cluster_option
@work.picture_options
def command(
    folder: Path, peers: str, budgets: str, sheet: Path | None, plots: Path | None, images: int | None, match: str,
    cluster: str | None, workers: int, as_json: bool, strict: bool,
) -> None:  # fmt: skip
    """Rate and quality of prefixes of our streams of the pictures in FOLDER, beside other codecs at equal bytes."""
    chosen, sizes = _peers(peers), _budgets(budgets)
    paths = work.pictures(folder, images, match)
    hashes = HASHES if any(budget.range is None for budget in sizes) else ()
    tasks = [(path, codec, sizes) for path in paths for codec in (OURS, *hashes, *chosen)]
    points = [p for some in work.each(measure, tasks, workers, "rate-quality", cluster) for p in some]
    report(points, sizes, chosen, len(paths)).show(as_json, strict)
    if plots is not None:
        from layercast.bench.plots import draw

        draw(points, sizes, chosen, plots)
    if sheet is not None:
        from layercast.bench.sheet import equal_bytes

        equal_bytes(paths[:: max(1, len(paths) // SHEET_PICTURES)][:SHEET_PICTURES], chosen, sheet)
