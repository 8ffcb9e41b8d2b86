"""`layercast gallery`: a web page of the captions and thumbnails of a folder."""

from __future__ import annotations

from pathlib import Path

import click

from codec.stream import FormatError
from layercast.commands.report import Failure, Progress, save, warn


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="FILE.html", type=click.Path(path_type=Path), help="[default: FOLDER/index.html]"
)
@click.option("--title", metavar="TEXT", help="What stands above; the folder's name otherwise.")
def gallery(folder: Path, output: Path | None, title: str | None) -> None:
    """Make a web page of the captions and thumbnails of the streams in FOLDER.

    One file without scripts, for any web server or to be opened as it is; the streams are linked, not copied. Of each
    only the first 3,000 bytes are read.
    """
    from layercast.gallery import page, read_card

    if not folder.is_dir():
        raise Failure(folder, "no such folder; name the one that the streams lie in")
    paths = sorted(path for path in folder.glob("*.lcast") if path.is_file())
    target = output or folder / "index.html"
    progress = Progress(str(folder))
    cards = []
    for n, path in enumerate(paths):
        progress(path.name, n / len(paths))
        try:
            cards.append(read_card(path))
        except (FormatError, OSError) as error:
            warn(path, f"left out: {error}")
    progress.close()
    if not cards:
        raise Failure(folder, "holds no stream; make some with `layercast encode`")
    if target.is_dir():
        raise Failure(target, "is a folder; name a file")
    made = page(cards, title or folder.resolve().name, target.parent)
    save(target, made.encode())
    click.echo(f"{target}: {len(cards)} picture{'s' * (len(cards) != 1)}, {len(made.encode()):,} bytes")
