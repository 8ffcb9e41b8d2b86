"""META chunks: facts about the picture as keys and values, and its colour profile (FORMAT.md, Meta).

Chunk 0 holds facts (time, place, sender, a renderer's seed, anything else); chunks 1, 2, ... hold the parts of an ICC
profile, deflated. Nothing here touches a pixel: no other chunk needs a META chunk, none is needed by it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence

from codec.stream import MAX_LENGTH, FormatError

KEYS = {1: "time", 2: "place", 3: "sender", 4: "seed"}  # keys that cost one byte; 0: "key=value"
PROFILE = 5
LAST = 0x80  # set in a key byte: the value runs to the end of the payload, without a length
MAX_ENTRIES = 64
MAX_VALUE = 4096  # bytes of UTF-8
MAX_PROFILE = 1 << 20  # bytes of an unpacked profile

_CODES = {name: code for code, name in KEYS.items()}
_KEY = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def encode(facts: Mapping[str, str]) -> bytes:
    """The payload of chunk 0. Keys: 1..64 of A-Z a-z 0-9 _ . -; values: at most 4096 bytes, no control characters.

    Raises ValueError that says which fact cannot be written.
    """
    if len(facts) > MAX_ENTRIES:
        raise ValueError(f"{len(facts)} facts; at most {MAX_ENTRIES}")
    parts = []
    for at, (key, value) in enumerate(facts.items()):
        code, data = _entry(key, value)
        last = at == len(facts) - 1
        parts.append(bytes([code | LAST]) + data if last else bytes([code]) + _length(len(data)) + data)
    payload = b"".join(parts)
    if len(payload) > MAX_LENGTH:
        raise ValueError(f"the facts take {len(payload)} bytes; at most {MAX_LENGTH}")
    return payload


def decode(payload: bytes, whole: bool = True) -> dict[str, str]:
    """The facts of chunk 0, in order. A cut payload (whole=False) gives the facts that are complete.

    Raises FormatError with the offset inside the payload. Keys of later versions are skipped.
    """
    facts: dict[str, str] = {}
    at, count = 0, 0
    while at < len(payload):
        start, code, last = at, payload[at] & ~LAST, bool(payload[at] & LAST)
        at += 1
        if last:
            if not whole:
                break
            end = len(payload)
        else:
            length, at = _read_length(payload, at)
            end = at + length
            if end > len(payload) or at > len(payload):
                if not whole:
                    break
                raise FormatError(f"meta offset {start}: the entry runs past the end")
        count += 1
        if count > MAX_ENTRIES:
            raise FormatError(f"meta offset {start}: more than {MAX_ENTRIES} entries")
        _add(facts, code, payload[at:end], start)
        at = end
    return facts


def encode_profile(icc: bytes) -> list[bytes]:
    """The payloads of chunks 1, 2, ... for an ICC profile; none for b"". ValueError above 1 MiB."""
    if len(icc) > MAX_PROFILE:
        raise ValueError(f"a profile of {len(icc)} bytes; at most {MAX_PROFILE}")
    if not icc:
        return []
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(icc) + packer.flush()
    step = MAX_LENGTH - 1
    return [bytes([PROFILE | LAST]) + packed[at : at + step] for at in range(0, len(packed), step)]


def decode_profile(payloads: Sequence[bytes]) -> bytes | None:
    """The ICC profile of chunks 1, 2, ... as far as they are there in order; None while parts are missing.

    Raises FormatError if a payload is no part of a profile, is damaged, or unpacks to more than 1 MiB.
    """
    for number, payload in enumerate(payloads, 1):
        if not payload or payload[0] != PROFILE | LAST:
            raise FormatError(f"meta chunk {number} offset 0: not a part of a profile")
    unpacker = zlib.decompressobj(-15)
    try:
        icc = unpacker.decompress(b"".join(payload[1:] for payload in payloads), MAX_PROFILE)
    except zlib.error as error:
        raise FormatError(f"meta offset 1: damaged profile ({error})") from None
    if unpacker.eof and not unpacker.unused_data:
        return icc
    if unpacker.unconsumed_tail or unpacker.unused_data:
        raise FormatError("meta offset 1: the profile is too long")
    return None


def _entry(key: str, value: str) -> tuple[int, bytes]:
    """Key code and the bytes of the value."""
    data = value.encode("utf-8", "surrogatepass")
    if len(data) > MAX_VALUE:
        raise ValueError(f"{key}: {len(data)} bytes; at most {MAX_VALUE}")
    if _CONTROL.search(value) or not _printable(data):
        raise ValueError(f"{key}: control characters or broken text cannot be stored")
    if key in _CODES:
        return _CODES[key], data
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key: 1 to 64 of A-Z a-z 0-9 _ . -")
    return 0, key.encode() + b"=" + data


def _printable(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _add(facts: dict[str, str], code: int, data: bytes, start: int) -> None:
    """Puts one entry into `facts`, or skips a key code of a later version."""
    if code != 0 and code not in KEYS:
        return
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise FormatError(f"meta offset {start}: not UTF-8") from None
    if code:
        key, value = KEYS[code], text
    else:
        key, equals, value = text.partition("=")
        if not equals or not _KEY.fullmatch(key) or key in _CODES:
            raise FormatError(f"meta offset {start}: no key")
    if key in facts:
        raise FormatError(f"meta offset {start}: {key} twice")
    if _CONTROL.search(value) or len(value.encode()) > MAX_VALUE:
        raise FormatError(f"meta offset {start}: control characters, or more than {MAX_VALUE} bytes")
    facts[key] = value


def _length(value: int) -> bytes:
    """One byte up to 127, two above: high bit set and 7 bits, then 8 bits."""
    return bytes([value]) if value < 128 else bytes([0x80 | value >> 8, value & 0xFF])


def _read_length(payload: bytes, at: int) -> tuple[int, int]:
    """Length and the offset behind it; an offset beyond the payload when the length itself is cut."""
    if at >= len(payload):
        return 0, at + 1
    if payload[at] < 128:
        return payload[at], at + 1
    if at + 1 >= len(payload):
        return 0, at + 2
    return (payload[at] & 0x7F) << 8 | payload[at + 1], at + 2
