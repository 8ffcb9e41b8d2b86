"""`layercast search`: streams by what they show, from their captions alone."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layercast.commands.report import Failure, Progress, failing, warn
from layercast.printable import printable

if TYPE_CHECKING:
    from layercast.library import Library


@click.command()
@click.argument("text", metavar="TEXT")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("-n", "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Show the best N.")
@click.option("--words", is_flag=True, help="By words, even where meanings can be compared.")
@click.option("--index", "place", type=click.Path(path_type=Path), metavar="FILE", help="Keep the index there.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each stream.")
def search(text: str, folder: Path, limit: int, words: bool, place: Path | None, as_json: bool) -> None:
    """Find the streams in FOLDER whose captions are nearest to TEXT.

    Of a stream only header and caption are read, once: an index in FOLDER remembers them. With the extra `search`
    sentences are compared by what they mean ("a dog" finds "a puppy"), without it by their words.
    """
    from layercast.library import NAME, Library

    if not folder.is_dir():
        raise Failure(folder, "no such folder; name the one that holds the streams")
    at = place or folder / NAME
    try:
        with failing(at), Library(folder, place, by_meaning=False if words else None) as library:
            _update(library, folder)
            for hit in library.find(text, limit):
                if as_json:
                    row = {"file": str(hit.path), "score": round(hit.score, 4), "caption": hit.caption}
                    click.echo(json.dumps(row, ensure_ascii=False))
                else:
                    click.echo(f"{hit.score:5.2f}  {hit.path}  {printable(hit.caption)}")
    except sqlite3.Error as error:
        raise Failure(at, f"is no index ({error}); delete it, or name another with --index") from None


def _update(library: Library, folder: Path) -> None:
    progress = Progress(str(folder))
    try:
        done = library.update(lambda at, of: progress("captions", at / of))
    finally:
        progress.close()
    for refused in done.refused:
        file, _, why = refused.partition(": ")
        warn(file, f"{why}; left out")
    if not len(library):
        raise Failure(folder, "has no streams (*.lcast); make some with `layercast encode`")
