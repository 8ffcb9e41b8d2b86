"""The index of captions: kept up to date, few bytes read, nothing in a query that could be syntax."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import caption
from codec.stream import Chunk, FormatError, Header, Kind, write
from layercast import meaning
from layercast.library import Library, Matcher, any_of, read_caption

HEADER = Header(640, 480, 3, 1)
SHOWN = {"a": "Two dogs run through deep snow.", "b": "A red bus waits at a stop.", "c": "A puppy sleeps.", "d": None}


def stream(text: str | None, rest: int = 5000) -> bytes:
    words = [] if text is None else [Chunk(Kind.CAPTION, 0, caption.encode(text))]
    return write(HEADER, [*words, Chunk(Kind.LATENT, 0, bytes(19)), Chunk(Kind.RESIDUAL, 0, bytes(rest))])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    for name, text in SHOWN.items():
        (tmp_path / ("below" if name == "c" else ".") / f"{name}.lcast").write_bytes(stream(text))
    return tmp_path


def test_only_the_first_bytes_are_read(folder: Path) -> None:
    assert read_caption(folder / "a.lcast") == (SHOWN["a"], 64)
    assert read_caption(folder / "d.lcast") == (None, 64)
    long = "Snow. " * 200
    (folder / "long.lcast").write_bytes(stream(long.strip()))
    text, read = read_caption(folder / "long.lcast")
    assert text == long.strip() and read < 5000


def test_a_cut_or_damaged_file(folder: Path) -> None:
    whole = (folder / "a.lcast").read_bytes()
    (folder / "cut.lcast").write_bytes(whole[:9])
    assert SHOWN["a"].startswith((read_caption(folder / "cut.lcast")[0] or "")[:3])
    (folder / "cut.lcast").write_bytes(b"")
    with pytest.raises(FormatError):
        read_caption(folder / "cut.lcast")


def test_the_index_follows_the_folder(folder: Path) -> None:
    with Library(folder, by_meaning=False) as library:
        first = library.update()
        assert (first.added, first.changed, first.removed, first.refused) == (4, 0, 0, [])
        assert first.read == 4 * 64
        assert library.update().read == 0
        (folder / "b.lcast").write_bytes(stream("A green bus waits.", 4000))
        os.utime(folder / "b.lcast", (1, 1))
        (folder / "a.lcast").unlink()
        (folder / "junk.lcast").write_bytes(b"junk")
        done = library.update()
        assert (done.added, done.changed, done.removed) == (0, 1, 1)
        assert len(done.refused) == 1 and "junk.lcast" in done.refused[0]
    with Library(folder, by_meaning=False) as library:
        assert len(library) == 3
        assert [hit.caption for hit in library.find("green buses")] == ["A green bus waits."]


def test_words_in_any_form_the_rarest_first(folder: Path) -> None:
    with Library(folder, by_meaning=False) as library:
        library.update()
        hits = library.find("a dog running")
        assert hits[0].path == folder / "a.lcast" and hits[0].score == 1.0
        assert library.find("zeppelin") == [] and library.find("...") == []
        assert [hit.path for hit in library.find("puppies")] == [folder / "below" / "c.lcast"]


@given(st.text(max_size=60))
def test_no_query_is_syntax(text: str) -> None:
    base = sqlite3.connect(":memory:")
    base.execute("CREATE VIRTUAL TABLE words USING fts5(caption, tokenize='porter unicode61')")
    query = any_of(text)
    if query:
        base.execute("SELECT count(*) FROM words WHERE words MATCH ?", (query,)).fetchone()


def test_matcher_wants_every_word_in_any_form() -> None:
    match = Matcher("dog snow")
    assert match("Two dogs run through deep snow.") and not match("A dog sleeps.")
    assert not match("")
    with pytest.raises(ValueError, match="no words"):
        Matcher("?!")


def test_a_file_that_is_no_index(folder: Path) -> None:
    (folder / "other").write_bytes(b"this is no database, and long enough to be looked at" * 40)
    with pytest.raises(sqlite3.DatabaseError):
        Library(folder, folder / "other")


@pytest.mark.skipif(not meaning.available(), reason="the extra `search` is not installed")
def test_meanings_find_other_words(folder: Path) -> None:
    vectors = meaning.directions(["A puppy.", "A young dog.", "A red bus."]).astype(np.int32)
    assert vectors[0] @ vectors[1] > 2 * (vectors[0] @ vectors[2])
    with Library(folder, by_meaning=False) as library:
        library.update()
    with Library(folder) as library:
        library.update()
        assert library.find("a small dog taking a nap")[0].path == folder / "below" / "c.lcast"
