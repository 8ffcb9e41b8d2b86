"""The model beside real sockets: the same packets are lost, and the others come when it says."""

from statistics import median

import pytest

from sim.link import Bottleneck, Link
from sim.model import LinkModel
from sim.rates import TokenBucket
from sim.truth import probe_tun, probe_virtual
from sim.wire import why_not

needs_root = pytest.mark.skipif(why_not() is not None, reason=f"not shown: a link for real sockets; {why_not()}")


@needs_root
def test_a_probe_over_a_tun_link_arrives_as_simulated() -> None:
    sends = [(0.03 * n, 60 + 40 * (n % 9)) for n in range(40)]
    model = LinkModel(rate=100_000, delay=0.05, loss=0.2, burst=2)
    real = probe_tun(model, sends, quiet=1.5)
    told = probe_virtual(model, sends, real.sent, "1/there")
    assert set(real.arrived) == set(told.arrived) and 20 < len(real.arrived) < 40
    late = [real.arrived[number] - told.arrived[number] for number in real.arrived]
    assert min(late) > -0.001 and median(late) < 0.01


def test_a_token_bucket_by_hand() -> None:
    from sim.clock import Clock

    clock = Clock()
    link = Link(clock, [Bottleneck(TokenBucket(8000, 300), 10**6)], overhead=0)
    for _ in range(4):
        link.send(bytes(200))
    clock.run(0.95)
    link.send(bytes(300))
    clock.run(10.0)
    times = [event.time for event in link.log if event.what == "arrived"]
    assert times == pytest.approx([0.0, 0.1, 0.3, 0.5, 0.95]), "the bucket was full again"
