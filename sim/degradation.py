"""Less link, less picture, never none: sessions over worse and worse links, and what is asked of them.

    a preset, made slower or lossier ─► the real sender and receiver ─► Session: what was held at each look
                                                                       └─► QualityTable ─► dB

The same seed meets the same chance at every loss and every rate, so that neighbours differ by the link alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import fmean
from typing import Any

from player import Player
from sim.journey import Journey, Load, over_udp
from sim.presets import Preset
from sim.quality_table import QualityTable
from sim.scenario import SendPolicy
from transport import GroupStarted, ItemReceived
from transport import wire as packets
from transport.fields import BASE

LOOKS = 8
FIRST_BYTES = 60
"""A session is looked at from when a link has carried about this much, on to when it has carried all, and half more."""


@dataclass(frozen=True)
class Session:
    """What one viewer had. held: at each look, item index -> bytes, None before anything can be shown.

    base_at: when the first packet of the base arrived, as it was sent; shown_at: when there was a caption or a picture;
    None for never. whole: whether all arrived.
    """

    held: tuple[dict[int, int] | None, ...]
    base_at: float | None
    shown_at: float | None
    whole: bool

    @property
    def never_shown(self) -> bool:
        """Whether a packet of the base got through and still there was nothing to be seen."""
        return self.base_at is not None and (self.shown_at is None or self.shown_at > self.base_at + 1e-9)


def lossy(preset: Preset, loss: float) -> Preset:
    """The preset with this share of packets lost, both ways."""
    burst = preset.burst if preset.burst and loss and preset.burst * (1 - loss) >= loss else None
    back = replace(preset.back, loss=loss, burst=burst) if preset.back is not None else None
    return replace(preset, loss=loss, burst=burst, states=None, back=back)


def paced(preset: Preset, factor: float) -> Preset:
    """The preset, so many times as fast both ways, its packets as large as before."""
    back = paced(preset.back, factor) if preset.back is not None else None
    preset = replace(preset, packet=preset.packet_size, back=back)
    if preset.lora is not None:  # the rate of its symbols follows the bandwidth
        return replace(preset, lora=replace(preset.lora, bandwidth=preset.lora.bandwidth * factor))
    fading = preset.fading and replace(
        preset.fading, median=preset.fading.median * factor, floor=preset.fading.floor * factor
    )
    rate = preset.link.rate * factor
    return replace(preset, rate=rate, fading=fading, gap=preset.gap / factor)


def looks_of(preset: Preset, size: int) -> tuple[float, ...]:
    """Times at which a stream of `size` bytes is looked at, evenly in the logarithm of what the link has carried."""
    model = preset.link
    packet = preset.packet_size
    seconds = 8 / model.sustained(packet) * (packet + model.overhead) / packet  # a byte of payload, about
    first, last = FIRST_BYTES * seconds, max(1.5 * size * seconds, 20 * model.delay)
    steps = (first * (last / first) ** (step / (LOOKS - 1)) for step in range(LOOKS))
    start = model.delay + model.airtime(packet + model.overhead)
    return tuple(start + step for step in steps)


def session(load: Load, preset: Preset, seed: int, looks: Sequence[float], policy: SendPolicy) -> Session:
    """One transfer, to the last look."""
    return read(load, over_udp(load, preset, policy, seed, looks[-1], record=True), looks)


def read(load: Load, journey: Journey, looks: Sequence[float]) -> Session:
    """What a journey brought."""
    sizes = {item.index: len(item.payload) for item in load.items}
    held: dict[int, int] = {}
    times: list[float] = []
    states: list[dict[int, int] | None] = []
    started, shown_at, player = False, None, Player()
    for arrival in journey.arrivals:
        event = arrival.event
        if isinstance(event, GroupStarted) and event.group == load.group:
            started = True
            player.start(event.preamble, arrival.time)
        elif isinstance(event, ItemReceived) and event.key[0] == load.group:
            held[event.key[2]] = len(event.payload)
            if shown_at is None:
                player.push(event.key[2], event.payload, event.complete, arrival.time)
        else:
            continue
        if shown_at is None and held and any(happening.what == "header" for happening in player.events):
            shown_at = arrival.time
        times.append(arrival.time)
        states.append(dict(held) if started else None)
    places = [bisect_right(times, look) - 1 for look in looks]
    whole = all(held.get(index) == size for index, size in sizes.items())
    return Session(tuple(states[p] if p >= 0 else None for p in places), base_at(load, journey), shown_at, whole)


def base_at(load: Load, journey: Journey) -> float | None:
    """When the first packet of the base of this group arrived as it was sent."""
    sent: dict[int, bytes] = {}
    for way, time, what, packet in journey.packets:
        if way != "there":
            continue
        if what == "sent":
            sent[packet.number] = packet.data
        elif what == "arrived" and packet.data == sent.get(packet.number) and _is_base(packet.data, load.group):
            return time
    return None


def _is_base(data: bytes, group: int) -> bool:
    try:
        packet = packets.parse(data)
    except packets.WireError:
        return False
    return isinstance(packet, packets.Data) and packet.group == group and packet.segments[0].cls == BASE


LOSSES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
FACTORS = (0.5, 1.0, 2.0)
"""Rates that are compared, of the preset's own, at RATES_LOSS."""
RATES_LOSS = 0.1
DEFAULT = SendPolicy()


