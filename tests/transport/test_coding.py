"""Coded repair with feedback: a real sender and receiver on long lossy paths, and the Rebuilt that spares resends."""

import random
from statistics import mean

import pytest

from tests.transport.pair import Middle, Pair
from transport import Item, ItemDelivered, Policy, SenderConfig
from transport.symbols import Rebuilt, Repair
from transport.wire import Data, parse

RATE = 50_000


def losing(rng: random.Random, share: float, delay: float) -> Middle:
    """Each datagram is lost by chance, and takes its own time on the link."""
    return lambda number, data: [] if rng.random() < share else [delay + (len(data) + 28) * 8 / RATE]


def busy_pair(code: bool, share: float, delay: float, seed: int) -> Pair:
    """A pair that has moved bulk for a while, so that loss and round trip are measured."""
    rng = random.Random(seed)
    middle = Policy(code=code)
    config = SenderConfig(rate=RATE, policies=(Policy(copies=2, must_send=True), middle, middle, Policy()))
    pair = Pair(config, forward=losing(rng, share, delay), back=losing(rng, share / 4, delay))
    pair.submit(*(Item(0, 3, n, bytes(1000), 50) for n in range(60)))
    pair.drive(100.0)
    assert pair.sender.idle
    pair.now = 100.0
    return pair


def middle_items(seed: int, count: int = 8) -> list[Item]:
    rng = random.Random(seed)
    return [Item(1, 2, n, rng.randbytes(800), 1 + n) for n in range(count)]


def took(code: bool, share: float, delay: float, seed: int) -> float:
    pair = busy_pair(code, share, delay, seed)
    items = middle_items(seed)
    pair.submit(*items)
    pair.drive(pair.now + 300)
    received = pair.received()
    assert all(received[item.key] == item.payload for item in items) and pair.sender.idle
    return max(pair.when(item.key) for item in items) - 100.0


def test_a_long_round_trip_is_spared() -> None:
    plain, coded = ([took(code, 0.2, 1.0, seed) for seed in range(12)] for code in (False, True))
    assert mean(coded) < 0.75 * mean(plain)


@pytest.mark.parametrize(("share", "delay"), [(0.2, 0.05), (0.0, 1.0)])
def test_no_symbol_where_none_pays(share: float, delay: float) -> None:
    pair = busy_pair(True, share, delay, 1)
    pair.submit(*middle_items(1))
    pair.drive(pair.now + 100)
    assert not any(isinstance(parse(data), Repair) for _, data in pair.sent[0])
    assert not any(packet.coded for _, data in pair.sent[0] if isinstance(packet := parse(data), Data))


def exactly(pair: Pair, places: set[int], repairs: set[int], back: bool = True) -> Pair:
    """From now on loses these data packets and repair packets of the first block, and nothing else."""

    def forward(number: int, data: bytes) -> list[float]:
        packet = parse(data)
        lost = (isinstance(packet, Repair) and packet.block == 0 and packet.place in repairs) or (
            isinstance(packet, Data) and packet.coded is not None and packet.coded in {(0, place) for place in places}
        )
        return [] if lost else [1.0 + (len(data) + 28) * 8 / RATE]

    def answer(number: int, data: bytes) -> list[float]:
        return [] if not back and isinstance(parse(data), Rebuilt) else [1.0]

    pair.middles = (forward, answer)
    return pair


def sent_after(pair: Pair, start: float) -> list[object]:
    return [parse(data) for time, data in pair.sent[0] if time >= start]


def test_what_repair_replaced_is_not_sent_again() -> None:
    pair = exactly(busy_pair(True, 0.2, 1.0, 3), {2, 5}, set())
    items = middle_items(3)
    pair.submit(*items)
    pair.drive(pair.now + 60)
    packets = sent_after(pair, 100.0)
    segments = [s.index for packet in packets if isinstance(packet, Data) for s in packet.segments]
    assert segments == list(range(8)), "each once"
    assert sum(isinstance(packet, Repair) for packet in packets) >= 2
    delivered = [event.key for time, event in pair.sender_events if time > 100 and isinstance(event, ItemDelivered)]
    assert sorted(delivered) == [item.key for item in items]
    assert pair.receiver.stats.rebuilt == 2 and pair.sender.idle


def test_too_many_lost_are_sent_again() -> None:
    pair = exactly(busy_pair(True, 0.2, 1.0, 3), {0, 1, 2, 3, 4, 5}, set(range(256)))
    items = middle_items(3)
    pair.submit(*items)
    pair.drive(pair.now + 60)
    assert all(pair.received()[item.key] == item.payload for item in items) and pair.sender.idle
    segments = [s.index for packet in sent_after(pair, 100.0) if isinstance(packet, Data) for s in packet.segments]
    assert sorted(segments) == sorted([*range(8), *range(6)]), "nothing more than what was lost"


def test_a_lost_word_costs_resending_and_nothing_else() -> None:
    pair = exactly(busy_pair(True, 0.2, 1.0, 3), {2, 5}, set(), back=False)
    items = middle_items(3)
    pair.submit(*items)
    pair.drive(pair.now + 60)
    assert all(pair.received()[item.key] == item.payload for item in items) and pair.sender.idle
    segments = [s.index for packet in sent_after(pair, 100.0) if isinstance(packet, Data) for s in packet.segments]
    assert sorted(segments) == sorted([*range(8), 2, 5])


def test_the_base_is_not_kept_waiting_by_repair() -> None:
    pair = exactly(busy_pair(True, 0.2, 1.0, 3), set(), set())
    pair.submit(*middle_items(3))
    pair.drive(pair.now + 1.2)
    base = Item(9, 0, 0, bytes(300), 0)
    pair.submit(base)
    pair.drive(pair.now + 60)
    packets = sent_after(pair, 100.0)
    place = next(n for n, p in enumerate(packets) if isinstance(p, Data) and p.segments[0].cls == 0)
    repairs = [n for n, packet in enumerate(packets) if isinstance(packet, Repair)]
    assert repairs and place < max(repairs)
    assert pair.when(base.key) < 101.2 + 0.2 + 0.06 + 1.0


def test_words_about_blocks_that_never_were() -> None:
    pair = busy_pair(True, 0.2, 1.0, 3)
    pair.submit(*middle_items(3))
    for block in range(50):
        pair.sender.handle_datagram(Rebuilt(((1, 2, block), (7, 1, block))).encode(), pair.now)
    pair.drive(pair.now + 60)
    assert {(1, 2, n) for n in range(8)} <= set(pair.received()) and pair.sender.idle


@pytest.mark.parametrize("seed", range(6))
def test_any_losses_end_well(seed: int) -> None:
    rng = random.Random(seed)
    pair = busy_pair(True, 0.3, 0.8, seed)
    items = middle_items(seed, 30)
    for part in range(0, 30, 5):
        pair.submit(*items[part : part + 5], Item(1, 1, part, rng.randbytes(300), 40), Item(2, 2, part, b"x" * 900, 3))
        pair.drive(pair.now + rng.uniform(0, 3))
    pair.drive(pair.now + 600)
    assert pair.sender.idle
    assert {item.key: item.payload for item in items}.items() <= pair.received().items()
    assert len(pair.sender._coding._blocks) < 80 and not pair.sender._coding.waiting
