"""`layercast bench threads FOLDER`: the same stream gives the same pixels, however many threads compute them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

THREADS = (1, 2)
CUTS = (200, 3000)  # bytes, beside the whole stream
MOST_SECONDS = 600.0  # of one process


def digests(files: Sequence[Path]) -> list[str]:
    """SHA-256 of the exact picture of each stream file."""
    from layercast.bench.streams import picture_of

    return [hashlib.sha256(picture_of(file.read_bytes()).tobytes()).hexdigest() for file in files]


def digests_with(threads: int, files: Sequence[Path]) -> list[str]:
    """`digests` in a process of its own whose libraries are told to use `threads` threads."""
    env = {**os.environ, **{name: str(threads) for name in work.ONE_THREAD}}
    run = subprocess.run(
        [sys.executable, "-m", "layercast.bench.threads", *map(str, files)],
        env=env, capture_output=True, text=True, check=False, timeout=MOST_SECONDS,
    )  # fmt: skip
    if run.returncode:
        last = (run.stderr.strip() or "no message").splitlines()[-1]
        raise click.ClickException(f"decoding with {threads} threads failed: {last}")
    return run.stdout.split()


def write_streams(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Each picture's stream, whole and cut at CUTS, as files."""
    from layercast.bench.streams import stream_of

    files = []
    for path in paths:
        data = stream_of(path)
        for size in sorted({min(cut, len(data)) for cut in (*CUTS, len(data))}):
            file = folder / f"{path.stem}-{size}.lcast"
            file.write_bytes(data[:size])
            files.append(file)
    return files


def report(files: Sequence[Path], found: Sequence[Sequence[str]]) -> Report:
    """The first digits of every SHA-256, and whether they agree."""
    result = Report("threads")
    table = Table(("stream", *(f"SHA-256 on {count} thread{'s' * (count > 1)}" for count in THREADS)))
    table.rows += [(file.stem, *(sums[at][:16] for sums in found)) for at, file in enumerate(files)]
    result.tables.append(table)
    same = sum(len({sums[at] for sums in found}) == 1 for at in range(len(files)))
    result.check("the same pixels on 1 and 2 threads", f"{same} of {len(files)} streams", "all", same == len(files))
    return result


@click.command("threads", short_help="The same pixels on one thread and two.")
@work.picture_options
def command(folder: Path, images: int | None, match: str, workers: int, as_json: bool, strict: bool) -> None:
    """Decodes streams of the pictures in FOLDER, whole and cut, in processes with one thread and with two."""
    paths = work.pictures(folder, images, match)
    with tempfile.TemporaryDirectory() as held:
        files = write_streams(paths, Path(held))
        report(files, work.each(digests_with, [(count, files) for count in THREADS], workers, "threads")).show(
            as_json, strict
        )


if __name__ == "__main__":  # the process that `digests_with` starts
    print("\n".join(digests([Path(name) for name in sys.argv[1:]])))
