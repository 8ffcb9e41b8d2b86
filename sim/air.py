"""One sender, many receivers that nobody hears: the same datagrams, each receiver with a chance of its own.

Sender ─► Bottleneck ─┬─► losses, delay of the first ──► Receiver ─┐
           rate       ├─► losses, delay of the second ─► Receiver ─┼─► one that is given what all caught
                      └─► ...                                      ┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sim.broadcast import Broadcast
from sim.clock import Clock
from sim.journey import Journey, Load, config_of, made, make_sender, timed
from sim.link import Link
from sim.packet import Packet
from sim.presets import Preset
from sim.run import Arrival, SessionEnd
from sim.scenario import SendPolicy
from transport import Receiver


class _Ear:
    """A receiver at the end of one branch or of several."""

    def __init__(self, clock: Clock, branches: Sequence[Link]) -> None:
        self.branches = branches
        self.arrivals: list[Arrival] = []
        self._clock = clock
        self._receiver = Receiver()

    def take(self, packet: Packet) -> None:
        self._receiver.handle_datagram(packet.data, self._clock.now)
        stats = self._receiver.stats
        while (event := self._receiver.next_event()) is not None:
            wire = stats.bytes + stats.packets * (packet.size - len(packet.data))
            self.arrivals.append(Arrival(self._clock.now, event, wire))

    def journey(self, common: Link, now: float) -> Journey:
        """What it got. Several branches count as one way, over which all of them went."""
        back = Link(self._clock, [])
        first = made(self.arrivals, self.branches[0], back, now, [])
        there = sorted(event for branch in self.branches for event in branch.log if event.what != "sent")
        there = [event for event in common.log if event.what == "sent"] + there
        digest = "".join(branch.digest()[:32] for branch in (common, *self.branches))
        return replace(first, there=there, digest=digest)


def over_air(
    load: Load, link: Preset, receivers: Sequence[Preset], policy: SendPolicy, seed: int, until: float
) -> list[Journey]:
    """What each receiver got; last, where there are several, what one gets that is given all that they caught.

    The rate and the queue are those of `link`, all else that of each receiver's own.
    """
    clock = Clock()
    common = link.link.transmitting(clock, f"{seed}/forward")
    branches = [each.link.receiving(clock, f"{seed}/forward/{place}") for place, each in enumerate(receivers)]
    ears = [_Ear(clock, [branch]) for branch in branches]
    together = _Ear(clock, branches)
    for ear, branch in zip(ears, branches, strict=True):
        branch.arrived = partial(_heard, ear, together)
    air = Broadcast(common, branches)
    sender = make_sender(config_of(link, policy), policy)
    sender.start_group(load.group, load.preamble)
    for item in timed(load.items, policy, 0.0):
        sender.submit(item)
    SessionEnd(clock, sender, air.common, Link(clock, []), partial(_forget, sender)).turn()
    clock.run(until)
    return [ear.journey(common, until) for ear in (*ears, *([together] if len(ears) > 1 else []))]


def _heard(ear: _Ear, together: _Ear, packet: Packet) -> None:
    ear.take(packet)
    together.take(packet)


def _forget(sender: Any) -> None:
    while sender.next_event() is not None:
        pass
