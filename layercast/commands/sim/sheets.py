"""Contact sheets of a scenario: the picture at each look, ours and the peers' in rows, with seconds, bytes, quality."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from layercast.sheet import Row as SheetRow
from layercast.sheet import draw

if TYPE_CHECKING:
    from sim.experiment import Task
    from sim.measure import Row
    from sim.scenario import Scenario
    from sim.timeline import Timeline
    from sim.watch import View

COLUMNS, SHEETS = 6, 8
"""Looks on a sheet, and sheets of a sweep, at most; more would not be looked at."""
HEAD = 1000
"""Bytes of a stream within which its caption stands."""


def write_sheets(scenario: Scenario, rows: Sequence[Row], folder: Path) -> list[Path]:
    """A sheet of each point: the first image and the first seed, sent anew. Nothing where no picture was measured."""
    from sim.experiment import tasks_of

    firsts = [task for task in tasks_of(scenario) if task.image == 0 and task.seed == scenario.seeds[0]][:SHEETS]
    written = []
    for number, task in enumerate(firsts):
        own = [row for row in rows if _of(row, task) and row.image == rows[0].image]
        if any(look.quality is not None for row in own for look in row.looks):
            written.append(folder / ("sheet.png" if len(firsts) == 1 else f"sheet-{number}.png"))
            written[-1].write_bytes(sheet(task, own))
    return written


def sheet(task: Task, rows: Sequence[Row]) -> bytes:
    """The sheet of a run with the rows measured of it, as a PNG."""
    import codec
    from sim.experiment import OURS, subject_of, timelines_of
    from sim.scenario import said

    scenario = task.scenario()
    subject = subject_of(task, scenario)
    places = _places(rows)
    caption = codec.decode(subject.stream[:HEAD]).caption
    names = (OURS, *scenario.peers)  # in this order stand the rows, too; a peer of one's own may call itself anything
    timelines = [each for name in names for each in timelines_of(name, scenario, subject, task)]
    shown = []
    for row, timeline in zip(rows, timelines, strict=True):
        ours = row.codec == OURS
        shown.append(SheetRow(_name(row), _views(row, timeline, places, caption if ours else None), ours))
    point = f", {said(task.point)}" if task.point else ""
    notes = ["Under each picture: seconds, bytes of use, feature distance (recognisable up to 1.36), quality."]
    link = scenario.link.about or scenario.link.name
    image = draw(subject.picture, f"{subject.name} over {scenario.name}{point}", notes, [(link, shown)])
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


def _name(row: Row) -> str:
    receiver = row.point.get("receiver")
    return row.codec.replace("-", " ") + (f" receiver {receiver}" if receiver is not None else "")


def _of(row: Row, task: Task) -> bool:
    """Whether a row is of a task; a broadcast's rows say beside the point which receiver they are of."""
    point = {key: value for key, value in row.point.items() if key != "receiver"}
    return (point, row.seed) == (task.point, task.seed)


def _places(rows: Sequence[Row]) -> list[int]:
    """Looks to show, evenly spread from the first at which anybody shows anything to the last."""
    count = len(rows[0].looks)
    first = min(
        (place for place in range(count) if any(row.looks[place].quality is not None for row in rows)), default=0
    )
    wanted = min(COLUMNS, count - first)
    return [first + round(n * (count - 1 - first) / max(wanted - 1, 1)) for n in range(wanted)]


def _views(row: Row, timeline: Timeline, places: Sequence[int], caption: str | None) -> list[View]:
    from sim.watch import View

    views = []
    for place in places:
        look = row.looks[place]
        told = caption if timeline.marks.get("caption", float("inf")) <= look.time else None
        picture = timeline.paint(timeline.state(look.time))
        if look.quality is None:
            layers: tuple[str, ...] = ("caption",) if told and picture is not None else ()
            views.append(View(look.time, look.bytes, 0, layers, told, picture))
            continue
        layers = (f"feature distance {look.quality.features:.2f}",)
        score = look.quality.psnr, look.quality.ssimulacra2
        views.append(View(look.time, look.bytes, 0, layers, told, picture, *score))
    return views
