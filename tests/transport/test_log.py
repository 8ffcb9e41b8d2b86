"""The log as an interface: what two real ends did over a lossy middle can be told from their logs alone."""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transport.pair import Middle, Pair, dropping, steady
from transport import Item, Log, Receiver, ReceiverConfig, Sender, SenderConfig
from transport.log import LogEvent, Value, from_line, labelled, to_line

SECRET = b"a photo that nobody else may see"


class LoggedPair(Pair):
    """Both ends write lines; `logs` reads them back."""

    def __init__(self, config: SenderConfig, forward: Middle | None = None, receiving: ReceiverConfig | None = None):
        super().__init__(config, forward)
        self.lines: tuple[list[str], list[str]] = ([], [])
        self.sender = Sender(config, self._into(0))
        self.receiver = Receiver(receiving, self._into(1))
        self.ends = (self.sender, self.receiver)

    def _into(self, side: int) -> Log:
        def log(time: float, category: str, name: str, data: Mapping[str, Value]) -> None:
            self.lines[side].append(to_line(time, category, name, data))

        return log

    def log(self, side: int, *names: str) -> list[LogEvent]:
        return [event for event in map(from_line, self.lines[side]) if not names or event.name in names]


def transfer(forward: Middle | None = None, rate: float | None = 50_000) -> LoggedPair:
    pair = LoggedPair(SenderConfig(rate=rate, packet_size=200), forward)
    pair.sender.start_group(7, b"head")
    pair.submit(Item(7, 0, 0, SECRET), *(Item(7, 3, n, random.Random(n).randbytes(700), n) for n in range(9)))
    pair.drive()
    return pair


def test_every_packet_is_there_with_its_time() -> None:
    pair = transfer(dropping(3, 9))
    for side in (0, 1):
        sent = pair.log(side, "packet_sent")
        assert [event.time for event in sent] == [pytest.approx(time, abs=1e-6) for time, _ in pair.sent[side]]
        assert [event.data["bytes"] for event in sent] == [len(data) for _, data in pair.sent[side]]
    got = pair.log(1, "packet_received")
    assert [event.data["number"] for event in got] == [n for n in range(len(pair.sent[0])) if n not in (3, 9)]
    assert all(event.category == "transport" for event in got)


def test_losses_and_items_are_told() -> None:
    pair = transfer(dropping(3, 9))
    assert [n for event in pair.log(0, "packets_lost") for n in event.data["numbers"]] == [3, 9]  # type: ignore[union-attr]
    acked = Counter(n for event in pair.log(0, "packets_acked") for n in event.data["numbers"])  # type: ignore[union-attr]
    assert set(acked) == set(range(len(pair.sent[0]))) - {3, 9} and set(acked.values()) == {1}
    delivered = {(e.data["group"], e.data["cls"], e.data["index"]) for e in pair.log(0, "delivered")}
    complete = {
        (e.data["group"], e.data["cls"], e.data["index"]) for e in pair.log(1, "received") if e.data["complete"]
    }
    assert delivered == complete == set(pair.received())
    assert [event.data for event in pair.log(1, "group_started")] == [{"group": 7}]


def test_pieces_account_for_every_byte() -> None:
    pair = transfer()
    pieces = [piece for event in pair.log(0, "packet_sent") for piece in event.data["pieces"]]  # type: ignore[union-attr]
    assert sum(piece[3] for piece in pieces) == pair.sender.stats.payload  # type: ignore[index, call-overload, misc]


def test_the_estimate_is_logged_as_it_changes() -> None:
    pair = transfer(rate=None)
    metrics = pair.log(0, "metrics_updated")
    assert metrics[-1].data["rate"] == round(pair.sender.estimate.rate)
    assert metrics[-1].data["srtt"] == pytest.approx(pair.sender.estimate.srtt, abs=1e-4)
    assert all(before.data != after.data for before, after in pairwise(metrics))


