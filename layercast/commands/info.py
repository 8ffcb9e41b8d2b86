"""`layercast info`: what is in a stream. First what needs no decoding, then whether the pixels are verified."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.report import Failure, failing
from layercast.printable import printable

if TYPE_CHECKING:
    from codec.stream import Header
    from codec.structure.regions import Region, Texture
    from layercast.stream import Stream

CHANNELS = {1: "grey", 2: "grey+alpha", 3: "RGB", 4: "RGBA"}
VERDICTS = {True: "verified: the pixels are those of the source", False: "NOT verified: some pixels differ"}
UNKNOWN = "not verified: not every chunk is here"


@click.command()
@click.argument("source", metavar="IN")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@click.option("--chunks", is_flag=True, help="A line a chunk as well.")
@click.option(
    "--agreement",
    is_flag=True,
    help="How well caption and phrases fit the picture as it is here, -1 to 1. Learned from Flickr8k, for"
    " non-commercial research only.",
)
@click.option("--quick", is_flag=True, help="Do not decode the pixels to verify them.")
def info(source: str, as_json: bool, chunks: bool, agreement: bool, quick: bool) -> None:
    """Tell what is in a stream: bytes of each layer, caption, facts, and whether its pixels are verified."""
    from layercast.stream import Stream

    with failing(source):
        stream = Stream.load(source)
        facts = describe(stream)
        if agreement:
            add_agreement(source, stream, facts)
        if as_json:
            facts |= {"verified": None if quick else verified(stream)}
            click.echo(json.dumps({"file": source, **facts}, ensure_ascii=False))
            return
        _print(source, facts, chunks)
        if not quick:
            verdict = verified(stream)
            click.echo(UNKNOWN if verdict is None else VERDICTS[verdict])


def describe(stream: Stream) -> dict[str, Any]:
    """All that is known without decoding a pixel, as plain fields."""
    from codec.models import SETS

    header = stream.header
    return {
        "width": header.width,
        "height": header.height,
        "channels": header.channels,
        "weights": SETS.get(header.weights, f"unknown ({header.weights})"),
        "base": header.base,
        "bytes": len(stream),
        "bpp": round(stream.bits_per_pixel, 4),
        "header_bytes": stream.header_size,
        "layers": stream.layers,
        "caption": stream.caption,
        "meta": stream.meta,
        "regions": [_region(header, entry) for entry in stream.regions],
        "chunks": [
            {
                "kind": frame.chunk.kind.name.lower(),
                "index": frame.chunk.index,
                "offset": frame.start,
                "bytes": frame.end - frame.start,
                "cut": frame.chunk.cut,
            }
            for frame in stream.frames
        ],
    }


def add_agreement(source: str, stream: Stream, facts: dict[str, Any]) -> None:
    """How well the caption and each phrase fit the decoded picture, among the facts. Raises Failure."""
    from codec import decode
    from codec.extract.agreement import agreement, of_regions
    from codec.structure.regions import Region

    picture = decode(stream.data, limit=stream.header.pixels).picture
    phrases = [entry for entry in stream.regions if isinstance(entry, Region)]
    told = [facts, *(region for region in facts["regions"] if "phrase" in region)]
    try:
        whole = agreement(picture, [stream.caption or ""])
        found = [*(whole if stream.caption else [None]), *of_regions(picture, phrases)]
    except RuntimeError as problem:
        raise Failure(source, str(problem)) from None
    for fields, score in zip(told, found, strict=True):
        fields["agreement"] = None if score is None else round(float(score), 3)


def _agreed(fields: dict[str, Any]) -> str:
    from codec.extract.agreement import CONTRADICTS

    score = fields.get("agreement")
    if score is None:
        return ""
    return f"  (agreement {score:.2f}{': does not fit the picture here' if score < CONTRADICTS else ''})"


def _region(header: Header, entry: Region | Texture) -> dict[str, Any]:
    from codec.structure.regions import Region

    x0, y0, x1, y1 = entry.box.pixels(header)
    place = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    if isinstance(entry, Region):
        return {"phrase": entry.phrase, **place}
    return {"texture": entry.code.hex(), **place}


def verified(stream: Stream) -> bool | None:
    """Whether the decoded pixels match their CRC-32; None while they cannot be known to."""
    from codec import decode
    from codec.stream import Kind
    from layercast.commands.decode import verdict

    if not any(chunk.kind == Kind.CHECK for chunk in stream.chunks):
        return None
    return verdict(decode(stream.data, limit=stream.header.pixels))


def _print(source: str, facts: dict[str, Any], chunks: bool) -> None:
    click.echo(
        f"{source}: {facts['width']}x{facts['height']} {CHANNELS[facts['channels']]},"
        f" {facts['bytes']:,} bytes, {facts['bpp']:.3f} bpp, weights {facts['weights']}"
    )
    click.echo(f"  header     {facts['header_bytes']:>9,} B")
    for layer, size in facts["layers"].items():
        click.echo(f"  {layer:10} {size:>9,} B")
    if chunks:
        for chunk in facts["chunks"]:
            cut = "  cut" if chunk["cut"] else ""
            click.echo(f"  at {chunk['offset']:>9,}  {chunk['kind']:8} {chunk['index']:>6} {chunk['bytes']:>7,} B{cut}")
    if facts["caption"] is not None:
        click.echo(f"caption: {printable(facts['caption'])}{_agreed(facts)}")
    for number, region in enumerate(facts["regions"], 1):
        said = printable(region.get("phrase", "(texture)"))
        place = f"{region['x']},{region['y']},{region['width']},{region['height']}"
        click.echo(f"region {number}: {said} at {place}{_agreed(region)}")
    for key, value in facts["meta"].items():
        click.echo(f"{key}: {value}")
