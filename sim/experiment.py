"""A scenario carried out: every image, every seed, ours and all peers, over the same link with the same losses.

    Scenario ─► tasks ─► run_task, on one process or many ─► Row, a line of rows.msgpack each ─► report

Rows are on the disk as soon as a task is done; a task whose rows are there already is not done again with `resume`.
"""

from __future__ import annotations

import hashlib
import math
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgpack

from sim.air import over_air
from sim.journey import JOURNEYS
from sim.measure import Judge, Row, measure
from sim.packetlog import PacketLog
from sim.presets import Preset
from sim.rates import WindowedRate
from sim.rivals import layercast_stream, rival
from sim.scenario import Scenario, load_object, read_scenario
from sim.subject import Subject
from sim.tables import WrongTable
from sim.timeline import Timeline, load_of, of_journey

OURS = "layercast"
ROWS = "rows.msgpack"
Spread = Callable[[Sequence["Task"]], Iterator[tuple["Task", list[Row]]]]
"""Does tasks by `run_task`, wherever it likes: (task, its rows) as they are done."""


@dataclass(frozen=True)
class Task:
    """One run of everybody: a point of the sweep, an image, a seed.

    values, folder: the scenario as written, so that a task can go to another process. pictures: whether to decode and
    measure; areas: whether at every look, or only until something is recognisable. logs: where to keep packet logs, or
    None.
    """

    values: dict[str, Any]
    folder: str
    point: dict[str, Any]
    image: int
    seed: int
    pictures: bool = True
    logs: str | None = None
    areas: bool = True

    @property
    def name(self) -> str:
        """The same for the same work."""
        said = repr((sorted(self.values.items(), key=str), sorted(self.point.items()), self.image, self.seed))
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def scenario(self) -> Scenario:
        """The scenario with the changes of its point."""
        found = read_scenario(self.values, "scenario", Path(self.folder))
        return found.changed(self.point) if self.point else found


def tasks_of(scenario: Scenario, pictures: bool = True, logs: Path | None = None) -> list[Task]:
    """All that a scenario asks for: points, images, seeds."""
    return [
        Task(
            dict(scenario.values),
            str(scenario.folder),
            point,
            image,
            seed,
            pictures,
            None if logs is None else str(logs),
        )
        for point in scenario.points
        for image in range(len(scenario.images))
        for seed in scenario.seeds
    ]


def _part_of(tell: Callable[[str, float], None], name: str, place: int, count: int) -> Callable[[float], None]:
    """Tells of the share of one of `count` parts of a task."""
    return lambda done: tell(name, (place + done) / count)


def run_task(task: Task, tell: Callable[[str, float], None] = lambda what, share: None) -> list[Row]:
    """The rows of ours and of all peers. Raises what reading the image raises, WrongTable."""
    scenario = task.scenario()
    subject = subject_of(task, scenario)
    judge = Judge(subject) if task.pictures else None
    carries = _capacity(scenario.link, task.seed)
    rows = []
    names = (OURS, *scenario.peers)
    for place, name in enumerate(names):
        timelines = timelines_of(name, scenario, subject, task)
        for number, timeline in enumerate(timelines):
            point = {**task.point, **_receiver_of(number, len(timelines))}
            row = Row(scenario.name, subject.name, task.seed, timeline.name, scenario.channel, point)
            row.beside = timeline.marks.pop("beside", None)
            measure(row, timeline, scenario.looks, judge, carries, _part_of(tell, name, place, len(names)), task.areas)
            if row.beside is not None and timeline.times:
                ours = row.held * 8 / timeline.times[-1]
                row.fairness = ours / (ours + row.beside) if ours + row.beside else None
            rows.append(row)
    return rows


def _receiver_of(number: int, count: int) -> dict[str, Any]:
    """Which receiver of a broadcast a row is of; the last has what all caught."""
    return {} if count == 1 else {"receiver": "together" if number == count - 1 else number + 1}


def subject_of(task: Task, scenario: Scenario) -> Subject:
    """The photo of a task, encoded. Raises what reading the image raises."""
    caption = scenario.captions[task.image] if scenario.captions else None
    return _subject(scenario.images[task.image], caption)


@lru_cache(maxsize=2)
def _subject(path: Path, caption: str | None) -> Subject:
    return Subject.load(path, caption)


def timelines_of(name: str, scenario: Scenario, subject: Subject, task: Task) -> list[Timeline]:
    """What one contender shows in a run; of ours, as a broadcast, what each receiver sees and what all caught. Raises
    WrongTable."""
    return _ours(scenario, subject, task) if name == OURS else [_theirs(name, scenario, subject, task)]


