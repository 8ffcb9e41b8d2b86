"""The link against arithmetic done by hand."""

import pytest

from sim.clock import Clock
from sim.link import Bottleneck, Bursts, ConstantRate, Delay, Link, LinkSpec, Loss


def arrivals(link: Link, clock: Clock, sizes: list[int], until: float = 1e6) -> list[tuple[float, int]]:
    got: list[tuple[float, int]] = []
    link.arrived = lambda packet: got.append((clock.now, packet.number))
    for size in sizes:
        link.send(bytes(size))
    clock.run(until)
    return got


def test_clock_keeps_order_and_runs_what_is_added() -> None:
    clock, seen = Clock(), []
    clock.at(2.0, lambda: seen.append("b"))
    clock.at(1.0, lambda: clock.at(0.5, lambda: seen.append("late is now")))
    clock.at(2.0, lambda: seen.append("c"))
    clock.at(9.0, lambda: seen.append("never"))
    clock.run(5.0)
    assert seen == ["late is now", "b", "c"] and clock.now == 5.0 and not clock.idle


def test_rate_and_delay_to_the_byte() -> None:
    clock = Clock()
    link = LinkSpec(10_000, delay=0.3).make(clock)
    got = arrivals(link, clock, [97, 222, 972])
    assert [time for time, _ in got] == pytest.approx([0.1 + 0.3, 0.3 + 0.3, 1.1 + 0.3])


def test_drop_tail_queue_in_bytes() -> None:
    clock = Clock()
    link = LinkSpec(8_000, delay=0.0, queue=300).make(clock)
    assert [n for _, n in arrivals(link, clock, [72] * 6)] == [0, 1, 2, 3], "one under way, three queued"
    assert [e.number for e in link.log if e.what == "dropped"] == [4, 5]


def test_loss_has_its_share_and_costs_link_time() -> None:
    clock = Clock()
    link = LinkSpec(1_000_000, loss=0.2, queue=10**9).make(clock)
    got = arrivals(link, clock, [97] * 10_000)
    assert 0.185 < 1 - len(got) / 10_000 < 0.215
    assert got[-1][0] == pytest.approx(10_000 * 125 * 8 / 1e6 + 0.05, abs=0.02)


def test_jitter_in_order_and_out_of_order() -> None:
    for reorder in (False, True):
        clock = Clock()
        link = Link(clock, [Bottleneck(ConstantRate(1e6), 10**6), Delay(0.1, 0.5, reorder)], seed=4)
        got = arrivals(link, clock, [97] * 200)
        assert ([n for _, n in got] == sorted(n for _, n in got)) != reorder
        late = [time - (n + 1) * 0.001 - 0.1 for time, n in got]
        assert min(late) >= -1e-9 and max(late) > 0.4


def test_same_seed_same_log() -> None:
    def digest(seed: int) -> str:
        clock = Clock()
        link = LinkSpec(50_000, loss=0.3, jitter=0.2).make(clock, seed)
        arrivals(link, clock, [100] * 100)
        return link.digest()

    assert digest(1) == digest(1) != digest(2)


def test_stages_of_ones_own() -> None:
    class Double:
        def start(self, clock: object, rng: object) -> None: ...
        def push(self, packet: object, forward: object, drop: object) -> None:
            forward(packet), forward(packet)  # type: ignore[operator]

    clock = Clock()
    assert len(arrivals(Link(clock, [Double(), Loss(0.0), Double()]), clock, [1])) == 4


def test_figures_that_no_link_has() -> None:
    for bad in ({"rate": 0}, {"rate": 9, "delay": -1}, {"rate": 9, "loss": 1.5}, {"rate": 9, "queue": -1}):
        with pytest.raises(ValueError, match="no link"):
            LinkSpec(**bad)  # type: ignore[arg-type]
    assert str(LinkSpec(10_000, 0.1, 0.05)) == "10 kbit/s, 0.1 s delay, 5% loss"


def test_bursts_have_their_share_and_their_length() -> None:
    clock = Clock()
    link = Link(clock, [Bursts(0.2, 4.0)], seed=3)
    got = {number for _, number in arrivals(link, clock, [1] * 40_000)}
    lost = [number not in got for number in range(40_000)]
    runs = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    assert 0.18 < sum(lost) / len(lost) < 0.22
    assert 3.8 < sum(lost) / runs < 4.2
    for share, mean in ((1.0, 4.0), (0.9, 2.0), (0.2, 0.5)):
        with pytest.raises(ValueError, match="no channel"):
            Bursts(share, mean)