def test_garbage_and_drops_are_told() -> None:
    pair = transfer()
    pair.receiver.handle_datagram(b"\x80\x01", 9.0)
    (dropped,) = pair.log(1, "packet_dropped")
    assert (dropped.time, dropped.data["bytes"]) == (9.0, 2) and "at byte" in str(dropped.data["why"])
    pair.submit(Item(8, 3, 0, bytes(5000), deadline=pair.now + 0.1))
    pair.drive(pair.now + 5)
    assert [event.data for event in pair.log(0, "dropped")] == [{"group": 8, "cls": 3, "index": 0}]


def test_no_payload_and_no_preamble_is_in_a_log() -> None:
    pair = transfer()
    text = "\n".join(pair.lines[0] + pair.lines[1])
    for secret in (SECRET, b"head"):
        assert secret.decode() not in text and secret.hex() not in text.lower() and repr(secret) not in text


def test_requests_are_told_without_their_words() -> None:
    pair = LoggedPair(SenderConfig(rate=50_000, packet_size=200, wait_for_request=True))
    pair.submit(*(Item(7, cls, 1, bytes(300), cls) for cls in range(4)))
    pair.sender.finish()
    pair.receiver.ask_for("the attic")
    pair.receiver.resume(7, b"head", {(2, 1): (bytes(300), True), (1, 1): (bytes(10), False)})
    pair.receiver.want(2)
    pair.receiver.want(1, 7, [(0, 1)])
    pair.drive()
    entries = [entry for event in pair.log(0, "packet_received") for entry in event.data.get("entries", [])]  # type: ignore[union-attr]
    for entry in (["topic", 9], ["held", 7, 1], ["partial", 7, 1, 1, 10], ["level", None, 2], ["level", 7, 1]):
        assert entry in entries
    wanted = [(e.data["group"], e.data["upto"]) for e in pair.log(0, "level_wanted")]
    assert wanted == [(None, 2), (7, 1)]
    assert pair.log(0, "topic_wanted")[0].data == {"bytes": 9}
    assert pair.log(1, "ended") and "attic" not in "".join(pair.lines[0] + pair.lines[1])


def test_numbers_go_on_beyond_16_bits() -> None:
    pair = LoggedPair(SenderConfig(rate=50_000, packet_size=100), steady())
    pair.sender._number = 65530
    pair.sender._flight.largest_acked = 65529
    pair.submit(*(Item(1, 3, n, bytes(80), n) for n in range(12)))
    pair.drive()
    numbers = list(range(65530, 65542))
    assert [event.data["number"] for event in pair.log(0, "packet_sent")] == numbers
    assert [event.data["number"] for event in pair.log(1, "packet_received")] == numbers
    assert [n for event in pair.log(0, "packets_acked") for n in event.data["numbers"]] == numbers  # type: ignore[union-attr]


def test_labels_tell_sessions_apart() -> None:
    found: list[LogEvent] = []
    log = labelled(lambda *fields: found.append(LogEvent(*fields)), peer="a", group="overridden")
    receiver = Receiver(None, log)
    receiver.handle_datagram(b"", 1.5)
    log(2.0, "item", "dropped", {"group": 3})
    assert [(event.time, event.data["peer"]) for event in found] == [(1.5, "a"), (2.0, "a")]
    assert found[1].data == {"peer": "a", "group": 3}


def test_a_log_changes_nothing() -> None:
    def run(make: Callable[[SenderConfig, Middle], Pair]) -> list[tuple[float, bytes]]:
        pair = make(SenderConfig(rate=None, packet_size=200), dropping(2, 5, 6))
        pair.submit(*(Item(7, 3, n, bytes(700), n) for n in range(20)))
        pair.drive()
        return pair.sent[0] + pair.sent[1]

    assert run(LoggedPair) == run(Pair)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=25)
@given(st.integers(0, 10**12), st.text(), st.text(), st.dictionaries(st.text(), values))
def test_a_line_comes_back(micros: int, category: str, name: str, data: dict[str, Value]) -> None:
    line = to_line(micros / 1e6, category, name, data)
    assert "\n" not in line and line.isascii()
    assert from_line(line) == LogEvent(micros / 1e6, category, name, data)


@settings(max_examples=25)
@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a line of a log"):
        from_line(line)
