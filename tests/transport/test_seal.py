"""The seal: a prefix opens to a prefix, nothing false ever opens, and what is sealed stays the same."""

import json
import pickle
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transport.pair import Pair, dropping
from transport import GroupStarted, Item, ItemReceived, SenderConfig
from transport.seal import RECORD, TAG, Opened, Opener, SealError, SealKey, seal, sealed_size
from transport.wire import MAX_ITEM

KEY = SealKey(bytes(range(32)))
OTHER = SealKey(bytes(32))
HEAD = b"\x01head"
VECTOR = Path(__file__).parents[1] / "vectors" / "seal.json"
SIZES = [0, 1, 16, RECORD - 1, RECORD, RECORD + 1, 2 * RECORD, 3 * RECORD + 100]


def item(size: int, ends: bool = True, cls: int = 3, group: int = 7, index: int = 2) -> Item:
    return Item(group, cls, index, random.Random(size).randbytes(size), 5, needs=((0, 1),), may_cut=True, ends=ends)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("cls", [0, 3])
def test_what_is_sealed_opens_and_costs_what_it_says(size: int, ends: bool, cls: int) -> None:
    plain = item(size, ends, cls)
    sealed = seal(plain, KEY, HEAD)
    assert replace(sealed, payload=plain.payload) == plain, "nothing but the payload changes"
    assert len(sealed.payload) == sealed_size(size) == size + TAG * max(1, -(-size // RECORD))
    assert Opener(KEY).open(plain.key, sealed.payload, ends, HEAD) == Opened(plain.payload, ends, False)
    if size >= 16:
        assert plain.payload[:16] not in sealed.payload


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ends", [True, False])
def test_every_prefix_opens_to_a_prefix(size: int, ends: bool) -> None:
    plain, opener = item(size, ends), Opener(KEY)
    sealed = seal(plain, KEY).payload
    before = 0
    for stop in [*range(0, len(sealed), 13), len(sealed) - 1, len(sealed)]:
        here = opener.open(plain.key, sealed[:stop], ends and stop == len(sealed))
        assert plain.payload.startswith(here.payload) and not here.damaged
        assert here.complete == (ends and stop == len(sealed))
        assert len(here.payload) >= max(before, stop // (RECORD + TAG) * RECORD)
        before = len(here.payload)
    assert before == size


def test_the_same_item_seals_to_the_same_bytes_and_another_to_others() -> None:
    assert seal(item(100), KEY) == seal(item(100), KEY)
    changed = replace(item(100), payload=bytes(1) + item(100).payload[1:])
    one, other = seal(item(100), KEY).payload, seal(changed, KEY).payload
    assert not any(one[at : at + 8] == other[at : at + 8] for at in range(0, 112, 8)), (
        "the same name, nothing in common"
    )


def test_nothing_can_be_moved_or_swapped() -> None:
    plain = item(3 * RECORD, cls=0)
    sealed = seal(plain, KEY, HEAD).payload
    size = RECORD + TAG
    nothing = Opened(b"", False, True)
    group, cls, index = plain.key
    for name in ((group + 1, cls, index), (group, 1, index), (group, cls, index + 1)):
        assert Opener(KEY).open(name, sealed, True, HEAD) == nothing
    assert Opener(KEY).open(plain.key, sealed, True, b"\x02head") == nothing, "the base is bound to the preamble"
    assert Opener(OTHER).open(plain.key, sealed, True, HEAD) == nothing
    swapped = sealed[size : 2 * size] + sealed[:size] + sealed[2 * size :]
    assert Opener(KEY).open(plain.key, swapped, True, HEAD) == nothing
    dropped = sealed[:size] + sealed[2 * size :]
    assert Opener(KEY).open(plain.key, dropped, True, HEAD) == Opened(plain.payload[:RECORD], False, True)


def test_an_end_that_is_none_is_noticed() -> None:
    plain = item(2 * RECORD + 50)
    sealed = seal(plain, KEY).payload
    for stop in (RECORD + TAG, 2 * (RECORD + TAG), len(sealed) - 1, 5, 0):
        here = Opener(KEY).open(plain.key, sealed[:stop], True)
        assert not here.complete and here.damaged, "whoever shortens an item does not get it taken as whole"
    longer = Opener(KEY).open(plain.key, sealed + b"more", True)
    assert longer.damaged and plain.payload.startswith(longer.payload)
    even = seal(item(RECORD), KEY).payload
    assert Opener(KEY).open(plain.key, even + bytes(20), True) == Opened(item(RECORD).payload, True, True)


damages = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "insert", "copy"]), st.integers(0, 4000), st.integers(1, 255)),
    min_size=1,
    max_size=3,
)


def damaged(sealed: bytes, damages: list[tuple[str, int, int]]) -> bytes:
    data = bytearray(sealed)
    for what, place, value in damages:
        at = place % (len(data) + 1)
        if what == "flip" and data:
            data[at % len(data)] ^= value
        elif what == "cut":
            del data[at : at + value]
        elif what == "insert":
            data[at:at] = bytes([value]) * 3
        else:
            data[at:at] = data[:value]
    return bytes(data)


