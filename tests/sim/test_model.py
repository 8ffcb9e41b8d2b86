"""Every impairment of a link in figures, each against what it says it does."""

import statistics
from itertools import groupby, pairwise

import pytest

from sim.broadcast import Broadcast
from sim.clock import Clock
from sim.flows import GreedyFlow
from sim.link import Bottleneck, Delay, GilbertElliott, Link, Loss
from sim.model import LinkModel
from sim.packet import Packet
from sim.queues import DropTail, QueueSpec
from sim.rates import ConstantRate, Fading, Windows


def send(model: LinkModel, count: int, size: int = 97, every: float = 0.0, seed: int = 1) -> tuple[Link, list[Packet]]:
    """So many datagrams over one direction; all that arrived, in the order in which it did."""
    clock, got = Clock(), []
    link = model.make(clock, seed)
    link.arrived = got.append
    for number in range(count):
        clock.run(number * every)
        link.send(bytes(size))
    clock.run(clock.now + 1e6)
    return link, got


def times(link: Link) -> list[float]:
    return [event.time for event in link.log if event.what == "arrived"]


def test_exactly_packets_two_three_and_four_are_lost() -> None:
    _, got = send(LinkModel(rate=1e6, drops=(2, 3, 4)), 8)
    assert [packet.number for packet in got] == [0, 1, 5, 6, 7]


def test_gilbert_elliott_has_its_shares_and_its_runs() -> None:
    model = LinkModel(rate=1e9, states=(0.02, 0.2, 0.01, 0.7))
    _, got = send(model, 60_000, every=1e-5)
    arrived = {packet.number for packet in got}
    lost = [number not in arrived for number in range(60_000)]
    bad = 0.02 / 0.22
    assert sum(lost) / len(lost) == pytest.approx(bad * 0.7 + (1 - bad) * 0.01, rel=0.06)
    was_bad = bad * 0.7 / (bad * 0.7 + (1 - bad) * 0.01)
    next_too = was_bad * (0.8 * 0.7 + 0.2 * 0.01) + (1 - was_bad) * (0.02 * 0.7 + 0.98 * 0.01)
    after = [now for before, now in pairwise(lost) if before]
    assert sum(after) / len(after) == pytest.approx(next_too, abs=0.03)
    with pytest.raises(ValueError, match="chances"):
        GilbertElliott(0.0, 0.0)


def test_duplicates_and_flipped_bits() -> None:
    _, got = send(LinkModel(rate=1e9, duplicate=0.25), 4_000, every=1e-5)
    assert len(got) == pytest.approx(5_000, rel=0.02)
    _, got = send(LinkModel(rate=1e9, corrupt=0.25), 4_000, every=1e-5)
    ones = [sum(byte.bit_count() for byte in packet.data) for packet in got]
    assert set(ones) == {0, 1} and sum(ones) == pytest.approx(1_000, rel=0.08)


def test_outages_lose_and_windows_wait() -> None:
    link, got = send(LinkModel(rate=1e6, delay=0.0, outages=((1.0, 2.0), (3.0, 3.5))), 40, every=0.1)
    assert [packet.number for packet in got] == [*range(10), *range(20, 30), *range(35, 40)]
    model = LinkModel(rate=8_000, delay=0.0, overhead=0, windows=Windows(open=2.0, every=10.0, first=1.0))
    link, got = send(model, 4, size=900)
    assert times(link) == pytest.approx([1.9, 2.8, 3.7, 11.9]), "what has begun in a window is sent to its end"


def test_windows_know_when_they_open() -> None:
    windows = Windows(open=2.0, every=10.0, first=1.0)
    assert [windows.next_open(t) for t in (0.0, 1.5, 3.0, 12.9, 13.0)] == [1.0, 1.5, 11.0, 12.9, 21.0]
    assert windows.spans(0.0, 22.0) == [(1.0, 3.0), (11.0, 13.0), (21.0, 22.0)]
    assert windows.spans(2.0, 2.5) == [(2.0, 2.5)]
    with pytest.raises(ValueError, match="window"):
        Windows(open=3.0, every=2.0)


def test_a_delay_that_wanders() -> None:
    model = LinkModel(rate=1e9, delays=((0.0, 0.1), (10.0, 0.5), (20.0, 0.1)))
    link, _ = send(model, 4, every=5.0)
    late = [time - 5.0 * number for number, time in enumerate(times(link))]
    assert late == pytest.approx([0.1, 0.3, 0.5, 0.3], abs=1e-4)
    with pytest.raises(ValueError, match="delays"):
        LinkModel(rate=1e9, delays=((1.0, 0.1), (2.0, 0.2)))


def test_jitter_keeps_the_order_unless_told() -> None:
    for reorder in (False, True):
        _, got = send(LinkModel(rate=1e9, jitter=0.5, reorder=reorder), 200, every=0.01)
        numbers = [packet.number for packet in got]
        assert (numbers == sorted(numbers)) != reorder


