"""Chunks as items to be moved, and back: the one place that says which item carries which chunk.

An item has a class of protection and an index, and no notion of pictures. Its class is the place of `codec.plan`'s
class in `CLASSES`; its index holds the chunk's key, `chunk index * 8 + kind`, so that any single item tells what it is.
"""

import hashlib
from dataclasses import dataclass

from codec import plan
from codec.stream import FormatError, Header, Key, Kind, parse_header, read

_KINDS = 8
MAX_INDEX = (1 << 22) - 1


@dataclass(frozen=True, slots=True)
class StreamItem:
    """A chunk in the fields of an item: see `transport.Item`, whose group alone is missing."""

    cls: int
    index: int
    payload: bytes
    priority: int
    needs: tuple[tuple[int, int], ...]
    may_cut: bool
    ends: bool


def index_of(key: Key) -> int:
    """The item index that names a chunk. Raises ValueError for chunk indices of 2^19 and more."""
    index = key[1] * _KINDS + int(key[0])
    if index > MAX_INDEX:
        raise ValueError(f"chunk {key[0].name} {key[1]} cannot be an item: its index is too large")
    return index


def key_of(index: int) -> Key:
    """The chunk that an item index names. Raises FormatError for a kind that there is not."""
    number, kind = divmod(index, _KINDS)
    try:
        return Kind(kind), number
    except ValueError:
        raise FormatError(f"item {index} is of unknown kind {kind}") from None


def group_of(data: bytes) -> int:
    """The group that a stream travels as: the first 32 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(data).digest()[:4], "big")


def items_of(data: bytes) -> tuple[bytes, list[StreamItem]]:
    """A stream as a preamble (its header) and items, in its order. Raises FormatError.

    A chunk that the stream holds only the start of becomes an item without an end; one cut to nothing becomes none.
    """
    header, chunks = read(data)
    planned = plan.plan(header, [chunk for chunk in chunks if chunk.payload or not chunk.cut])
    return data[: parse_header(data)[1]], [_item(header, item) for item in planned]


def _item(header: Header, item: plan.Item) -> StreamItem:
    needs = tuple((_class_of(header, need), index_of(need)) for need in item.needs)
    return StreamItem(
        cls=_class_of(header, item.key),
        index=index_of(item.key),
        payload=item.payload,
        priority=item.priority,
        needs=needs,
        may_cut=item.may_cut,
        ends=len(item.payload) == item.length,
    )


def _class_of(header: Header, key: Key) -> int:
    return plan.CLASSES.index(plan.protection_of(header, key))
