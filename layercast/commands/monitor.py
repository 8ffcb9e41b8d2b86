"""`layercast monitor`: captions as they come into a folder, and a command for those that matter."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from layercast.commands.report import Failure, warn
from layercast.printable import printable


@dataclass(frozen=True)
class Seen:
    """A caption that came. name: of the stream; file: where it lies, None while it is still coming."""

    name: str
    caption: str
    file: Path | None


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--match", "wanted", metavar="TEXT", help="Only captions with all words of TEXT, in any form.")
@click.option("--run", "command", metavar="COMMAND", help="A command for each; see below.")
@click.option(
    "--every", type=click.FloatRange(min=0.05), default=1.0, show_default=True, metavar="S", help="Look so often."
)
@click.option("--once", is_flag=True, help="Look once, at what is there already, and end.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each.")
def monitor(folder: Path, wanted: str | None, command: str | None, every: float, once: bool, as_json: bool) -> None:
    """Print the captions of streams as they come into FOLDER, also of those that `receive` has only begun.

    COMMAND is run by the shell with LAYERCAST_CAPTION, LAYERCAST_NAME and LAYERCAST_FILE (empty while the stream is
    still coming) in its environment. A caption is told once, however much of its picture follows.
    """
    from layercast.library import Matcher

    if not folder.is_dir():
        raise Failure(folder, "no such folder; name the one that streams come into")
    try:
        match: Callable[[str], bool] = Matcher(wanted) if wanted is not None else lambda text: True
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--match") from None
    watch = Watch(folder, quiet=not once)
    try:
        while True:
            for seen in watch.look():
                if match(seen.caption):
                    tell(seen, as_json)
                    if command:
                        call(command, seen)
            if once:
                return
            time.sleep(every)
    except KeyboardInterrupt:
        return


class Watch:
    """Looks at a folder again and again. quiet: what is there at the start is not told."""

    def __init__(self, folder: Path, quiet: bool) -> None:
        self._folder = folder
        self._known: dict[Path, tuple[int, int]] = {}  # when changed, how large
        self._told: set[tuple[str, str]] = set()
        self._done: set[Path] = set()  # of those still coming, whose caption is told
        if quiet:
            self._told.update((seen.name, seen.caption) for seen in self.look())

    def look(self) -> Iterator[Seen]:
        """What is new since the last look."""
        for path, caption_of in self._sources():
            if path in self._done:
                continue
            try:
                stat = path.stat()
                if self._known.get(path) == (stat.st_mtime_ns, stat.st_size):
                    continue
                seen = caption_of(path)
            except (OSError, ValueError):  # still being written, or no stream
                continue
            self._known[path] = stat.st_mtime_ns, stat.st_size
            if seen is not None and seen.file is None:
                self._done.add(path)
            if seen is not None and (seen.name, seen.caption) not in self._told:
                self._told.add((seen.name, seen.caption))
                yield seen

    def _sources(self) -> Iterator[tuple[Path, Callable[[Path], Seen | None]]]:
        from layercast.net.store import LOGS

        yield from ((path, _begun) for path in sorted(self._folder.glob(f"{LOGS}/*.part")))
        yield from ((path, _whole) for path in sorted(self._folder.glob("*.lcast")))


def _whole(path: Path) -> Seen | None:
    from layercast.library import read_caption

    text = read_caption(path)[0]
    return None if text is None else Seen(path.name, text, path)


def _begun(path: Path) -> Seen | None:
    from layercast.net.store import SUFFIX, Shelf
    from layercast.stream import Stream

    shelf = Shelf(int(path.stem, 16), path)
    shelf.look()
    text = Stream(shelf.stream()).caption
    if text is None or shelf.about is None:
        return None
    return Seen(Path(shelf.about.name).stem + SUFFIX, text, None)


def tell(seen: Seen, as_json: bool) -> None:
    """Prints a caption."""
    if as_json:
        row = {"name": seen.name, "caption": seen.caption, "file": str(seen.file) if seen.file else None}
        click.echo(json.dumps(row, ensure_ascii=False))
    else:
        click.echo(f"{time.strftime('%H:%M:%S')}  {printable(seen.name)}  {printable(seen.caption)}")


def call(command: str, seen: Seen) -> None:
    """Runs a command about a caption; one that fails is told of and stops nothing.

    What the stream says reaches it as environment alone: no caption becomes part of a command line.
    """
    about = {"CAPTION": seen.caption, "NAME": seen.name, "FILE": str(seen.file or "")}
    status = subprocess.run(
        command, shell=True, env={**os.environ, **{f"LAYERCAST_{key}": value for key, value in about.items()}}
    ).returncode
    if status:
        warn(seen.name, f"the command ended with {status}; going on")
