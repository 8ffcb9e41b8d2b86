"""The learned tables and weights of the codec: which there are, reading them, checking them.

Each set of weights that a header can name is a folder under `codec/weights`; each layer keeps its own files there, in
the safetensors layout, which is read here with numpy alone (a field device has no room for more).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from codec.stream import FormatError

SETS = {0: "tiny", 1: "base"}  # the sets that a header can name
FOLDER = Path(__file__).parent / "weights"
SUMS = FOLDER / "SHA256SUMS"
READS = "draft 0"

_DTYPES = {
    "BOOL": "bool", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """One file of weights. `parameters` counts the numbers in it, `size` its bytes; `licence` is the file beside it."""

    set: str
    name: str
    path: Path
    size: int
    parameters: int
    sha256: str
    licence: Path | None


def set_name(weights: int | str) -> str:
    """The folder of a set of weights, given by its number in the header or by name. Raises FormatError if unknown."""
    name = SETS.get(weights) if isinstance(weights, int) else weights
    if name is None or not (FOLDER / name).is_dir():
        raise FormatError(
            f"offset 1: weights set {weights} is unknown to this version (it reads {READS} with sets"
            f" {', '.join(f'{number} {known}' for number, known in SETS.items())}); a later layercast reads it"
        )
    return name


@cache
def load(weights: int | str, name: str) -> dict[str, np.ndarray]:
    """The arrays of a file of weights, read only, by name. Cached.

    weights: number in the header (0 tiny, 1 base) or the folder's name, as "research". Raises FormatError for a set
    that this version does not have, FileNotFoundError for a missing file of a set that it has.
    """
    return read_safetensors((FOLDER / set_name(weights) / f"{name}.safetensors").read_bytes())


def restored(stored: dict[str, np.ndarray], name: str) -> np.ndarray:
    """The float32 numbers of an array that is stored in half precision, or in 8 bits beside NAME.scale."""
    numbers = stored[name].astype(np.float32)
    return numbers * stored[f"{name}.scale"] if f"{name}.scale" in stored else numbers


def read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file: 8 bytes length of the head, the head as JSON, the numbers. Else ValueError."""
    head_end = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or head_end > len(data):
        raise ValueError("not a safetensors file: its head is cut")
    try:
        entries = json.loads(data[8:head_end])
        entries.pop("__metadata__", None)
        numbers = data[head_end:]
        return {name: _array(numbers, entry) for name, entry in entries.items()}
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
        raise ValueError("not a safetensors file: its head is damaged") from None


def _array(numbers: bytes, entry: dict[str, Any]) -> np.ndarray:
    start, end = entry["data_offsets"]
    found = np.frombuffer(numbers[start:end], dtype=_DTYPES[entry["dtype"]])
    return found.reshape([int(side) for side in entry["shape"]])


def _files() -> list[Path]:
    return sorted(FOLDER.glob("*/*.safetensors"))


def models() -> Iterator[Model]:
    """Every file of weights in this installation."""
    for path in _files():
        data = path.read_bytes()
        licence = path.with_suffix(".LICENSE")
        yield Model(
            set=path.parent.name,
            name=path.stem,
            path=path,
            size=len(data),
            parameters=sum(array.size for array in read_safetensors(data).values()),
            sha256=hashlib.sha256(data).hexdigest(),
            licence=licence if licence.is_file() else None,
        )


def sums() -> str:
    """What SHA256SUMS should say, in the layout of `sha256sum`."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(FOLDER).as_posix()}\n" for path in _files()
    )


def _by_path(text: str) -> dict[str, str]:
    """Path to checksum, of lines as `sha256sum` writes them."""
    return {path: checksum for checksum, path in (line.split("  ", 1) for line in text.splitlines())}


def verify() -> list[str]:
    """What is wrong with the installed weights, a line each; nothing if every file is there and unchanged."""
    expected = _by_path(SUMS.read_text()) if SUMS.is_file() else {}
    found = _by_path(sums())
    problems = [f"{name}: missing" for name in sorted(expected.keys() - found.keys())]
    problems += [f"{name}: not in SHA256SUMS" for name in sorted(found.keys() - expected.keys())]
    problems += [f"{name}: changed" for name in sorted(found.keys() & expected.keys()) if found[name] != expected[name]]
    return sorted(problems)


if __name__ == "__main__":  # run by whoever adds weights: python -m codec.models
    SUMS.write_text(sums())
