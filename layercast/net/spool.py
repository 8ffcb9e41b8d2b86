"""An outbox on disk: streams wait here until a link takes them, over power cuts and restarts.

    FOLDER/spool.db                SQLite: what waits, what of it was delivered, what a day has cost
    FOLDER/streams/GROUP.lcast     the streams, written whole or not at all

A file is on the disk before its row is, and a row is gone before its file is, so after a crash there are at most files
too many, and those are taken away when the spool is opened; nothing else in the folder is touched. What `add`, `thin`
and `spend` have returned from is safe; a lost note of a delivery costs sending that item again. Several processes may
use a spool at the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from codec import plan
from codec.files import FileError
from codec.stream import FormatError, write
from layercast.net.outbox import FIRST, NO_RESIDUAL, WHOLE, Budget, Waiting, day_of, in_order, thin
from layercast.net.parcel import ABOUT, ORDER, ItemKey, Parcel, pack
from layercast.stream import Stream

BLOCK = 4096
"""Bytes of a budget that are written off at a time, before they are sent: a crash wastes at most these."""
_OURS = re.compile(r"[0-9a-f]{8}\.(lcast|part)")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    grp INTEGER PRIMARY KEY, name TEXT NOT NULL, created REAL NOT NULL, digest BLOB NOT NULL,
    level INTEGER NOT NULL, size0 INTEGER NOT NULL, size1 INTEGER NOT NULL, size2 INTEGER NOT NULL,
    about BLOB NOT NULL, ord BLOB NOT NULL, sent REAL);
CREATE TABLE IF NOT EXISTS delivered (
    grp INTEGER NOT NULL, cls INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (grp, cls, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (day INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
"""


class SpoolFull(FileError):
    """The size limit is reached, and nothing can be made thinner."""


