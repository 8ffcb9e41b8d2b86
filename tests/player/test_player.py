"""The player: any order, growing prefixes, garbage; with a decoder of the test's own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import codec
from codec.stream import Chunk, FormatError, Header, Kind
from codec.structure.regions import Region
from player import Player, Want
from player.items import index_of, key_of
from tests.fuzz.parsers import streams

HEADER = Header(32, 24, 3, 0, 2)


class Notebook:
    """Notes what it is given; its picture's brightness is the number of bytes that it holds."""

    def __init__(self, header: Header) -> None:
        if header.width == 33:
            raise FormatError("offset 2: too wide for this one")
        self.header = header
        self.caption: str | None = None
        self.pushed: list[Chunk] = []

    def push(self, chunk: Chunk) -> None:
        self.pushed.append(chunk)
        if chunk.kind == Kind.CAPTION:
            self.caption = chunk.payload.decode()

    def picture(self) -> np.ndarray:
        size = sum({chunk.key: len(chunk.payload) for chunk in self.pushed if chunk.kind != Kind.CAPTION}.values())
        return np.full((self.header.height, self.header.width, 3), size, np.uint8)

    def exact_area(self) -> float:
        return float(len(self.pushed) > 1)

    def verified(self) -> bool | None:
        return True

    def layers(self) -> Sequence[str]:
        return sorted({"caption" if chunk.kind == Kind.CAPTION else "latent" for chunk in self.pushed})


def player() -> Player:
    return Player(
        reference=np.zeros((24, 32, 3), np.uint8),
        measure=lambda reference, shown: {"brightness": float(shown.mean() - reference.mean())},
        decoder=Notebook,
    )


def test_keys_and_item_indices() -> None:
    for key in [(Kind.CAPTION, 0), (Kind.LATENT, 12), (Kind.CHECK, 0), (Kind.RESIDUAL, (1 << 19) - 1)]:
        assert key_of(index_of(key)) == key
    with pytest.raises(FormatError, match="unknown kind 7"):
        key_of(15)
    with pytest.raises(ValueError, match="too large"):
        index_of((Kind.RESIDUAL, 1 << 19))


def test_a_picture_grows() -> None:
    watched = player()
    assert watched.picture(0.0) is None and watched.look(0.0).bytes == 0
    watched.push(index_of((Kind.LATENT, 1)), b"12345", True, 0.5)
    assert watched.picture(0.5) is None, "chunks wait for the header"
    watched.start(HEADER.encode(), 1.0)
    watched.push(index_of((Kind.CAPTION, 0)), b"a dog", True, 1.0)
    assert watched.caption == "a dog"
    first = watched.look(1.5)
    assert (first.bytes, first.caption, first.layers) == (8 + 5 + 2 + 5 + 2, "a dog", ("caption", "latent"))
    watched.push(index_of((Kind.LATENT, 2)), b"123", False, 2.0)
    watched.push(index_of((Kind.LATENT, 2)), b"1234567", False, 2.1)
    watched.push(index_of((Kind.LATENT, 2)), b"12345", False, 2.2)
    second = watched.look(3.0)
    assert [moment.quality.get("brightness") for moment in watched.timeline] == [None, 5.0, 12.0]
    assert second.bytes == first.bytes + 7 + 2
    cut = watched._decoder.pushed[-1]  # type: ignore[union-attr]
    assert cut.cut and cut.payload == b"1234567", "only the longest prefix went to the decoder, as a cut chunk"


def test_the_log_can_be_read() -> None:
    watched = player()
    watched.start(HEADER.encode(), 1.0)
    watched.push(index_of((Kind.CAPTION, 0)), b"a dog", True, 1.0)
    watched.push(index_of((Kind.LATENT, 0)), b"123", False, 2.0)
    watched.look(2.0)
    log = [(event.time, event.what, event.detail) for event in watched.events]
    assert log == [
        (1.0, "header", "32x24"),
        (1.0, "chunk", "caption 0 5 whole"),
        (1.0, "caption", "a dog"),
        (2.0, "chunk", "latent 0 3 part"),
        (2.0, "layer", "caption"),
        (2.0, "layer", "latent"),
    ]


def test_what_cannot_be_used_is_noted() -> None:
    watched = player()
    watched.start(b"JUNK", 0.0)
    watched.start(Header(33, 24, 3).encode(), 0.1)
    watched.push(7, b"x", True, 0.2)
    watched.push(index_of((Kind.RESIDUAL, 0)), bytes(1 << 14), True, 0.3)
    watched.push(index_of((Kind.RESIDUAL, 0)), bytes((1 << 14) - 1), False, 0.3)
    assert [event.what for event in watched.events] == ["dropped"] * 5
    watched.start(HEADER.encode(), 1.0)
    assert watched.picture(1.0) is not None and watched.bytes == len(HEADER.encode())


def test_bytes_of_a_file_as_they_come() -> None:
    data = streams()[0]
    watched = Player()
    watched.feed(data[:3], 0.0)
    assert watched.header is None and watched.picture(0.0) is None
    for at in range(3, len(data), 700):
        watched.feed(data[at : at + 700], at / 100)
        part = codec.decode(data[: at + 700])
        assert np.array_equal(watched.picture(at / 100), part.picture) and watched.caption == part.caption
    assert watched.verified and watched.exact == 1 and watched.layers[-1] == "residual"
    assert watched.stream() == data and watched.bytes == len(data)


def test_no_stream_and_a_picture_that_is_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not a layercast stream"):
        Player().feed(b"GIF89a", 0.0)
    with pytest.raises(FormatError, match="above the limit"):
        Player().feed(Header(65536, 65536).encode(), 0.0)
    (tmp_path / "short.lcast").write_bytes(streams()[0][:3])
    with pytest.raises(FormatError, match="ends inside the header"):
        Player.open(tmp_path / "short.lcast")


def test_a_file_is_opened_and_saved(tmp_path: Path) -> None:
    from PIL import Image

    data = streams()[1]
    (tmp_path / "photo.lcast").write_bytes(data)
    opened = Player.open(tmp_path / "photo.lcast")
    assert [region.phrase for region in opened.regions if isinstance(region, Region)] == ["a red boat"]
    opened.save(tmp_path / "again.lcast")
    assert (tmp_path / "again.lcast").read_bytes() == data
    opened.save(tmp_path / "photo.png")
    with Image.open(tmp_path / "photo.png") as saved:
        assert np.array_equal(np.asarray(saved), codec.decode(data).picture)
    with pytest.raises(ValueError, match=r"saved as \.png"):
        opened.save(tmp_path / "photo.gif")
    with pytest.raises(ValueError, match="nothing has come"):
        Player().save(tmp_path / "nothing.png")


def test_wants_reach_whoever_receives() -> None:
    watched, asked = player(), []
    with pytest.raises(ValueError, match="no sender to ask"):
        watched.stop()
    watched.asks = asked.append
    watched.want((1, 2, 3, 4))
    watched.stop()
    watched.lossless()
    assert asked == [Want("residual", (1, 2, 3, 4)), Want(""), Want("residual")]
