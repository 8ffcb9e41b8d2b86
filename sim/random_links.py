"""Links as nobody would build them: every impairment at once, drawn from a seed; and what must hold on all of them.

draw(seed) ─► Drawn: preset, policy ─► the real sender and receiver ─► trial ─► Trial: what went wrong, if anything
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random

from player import Player
from sim.degradation import base_at
from sim.journey import Journey, Load, over_udp
from sim.presets import Preset
from sim.queues import QueueSpec
from sim.rates import Fading, Windows
from sim.run import Arrival
from sim.scenario import SendPolicy
from transport import GroupStarted, ItemReceived

MOST_LOSS = 0.7
PACKETS = (51, 115, 200, 256, 340, 600, 1100)
ROUNDS = 6.0
"""A trial lasts as long as the link needs for so many times the stream, blackouts aside."""


@dataclass(frozen=True)
class Drawn:
    """A link and how it is sent over; `until`: seconds of the trial."""

    preset: Preset
    policy: SendPolicy
    until: float


@dataclass(frozen=True)
class Trial:
    """What came of one link. base: whether a packet of the base got through unharmed; whole: whether all did.

    crash: a traceback; wrong: what must not be, in words; "" for nothing.
    """

    seed: int
    base: bool = False
    whole: bool = False
    crash: str = ""
    wrong: str = ""


def draw(seed: int, size: int) -> Drawn:
    """The link of a seed, for a stream of `size` bytes."""
    rng = Random(f"link {seed}")
    rate = 10 ** rng.uniform(2.5, 6.0)
    span = size * 8 / rate
    packet = rng.choice(PACKETS)
    feedback = rng.random() < 0.7
    there = _direction(rng, rate, packet, span, feedback)
    back = replace(_direction(rng, rate * 10 ** rng.uniform(-1, 1), packet, span, feedback), drops=(), cross=0)
    preset = replace(there, back=back)
    policy = SendPolicy(
        rate=rng.choice(("auto", "known", "estimated")) if feedback else "auto",
        deadline=rng.uniform(0.2, 3.0) * span if rng.random() < 0.15 else None,
        copies=tuple(rng.randint(1, 3) for _ in range(4)) if rng.random() < 0.2 else None,
        loss=rng.choice((0.0, 0.1, 0.3, 0.6)),
        burst=None,
    )
    blackout = sum(stop - start for start, stop in there.outages)
    waits = there.windows.every / there.windows.open if there.windows is not None else 1.0
    sustained = there.link.sustained(packet) / 8 * packet / (packet + there.overhead)
    until = 10.0 + blackout + 20 * preset.round_trip + ROUNDS * waits * size / sustained
    return Drawn(preset, policy, until)


def _direction(rng: Random, rate: float, packet: int, span: float, feedback: bool) -> Preset:
    """One way of it."""

    loss = rng.uniform(0, MOST_LOSS) if rng.random() < 0.8 else 0.0
    burst = rng.uniform(1.0, 10.0)
    burst = max(burst, loss / (1 - loss), 1.0)
    states = (rng.uniform(0.01, 0.5), rng.uniform(0.05, 0.9), rng.uniform(0, 0.3), rng.uniform(0.3, 1.0))
    outages = tuple(
        (start, start + rng.uniform(0.01, 0.5) * span)
        for start in sorted(rng.uniform(0, 2 * span) for _ in range(rng.randint(1, 3)))
    )
    every = rng.uniform(0.1, 0.5) * span
    fading = Fading(median=rate, sigma=rng.uniform(0.2, 1.5), memory=rng.uniform(1, 20), floor=max(rate / 50, 20.0))
    fades = rng.random() < 0.15
    line = QueueSpec(
        limit=rng.randint(0, 30), unit="packets", discipline=rng.choice(("drop-tail", "drop-head", "codel")),
        target=2 * packet * 8 / rate, interval=20 * packet * 8 / rate,
    )  # fmt: skip
    return Preset(
        name="drawn",
        rate=fading.mean if fades else rate,
        fading=fading if fades else None,
        packet=packet,
        overhead=rng.choice((0, 6, 13, 28, 48)),
        gap=packet * 8 / rate * rng.uniform(0, 1) if rng.random() < 0.1 else 0.0,
        duty=rng.uniform(0.1, 1.0) if rng.random() < 0.1 else 1.0,
        rtt=10 ** rng.uniform(-2, 1),
        jitter=10 ** rng.uniform(-2, 0.3) if rng.random() < 0.4 else 0.0,
        reorder=rng.random() < 0.5,
        loss=loss,
        burst=burst if rng.random() < 0.4 else None,
        states=states if rng.random() < 0.15 else None,
        drops=tuple(rng.sample(range(40), 8)) if rng.random() < 0.1 else (),
        duplicate=rng.uniform(0, 0.5) if rng.random() < 0.3 else 0.0,
        corrupt=rng.uniform(0, 0.3) if rng.random() < 0.3 else 0.0,
        outages=outages if rng.random() < 0.3 else (),
        windows=Windows(open=every * rng.uniform(0.2, 1.0), every=every, first=rng.uniform(0, every))
        if rng.random() < 0.1
        else None,
        queue=line if rng.random() < 0.3 else None,
        cross=1 if feedback and rng.random() < 0.03 else 0,
        feedback=feedback,
        copies=rng.random() < 0.8,
    )


def trial(load: Load, seed: int) -> Trial:
    """Send over the link of a seed, and look at what came."""
    size = sum(len(item.payload) for item in load.items)
    try:
        drawn = draw(seed, size)
        journey = over_udp(load, drawn.preset, drawn.policy, seed, drawn.until, record=True)
        return _judge(load, drawn, seed, journey)
    except Exception:
        return Trial(seed, crash=traceback.format_exc())


def _judge(load: Load, drawn: Drawn, seed: int, journey: Journey) -> Trial:
    """Pictures are decoded where bytes were changed; what is the start of what was sent is known to decode."""
    base, harmed = base_at(load, journey), drawn.preset.link.corrupt > 0
    viewer = _Viewer(load)
    viewer.take(arrival for arrival in journey.arrivals if base is not None and arrival.time <= base)
    shown = viewer.shows(harmed)
    viewer.take(arrival for arrival in journey.arrivals if base is None or arrival.time > base)
    viewer.shows(harmed)
    true = {item.index: item.payload for item in load.items}
    wrong = ""
    if base is not None and not shown:
        wrong = f"a packet of the base arrived at {base:.3f} s, and then there was nothing to be seen"
    elif not harmed:
        false = [index for index, payload in viewer.held.items() if not true.get(index, b"").startswith(payload)]
        wrong = f"items {false} are not what was sent" if false else ""
    return Trial(seed, base is not None, viewer.held == true, wrong=wrong)


class _Viewer:
    """A player that is given what arrived of one stream."""

    def __init__(self, load: Load) -> None:
        self.player = Player()
        self.held: dict[int, bytes] = {}
        self._group = load.group

    def shows(self, decoding: bool) -> bool:
        """Whether there is a picture; by decoding it, or by what it takes: a header that was read."""
        if decoding:
            return self.player.picture(0.0) is not None
        return any(happening.what == "header" for happening in self.player.events)

    def take(self, arrivals: Iterable[Arrival]) -> None:
        for arrival in arrivals:
            event = arrival.event
            if isinstance(event, GroupStarted) and event.group == self._group:
                self.player.start(event.preamble, arrival.time)
            elif isinstance(event, ItemReceived) and event.key[0] == self._group:
                self.player.push(event.key[2], event.payload, event.complete, arrival.time)
                self.held[event.key[2]] = event.payload