def test_a_fading_rate_has_its_median_its_spread_and_its_memory() -> None:
    fading, rates = Fading(median=1e6, sigma=0.8, memory=10.0, floor=1.0), []
    for seed in range(6):
        course = LinkModel(rate=1e6, fading=fading).transmitter(seed)
        rates.append([course.bits(second, second + 1.0) for second in range(1200)])  # type: ignore[attr-defined]
    assert rates[0] != rates[1]
    everything = [rate for each in rates for rate in each]
    assert statistics.median(everything) == pytest.approx(1e6, rel=0.2)
    import math

    logs = [[math.log(rate) for rate in each] for each in rates]
    assert statistics.pstdev([x for each in logs for x in each]) == pytest.approx(0.8, rel=0.12)
    ahead = [statistics.correlation(each[:-10], each[10:]) for each in logs]
    assert statistics.fmean(ahead) == pytest.approx(1 / math.e, abs=0.12)


def test_same_seed_same_log_with_everything_on() -> None:
    model = LinkModel(
        rate=50_000, jitter=0.1, reorder=True, states=(0.1, 0.3, 0.01, 0.9), corrupt=0.1, duplicate=0.1,
        fading=Fading(median=5e4, sigma=0.5, memory=5.0), line=QueueSpec(limit=5, unit="packets"),
    )  # fmt: skip
    digests = [send(model, 200, every=0.05, seed=seed)[0].digest() for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_two_greedy_flows_share_and_fill_a_bottleneck() -> None:
    clock = Clock()
    bottleneck = Bottleneck(ConstantRate(1e6), DropTail(30, "packets"))
    flows = [GreedyFlow(clock, Link(clock, [bottleneck, Delay(0.05)], seed, overhead=40), 0.05) for seed in range(2)]
    clock.run(300.0)
    rates = [flow.delivered * 8 / 300.0 for flow in flows]
    assert sum(rates) == pytest.approx(1e6 * 1448 / 1488, rel=0.03), "all of the rate"
    assert min(rates) / max(rates) > 0.6


def test_a_greedy_flow_halves_with_loss_as_theory_says() -> None:
    """Mathis et al. 1997: rate = segment / round trip * sqrt(3/2) / sqrt(p), where the link itself is no limit."""
    clock = Clock()
    flow = GreedyFlow(clock, Link(clock, [Loss(0.01), Delay(0.05)], 3), 0.05)
    clock.run(600.0)
    theory = 1448 * 8 / 0.1 * (1.5 / 0.01) ** 0.5
    assert flow.delivered * 8 / 600.0 == pytest.approx(theory, rel=0.2)


def test_a_greedy_flow_comes_back_after_an_outage() -> None:
    clock = Clock()
    link = LinkModel(rate=1e6, delay=0.05, outages=((5.0, 15.0),)).make(clock)
    flow = GreedyFlow(clock, link, 0.05)
    clock.run(15.0)
    before = flow.delivered
    clock.run(30.0)
    assert (flow.delivered - before) * 8 / 15.0 > 0.6e6


def test_cross_traffic_slows_us_down() -> None:
    alone, beside = (LinkModel(rate=1e6, cross=cross, line=QueueSpec(limit=20, unit="packets")) for cross in (0, 1))
    clock = Clock()
    got: dict[int, int] = {}
    for place, model in enumerate((alone, beside)):
        clock = Clock()
        link = model.make(clock)
        for number in range(2_000):
            clock.run(number * 0.01)
            link.send(bytes(1000))
        clock.run(30.0)
        got[place] = len(times(link))
        for flow in link.beside:
            assert isinstance(flow, GreedyFlow)
            assert 0.05e6 < flow.delivered * 8 / 30.0 < 0.5e6, "it yields to what does not yield"
    assert got[0] == 2_000 and 1_500 < got[1] < 1_990


def test_a_broadcast_loses_on_each_branch_by_itself() -> None:
    clock = Clock()
    common = Link(clock, [Bottleneck(ConstantRate(1e6), 10**9), Loss(0.1)], "common")
    branches = [Link(clock, [Loss(0.2), Delay(0.1 * n)], f"to {n}", overhead=0) for n in range(3)]
    got: list[set[int]] = [set(), set(), set()]
    for place, branch in enumerate(branches):
        branch.arrived = lambda packet, place=place: got[place].add(packet.number)  # type: ignore[misc]
    air = Broadcast(common, branches)
    for _ in range(5_000):
        air.send(bytes(97))
    clock.run(1e6)
    for each in got:
        assert len(each) / 5_000 == pytest.approx(0.9 * 0.8, abs=0.02)
    both = len(got[0] & got[1]) / 5_000
    assert both == pytest.approx(0.9 * 0.8 * 0.8, abs=0.02), "the common loss is common, the others are not"
    sizes = {size for size, _ in groupby(event.size for event in branches[0].log)}
    assert sizes == {125}


def test_figures_that_no_link_has() -> None:
    for bad in ({"corrupt": 2.0}, {"duplicate": -1.0}, {"cross": -1}, {"burst": 0.5, "loss": 0.1}, {"delay": -1.0}):
        with pytest.raises(ValueError):
            LinkModel(rate=1000.0, **bad)
