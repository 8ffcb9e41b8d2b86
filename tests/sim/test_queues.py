"""Queues before a bottleneck, by hand and against what CoDel promises."""

import pytest

from sim.clock import Clock
from sim.link import Bottleneck, Link
from sim.packet import Packet
from sim.queues import CoDel, DropHead, DropTail, Queue, QueueSpec
from sim.rates import ConstantRate


def burst(queue: Queue, count: int, size: int = 100) -> tuple[list[int], list[int]]:
    """So many packets at once into a link of a packet a second: (arrived, dropped), in order."""
    clock, arrived, dropped = Clock(), [], []
    link = Link(clock, [Bottleneck(ConstantRate(size * 8.0), queue)], overhead=0)
    link.arrived = lambda packet: arrived.append(packet.number)
    link.dropped = lambda packet: dropped.append(packet.number)
    for _ in range(count):
        link.send(bytes(size))
    clock.run(1e6)
    return arrived, dropped


def test_bytes_and_packets_from_either_end() -> None:
    assert burst(DropTail(250), 5) == ([0, 1, 2], [3, 4])
    assert burst(DropTail(3, "packets"), 6) == ([0, 1, 2, 3], [4, 5])
    assert burst(DropHead(250), 5) == ([0, 3, 4], [1, 2])
    assert burst(DropHead(3, "packets"), 6) == ([0, 3, 4, 5], [1, 2])
    assert burst(DropHead(50), 3) == ([0], [1, 2]), "what never fits is dropped itself"


def waits(queue: Queue, load: float, seconds: float = 300.0) -> tuple[list[float], int]:
    """Packets of 250 B into 100 kbit/s, `load` times as many as pass: how long each was under way; how many dropped."""
    clock, sent, took = Clock(), {}, []
    link = Link(clock, [Bottleneck(ConstantRate(100_000.0), queue)], overhead=0)

    def arrived(packet: Packet) -> None:
        took.append(clock.now - sent[packet.number])

    link.arrived = arrived
    step = 0.02 / load
    for number in range(int(seconds / step)):
        clock.run(number * step)
        sent[link.send(bytes(250))] = clock.now
    return took, sum(event.what == "dropped" for event in link.log)


def test_codel_leaves_a_link_alone_that_keeps_up() -> None:
    took, dropped = waits(CoDel(10**6, target=0.05, interval=0.5), load=0.95)
    assert dropped == 0 and max(took) == pytest.approx(0.02)


def test_codel_ends_a_standing_queue_that_drop_tail_keeps() -> None:
    queue, tail = CoDel(200_000, target=0.2, interval=0.5), DropTail(200_000)
    took, dropped = waits(queue, load=1.1)
    longest, _ = waits(tail, load=1.1)
    late = took[len(took) // 2 :]
    assert longest[-1] > 15.0, "200 kB of queue at 100 kbit/s"
    assert sum(late) / len(late) < 1.5 and dropped > 0
    sent = len(took) + dropped
    assert 0.05 < dropped / sent < 0.15, "about what is too much: a tenth"


def test_queues_that_there_are_not() -> None:
    for bad in ({"limit": -1}, {"unit": "boxes"}, {"discipline": "red"}, {"discipline": "codel", "target": 9.0}):
        with pytest.raises(ValueError, match=r"queue|CoDel"):
            QueueSpec(**bad)
    assert isinstance(QueueSpec(discipline="codel").make(), CoDel)
