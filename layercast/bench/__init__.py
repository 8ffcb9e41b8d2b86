"""`layercast bench NAME`: every published figure and proof comes from one of these commands.

Each benchmark is a module with a click command named `command`, loaded when it is called. They use the public codec
API only, print a table and, where a goal is set, the goal beside the figure with PASS or FAIL.
"""

from __future__ import annotations

from importlib import import_module

import click

NAMES = {
    "agreement": "agreement",
    "caption": "captions",
    "captioners": "captioners",
    "cuts": "cuts",
    "document": "document",
    "edges": "edges",
    "framing": "framing",
    "identity": "identity",
    "lossless": "lossless",
    "losses": "losses",
    "net": "net",
    "oneway": "oneway",
    "peers": "peers",
    "quic": "quic",
    "rate-quality": "rate_quality",
    "regions": "regions",
    "renderers": "renderers",
    "repair": "repair",
    "rivals": "rivals",
    "scalability": "scalability",
    "search": "search",
    "sim": "simulator",
    "soak": "soak",
    "speed": "speed",
    "startup": "startup",
    "transport": "transport",
    "webrtc": "webrtc",
}


class _Lazy(click.Group):
    """Finds a benchmark's command in its module, and imports no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NAMES:
            return None
        found = import_module(f"layercast.bench.{NAMES[cmd_name]}").command
        assert isinstance(found, click.Command)
        return found


bench = _Lazy(name="bench", help="Measure: the figures and proofs that the documentation quotes.")