class Spool:
    """The outbox in `folder`, made if it is not there. Raises FileError where the disk does not take it.

    limit: bytes that the streams may take together. newest_first: order of sending. budget: what a day may cost.
    """

    def __init__(
        self,
        folder: str | Path,
        limit: int | None = None,
        newest_first: bool = False,
        budget: Budget | None = None,
    ) -> None:
        self.folder = Path(folder)
        self._streams = self.folder / "streams"
        self.limit = limit
        self.newest_first = newest_first
        self.budget = budget
        self._written_off: dict[int, int] = {}  # day -> bytes written off and not yet sent
        with _on_disk():
            self._streams.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.folder / "spool.db", timeout=30.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)
            self._recover()

    def close(self) -> None:
        self._db.close()

    # --- filling ---

    def add(self, data: bytes, name: str, now: float) -> int:
        """Put a stream in; its group. One that waits or was sent before is not put in again.

        Raises FormatError for bytes that are no stream, SpoolFull, FileError. Once this returns, the stream is safe.
        """
        stream, parcel = Stream(data), pack(data, name)
        digest = hashlib.sha256(data).digest()
        fixed = {(item.cls, item.index): item.payload for item in parcel.items}
        with _on_disk(), self._mending(), self._transaction():
            known = self._db.execute("SELECT digest FROM streams WHERE grp = ?", (parcel.group,)).fetchone()
            if known is not None:
                if known[0] != digest:
                    raise FileError("has the same group as another stream in the spool; change its caption a little")
                return parcel.group
            sizes = (len(data), len(_thinned(stream, NO_RESIDUAL)), len(_thinned(stream, FIRST)))
            new = Waiting(parcel.group, name, now, WHOLE, sizes)
            level = self._make_room(new)
            self._write(parcel.group, _thinned(stream, level))
            self._db.execute(
                "INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (parcel.group, name, now, digest, level, *sizes, fixed[ABOUT], fixed[ORDER]),
            )
        return parcel.group

    def thin(self) -> None:
        """Keep to the size limit, should it have become smaller. Raises SpoolFull."""
        with _on_disk(), self._mending(), self._transaction():
            self._make_room(None)

    def _make_room(self, new: Waiting | None) -> int:
        """Thin what is there, so that the new one fits; the level that the new one goes in with."""
        if self.limit is None:
            return WHOLE
        changes = thin([*self._rows(), *([new] if new else [])], self.limit)
        if changes is None:
            raise SpoolFull(f"is full: {self.limit:,} bytes, and every picture is down to caption and thumbnail")
        for group, level in changes:
            if new is None or group != new.group:
                self._write(group, _thinned(Stream(self._path(group).read_bytes()), level))
                self._db.execute("UPDATE streams SET level = ? WHERE grp = ?", (level, group))
        return dict(changes).get(new.group, WHOLE) if new else WHOLE

    # --- sending ---

    def waiting(self) -> list[Waiting]:
        """What waits, in the order of sending."""
        return in_order(self._rows(), self.newest_first)

    def next(self) -> Waiting | None:
        """What should be sent next."""
        return next(iter(self.waiting()), None)

    def parcel(self, group: int, all_items: bool = False) -> Parcel:
        """A stream that waits, as items to submit: those not noted as delivered, unless `all_items`.

        A thinned stream keeps its group and the items that tell its name and order, so a receiver puts what it has of
        before and after together. Raises KeyError for a group that does not wait, FileError, FormatError.
        """
        row = self._db.execute(
            "SELECT name, about, ord FROM streams WHERE grp = ? AND sent IS NULL", (group,)
        ).fetchone()
        if row is None:
            raise KeyError(group)
        with _on_disk():
            parcel = pack(self._path(group).read_bytes(), row[0])
        fixed = {ABOUT: row[1], ORDER: row[2]}
        here = {(item.cls, item.index): item for item in parcel.items}
        done = set() if all_items else self.delivered(group)
        items = (
            replace(item, group=group, payload=fixed.get(key, item.payload))
            for key, item in here.items()
            if key not in done
        )
        return replace(parcel, group=group, items=tuple(items))

    def delivered(self, group: int) -> set[ItemKey]:
        """(class, index) of the items of a group that are noted as delivered."""
        rows = self._db.execute("SELECT cls, idx FROM delivered WHERE grp = ?", (group,))
        return {(cls, index) for cls, index in rows}

    def mark_delivered(self, group: int, keys: Iterable[ItemKey]) -> None:
        """Note items (class, index) that the peer has. Cheap: it does not wait for the disk."""
        with _on_disk(), self._transaction(durable=False):
            rows = [(group, *key) for key in keys]
            self._db.executemany("INSERT OR IGNORE INTO delivered VALUES (?, ?, ?)", rows)

    def finish(self, group: int, now: float) -> None:
        """The peer has all of a stream that it wants: it waits no longer, its file goes, that it was sent is kept."""
        with _on_disk():
            with self._transaction():
                self._db.execute("UPDATE streams SET sent = ? WHERE grp = ? AND sent IS NULL", (now, group))
                self._db.execute("DELETE FROM delivered WHERE grp = ?", (group,))
            self._path(group).unlink(missing_ok=True)

    def forget_sent(self, before: float) -> None:
        """Forget streams that were sent before a time (s): they could be put in again."""
        with _on_disk(), self._transaction():
            self._db.execute("DELETE FROM streams WHERE sent < ?", (before,))
            self._db.execute("DELETE FROM spent WHERE day < ?", (day_of(before),))

    # --- budget ---

    def left(self, now: float) -> int | None:
        """Bytes that may still be sent today (UTC); None without a budget."""
        return (
            None if self.budget is None else self.budget.left(self.spent(now)) + self._written_off.get(day_of(now), 0)
        )

    def spent(self, now: float) -> int:
        """Bytes written off today, with those not yet sent."""
        row = self._db.execute("SELECT bytes FROM spent WHERE day = ?", (day_of(now),)).fetchone()
        return int(row[0]) if row else 0

    def spend(self, size: int, now: float) -> bool:
        """So many bytes are about to leave; False, and they must not, if the day's budget does not hold them.

        Written off before they leave and a block at a time, so a crash can waste a little budget, never exceed it.
        """
        day = day_of(now)
        ready = self._written_off.get(day, 0)
        if ready < size:
            with _on_disk(), self._transaction(durable=self.budget is not None):
                left = self.budget.left(self.spent(now)) if self.budget is not None else max(size, BLOCK)
                block = min(max(size - ready, BLOCK, left // 256), left)
                if ready + block < size:
                    return False
                self._db.execute(
                    "INSERT INTO spent VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET bytes = bytes + excluded.bytes",
                    (day, block),
                )
            ready += block
        self._written_off = {day: ready - size}
        return True

    # --- disk ---

    def _rows(self) -> list[Waiting]:
        rows = self._db.execute("SELECT grp, name, created, level, size0, size1, size2 FROM streams WHERE sent IS NULL")
        return [Waiting(group, name, created, level, tuple(sizes)) for group, name, created, level, *sizes in rows]

    def _path(self, group: int) -> Path:
        return self._streams / f"{group:08x}.lcast"

    def _write(self, group: int, data: bytes) -> None:
        """A file, on the disk whole under its name before this returns; until then what was there before."""
        path = self._path(group)
        part = path.with_suffix(".part")
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        self._sync_folder()

    def _sync_folder(self) -> None:
        if os.name == "posix":  # elsewhere a rename is on the disk when the system says so
            handle = os.open(self._streams, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _recover(self) -> None:
        """After a crash: files of no row go, and a row whose file was thinned already says so."""
        with self._transaction():
            rows = {each.group: each for each in self._rows()}
            kept = {f"{group:08x}.lcast" for group in rows}
            for path in self._streams.iterdir():
                if _OURS.fullmatch(path.name) and path.name not in kept:
                    path.unlink(missing_ok=True)
            for each in rows.values():
                size = self._path(each.group).stat().st_size if self._path(each.group).exists() else None
                if size is None:  # taken away by hand
                    self._db.execute("DELETE FROM streams WHERE grp = ?", (each.group,))
                elif size != each.size and size in each.sizes:
                    level = each.sizes.index(size)
                    self._db.execute("UPDATE streams SET level = ? WHERE grp = ?", (level, each.group))
            self._db.execute("DELETE FROM delivered WHERE grp NOT IN (SELECT grp FROM streams WHERE sent IS NULL)")

    @contextlib.contextmanager
    def _mending(self) -> Iterator[None]:
        """What fails half-way (a full disk) leaves the files and the rows in agreement."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError, sqlite3.Error):
                self._recover()
            raise

    @contextlib.contextmanager
    def _transaction(self, durable: bool = True) -> Iterator[None]:
        """All or nothing, alone; `durable`: on the disk when it ends."""
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _thinned(stream: Stream, level: int) -> bytes:
    """The stream's bytes at a level; the same where it has nothing to lose."""
    if level == WHOLE:
        return stream.data
    if level == NO_RESIDUAL:
        return stream.upto("latent").data
    header = stream.header
    return write(header, [chunk for chunk in stream.chunks if plan.protection_of(header, chunk.key) == "base"])


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    """What can go wrong with the disk, as a FileError."""
    try:
        yield
    except FormatError:
        raise
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FileError(f"the spool cannot be used ({reason}); check the disk") from None
