"""What a person or a script sees of a transfer: a live table on a terminal, lines of JSON, or a line a stream."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click

from layercast.net.fetch import Change
from layercast.net.store import Shelf

LAYERS = ("caption", "structure", "latent", "residual")


@dataclass
class _Row:
    shelf: Shelf
    begun: float
    bytes: int = 0
    layer: str = ""


@dataclass
class Progress:
    """Rows of streams on their way. `emit` gets a line for scripts; None: nothing is printed but by the table."""

    as_json: bool
    clock: Callable[[], float] = time.monotonic
    rows: dict[int, _Row] = field(default_factory=dict)
    bytes: int = 0

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def handle(self, change: Change) -> None:
        """Take a change in; prints its line of JSON."""
        now = self.clock()
        if change.shelf is not None:
            row = self.rows.setdefault(change.shelf.group, _Row(change.shelf, now))
            row.bytes += change.size
            row.layer = max(row.layer, change.layer or "", key=lambda name: LAYERS.index(name) if name else -1)
        self.bytes += change.size
        if self.as_json:
            click.echo(json.dumps({"time": round(now - self._begun, 3), **_line(change)}, ensure_ascii=False))

    def table(self) -> Any:
        """A rich Table of what there is now."""
        from rich.table import Table

        table = Table("image", "layer", "bytes", "of", "kbit/s", "left", box=None, pad_edge=False)
        now = self.clock()
        for row in list(self.rows.values())[-20:]:
            about = row.shelf.about
            seconds = max(now - row.begun, 1e-3)
            rate = row.bytes * 8 / seconds
            of = f"{about.size:,}" if about else "?"
            left = _duration((about.size - row.shelf.held) * 8 / rate) if about and rate else "?"
            done = row.shelf.file is not None and row.shelf.complete
            table.add_row(
                about.name if about else f"{row.shelf.group:08x}",
                "complete" if done else row.layer or "...",
                f"{row.shelf.held:,}",
                of,
                f"{rate / 1000:.1f}",
                "" if done else left,
            )
        return table


def _line(change: Change) -> dict[str, Any]:
    line: dict[str, Any] = {"event": change.what}
    if change.shelf is not None:
        about = change.shelf.about
        line |= {"group": f"{change.shelf.group:08x}", "name": about.name if about else None}
        line |= {"held": change.shelf.held, "of": about.size if about else None}
    if change.what == "item":
        line |= {"layer": change.layer, "bytes": change.size, "whole": change.whole}
    if change.text:
        line |= {"text": change.text}
    if change.what == "complete" and change.shelf is not None and change.shelf.file is not None:
        line |= {"file": str(change.shelf.file)}
    return line


def _duration(seconds: float) -> str:
    if seconds < 0:
        return "0 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
