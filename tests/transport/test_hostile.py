"""Thousands of bad packets into both ends: nothing raised, memory bounded, and the honest transfer still ends well."""

import random

from tests.transport.pair import Pair
from tests.transport.test_session import picture
from transport import BroadcastConfig, BroadcastSender, Receiver, ReceiverConfig, SenderConfig
from transport.symbols import Rebuilt, Repair
from transport.wire import Ack, Data, Segment

ROUNDS = 50_000
"""Of each test; with two packets a round, more than 200,000 bad packets reach the two ends."""


def mutate(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed[: rng.randint(1, len(changed))])


def test_noise_from_the_way_back_into_the_sender() -> None:
    rng = random.Random(2)
    pair = Pair(SenderConfig(rate=50_000, packet_size=200))
    items = picture(20)
    pair.submit(*items)
    valid = Ack(3, ((0, 2), (5, 9)), 0.1, 500).encode()
    for step in range(ROUNDS):
        pair.sender.handle_datagram(rng.randbytes(rng.randint(0, 60)), pair.now)
        pair.sender.handle_datagram(mutate(rng, valid), pair.now)
        if step % (ROUNDS // 10) == 0:
            pair.drive(pair.now + 0.2)
    assert pair.sender.stats.malformed > 1000
    pair.drive()
    assert pair.sender.idle, "a lying acknowledgement can end a transfer early, never hang or crash it"


def test_noise_into_the_receiver() -> None:
    rng = random.Random(3)
    limits = ReceiverConfig(max_groups=20, max_items=500, max_bytes=20_000)
    pair = Pair(SenderConfig(rate=50_000, packet_size=200), receiving=limits)
    items = picture(4)
    pair.submit(*items)
    pair.drive()
    received = pair.received()
    assert received == {item.key: item.payload for item in items}
    for _ in range(ROUNDS):
        pair.receiver.handle_datagram(rng.randbytes(rng.randint(0, 80)), pair.now)
        pair.receiver.handle_datagram(mutate(rng, rng.choice(pair.sent[0])[1]), pair.now)
        if rng.random() < 0.1:
            pair.receiver.poll_transmit(pair.now + 1)
            pair.receiver.next_event()
    stats = pair.receiver.stats
    assert stats.malformed > 500 and stats.refused > 500
    while pair.receiver.next_event() is not None:
        pass
    assert pair.receiver._held <= 20_000 and len(pair.receiver._items) + len(pair.receiver._done) <= 510


def test_a_flood_of_tiny_pieces_is_bounded() -> None:
    receiver = Receiver(ReceiverConfig(max_bytes=50_000))
    for offset in range(2, 40_000, 2):
        receiver.handle_datagram(Data(1, (Segment(3, offset % 7, offset, b"x", False),)).encode(), 0.0)
    assert receiver.stats.refused > 10_000
    assert receiver._held <= 50_100
    receiver.forget(1)
    assert receiver._held == 0


def test_random_packet_numbers_are_acknowledged_within_bounds() -> None:
    rng = random.Random(9)
    receiver = Receiver()
    for _ in range(5000):
        receiver.handle_datagram(Data(1, (Segment(3, 1, 0, b"x", False),), rng.randrange(65536)).encode(), 0.0)
        ack = receiver.poll_transmit(0.2)
        assert ack is None or len(ack) < 200


def test_noise_into_the_coded_repair_of_both_ends() -> None:
    rng = random.Random(11)
    sender = BroadcastSender(BroadcastConfig(50_000, 120, loss=0.3, name="G4ABC"))
    items = picture(3)
    for item in items:
        sender.submit(item)
    valid = [Rebuilt(((1, 2, 3), (7, 1, 0))).encode()]
    while (now := sender.next_timer()) is not None:
        if (data := sender.poll_transmit(now)) is not None:
            valid.append(data)
    limits = ReceiverConfig(max_groups=50, max_items=2000, max_bytes=50_000, max_block_bytes=20_000)
    receiver = Receiver(limits)
    for data in valid[1:]:  # the honest packets, among much noise
        for _ in range(20):
            receiver.handle_datagram(mutate(rng, rng.choice(valid)), 0.0)
        receiver.handle_datagram(data, 0.0)
        receiver.poll_transmit(1.0)
        assert receiver._blocks.held <= 20_000 and receiver._held <= 50_200
    assert receiver.stats.malformed > 300

    pair = Pair(SenderConfig(rate=50_000, packet_size=200))
    pair.submit(*items)
    for step in range(ROUNDS):
        pair.sender.handle_datagram(mutate(rng, rng.choice(valid)), pair.now)
        if step % (ROUNDS // 10) == 0:
            pair.drive(pair.now + 0.2)
    pair.drive()
    assert pair.sender.idle and pair.received() == {item.key: item.payload for item in items}


def test_a_flood_of_repair_costs_no_more_than_its_bound() -> None:
    rng = random.Random(12)
    receiver = Receiver(ReceiverConfig(max_groups=16, max_block_bytes=30_000))
    for _ in range(5000):
        key = (rng.randrange(64), 1 + rng.randrange(3), rng.randrange(64))
        symbol = rng.randbytes(8 * rng.randint(1, 100))
        packet = Repair(*key, rng.randint(1, 8), rng.randrange(256), rng.randrange(65536), symbol, rng.randrange(65536))
        receiver.handle_datagram(packet.encode(), 0.0)
        assert receiver._blocks.held <= 30_000
    assert receiver.stats.refused > 1000 and len(receiver._preambles) <= 16
    assert receiver.next_event() is None, "nothing false came of it"
