"""An item from its pieces: any order, doubles, overlaps, contradictions."""

from hypothesis import given
from hypothesis import strategies as st

from transport.assemble import Assembly

ITEM = bytes(range(100))


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 40)), max_size=25), st.randoms())
def test_any_order_gives_the_item(cuts: list[tuple[int, int]], rng: object) -> None:
    pieces = [(a, ITEM[a : a + n], a + n >= 100) for a, n in cuts if n or a == 100]
    pieces += [(a, ITEM[a : a + 10], a == 90) for a in range(0, 100, 10)]
    rng.shuffle(pieces)  # type: ignore[attr-defined]
    assembly, before = Assembly(), 0
    for offset, payload, final in pieces:
        grew = assembly.add(offset, payload, final)
        assert assembly.prefix == ITEM[: len(assembly.prefix)]
        assert grew == (len(assembly.prefix) > before or (grew and assembly.complete))
        before = len(assembly.prefix)
    assert assembly.complete and assembly.prefix == ITEM
    assert assembly.cost == 100


def test_prefix_grows_over_a_filled_gap() -> None:
    assembly = Assembly()
    assert not assembly.add(10, ITEM[10:20], False)
    assert not assembly.add(30, ITEM[30:40], False)
    assert assembly.add(0, ITEM[:10], False) and len(assembly.prefix) == 20
    assert assembly.add(15, ITEM[15:35], False) and len(assembly.prefix) == 40


def test_empty_item_is_complete_with_its_one_segment() -> None:
    assembly = Assembly()
    assert assembly.add(0, b"", True) and assembly.complete
    assert not assembly.add(0, b"", True)


def test_contradictions_are_dropped() -> None:
    assembly = Assembly()
    assembly.add(0, b"abc", False)
    assembly.add(8, b"xy", False)
    assert not assembly.add(4, b"", True), "ends before bytes that are here"
    assert not assembly.add(10, b"z", True)
    assert assembly.length == 11
    assert not assembly.add(11, b"more", False)
    assert not assembly.add(3, b"de", True)
    assert assembly.add(3, b"defgh", False) and assembly.complete
    assert bytes(assembly.prefix) == b"abcdefghxyz"


def test_a_flood_of_tiny_pieces_is_charged() -> None:
    assembly = Assembly()
    for offset in range(2, 2002, 2):
        assembly.add(offset, b"x", False)
    assert assembly.cost >= 1000 * 64
