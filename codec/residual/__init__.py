"""The residual layer: an embedded correction of the base's exact picture, cut anywhere, at its end lossless.

    picture, base ──► planes of differences ──► 13/7-T wavelet ──► cells ──► passes ──► chunks       (encode)
    chunks ──► passes ──► cells ──► filter, wavelet ──► planes ──► base + differences         (ResidualDecoder)

`transform` turns pixels into coefficients, `passes` decides what is asked about them and how likely each answer is,
`layout` says which passes stand in which chunk, `filter` places coefficients within what is known of them, `tables`
holds what was learned. FORMAT.md is normative.
"""

from codec.residual.decoder import ResidualDecoder
from codec.residual.encoder import encode
from codec.residual.layout import Layout
from codec.stream import Header, Key, Kind

__all__ = ["Layout", "ResidualDecoder", "area", "count", "encode", "needs"]


def count(header: Header) -> int:
    """How many residual chunks a picture can have; the last few of each cell (spare ones) rarely exist."""
    return Layout.of(header).count


def needs(header: Header, index: int) -> tuple[Key, ...]:
    """The chunks that residual chunk `index` builds on directly. IndexError if there is no such chunk."""
    return tuple((Kind.RESIDUAL, need) for need in Layout.of(header).needs(index))


def area(header: Header, index: int) -> tuple[int, int, int, int]:
    """The pixels x0, y0, x1, y1 (ends excluded) that chunk `index` can change. IndexError if there is no such chunk."""
    return Layout.of(header).area(index)
