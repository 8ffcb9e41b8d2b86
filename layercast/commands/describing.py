"""Options of `encode` for a program that says what photos show, and what it found, said to the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from layercast.commands.report import Failure, warn

if TYPE_CHECKING:
    from codec.extract.describe import Extractor
    from codec.extract.photo import Photo
    from codec.structure.regions import Region

NAMES = ("none", "index", "embedded", "blip", "blip2", "florence2")  # those of codec.extract.describe, which loads more
MOST = 8  # regions
_TOLD = {"index": "guessed, likely wrong", "embedded": "by embedded, for non-commercial research only"}
_Command = TypeVar("_Command", bound=Callable[..., Any])


class Describer(NamedTuple):
    """Who describes and how: a name of NAMES, the folder of its model, whether anybody asked for it; how many regions,
    how many sentences are weighed (0 to 9), the device of a pulled model."""

    name: str = "index"
    folder: str | None = None
    named: bool = False
    regions: int = 0
    effort: int = 5
    device: str | None = None


def parse(ctx: click.Context, param: click.Parameter, value: str | None) -> Describer:
    """Reads NAME or NAME=FOLDER."""
    if value is None:
        return Describer()
    name, _, folder = value.partition("=")
    if name not in NAMES:
        raise click.BadParameter(f"{name!r} is none of {', '.join(NAMES)}")
    return Describer(name, folder or None, named=True)


def options(command: _Command) -> _Command:
    """Adds --captioner, --regions, --effort and --device to a command."""
    for option in (
        click.option("--device", metavar="NAME", help="Where a pulled captioner runs, as cuda:1.  [default: a GPU]"),
        click.option("--effort", type=click.IntRange(0, 9), metavar="0-9", default=5, show_default=True,
                     help="How many sentences and boxes the embedded captioner weighs."),
        click.option("--regions", type=click.IntRange(0, MOST), metavar="N", default=0,
                     help="Up to N boxes with phrases, by --captioner embedded or florence2."),
        click.option("--captioner", metavar="NAME[=FOLDER]", callback=parse,
                     help="Who says what it shows, without --caption: none; index, a similar photo's words; embedded,"
                     " a small network learned from Flickr8k, for non-commercial research only; blip, blip2, florence2,"
                     " once `models pull` has fetched them, or from a folder.  [default: index]"),
    ):  # fmt: skip
        command = option(command)
    return command


def caption(name: str, photo: Photo, by: Describer) -> str | None:
    """What `by` says of the photo, told; None where it cannot be had and nobody named it. Raises Failure."""
    try:
        found = _extractor(by).caption(photo.picture)
    except RuntimeError as problem:
        if by.named:
            raise Failure(name, str(problem)) from None
        warn(name, f"goes without a caption: {problem}")
        return None
    warn(
        name, f'caption {_TOLD.get(by.name, f"by {by.name}")}: "{found}" (--caption TEXT gives one, --no-caption none)'
    )
    return found


def regions(name: str, photo: Photo, by: Describer) -> list[Region]:
    """Boxes with phrases, as many as were asked for, which are told. Raises Failure where none can be had."""
    if not by.regions:
        return []
    try:
        found = _extractor(by).regions(photo.picture, by.regions)
    except RuntimeError as problem:
        raise Failure(name, f"--regions: {problem}") from None
    warn(name, f"regions by {by.name}: {', '.join(region.phrase for region in found) or 'none'}")
    return found


def _extractor(by: Describer) -> Extractor:
    from codec.extract.describe import Extractor

    return Extractor(by.name, by.folder, by.device, by.effort)
