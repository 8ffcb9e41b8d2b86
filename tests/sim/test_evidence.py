"""A probe in virtual time is exactly what theory says, and figures of losses by hand."""

import asyncio
from collections.abc import Callable

import pytest

from sim import virtual
from sim.evidence import Losses, intervals, losses_of
from sim.link import Bursts, GilbertElliott, LinkSpec, Loss, Stage
from sim.truth import probe_virtual

RATE, DELAY, HEADERS = 50_000, 0.05, 28
SENDS = [(0.07 * number + 0.01 * (number % 3), (60, 1100, 200, 600)[number % 4]) for number in range(500)]


def theory() -> list[float]:
    """A packet leaves when it is there and the one before has left, takes its bits over the rate, and then the way."""
    found, free = [], 0.0
    for time, size in SENDS:
        free = max(free, time) + (size + HEADERS) * 8 / RATE
        found.append(free + DELAY)
    return found


def test_each_datagram_of_a_probe_arrives_when_theory_says() -> None:
    probe = probe_virtual(LinkSpec(RATE, DELAY, queue=10**9), SENDS, [time for time, _ in SENDS], "1")
    assert list(probe.arrived.values()) == pytest.approx(theory(), abs=1e-9)


def test_through_sockets_of_a_virtual_loop_too() -> None:
    arrived: list[float] = []

    class Ear(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            arrived.append(loop().time())

    loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.get_running_loop

    async def story(network: virtual.Network) -> None:
        network.join("a", "b", LinkSpec(RATE, DELAY, queue=10**9))
        await loop().create_datagram_endpoint(Ear, local_addr=("b", 9))
        socket, _ = await loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("a", 9))
        for time, size in SENDS:
            network.clock.at(time, lambda size=size: socket.sendto(bytes(size), ("b", 9)))  # type: ignore[misc]
        await asyncio.sleep(SENDS[-1][0] + 60)

    virtual.run(story)
    assert arrived == pytest.approx(theory(), abs=1e-9)


def test_the_rate_of_a_full_link_is_its_rate() -> None:
    probe = probe_virtual(LinkSpec(RATE, DELAY, queue=10**9), [(0.0, 600)] * 2000, [0.0] * 2000, "1")
    seconds = max(probe.arrived.values()) - min(probe.arrived.values())
    assert 1999 * (600 + HEADERS) * 8 / seconds == pytest.approx(RATE, rel=1e-9)


def test_losses_by_hand() -> None:
    lost = [False, True, True, False, False, False, True, False]
    assert Losses.of(lost) == Losses(3 / 8, 1.5, 0.5, 5 / 3)
    assert Losses.of([False] * 4) == Losses(0, 0, 0, 4)
    assert Losses.of([True] * 4) == Losses(1, 4, 0, 0)


@pytest.mark.parametrize(
    ("make", "share", "run"),
    [
        (lambda: Loss(0.2), 0.2, 1 / 0.8),
        (lambda: Bursts(0.1, 4.0), 0.1, 4.0),
        (lambda: GilbertElliott(0.05, 0.25, 0.0, 0.5), 0.5 * 0.05 / 0.3, 1 / (1 - 0.5 * 0.75)),
    ],
)
def test_models_lose_what_theory_says(make: Callable[[], Stage], share: float, run: float) -> None:
    found = Losses.of(losses_of(make(), 100_000, 1))
    assert found.share == pytest.approx(share, rel=0.05) and found.run == pytest.approx(run, rel=0.05)
    (low, high), (shortest, longest), *_ = intervals(make, 2000, 60)
    assert low < share < high and shortest < run < longest and high - low < share
