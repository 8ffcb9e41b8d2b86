"""What has arrived, on disk: complete items are appended to a log a group, and a finished stream is written whole.

    FOLDER/.layercast/GROUP.part    a record an item, each with its own CRC-32; read to the first bad one
    FOLDER/.layercast/GROUP.done    the items of a group whose file stands
    FOLDER/NAME.lcast               written under another name and renamed: never half of it

Ending a program at any moment loses the item that was being written, no more.
"""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgpack

from codec.files import FileError, write_whole
from codec.stream import FormatError, parse_header
from layercast.net.parcel import ABOUT, ORDER, About, ItemKey, parse_about, parse_order, stream_of
from player.items import group_of
from transport.control import Run, runs_of

_RECORD = struct.Struct(">BBII")  # class, whether all of it, index, bytes; then the payload, then a CRC-32 of all that
_CRC = 4
_PREAMBLE, _FILE = (254, 0), (255, 0)
"""Keys of the records that hold the group's preamble, and the name of a file written before all had come."""
_WINDOWS = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
SUFFIX = ".lcast"
LOGS = ".layercast"


@dataclass
class Shelf:
    """One group: its items so far. `file` stands once the stream is complete."""

    group: int
    log: Path
    preamble: bytes = b""
    items: dict[ItemKey, tuple[bytes, bool]] = field(default_factory=dict)
    about: About | None = None
    order: list[ItemKey] = field(default_factory=list)
    file: Path | None = None
    _out: BinaryIO | None = None
    _released: int = 0

    def put(self, key: ItemKey, payload: bytes, complete: bool) -> None:
        """Keep an item; one that is complete goes to disk at once. Raises OSError when the disk does not take it."""
        self.items[key] = (payload, complete)
        if complete:
            self._append(key, payload, complete)
        self._note(key, payload, complete)

    def start(self, preamble: bytes) -> None:
        """The group's preamble came (again); one that was changed on the way gives way to the next."""
        if preamble != self.preamble and not _is_header(self.preamble):
            self.preamble = preamble
            self._append(_PREAMBLE, preamble, True)

    def name_file(self, path: Path) -> None:
        """Remember, over a restart too, which file is this group's."""
        self.file = path
        self._append(_FILE, path.name.encode(), True)

    def keep_parts(self) -> None:
        """Put on disk what has begun and is not complete: for an orderly end."""
        for key, (payload, complete) in self.items.items():
            if payload and not complete:
                self._append(key, payload, complete)
        self.close()

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None

    def release(self) -> None:
        """The file stands: the payloads need no memory any more."""
        self._released = self.held
        self.items = dict.fromkeys(self.items, (b"", True))

    @property
    def held(self) -> int:
        """Payload bytes here."""
        return self._released + sum(len(payload) for payload, _ in self.items.values())

    @property
    def complete(self) -> bool:
        """Whether every item of the stream is here whole, and its name."""
        return (
            self.about is not None
            and bool(self.order)
            and all(self.items.get(key, (b"", False))[1] for key in self.order)
        )

    def stream(self) -> bytes:
        """The stream of what is here. Raises FormatError if not even the header is any good."""
        return stream_of(self.preamble, self.items, self.order)

    def load(self) -> None:
        """Read the log up to its first bad record, and cut off what follows."""
        good = self.look()
        if good < self.log.stat().st_size:
            with open(self.log, "r+b") as out:
                out.truncate(good)

    def look(self) -> int:
        """Read the log up to its first bad record, which another program may be writing; how many bytes that is."""
        data = self.log.read_bytes()
        good = 0
        for stop, key, payload, complete in _records(data):
            if payload is None:
                break
            if key == _PREAMBLE:
                self.preamble = payload
            elif key == _FILE:
                self.file = self.log.parent.parent / payload.decode(errors="replace")
            else:
                self.items[key] = (payload, complete)
                self._note(key, payload, complete)
            good = stop
        return good

    def _note(self, key: ItemKey, payload: bytes, complete: bool) -> None:
        with contextlib.suppress(FormatError):
            if key == ABOUT and complete:
                self.about = parse_about(payload)
            if key == ORDER and complete:
                self.order = parse_order(payload)

    def _append(self, key: ItemKey, payload: bytes, complete: bool) -> None:
        if self._out is None:
            self._out = open(self.log, "ab", buffering=0)
        record = _RECORD.pack(key[0], complete, key[1], len(payload)) + payload
        self._out.write(record + zlib.crc32(record).to_bytes(_CRC, "big"))


def _is_header(data: bytes) -> bool:
    try:
        parse_header(data)
    except FormatError:
        return False
    return True


def _records(data: bytes) -> Iterator[tuple[int, ItemKey, bytes | None, bool]]:
    """(stop, key, payload, complete) of each record; the payload is None where it is damaged or cut off."""
    at = 0
    while at + _RECORD.size <= len(data):
        cls, complete, index, size = _RECORD.unpack_from(data, at)
        end = at + _RECORD.size + size
        stop = end + _CRC
        payload = data[at + _RECORD.size : end]
        good = stop <= len(data) and zlib.crc32(data[at:end]).to_bytes(_CRC, "big") == data[end:stop]
        yield stop, (cls, index), payload if good else None, bool(complete)
        at = stop


