"""A feed and a fetch over two real sessions with a lossy middle: files come, however often either end is ended."""

import random
from pathlib import Path

from layercast.net import parcel
from layercast.net.feed import Feed
from layercast.net.fetch import Change, Fetch
from layercast.net.store import Store
from tests.fuzz.parsers import streams
from tests.transport.pair import Middle, Pair
from transport import Receiver, SenderConfig

PARCELS = [parcel.pack(data, f"photo {n}.lcast") for n, data in enumerate(streams()[:3])]


class Link(Pair):
    """A pair with its applications; `what`: the changes that came."""

    def __init__(self, folder: Path, upto: int = 3, topic: str = "", forward: Middle | None = None) -> None:
        super().__init__(SenderConfig(rate=200_000, wait_for_request=True, packet_size=400), forward)
        self.store = Store(folder)
        self.store.resume()
        self.feed = Feed(self.sender, lambda name: [p for p in PARCELS if name in p.name] or None)
        self.fetch = Fetch(self.receiver, self.store, upto, topic)
        self.fetch.begin()
        self.changes: list[Change] = []

    def _take(self) -> None:
        self.feed.take()
        self.changes += list(self.fetch.take())

    def fetched(self) -> list[tuple[int, int, int] | None]:
        """Keys of the items that came in whole."""
        return [change.key for change in self.changes if change.whole]


def test_every_file_comes_and_the_end_is_known(tmp_path: Path) -> None:
    rng = random.Random(5)
    link = Link(tmp_path, forward=lambda n, data: [] if rng.random() < 0.1 else [0.05])
    link.drive()
    for packed, data in zip(PARCELS, streams()[:3], strict=True):
        assert (tmp_path / packed.name).read_bytes() == data
    assert link.fetch.ended == "" and [change.what for change in link.changes].count("complete") == 3


def test_first_layers_only_are_files_too_and_the_rest_can_follow(tmp_path: Path) -> None:
    link = Link(tmp_path, upto=0)
    link.drive()
    link.fetch.finish()
    small = (tmp_path / "photo 0.lcast").read_bytes()
    assert 20 < len(small) < 80
    later = Link(tmp_path)
    later.drive()
    assert (tmp_path / "photo 0.lcast").read_bytes() == streams()[0]


def test_only_what_was_named_comes(tmp_path: Path) -> None:
    link = Link(tmp_path, topic="photo 1")
    link.drive()
    assert [path.name for path in tmp_path.glob("*.lcast")] == ["photo 1.lcast"]
    nothing = Link(tmp_path, topic="photo 9")
    nothing.drive(5)
    assert nothing.feed.refused == "photo 9" and nothing.fetch.ended == "there is no stream of that name"


def test_ended_at_any_moment_and_resumed_nothing_is_fetched_twice(tmp_path: Path) -> None:
    rng = random.Random(7)
    fetched: list[tuple[int, int, int] | None] = []
    total = sum(len(p.items) for p in PARCELS)
    for _ in range(50):
        link = Link(tmp_path)
        link.drive(rng.uniform(0, 0.5))  # then ended without a word: neither end closes anything
        fetched += link.fetched()
        for shelf in link.store.shelves.values():
            shelf.close()
        if link.fetch.ended is not None:
            break
    last = Link(tmp_path)
    last.drive()
    fetched += last.fetched()
    assert len(fetched) == len(set(fetched)) == total
    for packed, data in zip(PARCELS, streams()[:3], strict=True):
        assert (tmp_path / packed.name).read_bytes() == data


def test_a_complete_stream_stays_on_disk_alone(tmp_path: Path) -> None:
    link = Link(tmp_path)
    link.drive()
    for shelf in link.store.shelves.values():
        assert shelf.complete and shelf.held > 1000 and not any(payload for payload, _ in shelf.items.values())
    again = Fetch(Receiver(), link.store)
    again.begin()
    again.finish()
    for packed, data in zip(PARCELS, streams()[:3], strict=True):
        assert (tmp_path / packed.name).read_bytes() == data
