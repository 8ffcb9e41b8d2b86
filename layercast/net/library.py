"""What is offered to receivers: streams by name. A peer's words only ever choose among these names, so no name that a
peer makes up reaches the file system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from codec.files import FileError
from layercast.net.parcel import Parcel, pack
from layercast.net.store import SUFFIX

Encode = Callable[[Path], bytes]
"""Makes a stream of a photo. Raises OSError, FileError, FormatError or another one-line error."""
Wrap = Callable[[Parcel], Parcel]
"""Raises ValueError for a parcel that it cannot take."""


class Library:
    """Streams, and photos made into streams, of files and folders (subfolders left out)."""

    def __init__(self, sources: Sequence[Path], encode: Encode, wrap: Wrap | None = None) -> None:
        """Raises FileError for a source that is not there or can be no stream. `wrap`: what is done to each parcel."""
        self._wrap = wrap
        self._files: dict[str, Path] = {}
        self._folders = [source for source in sources if source.is_dir()]
        self._encoded: dict[str, bytes] = {}
        for source in sources:
            if not source.is_dir():
                self._add(source, encode)
        self.look()
        self._parcel = lru_cache(maxsize=64)(self._read)

    @property
    def names(self) -> list[str]:
        return list(self._files)

    def look(self) -> None:
        """Note the streams that have come into the folders."""
        for folder in self._folders:
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                    self._files.setdefault(path.name, path)

    def find(self, topic: str) -> list[Parcel] | None:
        """The parcel of a name (with or without its ending), all of them for ""; None for a name that there is not."""
        self.look()
        chosen = [name for name in self._files if topic in ("", name, name.removesuffix(SUFFIX))]
        parcels = [parcel for name in chosen if (parcel := self._parcel(name)) is not None]
        return parcels if parcels or not topic else None

    def _add(self, path: Path, encode: Encode) -> None:
        name = path.name if path.suffix == SUFFIX else f"{path.stem}{SUFFIX}"
        if not path.exists():
            raise FileError("no such file; check the name")
        self._files[name] = path
        if path.suffix != SUFFIX:
            self._encoded[name] = encode(path)

    def _read(self, name: str) -> Parcel | None:
        """None for a file that is no longer a stream: one broken file must not stop the others."""
        try:
            data = self._encoded.get(name) or self._files[name].read_bytes()
            parcel = pack(data, name)
            return parcel if self._wrap is None else self._wrap(parcel)
        except (OSError, ValueError):
            return None
