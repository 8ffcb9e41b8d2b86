"""A stream as items of one group, with two items of our own that say what no chunk says: its name and its order.

An item's index is `chunk * 8 + kind`, and 7 is no kind: ABOUT (name, bytes; class 0, behind the caption and the
thumbnail) and ORDER (all items in the order of the file; class 3, before the residual) have such indices. With both a
receiver knows what is missing, and what it puts together is the file bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import msgpack

from codec.stream import Chunk, FormatError, parse_header, write
from player.items import group_of, items_of, key_of
from transport import BASE, Item

ABOUT: tuple[int, int] = (0, 7)
ORDER: tuple[int, int] = (3, 15)
"""(class, index)."""
MAX_NAME = 100
MAX_ITEMS = 1 << 17

ItemKey = tuple[int, int]
"""(class, index)."""


@dataclass(frozen=True)
class Parcel:
    """A stream ready to be sent. `size`: bytes of its file."""

    group: int
    preamble: bytes
    name: str
    size: int
    items: tuple[Item, ...]


@dataclass(frozen=True)
class About:
    """What a stream is called where it comes from, and how many bytes its file has there."""

    name: str
    size: int


def pack(data: bytes, name: str, deadline: float | None = None) -> Parcel:
    """A stream (its bytes) as items of a group. Raises FormatError for bytes that are none."""
    group = group_of(data)
    preamble, chunks = items_of(data)
    items = [Item(group, c.cls, c.index, c.payload, c.priority, deadline, c.needs, c.may_cut, c.ends) for c in chunks]
    base = max((item.priority for item in items if item.cls == BASE), default=0)
    bulk = min((item.priority for item in items if item.cls == ORDER[0]), default=base)
    about = msgpack.packb([name[:MAX_NAME], len(data)])
    order = _packed_order([(item.cls, item.index) for item in items])
    extra = [Item(group, *ABOUT, about, base, deadline), Item(group, *ORDER, order, bulk, deadline)]
    return Parcel(group, preamble, name, len(data), (*sorted([*extra, *items], key=_place),))


def _place(item: Item) -> tuple[int, bool]:
    """Of equal priority, our own item goes behind a base item and before any other."""
    own = (item.cls, item.index) in (ABOUT, ORDER)
    return item.priority, own == (item.cls == BASE)


def _packed_order(keys: Sequence[ItemKey]) -> bytes:
    """Keys in order as runs [class, first, stride, count]."""
    packed: list[int] = []
    at = 0
    while at < len(keys):
        cls, first = keys[at]
        stop = at + 1
        stride = keys[stop][1] - first if stop < len(keys) else 1
        while stop < len(keys) and keys[stop] == (cls, keys[stop - 1][1] + stride) and stride > 0:
            stop += 1
        packed += [cls, first, max(stride, 1) if stop - at > 1 else 1, stop - at]
        at = stop
    data: bytes = msgpack.packb(packed)
    return data


def parse_about(payload: bytes) -> About:
    """Raises FormatError for a payload that is none."""
    try:
        name, size = msgpack.unpackb(payload, max_str_len=4 * MAX_NAME, max_array_len=2)
        if isinstance(name, str) and isinstance(size, int) and 0 <= size:
            return About(name[:MAX_NAME], size)
    except (ValueError, TypeError, msgpack.UnpackException):
        pass
    raise FormatError("an item that should tell a stream's name does not")


def parse_order(payload: bytes) -> list[ItemKey]:
    """The items of a stream in the order of its file. Raises FormatError for a payload that is none."""
    try:
        numbers = msgpack.unpackb(payload, max_array_len=4 * MAX_ITEMS)
        if isinstance(numbers, list) and all(type(n) is int and 0 <= n < 1 << 22 for n in numbers):
            rows = list(zip(*(numbers[k::4] for k in range(4)), strict=True))
            keys = ((cls, first + n * stride) for cls, first, stride, count in rows for n in range(count))
            found = list(islice(keys, MAX_ITEMS + 1))
            if found and len(found) <= MAX_ITEMS:
                return found
    except (ValueError, TypeError, msgpack.UnpackException):
        pass
    raise FormatError("an item that should tell a stream's order does not")


def stream_of(preamble: bytes, items: Mapping[ItemKey, tuple[bytes, bool]], order: Sequence[ItemKey] = ()) -> bytes:
    """A stream (its bytes) of the items that are here: (class, index) -> (first bytes, whether that is all).

    In `order`, items that it does not name behind; a stream holds only one chunk cut short, and that at its end: what
    else is cut short is left out. Raises FormatError if the preamble is no header.
    """
    header, _ = parse_header(preamble)
    place = {key: n for n, key in enumerate(order)}
    keys = sorted(
        (key for key in items if key not in (ABOUT, ORDER)), key=lambda key: (place.get(key, len(place)), key)
    )
    chunks: list[Chunk] = []
    cut: list[Chunk] = []
    for key in keys:
        payload, complete = items[key]
        try:
            chunk = Chunk(*key_of(key[1]), payload, len(payload) + (not complete))
            (chunks if complete else cut).append(chunk)
        except (FormatError, ValueError):
            continue  # no chunk that this version knows
    return write(header, [*chunks, *[chunk for chunk in cut if chunk.payload][:1]])
