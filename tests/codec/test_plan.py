"""The plan: fields of every chunk, the default order, preferences, selection by layer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec import latent, plan, residual
from codec.stream import Chunk, Header, Key, Kind, write

HEADER = Header(300, 200, 3, weights=0, base=4)


def chunk(kind: Kind, index: int = 0, size: int = 10) -> Chunk:
    return Chunk(kind, index, bytes(size))


EVERY = [
    chunk(Kind.CHECK, 0, 4),
    *(chunk(Kind.RESIDUAL, index) for index in range(6)),
    chunk(Kind.EDGES, 1),
    chunk(Kind.META, 1),
    *(chunk(Kind.LATENT, index, 100) for index in range(HEADER.base)),
    chunk(Kind.REGIONS),
    chunk(Kind.EDGES),
    chunk(Kind.META),
    chunk(Kind.CAPTION),
]


def keys(chunks: list[Chunk]) -> list[Key]:
    return [chunk.key for chunk in chunks]


def test_default_order() -> None:
    found = keys(plan.order(HEADER, EVERY))
    assert found[:3] == [(Kind.CAPTION, 0), (Kind.LATENT, 0), (Kind.META, 0)]
    at = 2 + HEADER.base
    assert found[3:at] == [(Kind.LATENT, index) for index in range(1, HEADER.base)]
    assert found[at : at + 4] == [(Kind.EDGES, 1), (Kind.REGIONS, 0), (Kind.EDGES, 0), (Kind.META, 1)]
    assert found[at + 4 :] == [*((Kind.RESIDUAL, index) for index in range(6)), (Kind.CHECK, 0)]


def test_structure_first_stands_behind_300_bytes_of_latents() -> None:
    header = Header(300, 200, 3, weights=0, base=6)
    chunks = [chunk(Kind.LATENT, index, 70) for index in range(6)] + [chunk(Kind.EDGES), chunk(Kind.RESIDUAL)]
    found = keys(plan.order(header, chunks, prefer="structure"))
    # 73 bytes each with framing: the fifth reaches 300
    assert [index for kind, index in found[: found.index((Kind.EDGES, 0))]] == [0, 1, 2, 3, 4]
    assert sorted(found) == sorted(keys(chunks))
    with pytest.raises(ValueError, match="'colour'"):
        plan.order(header, chunks, prefer="colour")


@given(st.permutations(EVERY), st.sampled_from([None, "structure"]))
def test_ordering_loses_nothing(shuffled: list[Chunk], prefer: str | None) -> None:
    assert sorted(keys(plan.order(HEADER, shuffled, prefer))) == sorted(keys(EVERY))


@pytest.mark.parametrize(
    ("upto", "kinds"),
    [
        ("caption", {Kind.CAPTION}),
        ("structure", {Kind.CAPTION, Kind.META, Kind.REGIONS, Kind.EDGES}),
        ("latent", {Kind.CAPTION, Kind.META, Kind.REGIONS, Kind.EDGES, Kind.LATENT}),
        ("residual", set(Kind)),
    ],
)
def test_selection_keeps_layers_in_their_order(upto: str, kinds: set[Kind]) -> None:
    assert plan.select(EVERY, upto) == [chunk for chunk in EVERY if chunk.kind in kinds]


def test_selection_refuses_unknown_layers() -> None:
    with pytest.raises(ValueError, match="unknown layer 'meta'"):
        plan.select(EVERY, "meta")


def test_items_add_up_to_the_file() -> None:
    ordered = plan.order(HEADER, EVERY)
    items = plan.plan(HEADER, ordered)
    size = len(HEADER.encode()) + sum(item.framing + len(item.payload) for item in items)
    assert size == len(write(HEADER, ordered))
    assert [item.priority for item in items] == list(range(len(EVERY)))
    assert [item.key for item in items] == keys(ordered)


def test_classes_of_protection() -> None:
    header = Header(300, 200, 3, weights=0, base=3)
    classes = {item.key: item.protection for item in plan.plan(header, EVERY)}
    assert classes[Kind.CAPTION, 0] == classes[Kind.LATENT, 0] == "base"
    assert classes[Kind.EDGES, 1] == classes[Kind.META, 0] == "structure"
    assert classes[Kind.LATENT, 2] == "latent"
    assert plan.protection_of(header, (Kind.LATENT, 3)) == "residual"
    assert classes[Kind.RESIDUAL, 0] == classes[Kind.CHECK, 0] == "residual"
    assert set(classes.values()) == set(plan.CLASSES)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (17, 33), (300, 200), (1100, 900)])
def test_needs_have_no_cycles_and_no_texts(size: tuple[int, int]) -> None:
    header = Header(*size, 3, weights=0, base=255)
    for kind, count in ((Kind.EDGES, 2), (Kind.LATENT, latent.count(header)), (Kind.RESIDUAL, residual.count(header))):
        for index in range(count):
            for need, earlier in plan.needs_of(header, (kind, index)):
                assert need == kind and earlier < index


def test_chunks_that_cannot_exist_need_nothing() -> None:
    for kind in Kind:
        assert plan.needs_of(HEADER, (kind, (1 << 24) - 1)) in ((), ((Kind.EDGES, 0),))


def test_areas_hold_what_a_lost_latent_changes() -> None:
    """The base stands in for unknown coefficients, so a latent's area reaches as far as the residual's transform."""
    header = Header(4000, 3000, 3, 0, 20)
    for index in range(1, 20):
        inner, outer = latent.area(header, index), plan.area_of(header, (Kind.LATENT, index))
        assert outer[0] <= inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2] and inner[3] <= outer[3]
        assert 0 <= outer[0] < outer[2] <= 4000 and 0 <= outer[1] < outer[3] <= 3000
    assert plan.area_of(header, (Kind.CAPTION, 0)) == (0, 0, 0, 0)
    assert plan.area_of(header, (Kind.RESIDUAL, 0)) == residual.area(header, 0)
