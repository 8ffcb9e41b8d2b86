"""The two ends of `layercast bench net`, each a process of its own: `python -m layercast.bench.net_ends JOB`.

The server sends, the client receives. An end tells what happens in JSON lines with times of the system's monotonic
clock, which all processes share. What one end must know of the other (a certificate's fingerprint, WebRTC's offer and
answer) goes through the benchmark, not over the link.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from transport import Item, ItemReceived, Receiver, Sender, SenderConfig
from transport.channels import Channel
from transport.driver import Driver

PORT = 4477
TOKEN = "a token for a benchmark"
PREAMBLE = b"head"
BULK_GROUP, CAPTION_GROUP = 1, 1000
PIECE = 1000


@dataclass(frozen=True)
class Job:
    """What an end is to do; rates in bit/s, times in seconds, sizes in bytes.

    Attributes:
        channel: udp, quic or webrtc; or echo: bare datagrams that come back, captions one after the other.
        role: server or client. host: the server's address.
        rate, round_trip: of the link; `told`: the sender is given the rate, else it finds it.
        profile: what QUIC is told of the link: nothing, "rule" (the rate) or "lossless".
        again: connect twice, and measure the second time, with the ticket of the first (0-RTT).
        settle: wait so long after the channel is open, until what is left of its opening has crossed the link.
        caption: size of a caption. captions: how many, the first at `first` after joining, then one `every`.
        bulk: bytes of bulk sent beside them. seconds: the longest that all may take.
        stay: keep going to the end of `seconds`, whatever has come.
    """

    channel: str
    role: str = "server"
    host: str = ""
    rate: float = 50_000.0
    round_trip: float = 0.1
    told: bool = True
    packet: int = 1125
    profile: str = ""
    again: bool = False
    settle: float = 0.0
    caption: int = 300
    captions: int = 1
    first: float = 0.0
    every: float = 3.0
    bulk: int = 0
    seconds: float = 60.0
    stay: bool = False
    server: dict[str, str] = field(default_factory=dict)


def say(event: str, **fields: Any) -> None:
    """Tell the benchmark."""
    print(json.dumps({"event": event, "time": asyncio.get_running_loop().time(), **fields}), flush=True)


async def hear() -> str:
    """What the other end said through the benchmark."""
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if not line:
        raise SystemExit(1)
    said: str = json.loads(line)["text"]
    return said


Accept = Callable[[Channel], None]


async def _serve_udp(job: Job, accept: Accept) -> dict[str, str]:
    from transport.channels import udp

    await udp.listen(job.host, PORT, accept, TOKEN)
    return {}


async def _connect_udp(job: Job) -> Channel:
    from transport.channels import udp

    say("start")
    return await udp.connect(job.host, PORT, TOKEN)


def _quic_settings(job: Job) -> Any:
    from transport.channels.quic_base import LinkProfile, Settings

    rate = job.rate if job.profile else None
    return Settings(LinkProfile(rate, job.round_trip, lossless=job.profile == "lossless"))


async def _serve_quic(job: Job, accept: Accept) -> dict[str, str]:
    from transport.channels import certificate, quic

    own = certificate.make()
    await quic.serve(job.host, PORT, accept, own, TOKEN, settings=_quic_settings(job))
    return {"pin": own.fingerprint.hex()}


async def _connect_quic(job: Job) -> Channel:
    from transport.channels import quic

    pin, settings = bytes.fromhex(job.server["pin"]), _quic_settings(job)
    tickets: dict[str, Any] | None = None
    if job.again:
        tickets = {}
        first = await quic.connect(job.host, PORT, pin, TOKEN, settings=settings, tickets=tickets)
        while not tickets:
            await asyncio.sleep(0.1)
        await asyncio.sleep(5.0)
        first.close()
        await asyncio.sleep(5.0)
    say("start")
    return await quic.connect(job.host, PORT, pin, TOKEN, settings=settings, tickets=tickets)


def _webrtc_channel(job: Job) -> Any:
    from transport.channels.webrtc import WebRtcChannel, WebRtcConfig

    return WebRtcChannel(WebRtcConfig(rate=job.rate, round_trip=job.round_trip))


async def _serve_webrtc(job: Job, accept: Accept) -> dict[str, str]:
    async def answer() -> None:
        channel = _webrtc_channel(job)
        text = await channel.make_answer(await hear())
        say("start")
        say("signal", text=text)
        accept(channel)

    job_task = asyncio.get_running_loop().create_task(answer())
    job_task.add_done_callback(lambda task: task.result())
    return {}


async def _connect_webrtc(job: Job) -> Channel:
    channel = _webrtc_channel(job)
    say("signal", text=await channel.make_offer())
    await channel.take_answer(await hear())
    found: Channel = channel
    return found


SERVERS: dict[str, Callable[[Job, Accept], Awaitable[dict[str, str]]]] = {
    "udp": _serve_udp,
    "quic": _serve_quic,
    "webrtc": _serve_webrtc,
}
CLIENTS: dict[str, Callable[[Job], Awaitable[Channel]]] = {
    "udp": _connect_udp,
    "quic": _connect_quic,
    "webrtc": _connect_webrtc,
}


async def _settle(job: Job, channel: Channel) -> None:
    """Start sending once the channel has been open for a while."""
    if job.channel == "webrtc":
        await channel.wait_open()  # type: ignore[attr-defined]
    await asyncio.sleep(job.settle)
    _start_sending(job, channel)


def _accept(job: Job, channel: Channel) -> None:
    if job.settle:
        task = asyncio.get_running_loop().create_task(_settle(job, channel))
        task.add_done_callback(lambda done: done.result())
    else:
        _start_sending(job, channel)


def _start_sending(job: Job, channel: Channel) -> None:
    """The server's part for one peer: bulk at once, captions when their time has come."""
    loop = asyncio.get_running_loop()
    rate = job.rate if job.told else None
    sender = Sender(SenderConfig(packet_size=job.packet, overhead=channel.overhead, rate=rate))

    def drain() -> None:
        while sender.next_event() is not None:
            pass

    driver = Driver(sender, channel, drain)
    sender.start_group(BULK_GROUP, PREAMBLE)
    for number in range(job.bulk // PIECE):
        sender.submit(Item(BULK_GROUP, 3, number, bytes(PIECE), number + 1, may_cut=True))

    def caption(number: int) -> None:
        group = CAPTION_GROUP + number
        sender.start_group(group, PREAMBLE)
        sender.submit(Item(group, 0, 0, bytes(job.caption), 0))
        say("sent", caption=number)
        driver.wake()

    say("joined")
    for number in range(job.captions):
        due = job.first + number * job.every
        if due:
            loop.call_later(due, caption, number)
        else:
            caption(number)
    driver.start()


async def _receive(job: Job, channel: Channel) -> None:
    """The client's part: tell of each caption and of the end."""
    receiver = Receiver()
    missing = job.captions + job.bulk // PIECE
    done = asyncio.Event()

    def take() -> None:
        nonlocal missing
        while (event := receiver.next_event()) is not None:
            if not isinstance(event, ItemReceived) or not event.complete:
                continue
            missing -= 1
            group = event.key[0]
            if group >= CAPTION_GROUP:
                say("caption", caption=group - CAPTION_GROUP)
            elif missing <= job.captions:
                say("bulk")
            if not missing and not job.stay:
                done.set()

    driver = Driver(receiver, channel, take)
    driver.start()
    ends = [asyncio.ensure_future(each) for each in (done.wait(), driver.wait_closed())]
    await asyncio.wait(ends, timeout=job.seconds, return_when=asyncio.FIRST_COMPLETED)
    say("end", closed=channel.closed)
    await asyncio.Event().wait()  # until the benchmark ends us


class _Echo(asyncio.DatagramProtocol):
    """Sends everything back; `came` is called as well."""

    def __init__(self, came: Callable[[], None] | None = None) -> None:
        self._came = came

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._came is None:
            self._transport.sendto(data, addr)
        else:
            self._came()


async def _echo(job: Job) -> None:
    """How long bare datagrams take there and back: what the emulated link itself adds to a model of it."""
    loop = asyncio.get_running_loop()
    if job.role == "server":
        await loop.create_datagram_endpoint(_Echo, local_addr=(job.host, PORT))
        say("listening", server={})
        await asyncio.Event().wait()
    back = asyncio.Event()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Echo(back.set), remote_addr=(job.host, PORT))
    for number in range(job.captions):
        back.clear()
        say("sent", caption=number)
        transport.sendto(bytes(job.caption))
        await asyncio.wait_for(back.wait(), job.seconds)
        say("caption", caption=number)
    say("end", closed=None)


async def _main(job: Job) -> None:
    if job.channel == "echo":
        await _echo(job)
    elif job.role == "server":
        say("listening", server=await SERVERS[job.channel](job, lambda channel: _accept(job, channel)))
        await asyncio.Event().wait()
    else:
        await _receive(job, await CLIENTS[job.channel](job))


CHANNELS = {*SERVERS, "echo"}


if __name__ == "__main__":
    asyncio.run(_main(Job(**json.loads(sys.argv[1]))))
