"""A one-way sender and real receivers behind named and random losses."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transport.test_session import GROUP, HEADER, picture
from transport import GroupStarted, Item, ItemDropped, ItemReceived, Receiver, SenderNamed
from transport.broadcast import PROTECT_ALL, TARGETS, BroadcastConfig, BroadcastSender
from transport.channels import pump
from transport.channels.memory import pair
from transport.schedule import Key
from transport.symbols import Repair
from transport.wire import Data, Name, parse

SIZES = [51, 200, 256, 340, 1100]


def sender_of(config: BroadcastConfig, items: list[Item]) -> BroadcastSender:
    sender = BroadcastSender(config)
    for group in dict.fromkeys(item.group for item in items):
        sender.start_group(group, HEADER)
    for item in items:
        sender.submit(item)
    return sender


def sent_by(sender: BroadcastSender, until: float = 1e9, start: float = 0.0) -> list[tuple[float, bytes]]:
    """All that leaves, driven by the sender's own timer."""
    now, out = start, []
    while (timer := sender.next_timer()) is not None and timer <= until:
        now = max(now, timer)
        while (data := sender.poll_transmit(now)) is not None:
            out.append((now, data))
    return out


def caught(packets: list[bytes]) -> tuple[dict[Key, bytes], list[object]]:
    receiver, events = Receiver(), []
    for data in packets:
        receiver.handle_datagram(data, 0.0)
        assert receiver.poll_transmit(0.0) is None, "nobody answers a broadcast"
        while (event := receiver.next_event()) is not None:
            events.append(event)
    whole = {event.key: event.payload for event in events if isinstance(event, ItemReceived) and event.complete}
    return whole, events


def whole(items: list[Item]) -> dict[Key, bytes]:
    return {item.key: item.payload for item in items}


@pytest.mark.parametrize("size", SIZES)
def test_a_link_that_loses_nothing(size: int) -> None:
    items = picture()
    packets = [data for _, data in sent_by(sender_of(BroadcastConfig(10_000, size), items))]
    assert max(map(len, packets)) <= size
    assert caught(packets)[0] == whole(items)


@pytest.mark.parametrize("size", SIZES)
def test_any_base_packet_starts_the_group_and_copies_stand_apart(size: int) -> None:
    packets = [data for _, data in sent_by(sender_of(BroadcastConfig(10_000, size, loss=0.2, burst=4), picture(30)))]
    base = [n for n, data in enumerate(packets) if data[0] & 0xD8 == 0xC0]
    assert base[0] == 0 and len(base) >= 5
    for place in base:
        assert caught([packets[place]])[1][0] == GroupStarted(GROUP, HEADER)
    apart = [after - before for before, after in pairwise(base)]
    assert min(apart) >= 5


def test_order_by_priority_and_repair_behind_its_block() -> None:
    items = picture(4)
    packets = [parse(data) for _, data in sent_by(sender_of(BroadcastConfig(10_000, 120, loss=0.3), items))]
    first_sent: dict[Key, int] = {}
    last_data: dict[tuple[int, int], int] = {}
    for place, packet in enumerate(packets):
        if isinstance(packet, Data):
            for segment in packet.segments:
                first_sent.setdefault((GROUP, segment.cls, segment.index), place)
            if packet.coded:
                last_data[packet.segments[0].cls, packet.coded[0]] = place
    order = [first_sent[item.key] for item in sorted(items, key=lambda item: item.priority)]
    assert order == sorted(order)
    repairs = [(place, packet) for place, packet in enumerate(packets) if isinstance(packet, Repair)]
    assert all(place > last_data[packet.cls, packet.block] for place, packet in repairs)
    assert max(place for place, _ in repairs) < min(first_sent[item.key] for item in items if item.cls == 3) + 1


@pytest.mark.parametrize("packet_loss", [0.1, 0.3])
def test_repair_brings_back_what_was_lost(packet_loss: float) -> None:
    items = picture()
    config = BroadcastConfig(10_000, 100, loss=packet_loss, targets=(0.999, 0.999, 0.999, None))
    packets = [data for _, data in sent_by(sender_of(config, items))]
    rebuilt = 0
    for seed in range(60):
        rng = random.Random(seed)
        receiver = Receiver()
        for data in packets:
            if rng.random() >= packet_loss:
                receiver.handle_datagram(data, 0.0)
        rebuilt += receiver.stats.rebuilt
        got = {}
        while (event := receiver.next_event()) is not None:
            if isinstance(event, ItemReceived) and event.complete:
                got[event.key] = event.payload
        assert {key for key in whole(items) if key[1] < 3} <= set(got)
        assert all(whole(items)[key] == payload for key, payload in got.items())
    assert rebuilt > 60 * 0.8 * packet_loss * 6


