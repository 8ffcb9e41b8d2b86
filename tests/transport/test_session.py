"""A real sender and a real receiver through named losses."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transport.pair import Pair, dropping, steady
from transport import GroupStarted, Item, ItemDelivered, ItemDropped, ItemReceived, Policy, Receiver, SenderConfig
from transport.wire import Data, Segment, parse

GROUP = 0xCAFE0001
HEADER = b"\xc1\x1a\x05\x02"


def picture(residuals: int = 3, size: int = 700, group: int = GROUP) -> list[Item]:
    """Items shaped like a picture's: two small base ones, some structure, latents, then cut-able bulk."""
    rng = random.Random(group)
    items = [Item(group, 0, 0, b"a dog", 0), Item(group, 0, 4, rng.randbytes(19), 1, needs=())]
    items += [Item(group, 1, 3 + 8 * n, rng.randbytes(40), 2 + n) for n in range(2)]
    items += [Item(group, 2, 12 + 8 * n, rng.randbytes(60 + 90 * n), 10 + n, needs=((0, 4),)) for n in range(3)]
    bulk = [Item(group, 3, 5 + 8 * n, rng.randbytes(size), 20 + n, may_cut=True) for n in range(residuals)]
    return items + bulk


def assert_all_arrived(pair: Pair, items: list[Item]) -> None:
    assert pair.received() == {item.key: item.payload for item in items}
    assert pair.sender.idle
    delivered = [event.key for _, event in pair.sender_events if isinstance(event, ItemDelivered)]
    assert sorted(delivered) == sorted(item.key for item in items)


def test_a_clean_link() -> None:
    pair = Pair(SenderConfig(rate=50_000, packet_size=300))
    pair.sender.start_group(GROUP, HEADER)
    items = picture()
    pair.submit(*items)
    pair.drive()
    assert_all_arrived(pair, items)
    assert pair.sender.stats.lost == 0
    assert [event for _, event in pair.events if isinstance(event, GroupStarted)] == [GroupStarted(GROUP, HEADER)]
    order = [pair.when(item.key) for item in items]
    assert order == sorted(order), "strict priority"


def test_base_goes_first_alone_and_twice_with_the_preamble() -> None:
    pair = Pair(SenderConfig(rate=50_000, packet_size=300))
    pair.sender.start_group(GROUP, HEADER)
    items = picture()
    pair.submit(*reversed(items))
    pair.drive()
    packets = [parse(data) for _, data in pair.sent[0]]
    first, second = packets[0], packets[1]
    assert isinstance(first, Data) and isinstance(second, Data)
    assert [segment.cls for segment in first.segments] == [0, 0]
    assert [segment.cls for segment in second.segments][:3] == [0, 0, 1]
    assert first.segments == second.segments[:2]
    for packet in packets:
        assert isinstance(packet, Data)
        assert packet.preamble == (HEADER if any(s.cls == 0 for s in packet.segments) else b"")


@pytest.mark.parametrize("lost", [{0}, {1}, {0, 1}, {2, 3, 4}, {0, 1, 2, 3}, {5}, set(range(1, 20, 2)), {10, 11, 12}])
def test_exactly_these_packets_lost(lost: set[int]) -> None:
    pair = Pair(SenderConfig(rate=50_000, packet_size=200), forward=dropping(*lost))
    pair.sender.start_group(GROUP, HEADER)
    items = picture()
    pair.submit(*items)
    pair.drive()
    assert_all_arrived(pair, items)
    assert pair.sender.stats.lost == len(lost), "what was lost is known, and nothing else is held for lost"
    if not lost >= {0, 1}:
        assert pair.when((GROUP, 0, 0)) < 0.2, "one loss of the base costs no round trip"


def test_the_last_packet_lost() -> None:
    probe = Pair(SenderConfig(rate=50_000, packet_size=200))
    probe.submit(*picture())
    probe.drive()
    pair = Pair(SenderConfig(rate=50_000, packet_size=200), forward=dropping(len(probe.sent[0]) - 1))
    pair.submit(*picture())
    pair.drive()
    assert_all_arrived(pair, picture())
    assert pair.now < probe.now + 1.5, "nothing follows it, so silence has to tell"


