"""A stream travels as items and comes back as the file it was; what a peer says of names and order is not trusted."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.stream import FormatError
from layercast.net import parcel
from layercast.net.parcel import ABOUT, ORDER
from tests.fuzz.parsers import streams
from transport import BASE


@pytest.mark.parametrize("data", streams())
def test_all_items_give_the_file_bit_by_bit(data: bytes) -> None:
    packed = parcel.pack(data, "a photo.lcast")
    items = {(item.cls, item.index): (item.payload, item.ends) for item in packed.items}
    order = parcel.parse_order(items[ORDER][0])
    assert parcel.stream_of(packed.preamble, items, order) == data
    assert parcel.parse_about(items[ABOUT][0]) == parcel.About("a photo.lcast", len(data))


def test_our_own_items_do_not_stand_before_the_caption_and_the_thumbnail() -> None:
    packed = parcel.pack(streams()[0], "x")
    keys = [(item.cls, item.index) for item in packed.items]
    base = [key for key in keys if key[0] == BASE]
    assert base[-1] == ABOUT and keys.index(ORDER) == min(keys.index(key) for key in keys if key[0] == 3)
    assert [item.priority for item in packed.items] == sorted(item.priority for item in packed.items)


@given(st.permutations(range(12)).map(lambda p: [(n % 4, 8 * n) for n in p]))
def test_any_order_comes_back(keys: list[tuple[int, int]]) -> None:
    assert parcel.parse_order(parcel._packed_order(keys)) == keys


@given(st.binary(max_size=40))
def test_what_is_no_name_or_order_is_one_error(data: bytes) -> None:
    for parse in (parcel.parse_about, parcel.parse_order):
        try:
            parse(data)
        except FormatError:
            continue


@pytest.mark.parametrize("numbers", [[3, 0, 0, 1 << 21], [3, 0, 1, 1 << 21] * 4, [1, 2, 3], [], [-1, 0, 0, 1]])
def test_an_order_that_would_fill_memory_or_is_none_is_refused(numbers: list[int]) -> None:
    with pytest.raises(FormatError):
        parcel.parse_order(msgpack.packb(numbers))
