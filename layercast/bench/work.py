"""How the benchmarks run: options that all share, pictures of a folder, tasks over one or more processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from fnmatch import fnmatch
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sim.metrics import Picture

Result = TypeVar("Result")
Decorated = Callable[..., Any]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm"})
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def options(command: Decorated) -> Decorated:
    """The options of every benchmark: --workers, --json, --strict."""
    for option in (
        click.option("--strict", is_flag=True, help="Exit with status 1 if a goal is missed."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of Markdown."),
        click.option("--workers", type=click.IntRange(1, 256), default=1, help="Processes, one thread each."),
    ):
        command = option(command)
    return command


def picture_options(command: Decorated) -> Decorated:
    """The argument FOLDER and the options that choose from it, for benchmarks over pictures; `options` included."""
    for option in (
        click.option("--match", default="*", help="Only file names of this pattern."),
        click.option("--images", type=click.IntRange(1), default=None, help="Only the first N pictures."),
        click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path)),
    ):
        command = option(command)
    return options(command)


def pictures(folder: Path, images: int | None, match: str) -> list[Path]:
    """The pictures of a folder in the order of their names; a usage error if there is none."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and fnmatch(path.name, match))
    if not found:
        raise click.ClickException(f"{folder}: no picture matches {match!r}; name a folder of PNG, JPEG or WebP files")
    return found[:images]


def spread_pictures(folder: Path, images: int | None, match: str) -> list[Path]:
    """As `pictures`, but four, evenly spread, if no number is given."""
    listed = pictures(folder, None, match)
    return listed[:images] if images else listed[:: max(1, len(listed) // 4)][:4]


def load(path: Path) -> Picture:
    """A picture file as uint8[H, W, 3]."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _prepare() -> None:
    """A worker computes with one thread and leaves Ctrl-C to its parent."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()


def one_thread() -> None:
    """Torch, if it is used at all, computes with one thread in this process."""
    os.environ.update(ONE_THREAD)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def each(
    function: Callable[..., Result],
    tasks: Iterable[Sequence[Any]],
    workers: int = 1,
    label: str = "",
    cluster: str | None = None,
) -> list[Result]:
    """`function(*task)` of every task, in the order of the tasks, on `workers` processes or a Ray cluster at an address
    ("local": one made here with as many workers); a bar on a terminal.

    Ctrl-C ends the workers and raises click.Abort.
    """
    from tqdm import tqdm

    listed = list(tasks)
    one_thread()
    bar = tqdm(total=len(listed), desc=label, disable=None, leave=False)
    with bar:
        if cluster is not None:
            from layercast.cluster import spread

            return spread(function, listed, cluster, workers, bar.update)
        if workers == 1 or len(listed) < 2:
            results = []
            for task in listed:
                results.append(function(*task))
                bar.update()
            return results
        return _spread(function, listed, workers, bar)


def _spread(function: Callable[..., Result], tasks: list[Sequence[Any]], workers: int, bar: Any) -> list[Result]:
    """The tasks over a pool of fresh processes."""
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=get_context("spawn"), initializer=_prepare)
    try:
        futures = [pool.submit(function, *task) for task in tasks]
        for _ in as_completed(futures):
            bar.update()
        return [future.result() for future in futures]
    except KeyboardInterrupt:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise click.Abort() from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
