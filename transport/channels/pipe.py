"""A stream of bytes as a channel: a serial port, a radio modem, stdin and stdout, a subprocess, a TCP connection.

Thin: `transport.framing` says how datagrams stand in the stream and how they are found again. Nothing is said when a
pipe opens, so either end may come and go, and a pipe may lead one way only. Linux and other Unix systems.
"""

import asyncio
import fcntl
import os
import stat
import struct
import termios
import tty
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from transport.channels import nothing
from transport.framing import Deframer, frame, frame_overhead

LARGEST: Final = 1100
"""Bytes of a datagram by default; the other end must take as much."""
INBOX: Final = 1 << 20
"""Bytes that wait to be read; more is dropped."""
CHUNK: Final = 1 << 16
_LOOK_AGAIN: Final = (0.001, 0.05)
"""Seconds until a look whether the system's queue is empty, the first time and at most: nothing tells us."""
_SIOCOUTQNSD: Final = (
    0x894B  # bytes of a TCP socket not sent yet (Linux); the unacknowledged ones are not ours to wait for
)


class _Pipe:
    """What both kinds share: frames in, frames out, the inbox, the end."""

    def __init__(self, largest: int) -> None:
        self.largest = largest
        self.overhead = frame_overhead(largest)
        self.wake: Callable[[], None] = nothing
        self.closed: str | None = None
        self.dropped = 0
        self.deframer = Deframer(largest)
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._look: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Bytes, framing included, that we or the system's queue still hold, as far as the system tells."""
        return 0 if self.closed is not None else self._held()

    def send(self, data: bytes) -> None:
        if len(data) > self.largest:
            raise ValueError(f"a datagram of {len(data)} B on a channel for {self.largest}")
        if self.closed is None:
            self._write(frame(data))
            self._watch(_LOOK_AGAIN[0])

    def receive(self) -> bytes | None:
        if not self._inbox:
            return None
        data = self._inbox.popleft()
        self._inbox_bytes -= len(data)
        return data

    def close(self) -> None:
        self._finish("closed here")

    def _came(self, data: bytes) -> None:
        for datagram in self.deframer.push(data):
            if self._inbox_bytes + len(datagram) > INBOX:
                self.dropped += 1
            else:
                self._inbox.append(datagram)
                self._inbox_bytes += len(datagram)
                self.wake()

    def _watch(self, pause: float) -> None:
        """Look again and again whether all has left, and say so."""
        if self._look is None and self.closed is None and self._held():
            self._look = self._loop.call_later(pause, self._looked, pause)

    def _looked(self, pause: float) -> None:
        self._look = None
        if self._held():
            self._watch(min(2 * pause, _LOOK_AGAIN[1]))
        else:
            self.wake()

    def _finish(self, why: str) -> None:
        if self.closed is None:
            self.closed = why
            if self._look is not None:
                self._look.cancel()
            self._release()
            self.wake()

    def _held(self) -> int:
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        raise NotImplementedError

    def _release(self) -> None:
        raise NotImplementedError


class FilePipe(_Pipe):
    """A pair of file descriptors, which may be the same; None for a way that there is not. The channel closes them.

    A file to write to may be a regular one; one to read from must be something that can be waited for: a pipe, a
    terminal, a socket. OSError otherwise.
    """

    def __init__(self, read: int | None, write: int | None, largest: int = LARGEST) -> None:
        super().__init__(largest)
        self._read, self._write_to = read, write
        self._buffer = bytearray()
        if read is not None:
            self._loop.add_reader(read, self._readable)
        self._blocking = {fd: os.get_blocking(fd) for fd in (read, write) if fd is not None}
        for fd in self._blocking:
            os.set_blocking(fd, False)

    def _held(self) -> int:
        return len(self._buffer) + (0 if self._write_to is None else queued(self._write_to))

    def _write(self, data: bytes) -> None:
        if self._write_to is not None:
            self._buffer += data
            self._writable()

    def _writable(self) -> None:
        assert self._write_to is not None
        try:
            while self._buffer:
                del self._buffer[: os.write(self._write_to, self._buffer)]
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._write_to, self._writable)
            return
        except OSError as error:
            self._finish(f"writing failed: {error.strerror}")
            return
        self._loop.remove_writer(self._write_to)
        self._watch(_LOOK_AGAIN[0])

    def _readable(self) -> None:
        assert self._read is not None
        try:
            data = os.read(self._read, CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(_why(error))
            return
        if data:
            self._came(data)
        else:
            self._finish("closed by the peer")

    def _release(self) -> None:
        for fd, blocking in self._blocking.items():
            if fd == self._read:
                self._loop.remove_reader(fd)
            if fd == self._write_to and self._buffer:
                self._loop.remove_writer(fd)
            os.set_blocking(fd, blocking)  # others may share what it stands for, as with stdin
            os.close(fd)


class StreamPipe(_Pipe):
    """asyncio's streams: a subprocess's `stdout` and `stdin`, a TCP connection. The channel closes the writer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, largest: int = LARGEST) -> None:
        super().__init__(largest)
        self._reader, self._writer = reader, writer
        self._task = self._loop.create_task(self._read_all())

    def _held(self) -> int:
        transport: Any = self._writer.transport
        held: int = transport.get_write_buffer_size()
        below = transport.get_extra_info("pipe") or transport.get_extra_info("socket")
        return held + (queued(below.fileno()) if below is not None and below.fileno() >= 0 else 0)

    def _write(self, data: bytes) -> None:
        self._writer.write(data)

    async def _read_all(self) -> None:
        try:
            while data := await self._reader.read(CHUNK):
                self._came(data)
        except OSError as error:
            self._finish(_why(error))
        else:
            self._finish("closed by the peer")

    def _release(self) -> None:
        self._writer.close()
        if asyncio.current_task() is not self._task:
            self._task.cancel()


def _why(error: OSError) -> str:
    """Why reading ended: a socket whose other end closed before it had read all says so in its own way."""
    return "closed by the peer" if isinstance(error, ConnectionError) else f"reading failed: {error.strerror}"


def open_serial(path: str, baud: int, largest: int = LARGEST) -> FilePipe:
    """A serial device as a channel: 8 bits, no parity, one stop bit, no flow control, no byte changed.

    A byte takes ten bits of the line, so the rate to give a sender is 0.8 x baud. OSError if the device cannot be used,
    ValueError for a speed that the system does not know.
    """
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise ValueError(f"{baud} baud is no speed that the system knows")
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        tty.setraw(fd)
        flags_in, flags_out, control, local, _, _, special = termios.tcgetattr(fd)
        control |= termios.CLOCAL | termios.CREAD
        control &= ~(termios.CSTOPB | termios.CRTSCTS)
        flags_in &= ~(termios.IXOFF | termios.IXANY | termios.IGNBRK | termios.PARMRK | termios.INLCR | termios.IGNCR)
        termios.tcsetattr(fd, termios.TCSANOW, [flags_in, flags_out, control, local, speed, speed, special])
        return FilePipe(fd, fd, largest)
    except termios.error as error:
        os.close(fd)
        raise OSError(*error.args, path) from None
    except BaseException:
        os.close(fd)
        raise


def queued(fd: int) -> int:
    """Bytes written to a terminal, pipe or socket that the system still holds; 0 if it cannot tell."""
    mode = os.fstat(fd).st_mode
    request = termios.FIONREAD if stat.S_ISFIFO(mode) else _SIOCOUTQNSD if stat.S_ISSOCK(mode) else termios.TIOCOUTQ
    try:
        held: int = struct.unpack("i", fcntl.ioctl(fd, request, bytes(4)))[0]
    except OSError:
        return 0
    return held
