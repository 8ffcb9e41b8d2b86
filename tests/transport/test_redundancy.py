"""Chances against the binomial formula, against simulation, and against themselves."""

import random
from math import comb, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transport.redundancy import (
    MAX_COPIES,
    Channel,
    chance_complete,
    chance_missed,
    chances_of_arrivals,
    copies_needed,
    repairs_needed,
)
from transport.symbols import REPAIRS

CHANNELS = st.one_of(
    st.builds(Channel, st.floats(0, 0.9)),
    st.builds(Channel, st.floats(0.01, 0.5), st.floats(1.1, 30)),
)
PLACES = st.lists(st.integers(0, 60), unique=True, min_size=1, max_size=20).map(sorted)


def fates(channel: Channel, length: int, rng: random.Random) -> list[bool]:
    """Whether each of so many packets in a row arrives."""
    burst = channel.burst or 1 / (1 - channel.loss)
    enter = channel.loss / (1 - channel.loss) / burst
    bad = rng.random() < channel.loss
    arrived = []
    for _ in range(length):
        arrived.append(not bad)
        bad ^= rng.random() < (1 / burst if bad else enter)
    return arrived


def test_independent_losses_are_binomial() -> None:
    chances = chances_of_arrivals(Channel(0.3), range(12))
    for n, chance in enumerate(chances):
        assert chance == pytest.approx(comb(12, n) * 0.7**n * 0.3 ** (12 - n))


@settings(max_examples=80)
@given(CHANNELS, PLACES)
def test_chances_add_up_and_keep_the_mean(channel: Channel, places: list[int]) -> None:
    chances = chances_of_arrivals(channel, places)
    assert sum(chances) == pytest.approx(1)
    assert sum(n * chance for n, chance in enumerate(chances)) == pytest.approx(len(places) * (1 - channel.loss))
    assert chances[0] == pytest.approx(chance_missed(channel, places))


@pytest.mark.parametrize("channel", [Channel(0.2), Channel(0.2, 4), Channel(0.4, 9)])
def test_bursts_as_simulated(channel: Channel) -> None:
    rng = random.Random(7)
    places = [0, 1, 2, 5, 6, 9, 14, 15, 30]
    counts = [0] * (len(places) + 1)
    trials = 20_000
    for _ in range(trials):
        arrived = fates(channel, places[-1] + 1, rng)
        counts[sum(arrived[place] for place in places)] += 1
    for count, chance in zip(counts, chances_of_arrivals(channel, places), strict=True):
        assert abs(count / trials - chance) < 4 * (chance * (1 - chance) / trials) ** 0.5 + 1e-4


@pytest.mark.parametrize(("channel", "stride"), [(Channel(0.2), 1), (Channel(0.2, 4), 1), (Channel(0.2, 4), 4)])
@pytest.mark.parametrize("sources", [1, 5, 17])
def test_repairs_reach_the_target_as_simulated_and_no_sooner(channel: Channel, stride: int, sources: int) -> None:
    repairs = repairs_needed(channel, sources, 0.95, stride)
    total = sources + repairs
    assert chance_complete(channel, sources, range(0, total * stride, stride)) >= 0.95
    if repairs:
        assert chance_complete(channel, sources, range(0, (total - 1) * stride, stride)) < 0.95
    rng = random.Random(8)
    complete = sum(sum(fates(channel, total * stride, rng)[::stride]) >= sources for _ in range(4000)) / 4000
    assert 0.935 <= complete <= 1


def test_bursts_cost_more_and_distance_helps() -> None:
    alone, bursts = Channel(0.2), Channel(0.2, 4)
    assert repairs_needed(alone, 10, 0.99) < repairs_needed(bursts, 10, 0.99, 8) + 2
    assert repairs_needed(bursts, 10, 0.99, 4) < repairs_needed(bursts, 10, 0.99)
    assert copies_needed(alone, 1, 0.999) == 5
    assert copies_needed(bursts, 1, 0.999, 20) == 5 < copies_needed(bursts, 1, 0.999)
    assert copies_needed(alone, 9, 0.999) > 5


def test_bounds() -> None:
    assert repairs_needed(Channel(0.0), 50, 0.999) in (0, 1)
    assert repairs_needed(Channel(0.99), 50, 0.99) == REPAIRS
    assert copies_needed(Channel(0.99), 1, 0.9999) == MAX_COPIES
    assert chance_missed(Channel(0.5), []) == 1
    for loss, burst in ((1.0, None), (-0.1, None), (0.2, 0.5), (0.9, 2.0)):
        with pytest.raises(ValueError, match="no channel"):
            Channel(loss, burst)


def test_two_receivers() -> None:
    assert Channel(0.5).merged(2) == Channel(0.25)
    both = Channel(0.4, 4).merged(2)
    assert both.loss == pytest.approx(0.16) and 1 < (both.burst or 0) < 4
    rng = random.Random(9)
    one, two = (fates(Channel(0.4, 4), 200_000, rng) for _ in range(2))
    lost = [not (a or b) for a, b in zip(one, two, strict=True)]
    runs = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    assert sum(lost) / runs == pytest.approx(both.burst, rel=0.05)
    assert sum(lost) / len(lost) == pytest.approx(prod((0.4, 0.4)), rel=0.05)
