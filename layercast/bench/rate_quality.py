"""`layercast bench rate-quality FOLDER`: prefixes of our streams beside other codecs at equal bytes.

Every byte of ours is charged: header, caption, framing. The others choose their scale and setting freely at each
budget (sim/peers.py), and their true size in pixels costs them nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import click

from layercast.bench import work
from layercast.bench.report import Cell, Report, Table

if TYPE_CHECKING:
    from layercast.bench.sheet import Shown
    from sim.metrics import Picture
    from sim.peers import Coded

BUDGETS = (150, 300, 600, 1000, 3000, 10_000, 50_000, 150_000)
SHEET_BUDGETS = (150, 600, 3000)
SHEET_PICTURES = 4
THUMBNAIL = 0  # stands for the budget "up to the end of the thumbnail"
MEASURES = ("PSNR", "SSIMULACRA2", "feature distance")


class Point(NamedTuple):
    """One codec on one picture at one budget: the bytes it used and its measures."""

    picture: str
    budget: int
    codec: str
    size: int
    psnr: float
    ssimulacra2: float
    feature_distance: float

    @property
    def measures(self) -> tuple[float, float, float]:
        """In the order of MEASURES."""
        return self.psnr, self.ssimulacra2, self.feature_distance


def _measured(name: str, budget: int, codec: str, size: int, photo: Picture, shown: Picture) -> Point:
    from sim import metrics

    judged = [judge(photo, shown) for judge in (metrics.psnr, metrics.ssimulacra2, metrics.feature_distance)]
    return Point(name, budget, codec, size, *judged)


def measure(path: Path, budgets: Sequence[int], peers: Sequence[str]) -> list[Point]:
    """All points of one picture: ours at every budget and in full, each peer wherever it fits."""
    from layercast.bench.streams import picture_of, stream_of, thumbnail_end
    from sim.peers import THUMBNAILS, encode_to_budget

    photo, data = work.load(path), stream_of(path)
    points = []
    for budget in budgets:
        part = data[: budget or thumbnail_end(data)]
        points.append(_measured(path.name, budget, "layercast", len(part), photo, picture_of(part)))
        if budget == THUMBNAIL:
            for codec, make in THUMBNAILS.items():
                hashed = make(photo)
                points.append(_measured(path.name, budget, codec, len(hashed.data), photo, hashed.picture))
            continue
        for codec in peers:
            coded = encode_to_budget(codec, photo, budget)
            if coded is not None:
                points.append(_measured(path.name, budget, codec, len(coded.data), photo, coded.picture))
    points.append(_measured(path.name, len(data), "layercast in full", len(data), photo, picture_of(data)))
    return points


def _of(points: Sequence[Point], budget: int, codec: str) -> list[Point]:
    return [point for point in points if point.budget == budget and point.codec == codec]


def _mean_row(label: str, found: Sequence[Point], pictures: int) -> list[Cell]:
    """Codec, bytes and the three means, over as many pictures as the codec managed."""
    name = label if len(found) == pictures else f"{label} ({len(found)} of {pictures})"
    if not found:
        return [name, None, None, None, None]
    finite = [p.psnr for p in found if p.psnr < math.inf]
    psnr = fmean(finite) if finite else math.inf
    return [name, fmean(p.size for p in found), psnr, *(fmean(p.measures[at] for p in found) for at in (1, 2))]


def means(points: Sequence[Point], budgets: Sequence[int], peers: Sequence[str], pictures: int) -> Table:
    """Budget and codec by bytes and measures, means over the pictures."""
    table = Table(("budget", "codec", "bytes", *MEASURES), title="Means at equal bytes")
    for budget in budgets:
        rivals: Sequence[str] = ("thumbhash", "blurhash") if budget == THUMBNAIL else peers
        for codec in ("layercast", *rivals):
            row = _mean_row(codec, _of(points, budget, codec), pictures)
            table.rows.append(["thumbnail" if budget == THUMBNAIL else budget, *row])
    full = [point for point in points if point.codec == "layercast in full"]
    table.rows.append(["full", *_mean_row("layercast", full, pictures)])
    return table


def duels(points: Sequence[Point], budgets: Sequence[int], peers: Sequence[str]) -> Table:
    """Ours against each peer on the pictures that both managed: mean differences and pictures won."""
    columns = ("budget", "against", "PSNR dB", "won", "SSIMULACRA2", "won ", "feature distance", "won  ", "of")
    table = Table(columns, title="Ours minus theirs, and pictures won (feature distance: lower wins)")
    for budget in budgets:
        ours = {point.picture: point for point in _of(points, budget, "layercast")}
        for codec in ("thumbhash", "blurhash") if budget == THUMBNAIL else peers:
            pairs = [(ours[their.picture], their) for their in _of(points, budget, codec)]
            if pairs:
                table.rows.append(["thumbnail" if budget == THUMBNAIL else budget, codec, *_duel(pairs), len(pairs)])
    return table


def _duel(pairs: Sequence[tuple[Point, Point]]) -> list[Cell]:
    """Mean difference and wins for each measure; equal infinite PSNR counts as no difference."""
    cells: list[Cell] = []
    for at, better in enumerate((1, 1, -1)):
        both = [(ours.measures[at], theirs.measures[at]) for ours, theirs in pairs]
        gaps = [0.0 if ours == theirs else ours - theirs for ours, theirs in both]
        cells += [fmean(gaps), sum(gap * better > 0 for gap in gaps)]
    return cells


def draw_sheet(paths: Sequence[Path], peers: Sequence[str], target: Path) -> None:
    """Photos at SHEET_BUDGETS by us and the peers; a row a photo and budget."""
    from layercast.bench.sheet import contact_sheet
    from layercast.bench.streams import picture_of, stream_of
    from sim.metrics import psnr
    from sim.peers import encode_to_budget

    rows = []
    for path in paths:
        photo, data = work.load(path), stream_of(path)
        for budget in SHEET_BUDGETS:
            shown = picture_of(data[:budget])
            row: list[Shown] = [(photo, path.name), (shown, f"layercast {budget} B, {psnr(photo, shown):.1f} dB")]
            for codec in peers:
                coded = encode_to_budget(codec, photo, budget)
                text = f"{codec}: no file of {budget} B" if coded is None else _label(codec, coded, photo)
                row.append((None if coded is None else coded.picture, text))
            rows.append(row)
    contact_sheet(rows, target)


def _label(codec: str, coded: Coded, photo: Picture) -> str:
    from sim.metrics import psnr

    return f"{codec} {len(coded.data)} B, {psnr(photo, coded.picture):.1f} dB"


def report(points: Sequence[Point], budgets: Sequence[int], peers: Sequence[str], pictures: int) -> Report:
    """Means and duels of all points."""
    found = Report("rate-quality", [f"{pictures} pictures; every byte of ours counted, the others downscaled at will."])
    found.tables += [means(points, budgets, peers, pictures), duels(points, budgets, peers)]
    return found


@click.command("rate-quality", short_help="Prefixes of our streams beside other codecs at equal bytes.")
@click.option(
    "--peers", default="progressive-jpeg,webp", help="Codecs to compare with, by commas; 'all' for every one."
)
@click.option("--budgets", default=",".join(map(str, (THUMBNAIL, *BUDGETS))), help="Bytes, by commas; 0: thumbnail.")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Also write a contact sheet (PNG).")
@work.picture_options
def command(
    folder: Path, peers: str, budgets: str, sheet: Path | None, images: int | None, match: str, workers: int,
    as_json: bool, strict: bool,
) -> None:  # fmt: skip
    """Bytes, PSNR, SSIMULACRA2 and feature distance of prefixes of our streams of the pictures in FOLDER."""
    from sim.peers import LOSSY

    chosen = LOSSY if peers == "all" else tuple(name for name in peers.split(",") if name)
    unknown = [name for name in chosen if name not in LOSSY]
    if unknown:
        raise click.BadParameter(f"unknown codec {unknown[0]!r}; one of {', '.join(LOSSY)}", param_hint="--peers")
    try:
        sizes = sorted({int(part) for part in budgets.split(",")})
    except ValueError:
        raise click.BadParameter("whole numbers, separated by commas", param_hint="--budgets") from None
    paths = work.pictures(folder, images, match)
    points = work.each(measure, [(path, sizes, chosen) for path in paths], workers, "rate-quality")
    report([p for some in points for p in some], sizes, chosen, len(paths)).show(as_json, strict)
    if sheet is not None:
        draw_sheet(paths[:: max(1, len(paths) // SHEET_PICTURES)][:SHEET_PICTURES], chosen, sheet)
