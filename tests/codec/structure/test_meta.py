"""META chunks: what goes in comes out, what is damaged raises FormatError, nothing else."""

from __future__ import annotations

import json
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.stream import MAX_LENGTH, FormatError
from codec.structure import meta

VECTORS = Path(__file__).parents[2] / "vectors" / "structure"
FACTS = {
    "time": "2026-05-04T12:30:00Z",
    "place": "52.52,13.40",
    "sender": "Bärenfalle 7",
    "seed": "42",
    "lens": "50 mm",
}
PROFILE = b"\0\0\x02\x0cADBE\x02\x10\0\0mntrRGB XYZ " + bytes(range(256)) * 2

keys = st.sampled_from(sorted(meta.KEYS.values())) | st.from_regex(r"[A-Za-z0-9_.\-]{1,64}", fullmatch=True)
values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=300)


@given(st.dictionaries(keys, values, max_size=12))
def test_facts_round_trip(facts: dict[str, str]) -> None:
    assert meta.decode(meta.encode(facts)) == facts


def test_known_keys_cost_one_byte() -> None:
    assert len(meta.encode({"seed": "42"})) == 1 + 2
    assert len(meta.encode({"seed": "42", "time": "now"})) == 1 + 1 + 2 + 1 + 3


def test_a_long_value_round_trips() -> None:
    facts = {"note": "ä" * 2000, "time": "x" * 4096}
    assert meta.decode(meta.encode(facts)) == facts


@pytest.mark.parametrize(
    "facts", [{"a b": "x"}, {"": "x"}, {"k" * 65: "x"}, {"time": "a\x1b[2J"}, {"time": "x" * 4097}, {"time": "\ud800"}]
)
def test_what_cannot_be_stored_is_refused(facts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"time|key"):
        meta.encode(facts)


def test_too_many_facts_are_refused() -> None:
    with pytest.raises(ValueError, match="65 facts"):
        meta.encode({f"k{n}": "" for n in range(65)})
    with pytest.raises(ValueError, match=str(MAX_LENGTH)):
        meta.encode({f"k{n}": "x" * 4000 for n in range(5)})


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\x01\x05ab", "runs past"),
        (b"\x81\xff", "UTF-8"),
        (b"\x80novalue", "no key"),
        (b"\x80time=1", "no key"),
        (b"\x01\x01a\x81b", "twice"),
        (b"\x81\x1b", "control"),
        (b"\x7f\x00" * 65, "more than"),
    ],
)
def test_damage_is_a_format_error(payload: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        meta.decode(payload)


def test_later_key_codes_are_skipped() -> None:
    assert meta.decode(b"\x20\x02xx\x84" + b"42") == {"seed": "42"}


def test_a_cut_payload_gives_the_complete_facts() -> None:
    payload = meta.encode(FACTS)
    for length in range(len(payload)):
        facts = meta.decode(payload[:length], whole=False)
        assert list(facts.items()) == list(FACTS.items())[: len(facts)]
    assert len(facts) == len(FACTS) - 1


def test_profiles_round_trip() -> None:
    rng = random.Random(1)
    assert meta.encode_profile(b"") == []
    for icc in (PROFILE, rng.randbytes(40_000), rng.randbytes(meta.MAX_PROFILE)):
        parts = meta.encode_profile(icc)
        assert all(len(part) <= MAX_LENGTH for part in parts)
        assert meta.decode_profile(parts) == icc
        if len(parts) > 1:
            assert meta.decode_profile(parts[:-1]) is None
    with pytest.raises(ValueError, match="at most"):
        meta.encode_profile(bytes(meta.MAX_PROFILE + 1))


def test_a_profile_that_unpacks_without_end_is_stopped() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(1 << 23)) + packer.flush()
    with pytest.raises(FormatError, match="too long"):
        meta.decode_profile([b"\x85" + bomb])


def test_facts_are_no_profile() -> None:
    with pytest.raises(FormatError, match="not a part"):
        meta.decode_profile([meta.encode(FACTS)])


def test_golden_vector() -> None:
    vector = json.loads((VECTORS / "meta.json").read_text())
    assert meta.encode(vector["facts"]).hex() == vector["payload"]
    assert meta.decode(bytes.fromhex(vector["payload"])) == vector["facts"]
    assert meta.decode_profile([bytes.fromhex(part) for part in vector["profile_parts"]]) == PROFILE


@settings(max_examples=1500)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_facts_or_a_format_error(payload: bytes, whole: bool) -> None:
    try:
        facts = meta.decode(payload, whole)
    except FormatError:
        return
    assert all(isinstance(value, str) for value in facts.values())


def test_mutated_payloads_give_facts_or_a_format_error() -> None:
    rng = random.Random(2)
    good = meta.encode(FACTS)
    outcomes = set()
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        try:
            meta.decode(bytes(bad[: rng.randint(0, len(bad))]), whole=bool(rng.getrandbits(1)))
            outcomes.add("facts")
        except FormatError:
            outcomes.add("error")
    assert outcomes == {"facts", "error"}


def test_mutated_profiles_give_a_profile_nothing_or_a_format_error() -> None:
    rng = random.Random(3)
    good = meta.encode_profile(PROFILE)[0]
    for _ in range(3000):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] = rng.randrange(256)
        try:
            icc = meta.decode_profile([bytes(bad[: rng.randint(0, len(bad))])])
        except FormatError:
            continue
        assert icc is None or len(icc) <= meta.MAX_PROFILE
