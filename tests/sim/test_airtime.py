"""Airtime: LoRa's formula against published figures, keying and duty cycles against what a transmitter may do."""

import pytest

from sim.airtime import AirLink, Lora
from sim.clock import Clock
from sim.link import LinkSpec


@pytest.mark.parametrize(
    ("settings", "size", "milliseconds"),
    [  # the designer's guide's own calculator, and the figures that network operators publish
        (Lora(9), 13, 164.864),
        (Lora(7), 23, 61.696),
        (Lora(7), 64, 118.016),
        (Lora(12), 64, 2793.472),
    ],
)
def test_loras_formula(settings: Lora, size: int, milliseconds: float) -> None:
    assert settings.seconds(size) * 1000 == pytest.approx(milliseconds)


def test_lora_settings_matter_as_they_should() -> None:
    assert Lora(8).seconds(50) > Lora(7).seconds(50)
    assert Lora(7, bandwidth=250_000).seconds(50) == pytest.approx(Lora(7).seconds(50) / 2)
    assert Lora(7, coding=8).seconds(50) > Lora(7, coding=5).seconds(50)
    assert Lora(7, preamble=16).seconds(50) == pytest.approx(Lora(7).seconds(50) + 8 * 128 / 125_000)
    for bad in ({"spreading": 6}, {"spreading": 7, "coding": 4}, {"spreading": 7, "bandwidth": 0}):
        with pytest.raises(ValueError, match="no such settings"):
            Lora(**bad)  # type: ignore[arg-type]


def send(link: LinkSpec, sizes: list[int]) -> list[float]:
    """When each of several packets, handed over at once, arrives."""
    clock, times = Clock(), []
    made = link.make(clock)
    made.arrived = lambda packet: times.append(clock.now)
    for size in sizes:
        made.send(bytes(size))
    clock.run(1e9)
    return times


def test_a_duty_cycle_is_kept_after_every_packet() -> None:
    link = AirLink(rate=1000, delay=0.5, overhead=0, duty=0.1)
    assert send(link, [125, 250, 125]) == pytest.approx([1 + 0.5, 10 + 2 + 0.5, 30 + 1 + 0.5])


def test_keying_costs_each_packet() -> None:
    link = AirLink(rate=1000, delay=0.0, overhead=25, gap=0.3)
    assert send(link, [100, 100]) == pytest.approx([1.3, 2.6])
    assert link.sustained(100) == pytest.approx(125 * 8 / 1.3)


def test_without_any_of_it_it_is_a_plain_link() -> None:
    sizes = [100, 1100, 40, 900]
    assert send(AirLink(rate=9600, delay=0.2), sizes) == send(LinkSpec(rate=9600, delay=0.2), sizes)


def test_impossible_links_are_refused() -> None:
    for bad in ({"duty": 0}, {"duty": 1.5}, {"gap": -1}, {"overhead": -1}, {"rate": 0}):
        with pytest.raises(ValueError, match="no link is like this"):
            AirLink(**{"rate": 1000, **bad})
