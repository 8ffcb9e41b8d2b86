"""The container: exact sizes, every header and chunk back as it was, damage is FormatError and nothing else."""

import json
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codec.stream import (
    MAX_INDEX,
    MAX_LENGTH,
    SIZES,
    Chunk,
    FormatError,
    Frame,
    Header,
    Kind,
    Reader,
    frames,
    parse_header,
    read,
    write,
)

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests/vectors/container.json"

sides = st.one_of(st.integers(1, 65536), st.sampled_from([1, 256, 65536]))
sizes = st.one_of(st.sampled_from(SIZES), st.tuples(sides, sides))
headers = st.builds(
    lambda size, channels, weights, base: Header(*size, channels, weights, base),
    sizes,
    st.integers(1, 4),
    st.integers(0, 15),
    st.integers(0, 255),
)
indices = st.one_of(st.integers(0, 70), st.integers(0, MAX_INDEX), st.sampled_from([255, 256, 65535, 65536, MAX_INDEX]))
payloads = st.one_of(st.binary(max_size=9), st.sampled_from([bytes(63), bytes(64), bytes(MAX_LENGTH)]))
chunks = st.lists(st.builds(Chunk, st.sampled_from(Kind), indices, payloads), max_size=8)
small_chunks = st.lists(st.builds(Chunk, st.sampled_from(Kind), indices, st.binary(max_size=9)), max_size=8)


@given(headers)
def test_header_comes_back(header: Header) -> None:
    data = header.encode()
    assert len(data) == (4 if (header.width, header.height) in SIZES else 8)
    assert parse_header(data + b"more") == (header, len(data))


@pytest.mark.parametrize(
    ("name", "value"),
    [("width", 0), ("width", 65537), ("height", 0), ("channels", 0), ("channels", 5), ("weights", 16), ("base", 256)],
)
def test_header_refuses_what_it_cannot_say(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} {value}"):
        Header(**{"width": 8, "height": 8, name: value})


def test_common_sizes_have_codes_in_both_orientations() -> None:
    assert 200 <= len(SIZES) == len(set(SIZES)) <= 255
    assert {(height, width) for width, height in SIZES} == set(SIZES)
    wanted = {(768, 512), (480, 320), (480, 360), (480, 270), (640, 480), (1920, 1080), (4000, 3000), (500, 375)}
    assert wanted | {(side, side) for side in (64, 128, 224, 256, 512, 1024)} <= set(SIZES)


def test_table_of_the_document_is_that_of_the_code() -> None:
    text = (ROOT / "codec/FORMAT.md").read_text()
    rows = re.findall(r"(\d+): (\d+)x(\d+)", text)
    assert [(int(width), int(height)) for _, width, height in rows] == list(SIZES)
    assert [int(code) for code, _, _ in rows] == list(range(len(SIZES)))


@given(headers, chunks)
def test_chunks_come_back(header: Header, given_chunks: list[Chunk]) -> None:
    assert read(write(header, given_chunks)) == (header, given_chunks)


@given(headers, chunks)
def test_frames_cover_the_file(header: Header, given_chunks: list[Chunk]) -> None:
    data = write(header, given_chunks)
    at = parse_header(data)[1]
    for frame in frames(data, at):
        assert frame.start == at and frame.body > at
        assert data[frame.body : frame.end] == frame.chunk.payload
        at = frame.end
    assert at == len(data)


def test_framing_is_two_bytes_in_order_or_short_and_three_otherwise() -> None:
    for length, in_order, near, far in ((0, 2, 2, 3), (63, 2, 2, 3), (64, 2, 3, 3), (2047, 2, 3, 3), (2048, 3, 3, 3)):
        for back in range(-33, 33):
            index = 40 + back
            data = write(Header(768, 512), [Chunk(Kind.RESIDUAL, i, bytes(n)) for i, n in ((39, 0), (index, length))])
            expected = (
                in_order if back == 0 else near if -16 <= back < 16 else far if -32 <= back < 32 else 3 + in_order
            )
            assert len(data) == 4 + 3 + 2 + expected + length
            assert [chunk.index for chunk in read(data)[1]] == [39, index]
    with pytest.raises(ValueError, match="at most 16383"):
        Chunk(Kind.RESIDUAL, 0, bytes(MAX_LENGTH + 1))


