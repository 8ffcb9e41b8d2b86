"""An optional seal of items from end to end: relays and everybody else on a broadcast move them and cannot read them.

    Item ─► seal ─► Item with a sealed payload ~~ Sender, relays, Receiver ~~► Opener ─► a prefix of the payload

A payload is sealed in records of RECORD bytes, each by itself, so a prefix of an item opens to a prefix of its payload,
and packets stay what they are. Each record is bound to its group, class, index, place and to whether the item ends with
it; records of the base (class 0) to the group's preamble as well. So nothing can be moved, cut unnoticed or altered:
what opens is what was sealed, damage gives a shorter prefix.

**AES-SIV** (RFC 5297), 16 bytes a record, no nonce. A group is 32 bits of a hash: two pictures of one key will share it
after some ten thousands (a camera's week), and a cipher whose nonces came from (group, class, index, record) would then
use one twice for different bytes, which gives both away (GCM, CCM, ChaCha20). A salt an item that rules this out costs
what the shorter tags of CCM save. SIV takes its nonce from the bytes themselves: the same item always seals to the same
bytes, as the wire wants it, and different ones under the same name are no harm.

**In the clear stay**: that layercast is used; group (so: whether two senders send the same picture, and which, if
somebody has it), class, index, order, sizes and times of items; the preamble (a picture's size). The key is the only
secret; whoever has it can read and can seal. An item must be sealed from the same payload whenever it is sent.
"""

import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from transport.fields import BASE
from transport.schedule import Item, Key
from transport.wire import MAX_ITEM

RECORD: Final = 1024
"""Bytes of payload in a full record."""
TAG: Final = 16
"""Bytes that each record costs."""
KEY_BYTES: Final = 32
SHORTEST_PASSPHRASE: Final = 12
_SEALED: Final = RECORD + TAG
_NAME: Final = b"layercast seal 1"
_MORE, _LAST, _OPEN = 0, 1, 2
"""Of a record: another follows; the item ends with it; the payload stops here, the item does not."""
_SCRYPT_COST: Final = 1 << 15  # 32 MiB of memory: what a field device can spare


class SealError(ValueError):
    """No key where one should be. The message never holds it."""


class SealKey:
    """A secret of 32 bytes that the ends share. Raises SealError for another length."""

    __slots__ = ("_cipher",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise SealError(f"a key has {KEY_BYTES} bytes")
        self._cipher = AESSIV(HKDF(SHA256(), KEY_BYTES, salt=None, info=_NAME).derive(secret))

    @classmethod
    def from_hex(cls, text: str) -> "SealKey":
        """The key of 64 hexadecimal digits."""
        if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
            raise SealError("a key is written as 64 hexadecimal digits")
        return cls(bytes.fromhex(text))

    @classmethod
    def from_file(cls, path: str | Path) -> "SealKey":
        """The key in a file: 64 hexadecimal digits, or 32 bytes."""
        try:
            data = Path(path).read_bytes()[:200]
        except OSError:
            raise SealError(f"{path} cannot be read as a key") from None
        return cls(data) if len(data) == KEY_BYTES else cls.from_hex(data.decode("latin-1"))

    @classmethod
    def from_passphrase(cls, passphrase: str, label: str = "") -> "SealKey":
        """The key of a passphrase, by Scrypt: a tenth of a second and 32 MiB. Both ends give the same `label`.

        A label of your own (the expedition's name) keeps guesses that were made for others from serving against you.
        """
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise SealError(f"a passphrase has at least {SHORTEST_PASSPHRASE} characters")
        salt = _NAME + b"\0" + label.encode()
        return cls(Scrypt(salt=salt, length=KEY_BYTES, n=_SCRYPT_COST, r=8, p=1).derive(passphrase.encode()))

    def __repr__(self) -> str:
        return "SealKey()"

    def __reduce__(self) -> str:
        raise TypeError("keys are not pickled")

    def _encrypt(self, record: bytes, about: bytes) -> bytes:
        return self._cipher.encrypt(record, [about])

    def _decrypt(self, sealed: bytes, about: bytes) -> bytes | None:
        try:
            return self._cipher.decrypt(sealed, [about])
        except InvalidTag:
            return None


def sealed_size(size: int) -> int:
    """Bytes that a payload of `size` bytes takes sealed."""
    return size + TAG * max(1, -(-size // RECORD))


def seal(item: Item, key: SealKey, preamble: bytes = b"") -> Item:
    """The item with its payload sealed; `preamble`: that of its group. ValueError for one that becomes too large."""
    if sealed_size(len(item.payload)) > MAX_ITEM:
        raise ValueError(f"item {item.key} of {len(item.payload)} B is too large to be sealed")
    records = [item.payload[at : at + RECORD] for at in range(0, len(item.payload), RECORD)] or [b""]
    last = len(records) - 1
    kinds = [_MORE] * last + [_LAST if item.ends else _OPEN]
    sealed = (
        key._encrypt(record, _about(item.key, place, kind, preamble))
        for place, (record, kind) in enumerate(zip(records, kinds, strict=True))
    )
    return replace(item, payload=b"".join(sealed))


@dataclass(frozen=True, slots=True)
class Opened:
    """What opened of an item: `payload` from its start; `complete`: there is no more; `damaged`: a record is false."""

    payload: bytes
    complete: bool
    damaged: bool


class Opener:
    """Opens items as they grow. Memory is held only for items of which something opened: for whoever has the key."""

    def __init__(self, key: SealKey) -> None:
        self._key = key
        self._begun: dict[Key, list[bytes]] = {}  # records opened so far

    def open(self, name: Key, sealed: bytes, complete: bool, preamble: bytes = b"") -> Opened:
        """What the first bytes of a sealed item hold; `complete`: the transport says that these are all.

        name: (group, class, index). preamble: that of the group. `sealed` must begin with what was given before.
        """
        records = self._begun.get(name, [])
        while True:
            at = len(records) * _SEALED
            piece = sealed[at : at + _SEALED]
            found = self._try(name, len(records), piece, preamble) if len(piece) >= TAG else None
            if found is None or found[1] != _MORE:
                break
            records.append(found[0])
            self._begun[name] = records
        if found is None:
            return Opened(b"".join(records), False, complete or len(piece) == _SEALED)
        record, kind = found
        ended = kind == _LAST
        if ended:
            self._begun.pop(name, None)
        trailing = at + len(piece) < len(sealed)
        return Opened(b"".join([*records, record]), ended, trailing or (complete and not ended))

    def forget(self, group: int) -> None:
        """Drop what is kept of a group."""
        self._begun = {name: records for name, records in self._begun.items() if name[0] != group}

    def _try(self, name: Key, place: int, piece: bytes, preamble: bytes) -> tuple[bytes, int] | None:
        """(payload, kind) of a record, or None if it is none, or not yet."""
        for kind in (_MORE, _LAST, _OPEN) if len(piece) == _SEALED else (_LAST, _OPEN):
            record = self._key._decrypt(piece, _about(name, place, kind, preamble))
            if record is not None:
                return record, kind
        return None


def _about(name: Key, place: int, kind: int, preamble: bytes) -> bytes:
    """What a record is bound to."""
    group, cls, index = name
    return _NAME + struct.pack(">IBIIB", group, cls, index, place, kind) + (preamble if cls == BASE else b"")
