"""One stream over one link, by one of the channels, in virtual time: what arrived, when, and what it took.

udp     the real sender and receiver on datagrams                         sim.run.Transfer
quic    the same over the real aioquic, handshake included                sim.virtual
ideal   the file in order on a reliable stream that knows everything      sim.run.reliable_stream (see sim.timeline)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sim.link import Link
from sim.packet import LinkEvent, Packet
from sim.presets import Preset
from sim.run import Arrival, Transfer
from sim.scenario import SendPolicy, load_object
from transport import BroadcastConfig, BroadcastSender, Item, Receiver, Sender, SenderConfig
from transport.repair import ONE_WAY, WITH_FEEDBACK

if TYPE_CHECKING:
    from sim.virtual import Network

STEP = 5.0
"""Seconds of virtual time between two looks at whether all is done."""
NEAR, FAR, PORT = "10.0.0.1", "10.0.0.2", 4747

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

    @property
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
    figures = (config.rate, config.packet_size, config.overhead, policy.loss, policy.burst)
    return BroadcastSender(BroadcastConfig(*figures))


def over_udp(load: Load, link: Preset, policy: SendPolicy, seed: int, until: float, record: bool = False) -> Journey:
    """The real sender and receiver over the link."""
    config = config_of(link, policy)
    transfer = Transfer(link.link, seed, config, link.back_link, make_sender(config, policy))
    packets = _record(transfer.forward, transfer.back) if record else []
    transfer.submit(load.group, load.preamble, _timed(load.items, policy, 0.0))
    taken = complete = 0
    while transfer.clock.now < until and complete < load.whole and not transfer.clock.idle:
        transfer.run(min(transfer.clock.now + STEP, until))
        complete += sum(_whole(arrival) for arrival in transfer.arrivals[taken:])
        taken = len(transfer.arrivals)
    return _journey(transfer.arrivals, transfer.forward, transfer.back, transfer.clock.now, packets)


def _timed(items: list[Item], policy: SendPolicy, now: float) -> list[Item]:
    return items if policy.deadline is None else [replace(item, deadline=now + policy.deadline) for item in items]


def _whole(arrival: Arrival) -> bool:
    return bool(getattr(arrival.event, "complete", False))


def _record(there: Link, back: Link) -> list[Recorded]:
    found: list[Recorded] = []

    def tap(way: str) -> Callable[[float, str, Packet], None]:
        return lambda time, what, packet: found.append((way, time, what, packet))

    there.tap, back.tap = tap("there"), tap("back")
    return found


def _journey(arrivals: list[Arrival], there: Link, back: Link, now: float, packets: list[Recorded]) -> Journey:
    beside = [int(getattr(flow, "delivered", 0)) for flow in there.beside]
    digest = there.digest()[:32] + back.digest()[:32]
    return Journey(arrivals, there.log, back.log, digest, beside, now, packets)


def over_quic(load: Load, link: Preset, policy: SendPolicy, seed: int, until: float, record: bool = False) -> Journey:
    """The same over QUIC: the sender connects to a receiver whose certificate it knows, and sends at once.

    Not the same to the byte from run to run: keys and signatures are aioquic's own chance.
    """
    from sim import virtual

    return virtual.run(lambda network: _quic_story(network, load, link, policy, seed, until, record))


async def _quic_story(
    network: Network, load: Load, link: Preset, policy: SendPolicy, seed: int, until: float, record: bool
) -> Journey:
    from transport.channels import certificate, quic
    from transport.channels.quic_base import LinkProfile, Settings
    from transport.driver import Driver

    there, back = link.link.make(network.clock, f"{seed}/forward"), link.back_link.make(network.clock, f"{seed}/back")
    network.connect(NEAR, FAR, there)
    network.connect(FAR, NEAR, back)
    packets = _record(there, back) if record else []
    config = config_of(link, policy)
    settings = Settings(LinkProfile(config.rate, link.round_trip), idle_timeout=until)
    own, loop = certificate.make(), asyncio.get_running_loop()
    arrivals: list[Arrival] = []
    done, complete = asyncio.Event(), 0

    def accept(channel: Any) -> None:
        receiver = Receiver()

        def take() -> None:
            nonlocal complete
            while (event := receiver.next_event()) is not None:
                wire = receiver.stats.bytes + receiver.stats.packets * channel.overhead
                arrivals.append(Arrival(loop.time(), event, wire))
                complete += _whole(arrivals[-1])
            if complete >= load.whole:
                done.set()

        Driver(receiver, channel, take).start()

    serving = await quic.serve(FAR, PORT, accept, own, settings=settings)
    channel = await quic.connect(FAR, PORT, own.fingerprint, settings=settings, local=(NEAR, PORT))
    size = min(config.packet_size, channel.largest)
    sender = make_sender(replace(config, packet_size=size, overhead=channel.overhead), policy)
    sender.start_group(load.group, load.preamble)
    for item in _timed(load.items, policy, loop.time()):
        sender.submit(item)

    def forget() -> None:
        while sender.next_event() is not None:
            pass

    Driver(sender, channel, forget).start()
    try:
        await asyncio.wait_for(done.wait(), until)
    except TimeoutError:
        pass
    found = _journey(list(arrivals), there, back, loop.time(), packets)
    channel.close()
    serving.close()
    return found


JOURNEYS: dict[str, Callable[..., Journey]] = {"udp": over_udp, "quic": over_quic}
"""Channel -> (load, link, policy, seed, until, record) -> Journey."""