def test_seek_costs_two_bytes_and_the_index() -> None:
    for index, extra in ((32, 3), (255, 3), (256, 4), (65536, 5), (MAX_INDEX, 5)):
        assert len(write(Header(768, 512), [Chunk(Kind.LATENT, index, b"")])) == 4 + extra + 2
    back_to_none = [Chunk(Kind.LATENT, MAX_INDEX, b""), Chunk(Kind.LATENT, 0, b"")]
    assert len(write(Header(768, 512), back_to_none)) == 4 + 5 + 2 + 2 + 2


@given(headers, chunks, st.data())
def test_any_cut_gives_the_chunks_before_it(header: Header, given_chunks: list[Chunk], data: st.DataObject) -> None:
    whole = write(header, given_chunks)
    start = parse_header(whole)[1]
    size = data.draw(st.integers(0, len(whole)))
    if size < start:
        with pytest.raises(FormatError, match="offset"):
            read(whole[:size])
        return
    found = read(whole[:size])[1]
    complete = [chunk for chunk in found if not chunk.cut]
    assert complete == given_chunks[: len(complete)]
    assert len(found) - len(complete) in (0, 1)
    if len(found) > len(complete):
        cut, source = found[-1], given_chunks[len(complete)]
        assert (cut.key, cut.length) == (source.key, source.length)
        assert source.payload.startswith(cut.payload) and cut.cut
    if size == len(whole):
        assert found == given_chunks


def test_a_cut_chunk_is_written_as_it_was_read() -> None:
    whole = write(Header(9, 9), [Chunk(Kind.CAPTION, 0, b"one"), Chunk(Kind.LATENT, 0, b"twotwo")])
    header, found = read(whole[:-4])
    assert found[-1] == Chunk(Kind.LATENT, 0, b"tw", length=6)
    assert write(header, found) == whole[:-4]
    with pytest.raises(ValueError, match="only the last chunk"):
        write(header, found[::-1])


