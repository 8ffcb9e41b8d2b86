"""The base picture's shape: pure functions of the stream's width and height, used by every layer below the residual.

Latents, edges and thumbnail describe the *base picture*: the photo reduced by a power of two until its longer side is
at most 1024, so that their bytes do not grow with the sensor. The exact picture enlarges it again.
"""

from __future__ import annotations

MAX_BASE_SIDE = 1024
GRID = 32  # base pixels a side of one position of the coarsest grid


def reduction(width: int, height: int) -> int:
    """k: the base picture is the photo reduced by 2^k."""
    k = 0
    while -(-max(width, height) >> k) > MAX_BASE_SIDE:
        k += 1
    return k


def base_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the base picture in pixels."""
    k = reduction(width, height)
    return -(-width >> k), -(-height >> k)


def grid_size(width: int, height: int, cell: int = GRID) -> tuple[int, int]:
    """(columns, rows) of positions `cell` base pixels apart, the base picture padded to multiples of 32."""
    base_width, base_height = base_size(width, height)
    return -(-base_width // GRID) * (GRID // cell), -(-base_height // GRID) * (GRID // cell)
