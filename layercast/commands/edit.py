"""`layercast edit`: what a stream says of its picture, changed; no pixel chunk changes by a byte."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import click

from codec.stream import Chunk, Header, Kind, write
from codec.structure import regions
from codec.structure.regions import Box, Region, Texture
from layercast.commands.report import Failure, failing, save

Entries = list[Region | Texture]  # in the order of the file
Callback = Callable[[click.Context, click.Parameter, tuple[str, ...]], list[tuple[str, str]]]


def _pairs(left: str, told: str) -> Callback:
    """Reads options LEFT=REST as (left, rest). left: a regular expression; told: what it looks like, for people."""
    pattern = re.compile(f"({left})=(.*)", re.DOTALL)

    def read(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
        matches = [pattern.fullmatch(value) for value in values]
        for value, match in zip(values, matches, strict=True):
            if match is None:
                raise click.BadParameter(f"{value!r} is not {told}")
        return [(match[1], match[2]) for match in matches if match is not None]

    return read


@click.command()
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT", required=True, help="Where to write the stream; may be IN itself.")
@click.option("--caption", metavar="TEXT", help="A new caption, counted as given by a person.")
@click.option("--no-caption", is_flag=True, help="Without a caption.")
@click.option(
    "--add",
    multiple=True,
    metavar="X,Y,W,H=TEXT",
    callback=_pairs(r"\d+,\d+,\d+,\d+", "X,Y,W,H=TEXT, in pixels"),
    help="A region, in pixels.",
)
@click.option(
    "--phrase", multiple=True, metavar="N=TEXT", callback=_pairs(r"\d+", "N=TEXT"), help="What region N is called."
)
@click.option(
    "--move", multiple=True, metavar="N=X,Y,W,H", callback=_pairs(r"\d+", "N=X,Y,W,H"), help="Where region N is."
)
@click.option("--drop", multiple=True, type=click.IntRange(min=1), metavar="N", help="Without region N.")
def edit(
    source: str,
    output: str,
    caption: str | None,
    no_caption: bool,
    add: list[tuple[str, str]],
    phrase: list[tuple[str, str]],
    move: list[tuple[str, str]],
    drop: tuple[int, ...],
) -> None:
    """Change what a stream says of its picture: the caption, regions with their phrases.

    Regions count from 1, as `info` shows them. The pixels stay as they are, to the last bit of the file.
    """
    from layercast.stream import Stream

    if caption is not None and no_caption:
        raise click.UsageError("--caption and --no-caption contradict each other")
    if not (caption is not None or no_caption or add or phrase or move or drop):
        raise click.UsageError("say what to change: --caption, --no-caption, --add, --phrase, --move or --drop")
    with failing(source):
        stream = Stream.load(source)
        entries = stream.regions
    header, chunks = stream.header, list(stream.chunks)
    try:
        if caption is not None or no_caption:
            chunks = with_caption(header, chunks, caption)
        if add or phrase or move or drop:
            entries = changed(header, entries, add, phrase, move, drop)
            chunks = with_regions(header, chunks, entries)
    except ValueError as error:
        raise Failure(source, f"{error}; nothing was written") from None
    data = write(header, chunks)
    save(output, data)
    click.echo(f"{output}: {len(data):,} bytes ({len(data) - len(stream):+,}), {len(entries)} regions")


def changed(
    header: Header,
    entries: Entries,
    add: list[tuple[str, str]],
    phrase: list[tuple[str, str]],
    move: list[tuple[str, str]],
    drop: tuple[int, ...],
) -> Entries:
    """The regions after all changes; numbers are those before them. ValueError for one that is not there."""
    found: dict[int, Region | Texture] = dict(enumerate(entries, 1))
    renamed, moved = ([(int(number), rest) for number, rest in pairs] for pairs in (phrase, move))
    for number in [*(n for n, _ in renamed), *(n for n, _ in moved), *drop]:
        if number not in found:
            raise ValueError(f"there is no region {number} among {len(entries)}")
    for number, text in renamed:
        entry = found[number]
        if not isinstance(entry, Region):
            raise ValueError(f"region {number} is a texture and has no phrase")
        found[number] = replace(entry, phrase=text)
    for number, place in moved:
        found[number] = replace(found[number], box=box_of(header, place))
    for number in drop:
        del found[number]
    return [*found.values(), *(Region(box_of(header, place), text) for place, text in add)]


def box_of(header: Header, place: str) -> Box:
    """The cells that X,Y,W,H in pixels touches. ValueError where it lies outside the picture."""
    parts = place.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"{place!r} is not X,Y,W,H in pixels")
    return Box.around(header, *(int(part) for part in parts))


def with_caption(header: Header, chunks: list[Chunk], text: str | None) -> list[Chunk]:
    """The chunks with another caption at their head, or without one."""
    from codec import caption

    others = [chunk for chunk in chunks if chunk.kind != Kind.CAPTION]
    if text is None:
        return others
    return [Chunk(Kind.CAPTION, 0, caption.encode(text, header.weights)), *others]


def with_regions(header: Header, chunks: list[Chunk], entries: Entries) -> list[Chunk]:
    """The chunks with these regions in one chunk where the first had been, else behind the base."""
    others = [chunk for chunk in chunks if chunk.kind != Kind.REGIONS]
    if not entries:
        return others
    made = Chunk(Kind.REGIONS, 0, regions.encode(entries, header.weights))
    later = (Kind.REGIONS, Kind.EDGES, Kind.RESIDUAL, Kind.CHECK)
    place = next((at for at, chunk in enumerate(chunks) if chunk.kind in later or chunk.cut), len(others))
    return [*others[:place], made, *others[place:]]