def test_base_of_which_both_copies_are_lost_goes_twice_again() -> None:
    """So losing one of them once more costs no second round trip."""
    pair = Pair(SenderConfig(rate=50_000), forward=lambda number, data: [] if number in (0, 1) else [0.5])
    pair.submit(Item(1, 0, 0, bytes(300)), *(Item(1, 3, n, bytes(1000), 1) for n in range(20)))
    pair.drive()
    copies = [time for time, data in pair.sent[0] if len(data) < 500]
    assert len(copies) == 4 and copies[3] - copies[2] < 0.1
    assert pair.received().keys() == {(1, 0, 0), *((1, 3, n) for n in range(20))}


def test_acknowledgements_lost_doubled_and_overtaken() -> None:
    rng = random.Random(4)
    fates = [[], [0.05], [0.05, 0.05], [0.9], [0.05, 2.0]]
    pair = Pair(SenderConfig(rate=50_000, packet_size=200), back=lambda number, data: rng.choice(fates))
    items = picture(20)
    pair.submit(*items)
    pair.drive()
    assert_all_arrived(pair, items)
    assert len(pair.sent[0]) < 100 * 1.25, "lost acknowledgements cost little: later ones repeat them"


def test_every_acknowledgement_lost() -> None:
    pair = Pair(SenderConfig(rate=50_000, packet_size=200), back=lambda number, data: [])
    items = picture()
    pair.submit(*items)
    pair.drive(60.0)
    assert pair.received() == {item.key: item.payload for item in items}
    assert not pair.sender.idle
    sent = sum(len(data) + 28 for _, data in pair.sent[0])
    assert sent < 60 * 50_000 / 8 * 0.2, "a path without a way back is not fed at full rate for ever"


def test_packets_doubled_and_reordered() -> None:
    rng = random.Random(8)
    pair = Pair(
        SenderConfig(rate=50_000, packet_size=200),
        forward=lambda number, data: [rng.uniform(0.05, 0.5) for _ in range(rng.choice((1, 1, 2, 3)))],
    )
    items = picture(20)
    pair.submit(*items)
    pair.drive()
    assert_all_arrived(pair, items)
    assert pair.receiver.stats.repeated > 10


def test_blackhole_of_ten_seconds() -> None:
    pair = Pair(SenderConfig(rate=20_000, packet_size=300), forward=lambda n, d: [] if 1 <= pair.now < 11 else [0.05])
    items = picture(20)
    pair.submit(*items)
    pair.drive()
    assert_all_arrived(pair, items)
    into_the_hole = sum(len(data) for time, data in pair.sent[0] if 1 <= time < 11)
    assert into_the_hole < 0.6 * 10 * 20_000 / 8
    assert pair.now < 11 + 10 + 14_000 * 8 / 20_000 * 1.6


def test_never_faster_than_the_link_and_one_packet_below_us() -> None:
    pair = Pair(SenderConfig(rate=10_000, packet_size=250), forward=dropping(3, 9, 10))
    pair.submit(*picture(10))
    pair.drive()
    free_at = 0.0
    for time, data in pair.sent[0]:
        assert time >= free_at - 1e-9, "the packet before has left the link"
        free_at = time + (len(data) + 28) * 8 / 10_000


def test_urgent_item_overtakes_bulk() -> None:
    pair = Pair(SenderConfig(rate=50_000, packet_size=1100))
    pair.submit(*(Item(1, 3, n, bytes(5000), 50, may_cut=True) for n in range(20)))
    pair.drive(5.0)
    urgent = Item(2, 0, 0, bytes(300), 0)
    pair.submit(urgent)
    pair.drive()
    assert pair.when(urgent.key) - 5.0 <= 0.19 + 0.06 + 0.05


