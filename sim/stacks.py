"""Real protocol stacks between two modelled links, in virtual time: aioquic and aiortc carry one stream.

    sender ─► Driver ─► channel ─► virtual socket ─► Link there ─► virtual socket ─► channel ─► Driver ─► receiver

Not the same to the byte from run to run: keys, signatures and numbers are the stacks' own chance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sim import journey, virtual
from sim.journey import Journey, Load, Recorded
from sim.presets import Preset
from sim.run import Arrival
from sim.scenario import SendPolicy
from transport import Receiver
from transport.driver import Driver

if TYPE_CHECKING:
    from transport.channels import Channel

NEAR, FAR, PORT = "10.0.0.1", "10.0.0.2", 4747
"""Hosts of the sender and of the receiver."""


class Run:
    """One stream under way from `NEAR` to `FAR`: what the stories below have in common. Inside a virtual loop."""

    def __init__(
        self, network: virtual.Network, load: Load, link: Preset, policy: SendPolicy, seed: int, until: float
    ) -> None:
        self.load, self.link, self.policy, self.until = load, link, policy, until
        self.config = journey.config_of(link, policy)
        self.there = link.link.make(network.clock, f"{seed}/forward")
        self.back = link.back_link.make(network.clock, f"{seed}/back")
        network.connect(NEAR, FAR, self.there)
        network.connect(FAR, NEAR, self.back)
        self.arrivals: list[Arrival] = []
        self.packets: list[Recorded] = []
        self._loop = asyncio.get_running_loop()
        self._done, self._complete = asyncio.Event(), 0

    def receive(self, channel: Channel) -> None:
        """A receiver at work on an end of a channel; what it is told is kept."""
        receiver = Receiver()

        def take() -> None:
            while (event := receiver.next_event()) is not None:
                wire = receiver.stats.bytes + receiver.stats.packets * channel.overhead
                self.arrivals.append(Arrival(self._loop.time(), event, wire))
                self._complete += journey.is_whole(self.arrivals[-1])
            if self._complete >= self.load.whole:
                self._done.set()

        Driver(receiver, channel, take).start()

    def send(self, channel: Channel) -> None:
        """The sender at work on the other end, with all that there is to send."""
        size = min(self.config.packet_size, channel.largest)
        config = replace(self.config, packet_size=size, overhead=channel.overhead)
        sender = journey.make_sender(config, self.policy)
        sender.start_group(self.load.group, self.load.preamble)
        for item in journey.timed(self.load.items, self.policy, self._loop.time()):
            sender.submit(item)

        def forget() -> None:
            while sender.next_event() is not None:
                pass

        Driver(sender, channel, forget).start()

    async def finish(self) -> Journey:
        """Until all is whole or the time is over; what there is then, before closing puts more on the links."""
        try:
            async with asyncio.timeout_at(self.until):
                await self._done.wait()
        except TimeoutError:
            pass
        return journey.made(list(self.arrivals), self.there, self.back, self._loop.time(), list(self.packets))


Story = Callable[[Run], Coroutine[Any, Any, Journey]]


def tell(story: Story, load: Load, link: Preset, policy: SendPolicy, seed: int, until: float, record: bool) -> Journey:
    """A story carried out in a virtual loop of its own; what is on the links is recorded if asked for."""

    async def told(network: virtual.Network) -> Journey:
        run = Run(network, load, link, policy, seed, until)
        if record:
            run.packets = journey.record_of(run.there, run.back)
        return await story(run)

    return virtual.run(told)


async def quic(run: Run) -> Journey:
    """The sender connects to a receiver whose certificate it knows, and sends at once."""
    from transport.channels import certificate, quic
    from transport.channels.quic_base import LinkProfile, Settings

    settings = Settings(LinkProfile(run.config.rate, run.link.round_trip), idle_timeout=run.until)
    own = certificate.make()
    serving = await quic.serve(FAR, PORT, run.receive, own, settings=settings)
    channel = await quic.connect(FAR, PORT, own.fingerprint, settings=settings, local=(NEAR, PORT))
    run.send(channel)
    found = await run.finish()
    channel.close()
    serving.close()
    return found


async def webrtc(run: Run) -> Journey:
    """Offer and answer have been exchanged, by another way than the link, when the time begins; the receiver made the
    offer. ICE, DTLS and SCTP open over the link."""
    from sim.webrtc import time_of
    from transport.channels.webrtc import WebRtcChannel, WebRtcConfig

    usual = WebRtcConfig()
    silence, rate = max(run.until, usual.silence), run.config.rate or usual.rate
    common = replace(usual, rate=rate, round_trip=run.link.round_trip, silence=silence)
    near, far = (WebRtcChannel(replace(common, addresses=(host,))) for host in (NEAR, FAR))
    with time_of(asyncio.get_running_loop()):
        run.receive(far)
        await far.take_answer(await near.make_answer(await far.make_offer()))
        run.send(near)
        found = await run.finish()
        for channel in (near, far):
            channel.close()
        for channel in (near, far):
            await channel.wait_released()
    return found
