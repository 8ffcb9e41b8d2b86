"""Which file a request names inside a served folder: nothing outside it, nothing hidden, nothing but pictures.

    a peer's words ─► parts (each harmless on any system) ─► resolved, still inside ─► opened without following links

Names go by `/` and are relative. What is asked for is refused with one kind of error, whether it is forbidden or is not
there, so that nobody learns what else lies on the disk.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

STREAMS = frozenset({".lcast"})
PHOTOS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp"}
)
"""Suffixes of what is served, in lower case."""
MOST_BYTES = 1 << 30
"""Of a file, unless the caller says otherwise."""
_MOST_NAME, _MOST_PARTS = 1024, 32
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
_FORBIDDEN = frozenset('\\:<>"|?*')


class NotServed(Exception):
    """There is no such file for a peer. The message says no more to it."""

    def __init__(self) -> None:
        super().__init__("there is nothing of that name here")


def parts_of(name: str) -> tuple[str, ...]:
    """The parts of a name that is harmless on every system. Raises NotServed for any other."""
    parts = tuple(name.split("/"))
    if len(name) > _MOST_NAME or len(parts) > _MOST_PARTS or not all(map(_harmless, parts)):
        raise NotServed
    return parts


def _harmless(part: str) -> bool:
    """Not empty, not hidden (so neither . nor ..), no device, no NTFS stream, nothing that only some systems keep."""
    if not part or part[0] == "." or part[-1] in ". " or _DEVICE.fullmatch(part):
        return False
    return part.isprintable() and not _FORBIDDEN.intersection(part)


def find(root: str | Path, name: str) -> Path:
    """The file that a name means inside the folder `root`, all links resolved. Raises NotServed.

    Links are followed as long as they stay inside; what is hidden is not served, by whatever name.
    """
    parts = parts_of(name)
    try:
        base = Path(root).resolve(strict=True)
        found = base.joinpath(*parts).resolve(strict=True)
        inside = found.relative_to(base).parts
        regular = stat.S_ISREG(found.lstat().st_mode)
    except (OSError, ValueError, RuntimeError):
        raise NotServed from None
    if not regular or not inside or not all(map(_harmless, inside)) or not _served(found):
        raise NotServed
    return found


def read(root: str | Path, name: str, limit: int = MOST_BYTES) -> bytes:
    """The bytes of the file that a name means; `limit`: bytes that it may have. Raises NotServed.

    The file is opened from the folder on, part by part and without following links, so that nothing can be put in its
    way after it was found.
    """
    try:
        base = Path(root).resolve(strict=True)
        handle = _open(base, find(base, name).relative_to(base).parts)
        with os.fdopen(handle, "rb") as file:
            known = os.fstat(handle)
            if not stat.S_ISREG(known.st_mode) or known.st_size > limit:
                raise NotServed
            data = file.read(limit + 1)
    except OSError:
        raise NotServed from None
    if len(data) > limit:
        raise NotServed
    return data


def names(root: str | Path) -> Iterator[str]:
    """The names of all that is served in a folder, its own files first, each folder sorted. NotServed for no folder."""
    base = Path(root)
    if not base.is_dir():
        raise NotServed
    for folder, folders, files in os.walk(base):  # does not follow links to folders
        folders[:] = sorted(filter(_harmless, folders))
        for file in sorted(files):
            name = "/".join((*Path(folder).relative_to(base).parts, file))
            if _is_served(base, name):
                yield name


def _is_served(base: Path, name: str) -> bool:
    try:
        find(base, name)
    except NotServed:
        return False
    return True


def _served(path: Path) -> bool:
    return path.suffix.lower() in STREAMS | PHOTOS


def _open(base: Path, parts: tuple[str, ...]) -> int:
    """A handle of a file, opened from its folder on; where the system cannot do that, by its resolved name."""
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if os.open not in os.supports_dir_fd:
        return os.open(base.joinpath(*parts), flags)
    folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = deeper
        return os.open(parts[-1], flags | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)
