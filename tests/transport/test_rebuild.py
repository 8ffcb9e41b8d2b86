"""Blocks at the receiver: any order, bounded memory, lies cost the block and nothing else."""

import random

from transport.code import BlockEncoder
from transport.rebuild import COST, Blocks
from transport.symbols import Repair

KEY = (7, 2, 3)


def block(seed: int = 1, sources: int = 10) -> tuple[list[bytes], list[Repair]]:
    rng = random.Random(seed)
    bodies = [rng.randbytes(rng.randint(10, 60)) for _ in range(sources)]
    encoder = BlockEncoder(bodies)
    repairs = [Repair(*KEY, sources, n, encoder.shape.check, encoder.symbol(n)) for n in range(20)]
    return bodies, repairs


def test_any_order_gives_what_is_missing_once() -> None:
    bodies, repairs = block()
    for seed in range(50):
        rng = random.Random(seed)
        came = rng.sample(range(10), rng.randint(1, 9))
        packets: list[int | Repair] = [*came, *rng.sample(repairs, 12 - len(came))]
        rng.shuffle(packets)
        blocks, found, seen = Blocks(1 << 16), [], []
        for packet in packets:
            if isinstance(packet, int):
                seen.append(bodies[packet])
                found += blocks.handle_body(KEY, packet, bodies[packet])
            else:
                found += blocks.handle_repair(packet)
        assert set(found) | set(seen) == set(bodies)
        assert len(found) == len(set(found))
        assert blocks.was_rebuilt(repairs[0])


def test_a_block_that_came_whole_was_not_rebuilt() -> None:
    bodies, repairs = block()
    blocks = Blocks(1 << 16)
    for place, body in enumerate(bodies):
        assert blocks.handle_body(KEY, place, body) == []
    assert blocks.handle_repair(repairs[0]) == []
    assert not blocks.was_rebuilt(repairs[0])
    assert blocks.held == 0, "nothing is kept of a finished block"
    assert blocks.handle_repair(repairs[1]) == [] and blocks.held == 0


def test_two_sendings_under_one_number_do_not_spoil_each_other() -> None:
    mine, my_repairs = block(1)
    _, other_repairs = block(2)
    blocks, found = Blocks(1 << 16), []
    for place in range(6):
        blocks.handle_body(KEY, place, mine[place])
    for my_repair, other in zip(my_repairs[:6], other_repairs[:3] * 2, strict=True):
        found += blocks.handle_repair(other)
        found += blocks.handle_repair(my_repair)
    assert set(mine[6:]) <= set(found)


def test_a_lie_costs_its_block_which_may_come_again() -> None:
    bodies, repairs = block()
    blocks, found = Blocks(1 << 16), []
    blocks.handle_body(KEY, 0, b"a lie")
    for repair in repairs:
        found += blocks.handle_repair(repair)
    assert blocks.wrong == 1
    assert set(found) == set(bodies), "what came after the lie was dropped is enough"


def test_memory_is_bounded() -> None:
    rng = random.Random(5)
    blocks = Blocks(20_000)
    for _ in range(20_000):
        key = (rng.randrange(4), 1 + rng.randrange(3), rng.randrange(4096))
        if rng.random() < 0.5:
            blocks.handle_body(key, rng.randrange(255), rng.randbytes(rng.randrange(100)))
        else:
            symbol = rng.randbytes(8 * rng.randint(1, 20))
            check, sources = rng.randrange(65536), rng.randint(1, 255)
            blocks.handle_repair(Repair(*key, sources, rng.randrange(256), check, symbol))
        assert 0 <= blocks.held <= 20_000
    assert len(blocks._blocks) <= 20_000 // COST
    for group in range(4):
        blocks.forget(group)
    assert blocks.held == 0 and not blocks._blocks and not blocks._done


def test_one_block_under_many_shapes_is_bounded() -> None:
    rng = random.Random(6)
    blocks = Blocks(1 << 20)
    for n in range(1000):
        blocks.handle_repair(Repair(*KEY, 200, 0, n, rng.randbytes(80)))
    assert blocks.held < 5 * (80 + 2 * COST)
    assert blocks.handle_repair(Repair(*KEY, 255, 0, 0, bytes(8 * 8000))) == [], "larger than all that may be held"
    assert blocks.held < 5 * (80 + 2 * COST)
