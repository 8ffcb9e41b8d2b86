"""What sending a stream costs, found by sending it: the real sender and receiver over the link in virtual time.

Nothing is calculated that could drift from what is sent: packets, copies, acknowledgements and times are those of the
simulated transfer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from codec import plan
from codec.stream import Key
from layercast.net.parcel import ORDER, pack
from layercast.stream import Stream
from player.items import index_of
from sim.link import Link
from sim.presets import Preset
from sim.run import Arrival, Transfer
from transport import ItemReceived

LONGEST = 86_400.0
"""Seconds after which a plan beside other traffic gives up."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one transfer takes.

    Attributes:
        packets: datagrams sent, copies included.
        wire: their bytes with all framing, ours and that of the layers below.
        airtime: seconds for which the sender transmits.
        seconds: until the receiver has everything; None if it never has, because nobody repairs losses.
        busy: seconds until the last packet, copies included, has passed the link.
        back_packets, back_wire, back_airtime: the same of the acknowledgements.
        units: what a network bills that counts by the message, or None.
    """

    packets: int
    wire: int
    airtime: float
    seconds: float | None
    busy: float
    back_packets: int
    back_wire: int
    back_airtime: float
    units: int | None

    def price(self, message: float = 0.0, unit: float = 0.0, megabyte: float = 0.0) -> float:
        """Money for messages, units and MB (10^6 B) sent, at these prices each."""
        return self.packets * message + (self.units or 0) * unit + self.wire / 1e6 * megabyte


@dataclass(frozen=True, slots=True)
class LayerCost:
    """The stream up to a layer, sent by itself.

    `bytes`: of that stream. `alone`: what it takes. `whole`: seconds until the layer is complete when the whole stream
    is sent, in its own order; None if it never is.
    """

    layer: str
    bytes: int
    alone: Cost
    whole: float | None


def layer_costs(stream: Stream, preset: Preset, name: str = "", seed: int = 0) -> list[LayerCost]:
    """The cost up to each layer that the stream has, in the order of the layers. `name`: what the file is called."""
    whole = _Sending(stream.data, preset, name, seed)
    found = []
    for layer in plan.LAYERS:
        if not stream.layers[layer]:
            continue
        part = stream.upto(layer)
        sending = whole if part.data == stream.data else _Sending(part.data, preset, name, seed)
        keys = [chunk.key for chunk in stream.chunks if plan.layer_of(chunk.kind) == layer]
        found.append(LayerCost(layer, len(part), sending.cost(), whole.arrived(keys)))
    return found


def cost(data: bytes, preset: Preset, name: str = "", seed: int = 0) -> Cost:
    """What sending a whole stream takes. Raises FormatError if it is none."""
    return _Sending(data, preset, name, seed).cost()


class _Sending:
    """One transfer from its start to its end."""

    def __init__(self, data: bytes, preset: Preset, name: str, seed: int) -> None:
        self.preset = preset
        self.transfer = Transfer(preset.link, seed, preset.config(), preset.back_link)
        parcel = pack(data, name)
        last = max((item.cls for item in parcel.items if (item.cls, item.index) != ORDER), default=0)
        items = [item for item in parcel.items if item.cls <= last]  # as for a receiver that wants no more
        self.transfer.submit(parcel.group, parcel.preamble, items)
        self.sizes = {item.index: len(item.payload) for item in items}
        self.times: dict[int, float] = {}
        for arrival in self._arrivals():
            event = arrival.event
            if isinstance(event, ItemReceived) and len(event.payload) == self.sizes[event.key[2]]:
                self.times.setdefault(event.key[2], arrival.time)

    def _arrivals(self) -> list[Arrival]:
        """All there will be; beside flows that never end, all until the sender has nothing left to do."""
        if not self.preset.cross:
            return self.transfer.run(math.inf)
        while not self.transfer.sender.idle and self.transfer.clock.now < LONGEST:
            self.transfer.run(self.transfer.clock.now + 1.0)
        return self.transfer.arrivals

    def arrived(self, keys: Iterable[Key]) -> float | None:
        """Seconds until all that the stream holds of these chunks was there; None if some of it never was."""
        return self._complete(index for index in map(index_of, keys) if index in self.sizes)

    def _complete(self, indices: Iterable[int]) -> float | None:
        times = [self.times.get(index, math.inf) for index in indices]
        last = max(times, default=0.0)
        return None if last == math.inf else last

    def cost(self) -> Cost:
        link, forward = self.preset.link, self.transfer.forward
        there, back = _sizes(forward), _sizes(self.transfer.back)
        passed = [event.time - link.delay * (event.what == "arrived") for event in forward.log if event.what != "sent"]
        unit = self.preset.billed
        return Cost(
            packets=len(there),
            wire=sum(there),
            airtime=sum(map(link.airtime, there)),
            seconds=self._complete(self.sizes),
            busy=max(passed, default=0.0),
            back_packets=len(back),
            back_wire=sum(back),
            back_airtime=sum(map(link.airtime, back)),
            units=None if unit is None else sum(-(-size // unit) for size in there),
        )


def _sizes(link: Link) -> list[int]:
    return [event.size for event in link.log if event.what == "sent"]
