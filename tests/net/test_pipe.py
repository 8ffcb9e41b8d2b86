"""The pipe channel on what the system offers: pipes, terminals, subprocesses, files."""

import asyncio
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.net.test_udp import End, picture, run
from transport import Receiver, Sender, SenderConfig
from transport.channels.pipe import FilePipe, StreamPipe, open_serial, queued
from transport.framing import Deframer, frame

CONFIG = SenderConfig(rate=20_000_000, packet_size=340)


async def transfer(near: FilePipe | StreamPipe, far: FilePipe | StreamPipe) -> None:
    """A picture from one end to the other, and the end of both."""
    items = picture()
    sender = Sender(CONFIG)
    for item in items:
        sender.submit(item)
    receiver, sending = End(Receiver(), far, len(items)), End(sender, near)
    await receiver.done.wait()
    assert receiver.got == {item.key: item.payload for item in items}
    near.close()
    assert await sending.driver.wait_closed() == "closed here"
    assert await receiver.driver.wait_closed() in ("closed by the peer", "reading failed: Input/output error")


def test_a_pair_of_pipes() -> None:
    async def story() -> None:
        (r1, w1), (r2, w2) = os.pipe(), os.pipe()
        await transfer(FilePipe(r1, w2), FilePipe(r2, w1))

    run(story)


def test_a_serial_device_with_noise_on_the_line() -> None:
    async def story() -> None:
        master, slave = os.openpty()
        os.write(slave, b"") or os.write(master, random.Random(1).randbytes(300).replace(b"\x03", b""))
        far = open_serial(os.ttyname(slave), 9600)
        os.close(slave)
        near = FilePipe(master, master)
        near.send(bytes(range(256)))
        far.send(bytes(range(255, -1, -1)))
        await asyncio.wait_for(_until(lambda: far.deframer.stats.frames > 0 < near.deframer.stats.frames, far, near), 9)
        assert far.receive() == bytes(range(256)) and near.receive() == bytes(range(255, -1, -1)), "no byte is changed"
        await transfer(near, far)

    run(story)


async def _until(true: Callable[[], bool], *channels: FilePipe | StreamPipe) -> None:
    """Until something holds, looked at whenever a channel wakes."""
    woken = asyncio.Event()
    for channel in channels:
        channel.wake = woken.set
    while not true():
        await woken.wait()
        woken.clear()


def test_a_serial_device_that_is_none() -> None:
    async def story() -> None:
        with pytest.raises(ValueError, match="1234 baud"):
            open_serial("/dev/null", 1234)
        with pytest.raises(OSError):
            open_serial("/dev/null", 9600)
        with pytest.raises(FileNotFoundError):
            open_serial("/dev/no such device", 9600)

    run(story)


def test_a_subprocess() -> None:
    async def story() -> None:
        process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        assert process.stdout is not None and process.stdin is not None
        channel = StreamPipe(process.stdout, process.stdin)
        channel.send(b"to and fro")
        await _until(lambda: channel.deframer.stats.frames == 1, channel)
        assert channel.receive() == b"to and fro"
        process.kill()
        await _until(lambda: channel.closed is not None, channel)
        assert channel.closed == "closed by the peer"
        channel.send(b"dropped")
        await process.wait()

    run(story)


def test_streams_over_tcp() -> None:
    async def story() -> None:
        ready: asyncio.Future[StreamPipe] = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(lambda r, w: ready.set_result(StreamPipe(r, w)), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        near = StreamPipe(reader, writer)
        await transfer(near, await ready)
        server.close()

    run(story)


def test_waiting_knows_what_the_system_holds_and_wakes_when_it_has_left() -> None:
    async def story() -> None:
        read, write = os.pipe()
        channel = FilePipe(None, write)
        channel.send(bytes(100))
        framed = len(frame(bytes(100)))
        assert channel.waiting == queued(write) == framed
        for _ in range(200):
            channel.send(bytes(1000))
        held = channel.waiting
        assert held == framed + 200 * len(frame(bytes(1000))) > queued(write) >= 65536 - 4096, "a part is with us"
        other = FilePipe(read, None)
        await _until(lambda: channel.waiting == 0 and other.deframer.stats.frames == 201, channel, other)
        other.close()
        channel.send(b"x")
        assert channel.closed == "writing failed: Broken pipe" and channel.waiting == 0

    run(story)


def test_a_socket_pair_and_a_file() -> None:
    async def story(folder: Path) -> None:
        one, other = socket.socketpair()
        await transfer(FilePipe(*(one_fd := one.detach(),) * 2), FilePipe(*(other_fd := other.detach(),) * 2))
        assert one_fd != other_fd
        target = os.open(folder / "out", os.O_WRONLY | os.O_CREAT)
        channel = FilePipe(None, target)
        channel.send(b"kept")
        assert channel.waiting == 0
        channel.close()
        assert Deframer(1100).push((folder / "out").read_bytes()) == [b"kept"]
        with pytest.raises(OSError):
            FilePipe(os.open(folder / "out", os.O_RDONLY), None)

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run(lambda: story(Path(folder)))


def test_the_blocking_mode_of_a_shared_descriptor_comes_back() -> None:
    async def story() -> None:
        read, write = os.pipe()
        mine = os.dup(read)
        channel = FilePipe(mine, None)
        assert not os.get_blocking(read)
        channel.close()
        channel.close()
        assert os.get_blocking(read)
        os.close(read)
        os.close(write)

    run(story)