@settings(max_examples=300)
@given(st.sampled_from(SIZES), st.booleans(), damages, st.booleans())
def test_damage_gives_a_shorter_prefix_and_never_false_bytes(
    size: int, ends: bool, damages: list[tuple[str, int, int]], claimed: bool
) -> None:
    plain = item(size, ends)
    sealed = seal(plain, KEY).payload
    here = Opener(KEY).open(plain.key, damaged(sealed, damages), claimed)
    assert plain.payload.startswith(here.payload)
    if here.complete:
        assert ends and here.payload == plain.payload


@settings(max_examples=100)
@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=5), st.booleans())
def test_garbage_opens_to_nothing_and_leaves_nothing_behind(data: bytes, stops: list[int], complete: bool) -> None:
    opener = Opener(KEY)
    for stop in sorted(stops):
        assert opener.open((1, 2, 3), data[:stop], complete).payload == b""
    assert not opener._begun


def test_what_is_kept_is_bounded_by_what_opened() -> None:
    opener, plain = Opener(KEY), item(3 * RECORD)
    sealed = seal(plain, KEY).payload
    opener.open(plain.key, sealed[: 2 * (RECORD + TAG)], False)
    assert sum(map(len, opener._begun[plain.key])) == 2 * RECORD
    opener.open(plain.key, sealed, True)
    assert not opener._begun
    opener.open(plain.key, sealed[:-1], False)
    opener.forget(plain.group)
    assert not opener._begun


def test_a_sealed_picture_over_a_lossy_link() -> None:
    plain = [item(30, cls=0, index=0), *(item(700 * n, cls=3, index=n) for n in range(1, 9))]
    pair = Pair(SenderConfig(rate=50_000, packet_size=200), dropping(1, 5, 6, 20))
    pair.sender.start_group(7, HEAD)
    pair.submit(*(seal(each, KEY, HEAD) for each in plain))
    pair.drive()
    opener, preambles, got = Opener(KEY), {}, {}
    for _, event in pair.events:
        if isinstance(event, GroupStarted):
            preambles[event.group] = event.preamble
        elif isinstance(event, ItemReceived):
            here = opener.open(event.key, event.payload, event.complete, preambles.get(event.key[0], b""))
            assert not here.damaged and here.complete == event.complete
            got[event.key] = here.payload
    assert got == {each.key: each.payload for each in plain}
    wire = b"".join(data for _, data in pair.sent[0])
    assert not any(each.payload[at : at + 12] in wire for each in plain for at in range(0, len(each.payload), 12))


def test_keys(tmp_path: Path) -> None:
    sealed = seal(item(50), KEY)
    (tmp_path / "hex").write_text(bytes(range(32)).hex().upper() + "\n")
    (tmp_path / "raw").write_bytes(bytes(range(32)))
    for same in (
        SealKey.from_hex(bytes(range(32)).hex()),
        SealKey.from_file(tmp_path / "hex"),
        SealKey.from_file(tmp_path / "raw"),
    ):
        assert seal(item(50), same) == sealed
    words = SealKey.from_passphrase("correct horse battery")
    assert seal(item(50), words) == seal(item(50), SealKey.from_passphrase("correct horse battery"))
    assert seal(item(50), words) != seal(item(50), SealKey.from_passphrase("correct horse battery", "north camp"))
    (tmp_path / "odd").write_bytes(b"\xff" * 40)
    for wrong in (
        lambda: SealKey(bytes(16)),
        lambda: SealKey.from_hex("00" * 31),
        lambda: SealKey.from_hex("zz" * 32),
        lambda: SealKey.from_file(tmp_path / "odd"),
        lambda: SealKey.from_file(tmp_path / "none"),
        lambda: SealKey.from_passphrase("short"),
    ):
        with pytest.raises(SealError):
            wrong()


def test_a_key_shows_nowhere() -> None:
    secret = bytes(range(32))
    shown = repr(KEY) + str(KEY) + repr(Opener(KEY).__dict__)
    assert secret.hex() not in shown and repr(secret) not in shown
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
    with pytest.raises(SealError) as error:
        SealKey.from_hex("0123456789abcdef" * 3)
    assert "0123" not in str(error.value)


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        seal(Item(1, 3, 0, bytes(MAX_ITEM - 100)), KEY)


def test_golden_vectors(update_vectors: bool) -> None:
    rows = []
    for size, ends, cls in ((0, True, 1), (5, True, 0), (RECORD, True, 3), (RECORD + 3, False, 2)):
        plain = Item(0xDEADBEEF, cls, 300, bytes(n % 251 for n in range(size)), ends=ends)
        rows.append({"size": size, "ends": ends, "class": cls, "sealed": seal(plain, KEY, HEAD).payload.hex()})
    if update_vectors:
        VECTOR.write_text(
            json.dumps({"key": bytes(range(32)).hex(), "preamble": HEAD.hex(), "items": rows}, indent=1) + "\n"
        )
    assert json.loads(VECTOR.read_text())["items"] == rows
