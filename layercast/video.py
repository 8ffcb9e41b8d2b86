"""A video of a picture arriving: at each frame what was to be seen by then, and under it how much had come.

    (seconds, bytes there by then) ──► Player ──► frame + two lines of text ──► lossless VP9 in MP4, through PyAV

VP9 in RGB loses nothing, so each frame shows exactly what was decoded; the last one, of a lossless stream, the photo.
"""

from __future__ import annotations

import contextlib
import math
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from codec.files import FileError
from codec.stream import FormatError
from layercast.sheet import FAINT, INK, PAPER, font, over_white, size_text
from player import Player

if TYPE_CHECKING:
    from codec.decoder import Picture

FPS = 10
HOLD = 2.0
"""Seconds for which the last picture stands."""
NARROWEST = 320
"""Pixels; a narrower picture stands on paper, so that the text has room."""
LONGEST = 3600.0
"""Seconds of a video, at most."""
_LINE, _EDGE, _SIZE = 20, 6, 14
Marks = Sequence[tuple[float, int]]
"""(seconds, bytes there by then), both rising."""


def steady(size: int, rate: float) -> Marks:
    """The marks of a stream of `size` bytes that comes at `rate` bit/s, one a frame."""
    count = math.ceil(8 * size / rate * FPS)
    return [(n / FPS, min(int(n / FPS * rate / 8), size)) for n in range(count)] + [(count / FPS, size)]


def record(
    path: str | Path, data: bytes, marks: Marks, about: str = "", progress: Callable[[float], None] = lambda share: None
) -> tuple[int, float]:
    """Writes the video of a stream whose bytes came by `marks`; (frames, seconds).

    about: stands behind the time in each frame. The file is written whole or not at all. Raises FormatError for bytes
    that are no stream, ValueError for a video that would be too long, FileError, av.FFmpegError.
    """
    seconds = marks[-1][0] + HOLD
    if seconds > LONGEST:
        raise ValueError(f"the video would take {seconds:,.0f} s; at most {LONGEST:,.0f}")
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        count = _write(part, _frames(data, marks, about), lambda done: progress(min(done / FPS / seconds, 1.0)))
        part.replace(target)
    except OSError as error:
        raise FileError(f"cannot be written ({error.strerror}); choose another place") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return count, count / FPS


def _write(path: Path, frames: Iterator[Image.Image], told: Callable[[int], None]) -> int:
    """Encodes frames; how many. `told` hears how many are done."""
    import av

    count = 0
    with av.open(str(path), "w", format="mp4") as container:
        stream = None
        for frame in frames:
            if stream is None:
                stream = container.add_stream("libvpx-vp9", rate=FPS, options=_LOSSLESS)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "gbrp"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(frame), "rgb24")))
            count += 1
            told(count)
        if stream is not None:
            container.mux(stream.encode(None))
    return count


_LOSSLESS = {"lossless": "1", "deadline": "realtime", "cpu-used": "5", "row-mt": "1"}


def _frames(data: bytes, marks: Marks, about: str) -> Iterator[Image.Image]:
    """The frames one after the other, from the first in which there is a header on; before it, nothing is known."""
    player = Player()
    times = [at for at, _ in marks]
    fed, picture = 0, None
    last = math.ceil(times[-1] * FPS)
    for n in range(last + 1 + round(HOLD * FPS)):
        at = min(n / FPS, times[-1])
        place = bisect_right(times, n / FPS) - 1
        size = marks[place][1] if place >= 0 else 0
        if size > fed or picture is None:
            player.feed(data[fed:size], at)
            fed = size
            picture = player.picture(at)
        if picture is not None:
            yield _frame(picture, player, at, fed, len(data), about)
    if picture is None:
        raise FormatError("offset 0: ends inside the header")


def _frame(picture: Picture, player: Player, at: float, size: int, of: int, about: str) -> Image.Image:
    """The picture, untouched at the top left, and two lines under it; sides are even, as players like them."""
    shown = over_white(picture)
    width = max(shown.width, NARROWEST)
    height = shown.height + 2 * _LINE + 2 * _EDGE
    frame = Image.new("RGB", (width + width % 2, height + height % 2), PAPER)
    frame.paste(shown)
    pen = ImageDraw.Draw(frame)
    layer = "exact" if player.verified else player.layers[-1] if player.layers else "nothing yet"
    first = f"{size_text(size)} of {size_text(of)} · {layer} · {at:.1f} s{about}"
    for n, (text, ink) in enumerate(((first, INK), (player.caption or "", FAINT))):
        place = _EDGE, shown.height + _EDGE + n * _LINE
        pen.text(place, _shortened(text, frame.width - 2 * _EDGE), ink, font(_SIZE))
    return frame


def _shortened(text: str, width: int) -> str:
    """One line of at most `width` pixels."""
    text = " ".join(text.split())
    if font(_SIZE).getlength(text) <= width:
        return text
    while text and font(_SIZE).getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
