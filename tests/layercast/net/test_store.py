"""What is on disk after any end of the program: whole items, whole files, harmless names."""

import random
from pathlib import Path

import pytest

from layercast.net import parcel
from layercast.net.store import Store, safe_name
from tests.fuzz.parsers import streams


def filled(folder: Path, count: int | None = None) -> tuple[Store, parcel.Parcel]:
    packed = parcel.pack(streams()[0], "pier.lcast")
    store = Store(folder)
    shelf = store.shelf(packed.group)
    shelf.start(packed.preamble)
    for item in packed.items[:count]:
        shelf.put((item.cls, item.index), item.payload, item.ends)
    return store, packed


def test_a_complete_stream_is_the_file_that_was_sent(tmp_path: Path) -> None:
    store, packed = filled(tmp_path)
    shelf = store.shelves[packed.group]
    assert shelf.complete
    assert store.finish(shelf) == tmp_path / "pier.lcast"
    assert (tmp_path / "pier.lcast").read_bytes() == streams()[0]
    assert not shelf.log.exists()
    assert packed.group in Store(tmp_path).done


def test_a_log_cut_or_damaged_anywhere_gives_whole_items(tmp_path: Path) -> None:
    store, packed = filled(tmp_path)
    shelf = store.shelves[packed.group]
    shelf.close()
    whole, rng = shelf.log.read_bytes(), random.Random(1)
    sent = {(item.cls, item.index): item.payload for item in packed.items}
    for _ in range(200):
        damaged = bytearray(whole[: rng.randrange(len(whole))])
        if damaged and rng.random() < 0.5:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        shelf.log.write_bytes(damaged)
        again = Store(tmp_path)
        again.resume()
        for key, (payload, complete) in again.shelves[packed.group].items.items():
            assert not complete or sent.get(key) == payload
        more = again.shelves[packed.group]
        more.put((3, 8 * 999 + 5), b"later", True)
        more.close()
        third = Store(tmp_path)
        third.resume()
        assert third.shelves[packed.group].items[3, 8 * 999 + 5] == (b"later", True)


def test_a_partial_stream_keeps_its_file_over_a_restart(tmp_path: Path) -> None:
    store, packed = filled(tmp_path, 3)
    first = store.finish(store.shelves[packed.group])
    store.shelves[packed.group].close()
    again = Store(tmp_path)
    again.resume()
    shelf = again.shelves[packed.group]
    for item in packed.items[3:]:
        shelf.put((item.cls, item.index), item.payload, item.ends)
    assert again.finish(shelf) == first
    assert first.read_bytes() == streams()[0]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [first.name]


def test_two_streams_of_one_name_stand_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "pier.lcast").write_bytes(b"mine")
    store, packed = filled(tmp_path)
    path = store.finish(store.shelves[packed.group])
    assert path.name == f"pier-{packed.group:08x}.lcast"
    assert (tmp_path / "pier.lcast").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.lcast", "a"),
        ("../../etc/passwd", "passwd"),
        ("C:\\boot\\x.lcast", "x"),
        ("..", ""),
        (".hidden", "hidden"),
        ("con.lcast", "_con"),
        ("a\0b\nc", "abc"),
        ("ü" * 300, "ü" * 80),
    ],
)
def test_names_of_a_peer_are_made_harmless(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_header_that_was_changed_on_the_way_gives_way_to_the_next(tmp_path: Path) -> None:
    packed = parcel.pack(streams()[0], "pier.lcast")
    shelf = Store(tmp_path).shelf(packed.group)
    changed = bytes([packed.preamble[0] ^ 0xFF]) + packed.preamble[1:]
    for preamble in (changed, packed.preamble, changed):
        shelf.start(preamble)
    assert shelf.preamble == packed.preamble
    shelf.close()
    again = Store(tmp_path)
    again.resume()
    assert again.shelves[packed.group].preamble == packed.preamble
