"""Frames of a camera, a video file or a URL, now and then, and only if something has changed.

    source ─► av ─► every N seconds ─► changed by T? ─► (time, picture, name)

A camera is read all the time, so that a frame is new when it is taken; reading waits for the camera. A stored video
runs by its own clock, as fast as it decodes.

**Change** is the mean absolute difference, 0 to 255, between two small grey copies (32 x 32 means of luma) of this
frame and the last one taken. A sensor's noise of 10 gives under 1; a quarter of the picture that gets 100 brighter, 25.
"""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.files import FileError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

Picture = NDArray[np.uint8]
LIMIT = 64_000_000
"""Pixels of a frame, unless the caller says otherwise."""
SMALL = 32
"""Sides of the grey copy."""
_LIVE = re.compile(r"(?i)(rtsp|rtsps|rtp|udp|srt|rtmp)://")
_DEVICE = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


class CameraError(FileError):
    """A source that gives no frames. The message reads "what is wrong; what to do", without a URL's password."""


class Frame(NamedTuple):
    """time: seconds since 1970 of a camera, since its start of a video. picture: uint8[H, W, 3], RGB, upright."""

    time: float
    picture: Picture
    name: str


def frames(
    source: str,
    every: float = 0.0,
    if_changed: float | None = None,
    kind: str | None = None,
    limit: int = LIMIT,
    clock: Callable[[], float] = time.time,
) -> Iterator[Frame]:
    """Frames of a source: a device (`/dev/video0`, or its number), a file, a URL.

    every: seconds between two frames looked at. if_changed: least change for one to be taken; the first always is.
    kind: what av calls the source's format, where it cannot tell. limit: pixels. clock: the time of live sources.
    Raises CameraError, when asked for the first frame or later, if the source fails.
    """
    live = kind is not None or is_live(source)
    prefix = "camera" if live else Path(re.split("[?#]", source)[0]).stem or "video"
    for at, picture in changed(spaced(_read(source, kind, limit, clock if live else None), every), if_changed):
        yield Frame(at, picture(), _name(prefix, at, live))


def is_live(source: str) -> bool:
    """Whether a source has no end and its time is now: a device or a stream, no file."""
    return source.isdecimal() or source.startswith("/dev/") or bool(_LIVE.match(source))


Taken = tuple[float, Callable[[], Picture]]
"""A time, and what makes the picture, which is only asked for where it is needed."""


def spaced(found: Iterable[Taken], every: float) -> Iterator[Taken]:
    """The first, then the first at or after each further `every` seconds from it on: delays do not add up."""
    start: float | None = None
    last = -1
    for at, picture in found:
        start = at if start is None else start
        number = math.floor((at - start) / every + 1e-6) if every > 0 else last + 1
        if number > last:
            last = number
            yield at, picture


def changed(found: Iterable[Taken], least: float | None) -> Iterator[Taken]:
    """Those that differ by at least so much from the last that was let through; all, if `least` is None."""
    last: NDArray[np.float64] | None = None
    for at, make in found:
        if least is None:
            yield at, make
            continue
        picture = make()
        small = grey_copy(picture)
        if last is None or last.shape != small.shape or difference(small, last) >= least:
            last = small
            yield at, lambda picture=picture: picture  # type: ignore[misc]


def grey_copy(picture: Picture) -> NDArray[np.float64]:
    """Means of luma (BT.601, 0 to 255) over a grid of at most 32 x 32 fields of uint8[H, W, 3]."""
    grey: NDArray[np.float64] = picture @ np.array([0.299, 0.587, 0.114])
    for axis in (0, 1):
        size = grey.shape[axis]
        starts = np.arange(min(SMALL, size)) * size // min(SMALL, size)
        counts = np.diff(np.append(starts, size))
        sums = np.add.reduceat(grey, starts, axis=axis)
        grey = sums / (counts[:, None] if axis == 0 else counts)
    return grey


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean absolute difference of two grey copies of the same shape, 0 to 255."""
    return float(np.abs(one - other).mean())


def _read(source: str, kind: str | None, limit: int, clock: Callable[[], float] | None) -> Iterator[Taken]:
    """Every frame with its time: by `clock` as it comes, else by the video's own."""
    import av

    container = _open(source, kind)
    count, first = 0, 0.0
    try:
        if not container.streams.video:
            raise CameraError("has no picture; give a camera or a video")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if frame.width * frame.height > limit:
                raise CameraError(f"frames of {frame.width}x{frame.height} are above the limit; ask for smaller ones")
            own = frame.time if frame.time is not None else count / float(stream.average_rate or 25)
            first = own if not count else first
            count += 1
            yield clock() if clock else own - first, lambda frame=frame: _picture(frame)  # type: ignore[misc]
    except av.FFmpegError as error:
        raise CameraError(f"failed after {count} frames ({error.strerror or error}); check the source") from None
    finally:
        container.close()
    if not count:
        raise CameraError("holds no frames; give a camera or a video")


def _open(source: str, kind: str | None) -> InputContainer:
    import av

    device = source.isdecimal() or source.startswith("/dev/")
    if device and kind is None:
        kind = next((name for system, name in _DEVICE.items() if sys.platform.startswith(system)), None)
    if source.isdecimal() and kind == "v4l2":
        source = f"/dev/video{source}"
    try:
        return av.open(source, format=kind)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its kind is not known here"
        raise CameraError(f"cannot be opened ({reason}); check the source") from None


def _picture(frame: VideoFrame) -> Picture:
    """uint8[H, W, 3], turned as the video says."""
    turned = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
    return np.ascontiguousarray(turned, dtype=np.uint8)


def shown(source: str) -> str:
    """A source as it may be printed: without the user and password of a URL."""
    return re.sub(r"(?<=://)[^/@]*@", "", source)


def _name(prefix: str, at: float, live: bool) -> str:
    """A name that sorts by time: of the moment (UTC) for a camera, of the place in it for a video."""
    if not live:
        return f"{prefix}-{at:010.3f}"
    return f"{prefix}-{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H-%M-%S.%f}"[:-3]