def _ours(scenario: Scenario, subject: Subject, task: Task) -> list[Timeline]:
    """One timeline, or that of each receiver of a broadcast and of all together."""
    if scenario.channel == "ideal":
        return [layercast_stream(subject, scenario.link, task.seed, scenario.until)]
    load = load_of(subject, scenario.policy.upto)
    if scenario.receivers:
        if task.logs is not None:
            raise WrongTable(f"{scenario.name}: a broadcast's packets are not kept; leave --packets out")
        way = (scenario.link, scenario.receivers, scenario.policy, task.seed, scenario.until)
        return [of_journey(subject, load, journey) for journey in over_air(load, *way)]
    send = JOURNEYS[scenario.channel]
    journey = send(load, scenario.link, scenario.policy, task.seed, scenario.until, task.logs is not None)
    if task.logs is not None:
        PacketLog.of(task.values, task.point, subject, task.seed, journey).save(Path(task.logs) / f"{task.name}.jsonl")
    timeline = of_journey(subject, load, journey)
    if journey.beside:
        timeline.marks["beside"] = sum(journey.beside) * 8 / journey.seconds
    return [timeline]


def _theirs(name: str, scenario: Scenario, subject: Subject, task: Task) -> Timeline:
    timeline = rival(name)(subject, scenario.link, task.seed, scenario.until)
    if not isinstance(timeline, Timeline):
        raise TypeError(f"{name} gave {type(timeline).__name__}; a peer gives a sim.timeline.Timeline")
    return timeline


def _capacity(link: Preset, seed: int) -> Callable[[float], float]:
    """Bits that can have arrived by a time, as far as that can be told."""
    sends = _sends(link, seed)
    return lambda time: sends(max(time - link.link.delay, 0.0))


def _sends(link: Preset, seed: int) -> Callable[[float], float]:
    """Bits that the way there can send by a time."""
    model = link.link
    rate: Any = model.transmitter(f"{seed}/forward")
    if isinstance(rate, WindowedRate):
        spans, inner = rate.windows.spans, rate.rate
        if hasattr(inner, "bits"):
            return lambda time: sum(inner.bits(start, stop) for start, stop in spans(0.0, time))
        return lambda time: sum(stop - start for start, stop in spans(0.0, time)) * model.sustained(link.packet_size)
    if hasattr(rate, "bits"):
        return lambda time: float(rate.bits(0.0, time))
    return lambda time: time * model.sustained(link.packet_size)


def check_names(scenario: Scenario) -> None:
    """One's own sender and peers can be imported. Raises WrongTable."""
    for name in scenario.peers:
        rival(name)
    if scenario.policy.sender is not None:
        load_object(scenario.policy.sender)


# --- many tasks ---


def rows_in(folder: Path) -> Iterator[tuple[str, Row]]:
    """(task, row) of all that a folder holds; what was cut short at the end is left out."""
    path = folder / ROWS
    if not path.is_file():
        return
    with open(path, "rb") as file:
        unpacker = msgpack.Unpacker(file, raw=False)
        while True:
            try:
                name, rows = unpacker.unpack()
            except (msgpack.OutOfData, ValueError, TypeError):
                return
            yield from ((name, Row.of(row)) for row in rows)


def run_all(
    tasks: Sequence[Task],
    folder: Path | None = None,
    workers: int = 1,
    resume: bool = False,
    tell: Callable[[str, float], None] = lambda what, share: None,
    spread: Spread | None = None,
) -> list[Row]:
    """The rows of all tasks, in their order; kept in `folder` as they come, so that Ctrl-C loses none that is done.

    spread: does the tasks elsewhere, in place of `workers` processes here.
    """
    found = _kept(folder) if folder is not None and resume else {}
    if folder is not None:
        _write(folder, [(name, rows) for name, rows in found.items()], "wb")
    waiting = [task for task in tasks if task.name not in found]
    here = partial(_spread, workers=workers, tell=lambda what, share: tell(what, (len(found) + share) / len(tasks)))
    for task, rows in (spread or here)(waiting):
        found[task.name] = rows
        if folder is not None:
            _write(folder, [(task.name, rows)], "ab")
        tell(f"run {len(found)} of {len(tasks)}", len(found) / len(tasks))
    return [row for task in tasks for row in found[task.name]]


def _kept(folder: Path) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for name, row in rows_in(folder):
        found.setdefault(name, []).append(row)
    return found


def _write(folder: Path, entries: Sequence[tuple[str, list[Row]]], mode: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ROWS, mode) as file:
        for name, rows in entries:
            file.write(msgpack.packb([name, [_finite(row.plain()) for row in rows]]))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _spread(
    tasks: Sequence[Task], workers: int, tell: Callable[[str, float], None]
) -> Iterator[tuple[Task, list[Row]]]:
    if workers == 1:
        for task in tasks:
            yield task, run_task(task, tell)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_leave_interrupts)
    try:
        futures = {pool.submit(run_task, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _leave_interrupts() -> None:
    """Ctrl-C is for the parent; torch, if used at all, computes with one thread here."""
    import os

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
