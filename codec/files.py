"""Files written whole or not at all, and the error for a file that cannot be used as asked."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class FileError(Exception):
    """A file cannot be read or written. The message reads "what is wrong; what to do", without the file's name."""


def write_whole(path: str | Path, data: bytes) -> None:
    """Write a file under another name beside it, then rename it: no half of it ever stands. Raises FileError."""
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(data)  # a pipe or a device
        else:
            _replace(target, data)
    except OSError as error:
        raise FileError(f"cannot be written ({error.strerror}); choose another place") from None


def _replace(target: Path, data: bytes) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        part.replace(target)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
