"""Links on which a packet's time on the air is not its bits over a rate: LoRa, key-up times, duty cycles.

    AirLink.make ─► Link: [Bottleneck(_Air), Loss, Delay]      for `sim.run.Transfer`, like any `LinkSpec`

LoRa's formula is that of Semtech's designer's guide AN1200.13 (explicit header, CRC on).
"""

import math
from dataclasses import dataclass

from sim.clock import Clock
from sim.link import IP_UDP, Bottleneck, Delay, Link, LinkSpec, Loss, Stage
from sim.rates import Rate

SLOW_SYMBOL = 0.016
"""Seconds of a symbol from which LoRa's low data rate optimisation is on."""
ENDLESS = 1 << 40
"""Bytes: whoever sends into a duty cycle waits with what it has, and loses nothing."""


@dataclass(frozen=True, slots=True)
class Lora:
    """LoRa's settings: spreading factor 7-12, bandwidth in Hz, coding rate 4/`coding` (5-8), symbols of preamble.

    Raises ValueError for settings that there are not.
    """

    spreading: int
    bandwidth: float = 125_000.0
    coding: int = 5
    preamble: int = 8

    def __post_init__(self) -> None:
        if not (7 <= self.spreading <= 12 and self.bandwidth > 0 and 5 <= self.coding <= 8 and self.preamble >= 0):
            raise ValueError(f"LoRa has no such settings: {self}")

    def seconds(self, size: int) -> float:
        """Time on the air of a packet of `size` bytes, its protocol's header included."""
        symbol = (1 << self.spreading) / self.bandwidth
        slow = 2 if symbol >= SLOW_SYMBOL else 0
        blocks = math.ceil((8 * size - 4 * self.spreading + 28 + 16) / (4 * (self.spreading - slow)))
        return (self.preamble + 4.25 + 8 + max(blocks, 0) * self.coding) * symbol


@dataclass(frozen=True)
class AirLink(LinkSpec):
    """A link by its time on the air. `rate` (bit/s) gives it, unless `lora` does.

    Attributes:
        overhead: bytes that the layers below add to a datagram.
        gap: seconds that each packet costs beyond its bits: keying a transmitter, opening a session.
        duty: share of the time that the transmitter may be on, above 0, at most 1.
        lora: LoRa's settings, or None.
    """

    overhead: int = IP_UDP
    gap: float = 0.0
    duty: float = 1.0
    lora: Lora | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.overhead < 0 or self.gap < 0 or not 0 < self.duty <= 1:
            raise ValueError(f"no link is like this: {self}")

    def airtime(self, wire: int) -> float:
        """Seconds on the air of a packet of `wire` bytes, overhead included."""
        return self.gap + (self.lora.seconds(wire) if self.lora else wire * 8 / self.rate)

    def sustained(self, size: int) -> float:
        """bit/s, overhead counted, at which datagrams of `size` bytes can go on and on."""
        wire = size + self.overhead
        return wire * 8 * self.duty / self.airtime(wire)

    @property
    def waits(self) -> bool:
        """Whether a packet's time is not its bits over a rate: whoever sends waits for the transmitter."""
        return self.lora is not None or self.gap > 0 or self.duty < 1

    def transmitter(self, seed: int | str = 0) -> Rate:
        return _Air(self) if self.waits else super().transmitter(seed)

    def make(self, clock: Clock, seed: int | str = 0) -> Link:
        stages: list[Stage] = [
            Bottleneck(self.transmitter(seed), ENDLESS),
            Loss(self.loss),
            Delay(self.delay, self.jitter),
        ]
        return Link(clock, stages, seed, self.overhead)


class _Air:
    """When a packet has passed: the transmitter is silent after each for as long as the duty cycle asks."""

    def __init__(self, link: AirLink) -> None:
        self._link = link
        self._free_at = 0.0

    def finish(self, start: float, bits: int) -> float:
        airtime = self._link.airtime(bits // 8)
        done = max(start, self._free_at) + airtime
        self._free_at = done + airtime * (1 / self._link.duty - 1)
        return done
