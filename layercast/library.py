"""An index of captions: streams are found by what they show, and of each file only header and caption are read.

    folder of .lcast ──► update: what is new or changed ──► one SQLite file ──► find: by meaning, or by words (FTS5)

The index is kept up to date, never built anew; without the extra `search` it has words alone, and gets the meanings
when they can be had. Text is data here: no query can become SQL or FTS syntax.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from codec import caption
from codec.stream import FormatError, Kind, frames, parse_header
from layercast import meaning

NAME = ".layercast-index.sqlite"  # in the folder that is indexed, unless another place is named
_FIRST_READ = 64  # bytes: a header and nearly every caption
_MOST_READ = 1 << 17  # a caption is shorter, whatever a damaged file says
_EMBED = 512  # captions at a time
_TABLES = """
CREATE TABLE IF NOT EXISTS files (id INTEGER PRIMARY KEY, path TEXT UNIQUE NOT NULL, changed INTEGER NOT NULL,
    size INTEGER NOT NULL, caption TEXT NOT NULL, vector BLOB);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(caption, tokenize='porter unicode61');
PRAGMA user_version = 1;
"""


@dataclass(frozen=True)
class Update:
    """What an update did: files by what became of them, bytes read of them, files that are no streams."""

    added: int
    changed: int
    removed: int
    read: int
    refused: list[str]


@dataclass(frozen=True)
class Hit:
    """A stream found. score: 0..1, cosine by meaning; by words, relative to the best."""

    path: Path
    caption: str
    score: float


def read_caption(path: Path) -> tuple[str | None, int]:
    """(the caption of a stream, bytes read for it): its first bytes alone. Raises OSError, FormatError."""
    data = b""
    with path.open("rb", buffering=0) as file:
        while True:
            data += file.read(max(_FIRST_READ, len(data)))
            size = parse_header(data)[1]
            first = next(iter(frames(data, size)), None)
            short = first is None or first.chunk.cut
            if short and len(data) < min(os.fstat(file.fileno()).st_size, _MOST_READ):
                continue
            if first is None or first.chunk.kind != Kind.CAPTION:
                return None, len(data)
            text = caption.decode(first.chunk.payload, parse_header(data)[0].weights, not first.chunk.cut).text
            return text, len(data)


class Library:
    """The index of one folder. Use it as a context manager.

    place: the SQLite file; by_meaning: whether sentences are compared by what they say. Raises sqlite3.Error for a file
    that is no index.
    """

    def __init__(self, folder: Path, place: Path | None = None, by_meaning: bool | None = None) -> None:
        self.folder = folder
        self.by_meaning = meaning.available() if by_meaning is None else by_meaning
        self._base = sqlite3.connect(place or folder / NAME)
        self._base.executescript(_TABLES)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._base.close()

    def __len__(self) -> int:
        return int(self._base.execute("SELECT count(*) FROM files").fetchone()[0])

    def update(self, progress: Callable[[int, int], None] | None = None) -> Update:
        """Reads what is new or changed in the folder and below, forgets what is gone. What is done stays done."""
        known = {path: (i, changed, size) for i, path, changed, size in self._rows("id, path, changed, size")}
        found = sorted(path for path in self.folder.rglob("*.lcast") if path.is_file())
        added = changed = read = 0
        refused = []
        for number, path in enumerate(found):
            name, stat = path.relative_to(self.folder).as_posix(), path.stat()
            old = known.pop(name, None)
            if old is not None and old[1:] == (stat.st_mtime_ns, stat.st_size):
                continue
            try:
                text, bytes_read = read_caption(path)
            except (OSError, FormatError) as error:
                refused.append(f"{path}: {error}")
                continue
            self._put(old[0] if old else None, name, stat.st_mtime_ns, stat.st_size, text or "")
            added, changed, read = added + (old is None), changed + (old is not None), read + bytes_read
            if number % 256 == 0:
                self._base.commit()
            if progress is not None:
                progress(number + 1, len(found))
        for i, _, _ in known.values():
            self._forget(i)
        self._base.commit()
        if self.by_meaning:
            self._understand()
        return Update(added, changed, len(known), read, refused)

    def find(self, text: str, limit: int = 10) -> list[Hit]:
        """The streams whose captions are nearest to `text`, the best first."""
        rows = self._by_meaning(text, limit) if self.by_meaning else self._by_words(text, limit)
        found = []
        for i, score in rows:
            path, words = self._base.execute("SELECT path, caption FROM files WHERE id = ?", (i,)).fetchone()
            found.append(Hit(self.folder / path, words, score))
        return found

    def _rows(self, columns: str) -> Iterable[tuple[int, str, int, int]]:
        return self._base.execute(f"SELECT {columns} FROM files").fetchall()

    def _put(self, old: int | None, name: str, changed: int, size: int, text: str) -> None:
        if old is not None:
            self._forget(old)
        row = self._base.execute(
            "INSERT INTO files (path, changed, size, caption) VALUES (?, ?, ?, ?)", (name, changed, size, text)
        )
        self._base.execute("INSERT INTO words (rowid, caption) VALUES (?, ?)", (row.lastrowid, text))

    def _forget(self, i: int) -> None:
        self._base.execute("DELETE FROM files WHERE id = ?", (i,))
        self._base.execute("DELETE FROM words WHERE rowid = ?", (i,))

    def _understand(self) -> None:
        """Gives a direction to each caption that has none."""
        while rows := self._base.execute(
            "SELECT id, caption FROM files WHERE vector IS NULL AND caption != '' LIMIT ?", (_EMBED,)
        ).fetchall():
            vectors = meaning.directions([text for _, text in rows])
            self._base.executemany(
                "UPDATE files SET vector = ? WHERE id = ?",
                [(vector.tobytes(), i) for (i, _), vector in zip(rows, vectors, strict=True)],
            )
            self._base.commit()

    def _by_meaning(self, text: str, limit: int) -> list[tuple[int, float]]:
        rows = self._base.execute("SELECT id, vector FROM files WHERE vector IS NOT NULL").fetchall()
        if not rows:
            return []
        stored = np.frombuffer(b"".join(vector for _, vector in rows), np.int8).reshape(len(rows), meaning.SIZE)
        wanted = meaning.directions([text])[0].astype(np.float32)
        parts = np.array_split(stored, 1 + len(rows) // 4096)  # in floats one after the other
        cosines = np.concatenate([part.astype(np.float32) @ wanted for part in parts])
        best = np.argsort(-cosines, kind="stable")[:limit]
        return [(rows[i][0], float(cosines[i]) / 127**2) for i in best]

    def _by_words(self, text: str, limit: int) -> list[tuple[int, float]]:
        query = any_of(text)
        if not query:
            return []
        rows = self._base.execute(
            "SELECT rowid, -bm25(words) FROM words WHERE words MATCH ? ORDER BY 2 DESC, rowid LIMIT ?", (query, limit)
        ).fetchall()
        top = max((score for _, score in rows), default=0.0)
        return [(i, score / top if top > 0 else 0.0) for i, score in rows]


def any_of(text: str) -> str:
    """An FTS5 query for any word of a text; its own syntax has no meaning in it."""
    return " OR ".join(f'"{word}"' for word in re.findall(r"\w+", text))


class Matcher:
    """Whether captions speak of something: all words of it in any form, as the index sees words."""

    def __init__(self, text: str) -> None:
        words = re.findall(r"\w+", text)
        if not words:
            raise ValueError(f"{text!r} has no words to look for")
        self._query = " AND ".join(f'"{word}"' for word in words)
        self._base = sqlite3.connect(":memory:")
        self._base.execute("CREATE VIRTUAL TABLE one USING fts5(caption, tokenize='porter unicode61')")

    def __call__(self, text: str) -> bool:
        self._base.execute("DELETE FROM one")
        self._base.execute("INSERT INTO one VALUES (?)", (text,))
        return self._base.execute("SELECT 1 FROM one WHERE one MATCH ?", (self._query,)).fetchone() is not None

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._base.close()
