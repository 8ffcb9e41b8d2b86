"""The outbox on disk: nothing is lost, half-written, or spent beyond the budget, wherever a process is killed."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from codec.files import FileError
from codec.stream import FormatError, Kind
from layercast.net import spool as module
from layercast.net.outbox import FIRST, NO_RESIDUAL, WHOLE, Budget
from layercast.net.parcel import ABOUT, ORDER, pack, parse_order
from layercast.net.spool import BLOCK, Spool, SpoolFull
from layercast.stream import Stream
from player.items import group_of
from tests.layercast.net import spool_work
from tests.layercast.net.spool_work import BUDGET, LIMIT, NOW, stream

ROOT = Path(__file__).parents[3]


def files(spool: Spool) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (spool.folder / "streams").iterdir()}


def test_streams_wait_over_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "box")
    groups = [spool.add(stream(n), f"p{n}", NOW + n) for n in range(3)]
    assert groups == [group_of(stream(n)) for n in range(3)]
    spool.close()
    again = Spool(tmp_path / "box", newest_first=True)
    assert [each.group for each in again.waiting()] == groups[::-1]
    assert [each.name for each in again.waiting()] == ["p2", "p1", "p0"]
    newest = again.next()
    assert newest is not None and again.parcel(newest.group) == pack(stream(2), "p2")
    assert Spool(tmp_path / "box").next() == again.waiting()[-1]


def test_the_same_stream_is_put_in_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    group = spool.add(stream(1), "a", NOW)
    assert spool.add(stream(1), "b", NOW + 5) == group and len(spool.waiting()) == 1
    spool.finish(group, NOW + 9)
    assert spool.add(stream(1), "c", NOW + 10) == group and spool.waiting() == [], "it was sent"
    spool.forget_sent(NOW + 20)
    spool.add(stream(1), "d", NOW + 30)
    assert [each.name for each in spool.waiting()] == ["d"]


def test_another_stream_of_the_same_group_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.add(stream(1), "a", NOW)
    real = pack(stream(1), "a").group
    monkeypatch.setattr("layercast.net.parcel.group_of", lambda data: real)
    with pytest.raises(FileError, match="same group"):
        spool.add(stream(2), "b", NOW)
    assert files(spool) == {f"{real:08x}.lcast": len(stream(1))}


def test_what_is_delivered_is_not_sent_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    group = spool.add(stream(1), "a", NOW)
    items = spool.parcel(group).items
    done = [(item.cls, item.index) for item in items[:4]]
    spool.mark_delivered(group, done)
    spool.mark_delivered(group, done[:1])
    again = Spool(tmp_path)
    assert again.delivered(group) == set(done)
    assert again.parcel(group).items == items[4:] and again.parcel(group, all_items=True).items == items
    again.finish(group, NOW)
    assert again.next() is None and files(again) == {} and again.delivered(group) == set()
    with pytest.raises(KeyError):
        again.parcel(group)


def test_full_spools_thin_the_oldest_and_keep_its_group(tmp_path: Path) -> None:
    big = [data for n in range(40) if len(data := stream(n)) > 1500][:3]
    spool = Spool(tmp_path, limit=2 * len(big[0]) + 600)
    groups = [spool.add(data, f"p{n}", NOW + n) for n, data in enumerate(big)]
    assert [each.level for each in spool.waiting()] == [NO_RESIDUAL, WHOLE, WHOLE]
    assert sum(files(spool).values()) <= 2 * len(big[0]) + 600
    whole, thinned = pack(big[0], "p0"), spool.parcel(groups[0])
    assert thinned.group == whole.group and thinned.preamble == whole.preamble
    kept = {(item.cls, item.index): item.payload for item in thinned.items}
    original = {(item.cls, item.index): item.payload for item in whole.items}
    assert kept.items() < original.items(), "no byte of an item changes, also not its name and order"
    assert set(parse_order(kept[ORDER])) == set(original) - {ABOUT, ORDER}
    assert all(item.group == whole.group for item in thinned.items)


def test_thumbnails_and_captions_are_kept_to_the_last(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=40 * 50)
    for n in range(40):
        spool.add(stream(n), f"p{n}", NOW + n)
        assert sum(files(spool).values()) <= 40 * 50
    oldest = spool.waiting()[0]
    assert oldest.level == FIRST
    chunks = Stream((tmp_path / f"streams/{oldest.group:08x}.lcast").read_bytes()).chunks
    assert [chunk.key for chunk in chunks] == [(Kind.CAPTION, 0), (Kind.LATENT, 0)]
    before = files(spool)
    with pytest.raises(SpoolFull, match="down to caption and thumbnail"):
        for n in range(40, 120):
            spool.add(stream(n), f"p{n}", NOW + n)
            before = files(spool)
    assert files(spool) == before and len(before) > 40
    smaller = Spool(tmp_path, limit=sum(before.values()) - 1)
    with pytest.raises(SpoolFull):
        smaller.thin()
    assert files(smaller) == before


def test_budgets_hold_over_restarts(tmp_path: Path) -> None:
    sent = 0
    for _ in range(5):
        spool = Spool(tmp_path, budget=Budget(20_000))
        for _ in range(3):
            sent += 700 if spool.spend(700, NOW) else 0
        assert sent <= 20_000 and spool.spent(NOW) <= 20_000
        spool.close()  # what was written off and not sent is wasted: less than a block each time
    assert sent >= 20_000 - 5 * BLOCK - 700
    last = Spool(tmp_path, budget=Budget(20_000))
    while last.spend(700, NOW):
        sent += 700
    assert sent <= 20_000 and not last.spend(700, NOW + 3600)
    assert (last.left(NOW) or 0) < 700
    assert last.left(NOW + 86_400) == 20_000 and last.spend(700, NOW + 86_400)
    assert Spool(tmp_path / "free").left(NOW) is None and Spool(tmp_path / "free").spend(10**9, NOW)


def test_every_byte_of_a_budget_can_be_spent(tmp_path: Path) -> None:
    spool = Spool(tmp_path, budget=Budget(10_000))
    assert sum(size for size in [999] * 10 + [10, 1] if spool.spend(size, NOW)) == 10_000
    assert spool.left(NOW) == 0


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.lcast").write_bytes(b"mine")
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams/notes.lcast").write_bytes(b"mine too")
    (tmp_path / "streams/0123abcd.lcast").write_bytes(b"of a crash")
    (tmp_path / "streams/0123abcd.part").write_bytes(b"of a crash")
    spool = Spool(tmp_path)
    assert sorted(files(spool)) == ["notes.lcast"] and (tmp_path / "holiday.lcast").exists()


def test_what_is_no_stream_and_what_the_disk_does_not_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "box", limit=4000)
    spool.add(stream(4), "a", NOW)
    with pytest.raises(FormatError):
        spool.add(b"no stream", "a", NOW)
    before = spool.waiting()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", full)
        with pytest.raises(FileError, match="No space left"):
            spool.add(stream(5), "b", NOW)
    assert spool.waiting() == before and len(files(spool)) == 1
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError):
        Spool(tmp_path / "file")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/spool.db").write_bytes(b"no database" * 200)
    with pytest.raises(FileError):
        Spool(tmp_path / "odd")


def test_a_file_reaches_the_disk_before_its_name_and_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def rows() -> int:
        with sqlite3.connect(tmp_path / "spool.db") as other:
            return int(other.execute("SELECT count(*) FROM streams").fetchone()[0])

    def watched_fsync(descriptor: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"
        steps.append(f"sync {kind}, {rows()} rows")
        fsync(descriptor)

    def watched_replace(source: Path, target: Path) -> None:
        steps.append(f"rename, {rows()} rows")
        replace(source, target)

    monkeypatch.setattr(module.os, "fsync", watched_fsync)
    monkeypatch.setattr(module.os, "replace", watched_replace)
    spool.add(stream(1), "a", NOW)
    folder = ["sync folder, 0 rows"] if os.name == "posix" else []
    assert steps == ["sync file, 0 rows", "rename, 0 rows", *folder] and rows() == 1
    assert spool._db.execute("PRAGMA synchronous").fetchone()[0] == 2, "FULL"
    spool.mark_delivered(spool.waiting()[0].group, [(0, 0)])
    assert spool._db.execute("PRAGMA synchronous").fetchone()[0] == 1, "NORMAL"


# --- killed at any moment ---


def told(folder: Path) -> list[list[object]]:
    path = folder / "done"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def check(folder: Path) -> None:
    """What was told as done is there, and what is there is whole."""
    done = told(folder)
    spool = Spool(folder / "spool", LIMIT, budget=Budget(BUDGET))
    assert spool._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    waiting = {each.group: each for each in spool.waiting()}
    assert files(spool) == {f"{each.group:08x}.lcast": each.size for each in waiting.values()}
    assert sum(files(spool).values()) <= LIMIT
    finishing = {row[1] for row in done if row[0] == "finishing"}
    finished = {row[1] for row in done if row[0] == "finished"}
    added = {row[2]: row[1] for row in done if row[0] == "added"}
    assert set(added) - finishing <= set(waiting), "a stream that was put in is lost"
    assert not finished & set(waiting), "a stream that was sent is there again"
    for group in waiting:
        held = {(item.cls, item.index): item.payload for item in spool.parcel(group, all_items=True).items}
        if group in added:
            number = int(added[group])  # type: ignore[call-overload]
            whole = {(i.cls, i.index): i.payload for i in pack(stream(number), f"p{number}").items}
            assert held.items() <= whole.items() and {(0, 0 * 8 + Kind.CAPTION), ABOUT, ORDER} <= set(held)
    for row in done:
        if row[0] == "marked" and row[1] in waiting:
            assert {tuple(key) for key in row[2]} <= spool.delivered(int(row[1]))  # type: ignore[attr-defined, call-overload]
    spent = sum(int(row[1]) for row in done if row[0] == "spent")  # type: ignore[call-overload]
    assert spent <= spool.spent(NOW) <= BUDGET
    spool.close()


RUNS = 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="being killed is not shown here: no fork")
def test_killed_anywhere_and_started_again(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.layercast.net.spool_work", str(tmp_path), str(RUNS)]
    subprocess.run(words, cwd=ROOT, check=True)
    ends = [int(path.read_text()) for path in tmp_path.glob("*/status*")]
    assert set(ends) <= {0, -signal.SIGKILL} and ends.count(-signal.SIGKILL) > 2 * RUNS
    for run in range(RUNS):
        check(tmp_path / str(run))


def test_the_same_work_without_being_killed(tmp_path: Path) -> None:
    spool_work.work(tmp_path, 3, steps=40)
    check(tmp_path)
    kinds = {str(row[0]) for row in told(tmp_path)}
    assert kinds == {"opened", "added", "spent", "marked", "finishing", "finished"}