def test_deadlines_and_needs() -> None:
    pair = Pair(SenderConfig(rate=10_000, packet_size=250))
    base = Item(1, 0, 0, bytes(30), 0, deadline=0.0)
    late = Item(1, 2, 1, bytes(900), 1, deadline=0.3)
    child = Item(1, 2, 2, bytes(100), 2, needs=((2, 1),))
    grandchild = Item(1, 3, 3, bytes(100), 3, needs=((2, 2), (0, 0)))
    free = Item(1, 3, 4, bytes(100), 4, needs=((0, 0),))
    pair.submit(base, late, child, grandchild, free)
    pair.drive(0.5)
    pair.submit(Item(1, 3, 5, bytes(10), 5, needs=((3, 3),)))
    pair.drive()
    dropped = [event.key for _, event in pair.sender_events if isinstance(event, ItemDropped)]
    assert dropped == [late.key, child.key, grandchild.key, (1, 3, 5)]
    assert set(pair.received()) == {base.key, free.key}, "the base must be sent, whatever its deadline"
    for time, data in pair.sent[0]:
        packet = parse(data)
        assert isinstance(packet, Data)
        assert not any(s.cls == 2 and time > 0.3 for s in packet.segments)


def test_prefix_of_a_large_item_grows() -> None:
    pair = Pair(SenderConfig(rate=10_000, packet_size=200))
    item = Item(1, 3, 0, random.Random(1).randbytes(2000), may_cut=True)
    pair.submit(item)
    pair.drive()
    grown = [event for _, event in pair.events if isinstance(event, ItemReceived)]
    assert len(grown) > 8
    assert all(event.payload == item.payload[: len(event.payload)] for event in grown)
    assert [event.complete for event in grown] == [False] * (len(grown) - 1) + [True]


def test_small_items_are_not_split_and_empty_ones_arrive() -> None:
    pair = Pair(SenderConfig(rate=10_000, packet_size=200))
    items = [Item(1, 2, n, bytes([n]) * 70, n) for n in range(10)] + [Item(1, 2, 99, b"", 99)]
    pair.submit(*items)
    pair.drive()
    assert_all_arrived(pair, items)
    segments = [s for _, data in pair.sent[0] for s in parse(data).segments]  # type: ignore[union-attr]
    assert len(segments) == len(items)


def test_an_item_that_is_itself_a_prefix() -> None:
    pair = Pair(SenderConfig(rate=10_000, packet_size=200), forward=dropping(2))
    item = Item(1, 3, 0, random.Random(1).randbytes(1000), may_cut=True, ends=False)
    pair.submit(item)
    pair.drive()
    assert pair.sender.idle
    assert pair.events[-1][1] == ItemReceived(item.key, item.payload, False)


def test_without_feedback() -> None:
    pair = Pair(SenderConfig(rate=10_000, packet_size=200, feedback=False), forward=dropping(0, 3))
    pair.sender.start_group(GROUP, HEADER)
    items = picture(1)
    pair.submit(*items)
    pair.drive()
    assert not pair.sent[1] and pair.sender.idle
    got = pair.received()
    assert {item.key for item in items if item.cls < 2} <= set(got)
    assert all(parse(data).number is None for _, data in pair.sent[0])  # type: ignore[union-attr]


def test_a_class_that_is_not_resent() -> None:
    plain = Policy()
    config = SenderConfig(rate=50_000, packet_size=200, policies=(plain, plain, plain, Policy(resend=False)))
    pair = Pair(config, forward=dropping(2))
    pair.submit(*(Item(1, 3, n, bytes(150), n) for n in range(9)))
    pair.drive()
    assert set(pair.received()) == {(1, 3, n) for n in range(9)} - {(1, 3, 2)}
    assert [event for _, event in pair.sender_events if isinstance(event, ItemDropped)] == [ItemDropped((1, 3, 2))]
    assert pair.sender.idle


def test_two_receivers_of_one_sending_merge() -> None:
    pair = Pair(SenderConfig(rate=10_000, packet_size=120, feedback=False))
    items = picture(2)
    pair.submit(*items)
    pair.drive()
    datagrams = [data for _, data in pair.sent[0]]
    merged = Pair()
    for data in datagrams[::2] + datagrams[1::2]:
        merged.receiver.handle_datagram(data, 0.0)
    merged.drive()
    assert merged.received() == {item.key: item.payload for item in items}


