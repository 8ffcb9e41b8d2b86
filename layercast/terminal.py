"""A picture drawn in a terminal while it arrives, its caption and how far it has come under it.

Where the terminal draws no colours the picture is made of shades; where there is no terminal only the text is left, a
line for each thing that comes. What a stream says is shown without control characters, so that it cannot steer a
terminal.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from PIL import ImageOps

from layercast.printable import printable
from layercast.sheet import over_white, size_text

if TYPE_CHECKING:
    from PIL import Image
    from rich.console import Console

    from layercast.net.growing import Growing
    from player import Player

WAYS: Final = ("auto", "kitty", "sixel", "blocks", "shades")
STEP = 0.25
"""Seconds between two pictures, at least."""
LOOK = 1.0
"""Seconds between two looks at the link while nothing comes."""
_TEXT = 3
"""Lines under the picture."""
Draw = Callable[["Image.Image"], Any]
"""Makes a rich renderable of a picture, as large as there is room."""


class TerminalError(ValueError):
    """The picture cannot be drawn; the message says what to do."""


def is_terminal() -> bool:
    """Whether there is a terminal that can draw: it is asked how, so it has to be at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def drawing(way: str = "auto") -> Draw:
    """How pictures are drawn. auto: as the terminal says it can; in shades where NO_COLOR is set. TerminalError."""
    if find_spec("textual_image") is None:
        raise TerminalError("drawing in a terminal needs the extra `play`; pip install 'layercast[play]'")
    logging.getLogger("textual_image").setLevel(logging.ERROR)  # a terminal that does not tell its size is no trouble
    from textual_image import renderable

    if way == "auto" and os.environ.get("NO_COLOR"):
        way = "shades"
    made = {
        "auto": renderable.Image,
        "kitty": renderable.TGPImage,
        "sixel": renderable.SixelImage,
        "blocks": renderable.HalfcellImage,
        "shades": renderable.UnicodeImage,
    }[way]
    if way == "shades":  # five of them: each gets as much of the picture
        return lambda image: made(ImageOps.equalize(image.convert("L")), width="auto", height="auto")
    return lambda image: made(image, width="auto", height="auto")


def status(player: Player, growing: Growing, note: str = "") -> str:
    """How far it has come, in a line; `note`: what else there is to say of the link."""
    of = f" of {size_text(growing.size)}" if growing.size is not None else ""
    layer = player.layers[-1] if player.layers else "nothing to see yet"
    truth = "every pixel exact, verified" if player.verified else layer
    why = growing.failed if growing.ended else note or _rate_text(growing.rate())
    return " · ".join(part for part in (f"{size_text(len(growing.data))}{of}", truth, printable(why)) if part)


def _rate_text(rate: float) -> str:
    return f"{rate * 8 / 1000:.1f} kbit/s"


class Screen:
    """Draws in the same place again and again."""

    def __init__(self, console: Console, draw: Draw) -> None:
        self._console = console
        self._draw = draw
        self._height = 0
        self._before: Any = None

    def show(self, player: Player, growing: Growing, note: str = "") -> None:
        """The picture as it is now."""
        from rich.control import Control
        from rich.segment import ControlType, Segments
        from rich.text import Text

        picture = player.picture(growing.seconds)
        if picture is None:
            return
        image = self._draw(over_white(picture))
        options = self._console.options.update(height=max(self._console.height - _TEXT - 1, 1))
        drawn = list(self._console.render(image, options))
        width = self._console.width - 1
        lines = Text(printable(player.caption or "")).wrap(self._console, width)[: _TEXT - 1]
        lines.append(Text(status(player, growing, note)))
        self._back()
        self._console.print(Segments(drawn), end="")
        for line in lines:
            line.truncate(width, overflow="ellipsis")
            self._console.print(line, end="")
            self._console.control(Control((ControlType.ERASE_IN_LINE, 0)))
            self._console.line()
        self._height = sum(segment.text.count("\n") for segment in drawn if not segment.control) + len(lines)
        if self._before is not None:
            self._before.cleanup()  # a terminal that keeps pictures may forget the one before
        self._before = image

    def _back(self) -> None:
        from rich.control import Control
        from rich.segment import ControlType

        if self._height:
            self._console.control(Control.move_to_column(0, -self._height))
        else:  # what the terminal was asked may have left a trace
            self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))


class Lines:
    """Tells in lines what comes, where nothing can be drawn."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._layers: tuple[str, ...] = ()
        self._told: set[str] = set()

    def show(self, player: Player, growing: Growing, note: str = "") -> None:
        """What is new."""
        player.picture(growing.seconds)
        if player.caption is not None:
            self._say(f"caption: {printable(player.caption)}")
        if player.layers != self._layers or growing.ended:
            self._layers = player.layers
            self._say(status(player, growing))
        if note:
            self._say(printable(note))

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


async def follow(
    growing: Growing, player: Player, screen: Screen | Lines, note: Callable[[], str] = lambda: ""
) -> None:
    """Shows what comes until the end. Raises FormatError for bytes that are no stream.

    note: what there is to say of the link now, "" as long as all is well.
    """
    at, told = 0, ""
    while (data := await growing.more(at, timeout=LOOK)) is not None:
        at += len(data)
        player.feed(data, growing.seconds)
        if data or note() != told:
            told = note()
            await asyncio.to_thread(screen.show, player, growing, told)
        await asyncio.sleep(STEP)
    await asyncio.to_thread(screen.show, player, growing)
