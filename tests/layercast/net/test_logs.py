"""Logs on disk: what a transfer did can be read from the files of its two ends, and told in a table."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layercast.net.logs import LogFile, Summary, read, summarise, table
from tests.transport.pair import Pair, dropping
from transport import Item, Receiver, Sender, SenderConfig
from transport.log import LogEvent, from_line, to_line


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Pair]:
    """Logs of the two ends of a lossy transfer, and the transfer."""
    folder = tmp_path_factory.mktemp("logs")
    config = SenderConfig(rate=None, packet_size=200)
    pair = Pair(config, dropping(3, 9))
    with LogFile(folder / "sender", "a test") as near, LogFile(folder / "receiver") as far:
        pair.sender, pair.receiver = Sender(config, near), Receiver(None, far)
        pair.ends = (pair.sender, pair.receiver)
        pair.sender.start_group(7, b"head")
        pair.submit(Item(7, 0, 0, b"a dog"), *(Item(7, 3, n, random.Random(n).randbytes(700), n) for n in range(9)))
        pair.drive()
    return folder / "sender", folder / "receiver", pair


def test_a_summary_is_what_happened(files: tuple[Path, Path, Pair]) -> None:
    near, far, pair = files
    sender, receiver = summarise(read(near)), summarise(read(far))
    assert (sender.sent.packets, sender.sent.bytes) == (len(pair.sent[0]), sum(len(data) for _, data in pair.sent[0]))
    assert receiver.sent.bytes == sum(len(data) for _, data in pair.sent[1])
    assert (sender.received.packets, receiver.received.packets) == (len(pair.sent[1]), len(pair.sent[0]) - 2)
    assert sender.lost == pair.sender.stats.lost == 2
    assert set(sender.complete) == set(receiver.complete) == set(pair.received())
    assert receiver.complete[7, 0, 0] == pytest.approx(pair.when((7, 0, 0)), abs=1e-6)
    assert sum(sender.sent.classes.values()) == pair.sender.stats.payload
    assert sender.rates[-1][1] == round(pair.sender.estimate.rate)
    assert list(receiver.groups) == [7]


def test_the_table_says_it(files: tuple[Path, Path, Pair]) -> None:
    text = table(summarise(read(files[0])))
    for part in (f"{len(files[2].sent[0])} packets", "lost", "2 packets", "10 complete", "class 3", "estimate"):
        assert part in text
    assert "00000007" in table(summarise(read(files[1])))
    assert "0 complete" in table(Summary())


def test_a_log_that_was_cut_off_is_read_to_there(files: tuple[Path, Path, Pair], tmp_path: Path) -> None:
    data = files[0].read_bytes()
    whole = list(read(files[0]))
    for end in (0, 1, 30, len(data) // 2, len(data) - 1):
        (tmp_path / "cut").write_bytes(data[:end])
        found = list(read(tmp_path / "cut"))
        assert found == whole[: data[:end].count(b"\n")]


def test_lines_that_are_none_are_named(tmp_path: Path) -> None:
    good = to_line(1.0, "item", "dropped", {}) + "\n"
    (tmp_path / "odd").write_bytes(good.encode() + b"\xff\x00 what\n" + good.encode())
    with pytest.raises(ValueError, match="line 2: not a line of a log"):
        list(read(tmp_path / "odd"))


def test_lines_reach_the_disk_while_the_session_goes_on(tmp_path: Path) -> None:
    with LogFile(tmp_path / "log", every=1.0) as log:
        for tick in range(30):
            log(tick / 10, "item", "dropped", {"group": tick})
        assert sum(event.name == "dropped" for event in read(tmp_path / "log")) >= 20
    assert sum(event.name == "dropped" for event in read(tmp_path / "log")) == 30


def test_the_first_line_says_what_it_is(files: tuple[Path, Path, Pair]) -> None:
    first = json.loads(files[0].read_text().splitlines()[0])
    assert (first["category"], first["name"], first["data"]["title"]) == ("log", "opened", "a test")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
names = st.sampled_from(
    ["packet_sent", "packet_received", "packets_lost", "metrics_updated", "received", "delivered", "group_started"]
)
fields = st.sampled_from(["bytes", "kind", "pieces", "numbers", "rate", "srtt", "group", "cls", "index", "complete"])


@settings(max_examples=60)
@given(st.lists(st.tuples(names, st.dictionaries(fields, values, max_size=5)), max_size=8))
def test_no_field_makes_a_summary_fail(rows: list[tuple[str, dict[str, object]]]) -> None:
    events = []
    for name, data in rows:
        category = {"metrics_updated": "recovery", "packets_lost": "recovery"}.get(name, "item")
        category = "transport" if name.startswith("packet_") else category
        line = to_line(1.0, category, name, data)  # type: ignore[arg-type]
        events.append(from_line(line))
    assert table(summarise(events))
    assert summarise([LogEvent(1.0, "log", "opened", {})]) == Summary()
