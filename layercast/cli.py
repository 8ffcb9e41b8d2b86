"""The `layercast` command: finds the command asked for and loads no other, says what failed in one line.

Exit 0 done, 1 a failure that the user can act on, 2 usage.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from layercast import __version__

# Command -> (module:attribute, help). The help stands here so that listing the commands imports none of them.
_COMMANDS = {
    "encode": ("layercast.commands.encode:encode", "Make streams of photos."),
    "decode": ("layercast.commands.decode:decode", "Make a PNG of a stream or of a part of one."),
    "cut": ("layercast.commands.cut:cut", "Shorten a stream: to a number of bytes or up to a layer."),
    "info": ("layercast.commands.info:info", "Tell what is in a stream."),
    "edit": ("layercast.commands.edit:edit", "Change a stream's caption or regions, and no pixel."),
    "search": ("layercast.commands.search:search", "Find streams by what their captions say."),
    "monitor": ("layercast.commands.monitor:monitor", "Print captions as they come, run a command on a match."),
    "serve": ("layercast.commands.serve:serve", "Offer streams to receivers."),
    "send": ("layercast.commands.send:send", "Send streams to a receiver that waits for them."),
    "receive": ("layercast.commands.receive:receive", "Fetch streams from a peer."),
    "play": ("layercast.commands.play:play", "Watch a picture arrive: in a browser, in a terminal, as a video."),
    "gallery": ("layercast.commands.gallery:gallery", "Make a web page of the captions and thumbnails of a folder."),
    "plan": ("layercast.commands.plan:plan", "Tell what each layer would cost on a link, before sending."),
    "sim": ("layercast.commands.sim:sim", "Try streams and peers over modelled links, in virtual time."),
    "key": ("layercast.commands.key:key", "Make a key that seals pictures from end to end."),
    "models": ("layercast.commands.models:models", "List, verify or pull learned weights."),
    "demo": ("layercast.demo:demo", "See a photo arrive over three thin links."),
    "bench": ("layercast.bench:bench", "Measure: the figures that the documentation quotes."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        found = getattr(import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="layercast")
def cli() -> None:
    """A layered streaming image codec: a caption, a sketch, a picture, every last bit."""


def main() -> None:
    """Entry point of the command."""
    try:
        cli.main(prog_name="layercast")
    except MemoryError:
        click.echo("layercast: out of memory; try a smaller picture", err=True)
        sys.exit(1)