def test_strict_refuses_what_a_finished_file_never_has() -> None:
    header, chunk = Header(9, 9), Chunk(Kind.LATENT, 0, b"abc")
    whole = write(header, [chunk])
    assert read(whole, strict=True) == (header, [chunk])
    for data, message in (
        (whole[:-1], "offset 12: ends inside a chunk of 3 bytes"),
        (whole + b"\0", "offset 13: ends inside the framing"),
        (write(header, [chunk, chunk]), "offset 13: LATENT 0 stands twice"),
    ):
        assert read(data)[1]
        with pytest.raises(FormatError, match=message):
            read(data, strict=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "offset 0: empty"),
        (b"Not a stream", "offset 0: not a layercast stream"),
        (b"\xc1\x18\0", "offset 3: ends inside the header"),
        (b"\xc1\x18\xff\0\0\0\0", "offset 7: ends inside the header"),
        (b"\xc1\x19\0\0", "offset 1: reserved flags 1"),
        (b"\xc1\x18\xfe\0", "offset 2: unknown size code 254"),
        (b"\xc1\x18\0\0\x71\xc0", "offset 4: seek for unknown kind 7"),
        (b"\xc1\x18\0\0\x70\x04\0\0\0\0", "offset 4: seek of 4 bytes"),
        (b"\xc1\x18\0\0\xff\xc0\0", "offset 4: seek for unknown kind -1"),
        (b"\xc1\x18\0\0\x70\x03\xff\xff\xff\x08\x40", "offset 9: chunk index 16777216"),
        (b"\xc1\x18\0\0\x0f\xc0", "offset 4: chunk index -1"),
    ],
)
def test_damage_names_its_offset(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(data)


def _parse(data: bytes) -> None:
    """A stream whose every byte is accounted for, or FormatError."""
    for strict in (False, True):
        try:
            header, found = read(data, strict)
        except FormatError as error:
            assert re.match(r"offset \d+: ", str(error))
            continue
        assert read(write(header, found)) == (header, found)
        assert sum(len(chunk.payload) for chunk in found) <= len(data)


@settings(max_examples=200)
@given(st.binary(max_size=300))
@example(b"\xc1")
def test_random_bytes(data: bytes) -> None:
    _parse(data)
    _parse(Header(768, 512).encode() + data)


@given(headers, small_chunks, st.integers(0, 2**32))
def test_mutated_streams(header: Header, given_chunks: list[Chunk], seed: int) -> None:
    whole, random = write(header, given_chunks), Random(seed)
    for _ in range(30):
        raw = bytearray(whole)
        for _ in range(random.randint(1, 6)):
            at = random.randrange(len(raw) or 1)
            raw[at : at + random.randint(0, 2)] = random.randbytes(random.randint(0, 2))
        _parse(bytes(raw))


VECTOR_CHUNKS: dict[str, tuple[Header, list[Chunk]]] = {
    "header alone": (Header(768, 512), []),
    "explicit size, grey, tiny weights": (Header(1, 65536, 1, 0, 3), []),
    "caption and thumbnail": (
        Header(512, 768, 3, 1, 9),
        [Chunk(Kind.CAPTION, 0, b"caption"), Chunk(Kind.LATENT, 0, bytes(range(19)))],
    ),
    "skips, all forms of framing": (
        Header(33, 17, 4),
        [
            Chunk(Kind.EDGES, 15, bytes(63)),
            Chunk(Kind.EDGES, 16, bytes(2047)),
            Chunk(Kind.EDGES, 17, bytes(2048)),
            Chunk(Kind.EDGES, 2, bytes(3)),
            Chunk(Kind.EDGES, 3, b""),
            Chunk(Kind.RESIDUAL, 31, b""),
            Chunk(Kind.RESIDUAL, 0, b""),
        ],
    ),
    "seeks forward, backward, to 0": (
        Header(33, 17, 2),
        [
            Chunk(Kind.RESIDUAL, 64, b"a"),
            Chunk(Kind.RESIDUAL, 30, b"b"),
            Chunk(Kind.RESIDUAL, 0, b"c"),
            Chunk(Kind.RESIDUAL, MAX_INDEX, b"d"),
        ],
    ),
    "a cut chunk at the end": (
        Header(64, 64),
        [Chunk(Kind.CHECK, 0, b"CRC!"), Chunk(Kind.LATENT, 2, b"cu", length=300)],
    ),
}


def test_golden_vectors(update_vectors: bool) -> None:
    written = {name: write(*parts).hex() for name, parts in VECTOR_CHUNKS.items()}
    if update_vectors:
        VECTORS.write_text(json.dumps(written, indent=1) + "\n")
    golden = json.loads(VECTORS.read_text())
    assert written == golden
    for name, parts in VECTOR_CHUNKS.items():
        assert read(bytes.fromhex(golden[name])) == parts


def test_a_frame_knows_its_place() -> None:
    chunk = Chunk(Kind.LATENT, 70, b"abc")
    data = write(Header(768, 512), [chunk])
    assert list(frames(data, 4)) == [Frame(chunk, 4, 9, 12)]


@given(headers, small_chunks, st.integers(1, 9), st.integers(0, 40))
def test_reading_as_bytes_come_gives_what_reading_at_once_does(
    header: Header, found: list[Chunk], step: int, missing: int
) -> None:
    data = write(header, found)
    data = data[: max(len(data) - missing, len(header.encode()))]
    reader = Reader()
    coming = [chunk for at in range(0, len(data), step) for chunk in reader.push(data[at : at + step])]
    rest = reader.rest()
    assert (reader.header, coming + ([rest] if rest is not None else [])) == read(data)


def test_reading_as_bytes_come_refuses_what_is_no_stream_at_once() -> None:
    with pytest.raises(FormatError, match="not a layercast stream"):
        Reader().push(b"P")
