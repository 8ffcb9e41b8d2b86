"""One stream over one link, by one of the channels, in virtual time: what arrived, when, and what it took.

udp     the real sender and receiver on datagrams                         sim.run.Transfer
quic    the same over the real aioquic, handshake included                sim.stacks
webrtc  the same over the real aiortc, ICE and handshakes included        sim.stacks
ideal   the file in order on a reliable stream that knows everything      sim.run.reliable_stream (see sim.timeline)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sim.link import Link
from sim.packet import LinkEvent, Packet
from sim.presets import Preset
from sim.run import Arrival, Transfer
from sim.scenario import SendPolicy, load_object
from transport import PROTECT_ALL, BroadcastConfig, BroadcastSender, Item, Sender, SenderConfig
from transport.repair import ONE_WAY, WITH_FEEDBACK

STEP = 5.0
"""Seconds of virtual time between two looks at whether all is done."""

Recorded = tuple[str, float, str, Packet]
"""("there" or "back", seconds, what of LinkEvent, the packet)."""


@dataclass
class Journey:
    """What happened. Logs are those of the way there and of the way back; `beside`: bytes of payload that each greedy
    flow beside ours moved; `packets`: everything with its bytes, where that was asked for."""

    arrivals: list[Arrival] = field(default_factory=list)
    there: list[LinkEvent] = field(default_factory=list)
    back: list[LinkEvent] = field(default_factory=list)
    digest: str = ""
    beside: list[int] = field(default_factory=list)
    seconds: float = 0.0
    packets: list[Recorded] = field(default_factory=list)


@dataclass(frozen=True)
class Load:
    """What is to be sent: a group of items."""

    group: int
    preamble: bytes
    items: list[Item]

    @cached_property
    def whole(self) -> int:
        """Items that can be had whole; a stream that was cut ends with one that cannot."""
        return sum(item.ends for item in self.items)


def config_of(link: Preset, policy: SendPolicy) -> SenderConfig:
    """Settings of the sender."""
    config = link.config()
    if policy.rate != "auto":
        known = policy.rate == "known" or not link.feedback
        config = replace(config, rate=link.link.sustained(config.packet_size) if known else None)
    if policy.copies is not None:
        usual = WITH_FEEDBACK if link.feedback else ONE_WAY
        first, second, third, fourth = (
            replace(each, copies=copies) for each, copies in zip(usual, policy.copies, strict=True)
        )
        config = replace(config, policies=(first, second, third, fourth))
    return config


def make_sender(config: SenderConfig, policy: SendPolicy) -> Any:
    """The transport's sender for this link, or one's own: `module:Class` is called with the config.

    Where nobody answers, and nothing is said of copies, the sender is that of broadcasts, with coded repair.
    """
    if policy.sender is not None:
        return load_object(policy.sender)(config)
    if config.feedback or config.policies is not None or config.rate is None:
        return Sender(config)
    figures = BroadcastConfig(config.rate, config.packet_size, config.overhead, policy.loss, policy.burst)
    return BroadcastSender(replace(figures, targets=PROTECT_ALL) if policy.protect_all else figures)


def over_udp(load: Load, link: Preset, policy: SendPolicy, seed: int, until: float, record: bool = False) -> Journey:
    """The real sender and receiver over the link."""
    config = config_of(link, policy)
    transfer = Transfer(link.link, seed, config, link.back_link, make_sender(config, policy))
    packets = record_of(transfer.forward, transfer.back) if record else []
    transfer.submit(load.group, load.preamble, timed(load.items, policy, 0.0))
    taken = complete = 0
    while transfer.clock.now < until and complete < load.whole and not transfer.clock.idle:
        transfer.run(min(transfer.clock.now + STEP, until))
        complete += sum(is_whole(arrival) for arrival in transfer.arrivals[taken:])
        taken = len(transfer.arrivals)
    return made(transfer.arrivals, transfer.forward, transfer.back, transfer.clock.now, packets)


def timed(items: list[Item], policy: SendPolicy, now: float) -> list[Item]:
    """Items with the policy's deadline."""
    return items if policy.deadline is None else [replace(item, deadline=now + policy.deadline) for item in items]


def is_whole(arrival: Arrival) -> bool:
    """Whether an item is complete with it."""
    return bool(getattr(arrival.event, "complete", False))


def record_of(there: Link, back: Link) -> list[Recorded]:
    """A list that everything on the two links goes into from now on."""
    found: list[Recorded] = []

    def tap(way: str) -> Callable[[float, str, Packet], None]:
        return lambda time, what, packet: found.append((way, time, what, packet))

    there.tap, back.tap = tap("there"), tap("back")
    return found


def made(arrivals: list[Arrival], there: Link, back: Link, now: float, packets: list[Recorded]) -> Journey:
    """What there is at a moment."""
    beside = [int(getattr(flow, "delivered", 0)) for flow in there.beside]
    digest = there.digest()[:32] + back.digest()[:32]
    return Journey(arrivals, [*there.log], [*back.log], digest, beside, now, packets)


def over_quic(load: Load, link: Preset, policy: SendPolicy, seed: int, until: float, record: bool = False) -> Journey:
    """The same over QUIC, handshake included."""
    from sim import stacks

    return stacks.tell(stacks.quic, load, link, policy, seed, until, record)


def over_webrtc(load: Load, link: Preset, policy: SendPolicy, seed: int, until: float, record: bool = False) -> Journey:
    """The same over a WebRTC data channel, ICE and handshakes included; offer and answer are exchanged beforehand."""
    from sim import stacks

    return stacks.tell(stacks.webrtc, load, link, policy, seed, until, record)


JOURNEYS: dict[str, Callable[..., Journey]] = {"udp": over_udp, "quic": over_quic, "webrtc": over_webrtc}
"""Channel -> (load, link, policy, seed, until, record) -> Journey."""