def test_the_chances_told_are_those_of_the_program() -> None:
    config = BroadcastConfig(10_000, 100, loss=0.25, burst=3, targets=(0.97, 0.9, 0.8, None))
    sender = sender_of(config, picture())
    program = sender.program(GROUP)
    assert program is not None and sender.program(3) is None
    packets = [data for _, data in sent_by(sender)]
    complete: Counter[int] = Counter()
    classes = {cls: {item.key for item in picture() if item.cls == cls} for cls in range(3)}
    for seed in range(400):
        rng = random.Random(seed)
        bad, kept = rng.random() < 0.25, []
        for data in packets:
            kept += [] if bad else [data]
            bad ^= rng.random() < (1 / 3 if bad else 1 / 9)
        got = set(caught(kept)[0])
        complete.update(cls for cls, keys in classes.items() if keys <= got)
    for cls, target in enumerate((0.97, 0.9, 0.8)):
        assert program.reached[cls] >= target
        assert abs(complete[cls] / 400 - program.reached[cls]) < 0.05


def test_the_pace_is_the_links() -> None:
    config = BroadcastConfig(8_000, 100, overhead=25)
    sent = sent_by(sender_of(config, picture()))
    for (time, data), (following, _) in pairwise(sent):
        assert following - time == pytest.approx((len(data) + 25) / 1000)


def test_a_carousel_serves_who_comes_late_with_new_repair() -> None:
    items = picture()
    sender = sender_of(BroadcastConfig(10_000, 100, loss=0.2, turns=None), items)
    sent = [data for _, data in sent_by(sender, until=60.0)]
    program = sender.program(GROUP)
    assert program is not None
    turn = len(program.slots)
    symbols = [packet for data in sent if isinstance(packet := parse(data), Repair)]
    assert len({(packet.key, packet.place) for packet in symbols}) > len(symbols) / 2, "further turns, further symbols"
    for start in range(0, turn, 3):
        assert caught(sent[start : start + 2 * turn])[0] == whole(items)
    assert not sender.idle
    sender.cancel(GROUP)
    assert sender.idle and sender.next_timer() is None
    dropped = [sender.next_event() for _ in items]
    assert {event.key for event in dropped if isinstance(event, ItemDropped)} == set(whole(items))


def test_two_turns_and_a_group_that_grows() -> None:
    items = picture()
    sender = sender_of(BroadcastConfig(10_000, 100, turns=2), items[:5])
    first = sent_by(sender, until=0.5)
    for item in items[5:]:
        sender.submit(item)
    with pytest.raises(ValueError, match="before"):
        sender.submit(items[0])
    rest = sent_by(sender, start=0.6)
    assert sender.idle
    packets = [data for _, data in first + rest]
    assert caught(packets)[0] == whole(items)
    times = Counter(
        (segment.cls, segment.index, segment.offset)
        for packet in map(parse, packets)
        if isinstance(packet, Data) and packet.segments[0].cls
        for segment in packet.segments
    )
    assert set(times.values()) == {2}, "everything that is not the base goes once a turn"
    sender.submit(items[0])


def test_newer_groups_of_better_priority_overtake() -> None:
    sender = sender_of(BroadcastConfig(10_000, 100, loss=0.01), picture(20))
    sent_by(sender, until=5.0)
    other = picture(20, group=99)
    sender.start_group(99, HEADER)
    for item in other:
        sender.submit(item)
    groups = [parse(data).group for _, data in sent_by(sender, start=5.1)]  # type: ignore[union-attr]
    ahead = groups.index(GROUP)
    assert ahead > 8 and set(groups[:ahead]) == {99}
    assert set(groups[ahead:]) == {99, GROUP}


def test_newest_and_oldest_first() -> None:
    for newest in (False, True):
        items = [Item(group, 3, 0, bytes(80), 0) for group in range(4)]
        config = BroadcastConfig(10_000, 100, newest_first=newest)
        groups = [parse(data).group for _, data in sent_by(sender_of(config, items))]  # type: ignore[union-attr]
        assert groups == ([3, 2, 1, 0] if newest else [0, 1, 2, 3])