def test_newest_and_oldest_first() -> None:
    for newest in (False, True):
        pair = Pair(SenderConfig(rate=10_000, packet_size=100, newest_first=newest))
        pair.submit(*(Item(group, 3, 0, bytes(90), 0) for group in range(4)))
        pair.drive()
        order = sorted(range(4), key=lambda group: pair.when((group, 3, 0)))
        assert order == ([3, 2, 1, 0] if newest else [0, 1, 2, 3])


def test_cancel_and_forget() -> None:
    pair = Pair(SenderConfig(rate=10_000, packet_size=100))
    pair.submit(*picture(5), Item(7, 3, 0, bytes(50), 99))
    pair.drive(0.5)
    pair.sender.cancel(GROUP)
    pair.drive()
    assert (7, 3, 0) in pair.received() and pair.sender.idle
    assert any(isinstance(event, ItemDropped) for _, event in pair.sender_events)
    pair.receiver.forget(GROUP)
    pair.receiver.handle_datagram(pair.sent[0][0][1], pair.now)
    assert pair.receiver.next_event() == GroupStarted(GROUP, b"")


def test_a_preamble_that_was_changed_on_the_way_does_not_shut_the_group_out() -> None:
    receiver, item = Receiver(), (Segment(0, 0, 0, b"a dog", True),)
    for preamble in (b"hxad", b"head", b"head"):
        receiver.handle_datagram(Data(GROUP, item, preamble=preamble).encode(), 0.0)
    events = [receiver.next_event() for _ in range(4)]
    assert events[:2] == [GroupStarted(GROUP, b"hxad"), GroupStarted(GROUP, b"head")], "the next may be the true one"
    assert isinstance(events[2], ItemReceived) and events[3] is None


def test_callers_mistakes() -> None:
    pair = Pair()
    pair.submit(Item(1, 0, 0, b"x"))
    for bad in (Item(1, 0, 0, b"y"), Item(1, 4, 0, b""), Item(1 << 32, 0, 0, b""), Item(1, 0, 1 << 22, b"")):
        with pytest.raises(ValueError):
            pair.submit(bad)
    for config in ({"packet_size": 20}, {"feedback": False}, {"rate": 0.0}):
        with pytest.raises(ValueError):
            SenderConfig(**config)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        pair.sender.start_group(1, bytes(9))


def test_packet_numbers_wrap() -> None:
    pair = Pair(SenderConfig(rate=50_000, packet_size=100), forward=dropping(7, 20))
    pair.sender._number = 65536 * 3 - 10
    pair.sender._flight.largest_acked = pair.sender._number - 1
    pair.submit(*picture())
    pair.drive()
    assert_all_arrived(pair, picture())
    assert pair.sender.stats.lost == 2


Fates = list[list[float]]
fates = st.lists(st.lists(st.floats(0.01, 3.0), max_size=2), max_size=60)


@settings(max_examples=60, deadline=None)
@given(fates, fates, st.sampled_from([51, 100, 256, 1100]), st.sampled_from([2_000, 10_000, 100_000, None]))
def test_any_fates_then_a_clean_link(forward: Fates, back: Fates, size: int, rate: float | None) -> None:
    def fate(fates: Fates, number: int) -> list[float]:
        return fates[number] if number < len(fates) else [0.1]

    pair = Pair(
        SenderConfig(rate=rate, packet_size=size),
        forward=lambda number, data: fate(forward, number),
        back=lambda number, data: fate(back, number),
    )
    items = picture(2)
    pair.submit(*items)
    pair.drive(3600.0)
    assert_all_arrived(pair, items)
    assert all(len(data) <= size for _, data in pair.sent[0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 300), st.booleans()), max_size=20), st.integers(40, 400))
def test_any_items_arrive(shapes: list[tuple[int, int, bool]], size: int) -> None:
    items = [Item(n % 2, cls, n, bytes([n]) * long, n % 5, may_cut=cut) for n, (cls, long, cut) in enumerate(shapes)]
    pair = Pair(SenderConfig(rate=20_000, packet_size=size), forward=dropping(1, 4), back=steady(0.3))
    pair.sender.start_group(0, HEADER)
    pair.submit(*items)
    pair.drive(3600.0)
    assert_all_arrived(pair, items)
