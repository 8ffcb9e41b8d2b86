"""When a receiver reports, and what it says of times."""

from transport.acks import Acknowledger
from transport.wire import Ack, parse


def receiver() -> Acknowledger:
    return Acknowledger(packets=2, enough=250, longest=1.0)


def report(acks: Acknowledger, now: float) -> Ack | None:
    data = acks.poll_transmit(now)
    if data is None:
        return None
    packet = parse(data)
    assert isinstance(packet, Ack)
    return packet


def test_times_of_the_newest_and_the_one_before() -> None:
    acks = receiver()
    for number, time in ((0, 100.0), (1, 100.2), (2, 100.385)):
        assert not acks.handle_number(number, False, 1000, time)
    assert report(acks, 100.4) == Ack(2, ((0, 2),), 0.015, 3000, 100_385 % 65536, 185)
    acks.handle_number(4, False, 1000, 101.0)
    told = report(acks, 101.0)
    assert told is not None and told.ranges == ((0, 0), (2, 4)) and told.spacing == 0
    acks.handle_number(3, False, 1000, 101.1)
    told = report(acks, 101.1)
    assert told is not None and told.arrived == 101_000 % 65536, "the newest is still number 4"
    assert told.spacing == 0, "number 3 came after it"


def test_each_large_packet_of_a_slow_link_is_reported_at_once() -> None:
    acks = receiver()
    for number in range(5):
        acks.handle_number(number, False, 1000, 0.2 * number)
        assert report(acks, 0.2 * number) is not None


def test_every_second_packet_of_a_fast_link() -> None:
    acks = receiver()
    reports = 0
    for number in range(101):
        acks.handle_number(number, False, 1000, 0.01 * number)
        reports += report(acks, 0.01 * number) is not None
    assert reports == 51, "the first at once, then every second"
    assert acks.next_timer() is None


def test_small_packets_of_a_slow_link_share_a_report() -> None:
    acks, reports = receiver(), 0
    for number in range(50):
        time = 0.3 * number
        while (timer := acks.next_timer()) is not None and timer <= time:
            reports += report(acks, timer) is not None
        acks.handle_number(number, False, 51, time)
        reports += report(acks, time) is not None
    assert reports <= 50 / 4 + 1


def test_the_last_is_reported_without_another() -> None:
    acks = receiver()
    acks.handle_number(0, False, 1000, 0.0)
    report(acks, 0.0)
    acks.handle_number(1, False, 51, 0.2)
    assert report(acks, 0.2) is None
    timer = acks.next_timer()
    assert timer is not None and 0.2 < timer <= 1.2
    assert report(acks, timer) is not None


def test_what_is_urgent_out_of_order_or_seen_is_reported_at_once() -> None:
    acks = receiver()
    acks.handle_number(0, False, 1000, 0.0)
    report(acks, 0.0)
    for number, urgent, time in ((1, True, 0.01), (3, False, 0.02), (2, False, 0.03)):
        assert not acks.handle_number(number, urgent, 51, time)
        assert report(acks, time) is not None
    assert acks.handle_number(2, False, 51, 0.04)
    assert report(acks, 0.04) is not None
