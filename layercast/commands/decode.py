"""`layercast decode`: a stream, or as much of one as there is, to a PNG."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.report import failing, warn
from layercast.printable import printable

if TYPE_CHECKING:
    from codec import Decoded


@click.command()
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT.png", help="The picture's name.  [default: IN.png beside it]")
@click.option(
    "--upto", type=click.Choice(["caption", "structure", "latent", "residual"]), help="Use the layers up to this one."
)
@click.option("--strict", is_flag=True, help="Fail on any damage instead of showing what is left.")
@click.option("--limit", type=click.FloatRange(min=0, min_open=True), metavar="MP", default=64.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def decode(source: str, output: str | None, upto: str | None, strict: bool, limit: float, as_json: bool) -> None:
    """Make a PNG of a stream or of a part of one.

    Missing and cut chunks are ordinary: the picture is the best that the rest gives. The caption becomes alt text.
    """
    import codec
    from codec.extract.photo import write_png

    target = Path(output) if output is not None else Path(source).with_suffix(".png")
    start = time.perf_counter()
    with failing(source):
        data = Path(source).read_bytes()
        decoded = codec.decode(data, upto=upto, strict=strict, limit=round(limit * 1e6))
    seconds = time.perf_counter() - start
    with failing(target):
        write_png(target, decoded.picture)
    for (kind, index), reason in decoded.dropped:
        warn(source, f"{kind.name.lower()} {index} is not used: {reason}")
    facts = _facts(source, target, len(data), decoded, seconds)
    click.echo(json.dumps(facts, ensure_ascii=False) if as_json else _sentence(facts))


def verdict(decoded: Decoded) -> bool | None:
    """Whether the pixels are the source's: None as long as not all of them can be, so that False means damage."""
    return decoded.verified if decoded.verified or decoded.exact_area == 1 else None


def _facts(source: str, target: Path, size: int, decoded: Decoded, seconds: float) -> dict[str, Any]:
    return {
        "file": source,
        "output": str(target),
        "bytes": size,
        "width": decoded.header.width,
        "height": decoded.header.height,
        "channels": decoded.header.channels,
        "caption": decoded.caption,
        "caption_source": decoded.caption_source,
        "meta": decoded.meta,
        "verified": verdict(decoded),
        "exact_area": decoded.exact_area,
        "used": len(decoded.used),
        "dropped": len(decoded.dropped),
        "seconds": round(seconds, 2),
    }


def _sentence(facts: dict[str, Any]) -> str:
    state = {True: "verified", False: "NOT verified: its check disagrees", None: f"{facts['exact_area']:.0%} exact"}
    lines = [
        f"{facts['output']}: {facts['width']}x{facts['height']} of {facts['bytes']:,} bytes,"
        f" {state[facts['verified']]}, {facts['seconds']:.1f} s"
    ]
    if facts["caption"] is not None:
        guessed = " (guessed)" if facts["caption_source"] == "guessed" else ""
        lines.append(f"caption{guessed}: {printable(facts['caption'])}")
    return "\n".join(lines)
