"""Hostile bytes, the same in every run: damaged, cut, spliced and made-up versions of honest ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

_EDGES = (0x00, 0x01, 0x3F, 0x40, 0x7F, 0x80, 0xC1, 0xFE, 0xFF)  # values at which parsers change their mind

Change = Callable[[random.Random, bytearray], None]


def _flip(draw: random.Random, data: bytearray) -> None:
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _set(draw: random.Random, data: bytearray) -> None:
    data[draw.randrange(len(data))] = draw.choice(_EDGES)


def _noise(draw: random.Random, data: bytearray) -> None:
    start = draw.randrange(len(data))
    part = data[start : start + draw.randint(1, 16)]
    data[start : start + len(part)] = draw.randbytes(len(part))


def _cut(draw: random.Random, data: bytearray) -> None:
    del data[draw.randrange(len(data)) :]


def _remove(draw: random.Random, data: bytearray) -> None:
    start = draw.randrange(len(data))
    del data[start : start + draw.randint(1, 16)]


def _insert(draw: random.Random, data: bytearray) -> None:
    at = draw.randrange(len(data) + 1)
    data[at:at] = draw.randbytes(draw.randint(1, 16))


def _repeat(draw: random.Random, data: bytearray) -> None:
    start = draw.randrange(len(data))
    part = data[start : start + draw.randint(1, 64)]
    at = draw.randrange(len(data) + 1)
    data[at:at] = part


def _fill(draw: random.Random, data: bytearray) -> None:
    start = draw.randrange(len(data))
    part = data[start : start + draw.randint(1, 64)]
    data[start : start + len(part)] = bytes([draw.choice(_EDGES)]) * len(part)


_CHANGES: tuple[Change, ...] = (_flip, _flip, _set, _noise, _cut, _cut, _remove, _insert, _repeat, _fill)


def damaged(draw: random.Random, honest: bytes) -> bytes:
    """One to four changes of honest bytes; random bytes for an empty one."""
    data = bytearray(honest or draw.randbytes(draw.randint(0, 40)))
    for _ in range(draw.randint(1, 4)):
        if data:
            draw.choice(_CHANGES)(draw, data)
    return bytes(data)


def spliced(draw: random.Random, one: bytes, other: bytes) -> bytes:
    """The head of one and the tail of another."""
    return one[: draw.randint(0, len(one))] + other[draw.randint(0, len(other)) :]


def hostile(honest: Sequence[bytes], amount: int, seed: int) -> Iterator[bytes]:
    """`amount` inputs made of `honest` ones: damaged for the most part, also spliced, cut and random."""
    draw = random.Random(seed)
    for number in range(amount):
        kind = number % 10
        if kind == 0:
            yield draw.randbytes(draw.choice((0, 1, 2, 3, 5, 8, 20, 60, 200)))
        elif kind == 1:
            yield spliced(draw, draw.choice(honest), draw.choice(honest))
        elif kind == 2:
            chosen = draw.choice(honest)
            yield chosen[: draw.randint(0, len(chosen))]
        else:
            yield damaged(draw, draw.choice(honest))