class Store:
    """A folder that streams arrive in. Raises FileError if it cannot be made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._logs = folder / LOGS
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot be made a folder ({error.strerror}); choose another place") from None
        self.shelves: dict[int, Shelf] = {}
        self.parked: set[int] = set()
        """Groups that have begun and are on disk alone; `shelf` takes them up."""
        self.done: dict[int, tuple[bytes, list[Run]]] = self._read_done()

    def resume(self, lazily: bool = False) -> None:
        """Take up the groups that an earlier run began; `lazily`: each when it is asked for."""
        for log in sorted(self._logs.glob("*.part")):
            with contextlib.suppress(ValueError, OSError):
                group = int(log.stem, 16)
                if group not in self.done and lazily:
                    self.parked.add(group)
                elif group not in self.done:
                    self.shelves[group] = shelf = Shelf(group, log)
                    shelf.load()

    def shelf(self, group: int) -> Shelf:
        """The place of a group, made when it is new."""
        if group not in self.shelves:
            self.shelves[group] = shelf = Shelf(group, self._logs / f"{group:08x}.part")
            if group in self.parked:
                self.parked.remove(group)
                shelf.load()
            else:
                shelf.log.unlink(missing_ok=True)  # of a run that is not to be resumed
        return self.shelves[group]

    def park(self, group: int) -> None:
        """Keep a group on disk alone."""
        shelf = self.shelves.pop(group)
        shelf.close()
        if group not in self.done and shelf.log.exists():
            self.parked.add(group)

    def drop(self, group: int) -> None:
        """Forget a group that has begun, on disk too."""
        shelf = self.shelves.pop(group)
        shelf.close()
        shelf.log.unlink(missing_ok=True)

    def finish(self, shelf: Shelf) -> Path:
        """Write the stream of a group as a file; a complete one needs its log no longer.

        Raises FileError, and FormatError for a group of which not even the header is here.
        """
        if shelf.file is not None and shelf.group in self.done:
            return shelf.file
        data = shelf.stream()
        before = shelf.file
        path = self._free_name(shelf) if before is None or self._misnamed(shelf) else before
        write_whole(path, data)
        if path != before:
            shelf.name_file(path)
            if before is not None:
                before.unlink(missing_ok=True)
        if shelf.complete and group_of(data) == shelf.group:
            shelf.close()
            keys = [[cls, run.start, run.step, len(run)] for cls, run in runs_of(shelf.items)]
            write_whole(self._logs / f"{shelf.group:08x}.done", msgpack.packb([shelf.preamble, path.name, keys]))
            self.done[shelf.group] = (shelf.preamble, list(runs_of(shelf.items)))
            shelf.log.unlink(missing_ok=True)
            shelf.release()
        return path

    def _misnamed(self, shelf: Shelf) -> bool:
        """Whether its file was written, by an orderly end, before its name had come, and now the name is here."""
        number = f"{shelf.group:08x}"
        return (
            shelf.file is not None
            and shelf.file.stem == number
            and shelf.about is not None
            and safe_name(shelf.about.name) not in ("", number)
        )

    def _free_name(self, shelf: Shelf) -> Path:
        """A name of the sender's choice, made harmless, that no other file here has."""
        stem = safe_name(shelf.about.name if shelf.about is not None else "") or f"{shelf.group:08x}"
        path = self.folder / f"{stem}{SUFFIX}"
        taken = {other.file for other in self.shelves.values()}
        if path in taken or path.exists():
            path = self.folder / f"{stem}-{shelf.group:08x}{SUFFIX}"
        return path

    def _read_done(self) -> dict[int, tuple[bytes, list[Run]]]:
        found: dict[int, tuple[bytes, list[Run]]] = {}
        for record in self._logs.glob("*.done"):
            with contextlib.suppress(ValueError, TypeError, OSError, msgpack.UnpackException):
                preamble, name, keys = msgpack.unpackb(record.read_bytes())
                if (self.folder / name).exists():
                    runs = [(cls, range(first, first + stride * count, stride)) for cls, first, stride, count in keys]
                    found[int(record.stem, 16)] = (preamble, runs)
        return found


def safe_name(name: str) -> str:
    """The last part of a peer's name without anything that a file system could take amiss; empty if nothing is left."""
    last = re.split(r"[/\\]", name)[-1]
    stem = last.removesuffix(SUFFIX)
    kept = "".join(c for c in stem if c.isprintable() and c not in '<>:"|?*').strip(" .")
    kept = kept.encode(errors="ignore")[:160].decode(errors="ignore").strip(" .")
    return f"_{kept}" if _WINDOWS.fullmatch(kept) else kept
