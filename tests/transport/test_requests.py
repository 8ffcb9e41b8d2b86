"""What a receiver asks for is what it gets: two real ends, requests lost and doubled on the way."""

from tests.transport.pair import Pair, dropping
from transport import NOTHING, Ended, Item, LevelWanted, Receiver, ReceiverConfig, SenderConfig, TopicWanted
from transport.control import Level, Request
from transport.wants import MAX_GROUPS, Wants

WAITING = SenderConfig(rate=50_000, wait_for_request=True)


def layers(group: int) -> list[Item]:
    return [Item(group, cls, 8 * n, bytes([cls]) * 400, priority=4 * cls + n) for cls in range(4) for n in range(4)]


def keys(pair: Pair, group: int) -> set[tuple[int, int]]:
    return {(cls, index) for g, cls, index in pair.received() if g == group}


def test_only_the_classes_asked_for_come_and_more_later() -> None:
    pair = Pair(WAITING)
    pair.submit(*layers(1), *layers(2))
    pair.receiver.want(0)
    pair.receiver.want(2, group=2)
    pair.drive(30)
    assert {cls for cls, _ in keys(pair, 1)} == {0} and {cls for cls, _ in keys(pair, 2)} == {0, 1, 2}
    assert pair.sender.idle
    pair.receiver.want(3, group=1)
    pair.drive(60)
    assert len(keys(pair, 1)) == 16 and len(keys(pair, 2)) == 12


def test_nothing_leaves_before_the_receiver_has_spoken() -> None:
    pair = Pair(WAITING)
    pair.submit(*layers(1))
    pair.drive(5)
    assert not pair.sent[0]
    pair.receiver.want(3)
    pair.drive(60)
    assert len(keys(pair, 1)) == 16


def test_stop_halts_a_group_under_way() -> None:
    pair = Pair(SenderConfig(rate=10_000, packet_size=250))
    pair.submit(*layers(1))
    pair.drive(1.5)
    pair.receiver.want(NOTHING, group=1)
    pair.drive(2.5)
    stopped = len(pair.received())
    pair.drive(60)
    assert 0 < stopped < 16 and len(pair.received()) <= stopped + 1
    assert any(event == LevelWanted(1, NOTHING) for _, event in pair.sender_events)


def test_lost_and_doubled_requests_are_repeated_until_heard() -> None:
    pair = Pair(WAITING, forward=dropping(0), back=lambda n, data: [] if n < 2 else [0.05, 0.4])
    pair.submit(*layers(1))
    pair.receiver.want(1)
    pair.drive(60)
    assert {cls for cls, _ in keys(pair, 1)} == {0, 1}
    assert pair.receiver.next_timer() is None


def test_the_newest_level_counts_whatever_overtakes_it() -> None:
    wants = Wants()
    wants.handle_request(Request(1, (Level(None, 0),)))
    wants.handle_request(Request(0, (Level(None, 3),)))
    assert wants.begun and wants.wanted(7, 0) and not wants.wanted(7, 1)


def test_chosen_items_go_first_with_what_they_need() -> None:
    pair = Pair(SenderConfig(rate=20_000, packet_size=500))
    items = [Item(1, 0, 0, b"base", priority=0)]
    items += [Item(1, 3, n, bytes(450), priority=n, needs=((3, n - 1),) if n == 9 else ()) for n in range(1, 11)]
    pair.submit(*items)
    pair.receiver.want(3, group=1, now_first=[(3, 9)])
    pair.drive(60)
    order = sorted((pair.when((1, 3, n)), n) for n in range(1, 11))
    assert {n for _, n in order[:4]} >= {8, 9}


def test_what_is_held_is_not_sent_again() -> None:
    first = Pair(WAITING)
    first.submit(*layers(1))
    first.receiver.want(3)
    first.drive(0.7)
    held = first.received()
    assert 0 < len(held) < 16
    again = Pair(WAITING)
    half = layers(1)[-1]
    again.receiver.resume(
        1,
        b"",
        {key[1:]: (payload, True) for key, payload in held.items()} | {(3, 24): (half.payload[:300], False)},
    )
    again.receiver.want(3)
    again.submit(*layers(1))
    again.drive(60)
    fresh = again.received()
    assert not fresh.keys() & held.keys() and len(fresh) + len(held) == 16
    assert fresh[1, 3, 24] == half.payload
    assert again.sender.stats.payload == 400 * (len(fresh) - 1) + 100 + 400 * sum(key[1] == 0 for key in fresh)


def test_what_is_missing_is_told() -> None:
    pair = Pair(SenderConfig(rate=10_000, packet_size=250), forward=dropping(1))
    pair.submit(Item(1, 2, 5, bytes(1000)))
    pair.drive(0.5)
    gaps = pair.receiver.missing(1)[2, 5]
    assert len(gaps) == 2 and gaps[-1][1] is None
    pair.drive(60)
    assert pair.receiver.missing(1) == {}


def test_a_flood_of_groups_is_bounded_and_not_answered() -> None:
    wants = Wants()
    heard = 0
    for n in range(2 * MAX_GROUPS // 60):
        wants.handle_request(Request(n, tuple(Level(60 * n + g, 0) for g in range(60))))
        heard += wants.poll_heard() is not None
    assert heard == MAX_GROUPS // 60


def test_a_receiver_that_nobody_hears_asks_ever_more_rarely() -> None:
    receiver, now, times = Receiver(), 0.0, []
    receiver.want(3)
    while now < 200:
        if receiver.poll_transmit(now) is not None:
            times.append(now)
        timer = receiver.next_timer()
        assert timer is not None
        now = max(now, timer)
    assert 10 < len(times) < 20


def test_the_end_is_told_and_told_anew_after_more() -> None:
    pair = Pair(WAITING, forward=lambda n, data: [] if n % 3 == 2 else [0.05])
    pair.submit(*layers(1))
    pair.sender.finish()
    pair.receiver.ask_for("boats/pier.lcast")
    pair.receiver.want(0)
    pair.drive(200)
    assert (TopicWanted("boats/pier.lcast")) in [event for _, event in pair.sender_events]
    first = [time for time, event in pair.events if event == Ended()]
    assert first and len(keys(pair, 1)) == 4 and first[0] > max(pair.when((1, 0, 8 * n)) for n in range(4))
    asked = pair.now
    pair.receiver.want(3)
    pair.drive(400)
    again = [time for time, event in pair.events if event == Ended()]
    assert len(keys(pair, 1)) == 16 and again[-1] > asked and len(again) <= 12
    assert pair.sender.next_timer() is None


def test_closed_groups_take_no_place_and_are_acknowledged() -> None:
    pair = Pair(SenderConfig(rate=1e6), receiving=ReceiverConfig(max_groups=4, max_items=40))
    for group in range(100):
        pair.submit(*layers(group))
        pair.drive(pair.now + 5)
        assert len(keys(pair, group)) == 16
        pair.receiver.close(group)
    late = pair.sent[0][3][1]
    pair.receiver.handle_datagram(late, pair.now)
    assert pair.receiver.next_event() is None and pair.receiver.stats.refused == 0
    assert pair.sender.idle and pair.receiver.poll_transmit(pair.now + 2) is not None
