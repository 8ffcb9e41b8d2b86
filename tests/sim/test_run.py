"""Real sender and receiver over modelled links."""

import random
from itertools import pairwise

import pytest

from sim.link import LinkSpec
from sim.run import Transfer, reliable_stream
from transport import GroupStarted, Item, ItemReceived

LINKS = [LinkSpec(2_000, 1.0), LinkSpec(10_000, 0.1, 0.05), LinkSpec(100_000, 0.05), LinkSpec(20_000, 0.3, 0.3, 0.4)]


def items(bulk: int) -> list[Item]:
    rng = random.Random(1)
    base = [Item(5, 0, 0, b"a dog", 0), Item(5, 0, 4, rng.randbytes(19), 1)]
    return base + [Item(5, 3, n, rng.randbytes(900), 2 + n, may_cut=True) for n in range(bulk)]


@pytest.mark.parametrize("link", LINKS, ids=str)
def test_everything_arrives_and_the_link_is_used(link: LinkSpec) -> None:
    transfer = Transfer(link, seed=3)
    todo = items(60 if link.loss > 0.1 else 12)
    transfer.submit(5, b"\xc1\x1a\x05\x02", todo)
    arrivals = transfer.run(600.0)
    whole = {a.event.key: a.event.payload for a in arrivals if isinstance(a.event, ItemReceived) and a.event.complete}
    assert whole == {item.key: item.payload for item in todo}
    assert transfer.sender.idle
    payload = sum(len(item.payload) for item in todo)
    end = max(a.time for a in arrivals) - link.delay - link.jitter
    floor = {0.0: 0.75, 0.05: 0.70, 0.3: 0.40}[link.loss]
    assert payload * 8 / (link.rate * end) > floor
    first = arrivals[0]
    assert isinstance(first.event, GroupStarted)
    if not link.loss:
        assert first.time == pytest.approx(link.delay + first.wire * 8 / link.rate), "base arrives as physics allow"


def test_no_queue_forms_in_the_link() -> None:
    transfer = Transfer(LinkSpec(10_000, 0.1, 0.05, queue=0), seed=9)
    transfer.submit(5, b"", items(12))
    transfer.run(600.0)
    lost = [event for event in transfer.forward.log if event.what == "dropped"]
    assert transfer.sender.idle and transfer.sender.stats.packets - transfer.receiver.stats.packets == len(lost)
    sent = [event.time for event in transfer.forward.log if event.what == "sent"]
    size = {event.number: event.size for event in transfer.forward.log}
    gaps = [after - before - size[n] * 8 / 10_000 for n, (before, after) in enumerate(pairwise(sent))]
    assert min(gaps) > -1e-9


def test_same_seed_same_run() -> None:
    def digest(seed: int) -> str:
        transfer = Transfer(LINKS[3], seed=seed)
        transfer.submit(5, b"", items(5))
        transfer.run(100.0)
        return transfer.forward.digest() + transfer.back.digest()

    assert digest(1) == digest(1) != digest(2)


def test_an_ideal_stream_without_loss_is_pure_arithmetic() -> None:
    got = reliable_stream(bytes(1000), LinkSpec(10_000, 0.5), 60.0, size=250)
    packet = (250 + 28) * 8 / 10_000
    assert [n for _, n in got] == [250, 500, 750, 1000]
    assert [time for time, _ in got] == pytest.approx([0.5 + (n + 1) * packet for n in range(4)])


def test_an_ideal_stream_with_loss_waits_in_order() -> None:
    link = LinkSpec(10_000, 0.5, loss=0.3)
    got = reliable_stream(bytes(20_000), link, 600.0, seed=2)
    assert got[-1][1] == 20_000
    assert [n for _, n in got] == sorted({n for _, n in got})
    lossless = reliable_stream(bytes(20_000), LinkSpec(10_000, 0.5), 600.0)
    assert 1.25 < (got[-1][0] - 0.5) / (lossless[-1][0] - 0.5) < 1.8
    assert any(n > 250 for n in (b - a for (_, a), (_, b) in pairwise(got))), "a gap held bytes back"
    assert reliable_stream(b"", link, 5.0) == []
