"""A picture in a terminal: drawn in place, in colours, shades or a terminal's own pictures; text alone elsewhere."""

import asyncio
import base64
import io
import re
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import codec
from layercast import terminal
from layercast.net.growing import Growing
from layercast.printable import printable
from layercast.terminal import Lines, Screen, drawing, follow
from player import Player
from tests.fuzz.parsers import TEXTS, picture, streams

DATA = streams()[0]


def console(width: int = 60, height: int = 20, colours: bool = True) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    found = Console(
        file=out, force_terminal=True, width=width, height=height, color_system="truecolor" if colours else None
    )
    return found, out


def shown(way: str, data: bytes = DATA, times: int = 1) -> str:
    found, out = console()
    screen, player, growing = Screen(found, drawing(way)), Player(), Growing.of_file("photo.lcast", data)
    player.feed(data, 0.0)
    for _ in range(times):
        screen.show(player, growing)
    return out.getvalue()


def test_half_blocks_have_the_pictures_colours() -> None:
    lines = shown("blocks").split("\n")
    rows = [line for line in lines if "▀" in line]
    assert 8 <= len(rows) <= 16 and all(row.count("▀") == rows[0].count("▀") <= 60 for row in rows)
    cells = re.findall(r"38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m", "".join(rows))
    drawn = np.array(cells, int).reshape(-1, 3).mean(axis=0)
    assert np.abs(drawn - codec.decode(DATA).picture.reshape(-1, 3).mean(axis=0)).max() < 12
    assert TEXTS[2] in "\n".join(lines) and "every pixel exact, verified" in "\n".join(lines)


def test_shades_need_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    found, out = console(colours=False)
    monkeypatch.setenv("NO_COLOR", "1")
    screen, player, growing = Screen(found, drawing()), Player(), Growing.of_file("photo.lcast", DATA)
    player.feed(DATA, 0.0)
    screen.show(player, growing)
    drawn = out.getvalue()
    assert set("█▓▒░") <= set(drawn) and "38;2" not in drawn and "▀" not in drawn


def test_kitty_gets_the_picture_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = io.StringIO()  # pictures go past the console
    monkeypatch.setattr(sys, "__stdout__", sent)
    shown("kitty")
    payload = "".join(re.findall(r"f=100[^;]*;([^\x1b]*)\x1b", sent.getvalue()))
    with Image.open(io.BytesIO(base64.b64decode(payload))) as image:
        scaled = np.asarray(image.convert("RGB").resize((80, 56))).astype(int)
    assert np.abs(scaled - codec.decode(DATA).picture).mean() < 20


def test_sixels() -> None:
    assert re.search(r"\x1bP[0-9;]*q", shown("sixel"))


def test_the_next_picture_stands_where_the_first_stood() -> None:
    once, twice = shown("blocks"), shown("blocks", times=2)
    height = once.count("\n")
    assert f"\x1b[{height}A" in twice and f"\x1b[{height}A" not in once
    assert twice.count("\n") == 2 * height


def test_a_caption_cannot_steer_the_terminal() -> None:
    hostile = "a\x1b]0;title\x07 dog\x1b[2J \u202eback\u009b5m [bold]x[/bold]\r\n\tend"
    assert printable(hostile) == "a]0;title dog[2J back5m [bold]x[/bold] end"
    data = codec.encode(picture(40, 30, 3), caption=hostile, weights=0)
    for text in (shown("blocks", data), listed(data)):
        assert "\x1b]0" not in text and "\x1b[2J" not in text and "\u202e" not in text and "[bold]x[/bold]" in text


def listed(data: bytes) -> str:
    out = io.StringIO()
    found = Console(file=out, width=300)
    asyncio.run(follow(Growing.of_file("photo.lcast", data), Player(), Lines(found)))
    return out.getvalue()


def test_elsewhere_lines_say_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "STEP", 0)
    said = listed(DATA).splitlines()
    assert said == [
        f"caption: {TEXTS[2]}",
        f"{len(DATA) / 1000:.1f} kB of {len(DATA) / 1000:.1f} kB · every pixel exact, verified",
    ]
    assert not terminal.is_terminal(), "pytest has no terminal at both ends"


def test_what_the_link_does_is_said_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "STEP", 0)
    monkeypatch.setattr(terminal, "LOOK", 0)
    out, notes = io.StringIO(), ["", "nothing comes at the moment", "nothing comes at the moment", ""]

    def note() -> str:
        if len(notes) > 1:
            return notes.pop(0)
        if not growing.ended:
            growing.write(DATA[2000:])
            growing.end()
        return notes[0]

    async def story() -> None:
        nonlocal growing
        growing = Growing("photo.lcast", len(DATA))
        growing.write(DATA[:2000])
        await follow(growing, Player(), Lines(Console(file=out, width=300)), note)

    growing = Growing()
    asyncio.run(story())
    said = out.getvalue().splitlines()
    assert said.count("nothing comes at the moment") == 1 and "verified" in said[-1]


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "find_spec", lambda name: None)
    with pytest.raises(terminal.TerminalError, match=r"pip install 'layercast\[play\]'"):
        drawing()