def test_nothing_leaves_after_its_deadline() -> None:
    base = Item(1, 0, 0, bytes(30), 0, deadline=0.0)
    late = [Item(1, 2, n, bytes(60), 1 + n, deadline=0.4) for n in range(8)]
    child = Item(1, 3, 20, bytes(60), 20, needs=((2, 0),))
    free = Item(1, 3, 21, bytes(60), 21, needs=((0, 0),))
    sender = sender_of(BroadcastConfig(10_000, 100, loss=0.3), [base, *late, child, free])
    sent = sent_by(sender)
    for time, data in sent:
        packet = parse(data)
        assert time <= 0.4 or not (isinstance(packet, Repair) or any(s.cls == 2 for s in packet.segments))  # type: ignore[union-attr]
    dropped = []
    while (event := sender.next_event()) is not None:
        assert isinstance(event, ItemDropped)
        dropped.append(event.key)
    assert child.key in dropped and free.key not in dropped and base.key not in dropped
    assert 1 <= len(dropped) <= 8 and len(set(dropped)) == len(dropped)


def test_the_base_comes_again_for_who_joins() -> None:
    sender = sender_of(BroadcastConfig(10_000, 100, base_every=2.0), picture(60))
    times = [time for time, data in sent_by(sender) if data[0] & 0xD8 == 0xC0]
    assert max(after - before for before, after in pairwise(times)) < 2.2


def test_the_senders_name_at_an_interval_and_at_the_end() -> None:
    config = BroadcastConfig(1_000, 100, name="G4ABC", name_every=10.0)
    sent = sent_by(sender_of(config, picture()))
    named = [time for time, data in sent if parse(data) == Name("G4ABC")]
    assert len(named) >= 3 and named[-1] == sent[-1][0]
    assert max(after - before for before, after in pairwise([0.0, *named])) < 10.0 + 1.1
    events = caught([data for _, data in sent])[1]
    assert [event for event in events if isinstance(event, SenderNamed)] == [SenderNamed("G4ABC")]


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400), st.booleans(), st.booleans()), max_size=20),
    st.integers(40, 400),
    st.sampled_from([0.0, 0.1, 0.4]),
)
def test_any_items_arrive(shapes: list[tuple[int, int, bool, bool]], size: int, loss: float) -> None:
    items = [
        Item(n % 2, cls, n << n % 17, bytes([n]) * long, n % 5, may_cut=cut, ends=ends or not long)
        for n, (cls, long, cut, ends) in enumerate(shapes)
    ]
    packets = [data for _, data in sent_by(sender_of(BroadcastConfig(20_000, size, loss=loss), items))]
    assert all(len(data) <= size for data in packets)
    got, events = caught(packets)
    assert got == {item.key: item.payload for item in items if item.ends}
    longest = {event.key: event.payload for event in events if isinstance(event, ItemReceived)}
    assert all(longest.get(item.key) == item.payload for item in items)


def test_driven_like_any_session_over_a_channel() -> None:
    items = picture(3)
    sender, receiver = sender_of(BroadcastConfig(10_000, 100, loss=0.1, name="G4ABC"), items), Receiver()
    near, far = pair()
    got = {}
    now = 0.0
    while not sender.idle:
        pump(sender, near, now)
        pump(receiver, far, now)
        now = max(now, sender.next_timer() or now)
        while (event := receiver.next_event()) is not None:
            if isinstance(event, ItemReceived) and event.complete:
                got[event.key] = event.payload
    assert got == whole(items)


def test_callers_mistakes() -> None:
    sender = BroadcastSender(BroadcastConfig(1000))
    sender.submit(Item(1, 0, 0, b"x"))
    for bad in (Item(1, 0, 0, b"y"), Item(1, 4, 0, b"x"), Item(1, 0, 0, b"", ends=False)):
        with pytest.raises(ValueError):
            sender.submit(bad)
    with pytest.raises(ValueError):
        sender.start_group(1, bytes(9))
    for config in (
        {"rate": 0},
        {"packet_size": 30},
        {"loss": 1.0},
        {"loss": 0.9, "burst": 2.0},
        {"receivers": 0},
        {"targets": (1.0, None, None, None)},
        {"turns": 0},
        {"name": "x" * 40},
    ):
        with pytest.raises(ValueError):
            BroadcastConfig(**{"rate": 1000, **config})  # type: ignore[arg-type]
    sender.handle_datagram(b"anything", 0.0)


def test_everything_protected_arrives_whole_where_no_more_is_lost_than_expected() -> None:
    items, count, runs = picture(12, 700), Counter[str](), 40
    for name, targets in (("first", TARGETS), ("all", PROTECT_ALL)):
        packets = [
            data for _, data in sent_by(sender_of(BroadcastConfig(10_000, 120, loss=0.25, targets=targets), items))
        ]
        for seed in range(runs):
            rng = random.Random(seed)
            count[name] += caught([data for data in packets if rng.random() >= 0.2])[0] == whole(items)
    assert count["first"] == 0, "a piece of the last class is always missing"
    assert count["all"] >= 0.9 * runs