@dataclass
class Grid:
    """Quality of one stream over one preset, dB: by loss, and by rate, a list of seeds of lists of looks.

    sessions, with_base: how many there were, and in how many a packet of the base got through; never_shown: in how many
    of those nothing was to be seen all the same; fell: the most by which a picture got worse within a session.
    """

    preset: str
    image: str
    losses: dict[float, list[list[float]]] = field(default_factory=dict)
    rates: dict[float, list[list[float]]] = field(default_factory=dict)
    sessions: int = 0
    with_base: int = 0
    never_shown: int = 0
    fell: float = 0.0

    @classmethod
    def of(cls, values: dict[str, Any]) -> Grid:
        """From plain values, whose keys JSON has made texts."""
        numbers = {key: {float(each): q for each, q in values[key].items()} for key in ("losses", "rates")}
        return cls(**{**values, **numbers})


def grid(
    image: str,
    load: Load,
    table: QualityTable,
    preset: Preset,
    seeds: Sequence[int],
    losses: Sequence[float] = LOSSES,
    factors: Sequence[float] = FACTORS,
    policy: SendPolicy = DEFAULT,
) -> Grid:
    """Sessions of one stream over one preset, at every loss and every rate, with the same seeds at each."""
    found = Grid(preset.name, image)
    looks = looks_of(preset, sum(len(item.payload) for item in load.items))

    def curve(link: Preset, seed: int) -> list[float]:
        came = session(load, link, seed, looks, policy)
        qualities = [table.psnr(held) for held in came.held]
        found.sessions += 1
        found.with_base += came.base_at is not None
        found.never_shown += came.never_shown
        found.fell = max(found.fell, *(before - after for before, after in pairwise(qualities)))
        return qualities

    for loss in losses:
        found.losses[loss] = [curve(lossy(preset, loss), seed) for seed in seeds]
    for factor in factors:
        link = paced(lossy(preset, RATES_LOSS), factor)
        again = found.losses.get(RATES_LOSS) if factor == 1 else None
        found.rates[factor] = again or [curve(link, seed) for seed in seeds]
    return found


@dataclass(frozen=True)
class Shape:
    """How quality goes with the link, means over images and seeds, at the look where it is worst, dB.

    rises: most by which more loss was better; steps: most that 1% more loss cost, between two losses of the grid that
    are `at` and beyond; slower_is_better: most by which a slower link was better.
    """

    preset: str
    rises: float
    step: float
    at: float
    slower_is_better: float


def shape_of(grids: Sequence[Grid]) -> Shape:
    """Of all grids of one preset."""
    by_loss = _means([found.losses for found in grids])
    by_rate = _means([found.rates for found in grids])
    losses = sorted(by_loss)
    changes = [
        (before - after, before_loss, after_loss)
        for before_loss, after_loss in pairwise(losses)
        for before, after in zip(by_loss[before_loss], by_loss[after_loss], strict=True)
    ]
    step, at = max((change / (100 * (after - before)), before) for change, before, after in changes)
    slower = [
        before - after
        for one, two in pairwise(sorted(by_rate))
        for before, after in zip(by_rate[one], by_rate[two], strict=True)
    ]
    return Shape(grids[0].preset, max(0.0, max(-c for c, _, _ in changes)), step, at, max(0.0, *slower))


def _means(of_grids: Sequence[dict[float, list[list[float]]]]) -> dict[float, list[float]]:
    """At each value the mean quality at each look, over everything."""
    return {
        value: [fmean(at_look) for at_look in zip(*(c for found in of_grids for c in found[value]), strict=True)]
        for value in of_grids[0]
    }
