"""`layercast bench identity FOLDER`: the same symbols and pixels, whoever computes them.

Streams of small pieces of the pictures, most of them cut, half of them with gaps, are decoded in processes of their
own: by numpy, torch and ONNX Runtime, on one thread and two, with the processor's instructions capped, on CUDA where
there is one, and by other Pythons with other versions. Digests are kept as they come, so that a run that was broken
off, or one of more streams, goes on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, NamedTuple

import click

from layercast.bench import work
from layercast.bench.report import Report, Table

if TYPE_CHECKING:
    from sim.metrics import Picture

FORMS = 4  # streams of a piece: two cuts of it, two cuts with chunks missing
WHOLE = 5  # -th piece whose first stream is whole: most of its time goes into passes that no runtime touches
SHORTEST = 3  # powers of ten by which the shortest cut is shorter than the stream; short ones are the commonest
LOST = 0.2  # of the chunks, where some are missing
LARGEST = 128  # pixels: the longest side of a piece, but of each
RARE = 25  # -th, which is as large as this
LARGE = 512
ROOT = Path(__file__).resolve().parents[2]


class Variant(NamedTuple):
    """Who decodes: a name, one of runtimes.NAMES, its threads and settings, and the Python that runs it."""

    name: str
    runtime: str
    threads: int = 1
    environment: tuple[tuple[str, str], ...] = ()
    optimise: bool = True
    python: str = sys.executable


def _numpy_cap(blas: str, features: str) -> tuple[tuple[str, str], ...]:
    return ("OPENBLAS_CORETYPE", blas), ("NPY_DISABLE_CPU_FEATURES", features)


def _torch_cap(aten: str, onednn: str, mkl: str) -> tuple[tuple[str, str], ...]:
    return ("ATEN_CPU_CAPABILITY", aten), ("ONEDNN_MAX_CPU_ISA", onednn), ("MKL_ENABLE_INSTRUCTIONS", mkl)


_AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"
NUMPY = (
    Variant("numpy, 1 thread", "numpy"),
    Variant("numpy, 2 threads", "numpy", 2),
    Variant("numpy, no AVX-512", "numpy", 1, _numpy_cap("Haswell", _AVX512)),
    Variant("numpy, no AVX", "numpy", 1, _numpy_cap("Nehalem", f"X86_V3 {_AVX512}")),
)
TORCH = (
    Variant("torch, 1 thread", "torch"),
    Variant("torch, 2 threads", "torch", 2),
    Variant("torch, no AVX-512", "torch", 1, _torch_cap("avx2", "AVX2", "AVX2")),
    Variant("torch, no AVX", "torch", 1, _torch_cap("default", "SSE41", "SSE4_2")),
)
CUDA = Variant("torch on CUDA", "cuda")
ONNX = (
    Variant("ONNX Runtime, 1 thread", "onnx"),
    Variant("ONNX Runtime, 2 threads", "onnx", 2),
    Variant("ONNX Runtime, graphs as they are", "onnx", optimise=False),
)


def variants(pythons: Sequence[str]) -> tuple[list[Variant], list[str]]:
    """The variants that this machine can run, and what it cannot show, in words."""
    found, absent = list(NUMPY), []
    if find_spec("torch") is None:
        absent.append("torch is not installed")
    else:
        import torch

        found += TORCH
        if torch.cuda.is_available():
            found.append(CUDA)
        else:
            absent.append("no CUDA device")
    if find_spec("onnx") is None or find_spec("onnxruntime") is None:
        absent.append("ONNX Runtime is not installed (extra `bench`)")
    else:
        found += ONNX
    for python in pythons:
        version = _told([python, "-c", "import torch; print(torch.__version__)"], dict(os.environ))
        found += [
            each._replace(name=f"{each.name} of {version.strip()}", python=python) for each in (TORCH[1], TORCH[3])
        ]
    return found, absent


def _told(words: Sequence[str], environment: dict[str, str]) -> str:
    """What a process prints. ClickException if it fails or is not there."""
    try:
        run = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    except OSError as problem:
        raise click.ClickException(f"{words[0]}: {problem.strerror}") from None
    if run.returncode:
        raise click.ClickException(f"{words[0]}: {(run.stderr.strip() or 'no message').splitlines()[-1]}")
    return run.stdout


def piece(paths: Sequence[Path], number: int) -> Picture:
    """A piece of one of the pictures, uint8[H,W,C], drawn by its number: grey and alpha, detail and smoothness."""
    import numpy as np

    random = np.random.default_rng(number)
    step = int(random.choice((1, 2, 4)))
    photo = work.load(paths[number % len(paths)])[::step, ::step]
    sides = random.integers(8, LARGEST + 1, 2) if number % RARE else np.array((LARGE, LARGE))
    height, width = np.minimum(sides, photo.shape[:2])
    top, left = (int(random.integers(0, whole - part + 1)) for whole, part in
                 zip(photo.shape[:2], (height, width), strict=True))  # fmt: skip
    cut = photo[top : top + height, left : left + width]
    channels = {0: [0], 1: [0, 1, 2, 0], 2: [1, 0]}.get(number % 8, [0, 1, 2])
    return np.ascontiguousarray(cut[..., channels])


def write_streams(paths: Sequence[Path], number: int, count: int, folder: Path) -> None:
    """The FORMS streams of a piece as files, at most `count` in all; those that are there stay."""
    import numpy as np

    from codec.stream import read, write
    from layercast.bench.streams import encode
    from sim.peers import keep_file

    files = [folder / f"{FORMS * number + form:06}.lcast" for form in range(FORMS)][: count - FORMS * number]
    if all(file.is_file() for file in files):
        return
    random = np.random.default_rng(number)
    whole = encode(piece(paths, number))
    header, chunks = read(whole)
    kept = write(header, [chunk for chunk in chunks if random.random() >= LOST])
    for form, file in enumerate(files):
        data, share = kept if form % 2 else whole, 10.0 ** -random.uniform(0, SHORTEST)
        end = len(data) if form == 0 and number % WHOLE == 0 else max(len(header.encode()), int(len(data) * share))
        keep_file(file, data[:end])


def digests(variant: Variant, folder: Path, count: int, tell: Callable[[int], object]) -> list[str]:
    """Two SHA-256 of each of `count` streams, kept beside them; `tell`: of each number of streams that is done."""
    kept = folder / f"{hashlib.sha256(repr(variant).encode()).hexdigest()[:16]}.txt"
    lines = [line for line in kept.read_text().splitlines(True) if line.endswith("\n")] if kept.is_file() else []
    kept.write_text("".join(lines))
    tell(min(len(lines), count))
    threads = dict.fromkeys(work.ONE_THREAD, str(variant.threads))
    path = {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    words = [variant.runtime, variant.threads, int(variant.optimise), len(lines), count, folder]
    command = [variant.python, "-m", "layercast.bench.identity_worker", *map(str, words)]
    if len(lines) < count:
        with (
            kept.open("a") as file,
            TemporaryFile("w+") as told,
            subprocess.Popen(command, env={**os.environ, **threads, **path, **dict(variant.environment)},
                             stdout=subprocess.PIPE, stderr=told, text=True) as run,
        ):  # fmt: skip
            assert run.stdout is not None
            for line in run.stdout:
                file.write(line)
                file.flush()
                lines.append(line)
                tell(1)
            if run.wait():
                told.seek(0)
                raise click.ClickException(f"{variant.name}: {(told.read().strip() or 'no message').splitlines()[-1]}")
    return [line.strip() for line in lines[:count]]


def report(names: Sequence[str], found: Sequence[Sequence[str]], absent: Sequence[str] = ()) -> Report:
    """How many streams agree with the first variant, in symbols and in pixels."""
    result = Report("identity", [f"Not shown here: {why}." for why in absent])
    table = Table(("variant", "streams", "same symbols", "same pixels", "SHA-256 of all digests"))
    same = 0
    for name, sums in zip(names, found, strict=True):
        pairs = [(mine.split(), first.split()) for mine, first in zip(sums, found[0], strict=True)]
        agreeing = [sum(mine[part] == first[part] for mine, first in pairs) for part in (0, 1)]
        same += agreeing == [len(sums)] * 2
        table.rows.append((name, len(sums), *agreeing, hashlib.sha256("\n".join(sums).encode()).hexdigest()[:16]))
    result.tables.append(table)
    goal = f"{same} of {len(names)} variants, {len(found[0])} streams"
    result.check("the same symbols and pixels everywhere", goal, "all", same == len(names))
    return result


@click.command("identity", short_help="The same symbols and pixels by every runtime, on any number of threads.")
@click.option("--streams", "count", type=click.IntRange(1), default=1000, show_default=True, metavar="N")
@click.option("--python", "pythons", multiple=True, metavar="PATH", help="Another Python, with another torch.")
@work.picture_options
def command(
    folder: Path, count: int, pythons: tuple[str, ...], images: int | None, match: str, workers: int, as_json: bool,
    strict: bool,
) -> None:  # fmt: skip
    """Decodes streams of pieces of the pictures in FOLDER, most of them damaged, in every way there is here."""
    from tqdm import tqdm

    from sim.peers import default_cache
    from sim.subject import codec_digest

    paths = work.pictures(folder, images, match)
    key = f"{codec_digest()} {[(path.name, path.stat().st_size) for path in paths]}"
    held = default_cache() / "identity" / hashlib.sha256(key.encode()).hexdigest()[:24]
    held.mkdir(parents=True, exist_ok=True)
    ways, absent = variants(pythons)
    work.each(write_streams, [(paths, n, count, held) for n in range(-(-count // FORMS))], workers, "streams")
    with tqdm(total=count * len(ways), desc="identity", disable=None, leave=False) as bar:
        with ThreadPoolExecutor(workers) as pool:
            found = list(pool.map(lambda way: digests(way, held, count, bar.update), ways))
    report([way.name for way in ways], found, absent).show(as_json, strict)
