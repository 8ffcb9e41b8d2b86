"""A listener that hears more groups than it keeps in memory, from a sender that hears nothing; on a pipe."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from layercast.net import oneway
from layercast.net.endpoints import Link
from layercast.net.fetch import Change
from layercast.net.oneway import Broadcasting, Listening, OneWay, broadcast_config
from layercast.net.parcel import pack
from layercast.net.store import Store
from tests.fuzz.parsers import streams
from transport import wire
from transport.channels.pipe import FilePipe


def ends() -> tuple[FilePipe, FilePipe]:
    read, write = os.pipe()
    return FilePipe(None, write, 400), FilePipe(read, None, 400)


def test_what_was_put_away_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Base packets of many groups come first, the rest later: with room for one each is put away in between."""
    monkeypatch.setattr(oneway, "OPEN", 1)
    wanted = {f"photo {n}": data for n, data in enumerate(streams()[:3])}

    async def story() -> list[str]:
        near, far = ends()
        changes: list[Change] = []
        listening = Listening(far, Store(tmp_path), changes.append)
        sending = Broadcasting(near, broadcast_config(near, Link(rate=10e6), OneWay()))
        for name, data in wanted.items():
            sending.add(pack(data, name))
        await sending.wait_sent()
        near.close()
        await listening.wait_closed()
        listening.fetch.finish()
        return [change.what for change in changes]

    what = asyncio.run(story())
    assert what.count("complete") == 3 and what.count("item") > 3
    assert {path.stem: path.read_bytes() for path in tmp_path.glob("*.lcast")} == wanted


def test_a_full_disk_begins_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oneway, "RESERVE", 1 << 62)

    async def story() -> int:
        near, far = ends()
        listening = Listening(far, Store(tmp_path), lambda change: None)
        segment = wire.Segment(0, 8, 0, b"a caption", True)
        near.send(wire.Data(7, (segment,), None, b"head").encode())
        near.send(b"no packet at all")
        while near.waiting:
            await asyncio.sleep(0)
        near.close()
        await listening.wait_closed()
        return listening.refused

    assert asyncio.run(story()) == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
