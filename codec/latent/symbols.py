"""Latents as binary decisions: not zero, sign, and one decision for each further unit of magnitude.

The probability of each is looked up by the spread that the prior network predicted. Channel by channel, so that a cut
chunk keeps whole channels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.entropy import BitDecoder, BitEncoder

LARGEST = 15  # largest magnitude of a latent
_EVEN = 1 << 15


def put(encoder: BitEncoder, values: NDArray[np.int64], spreads: NDArray[np.uint8], table: NDArray[np.uint16]) -> None:
    """Codes whole `values` [n] within +-LARGEST; `table` [spreads, LARGEST]: P(magnitude > m | >= m) in 2^-16."""
    magnitude = np.abs(values)
    for m in range(LARGEST):
        at = np.flatnonzero(magnitude >= m)
        if not at.size:
            return
        encoder.put(magnitude[at] > m, table[spreads[at], m])
        if m == 0:
            signed = values[magnitude > 0]
            encoder.put(signed < 0, np.full(signed.size, _EVEN))


def get(decoder: BitDecoder, spreads: NDArray[np.uint8], table: NDArray[np.uint16]) -> NDArray[np.int64]:
    """The values [n] that `put` coded; where a cut payload ran dry, the smallest magnitude that is certain."""
    magnitude = np.zeros(spreads.size, dtype=np.int64)
    sign = np.zeros(0, dtype=np.int64)
    at = np.arange(spreads.size)
    for m in range(LARGEST):
        more = decoder.get(table[spreads[at], m])
        at = at[: more.size][more > 0]
        magnitude[at] += 1
        if m == 0:
            negative = decoder.get(np.full(at.size, _EVEN))
            sign = np.zeros(spreads.size, dtype=np.int64)
            sign[at[: negative.size]] = 1 - 2 * negative.astype(np.int64)
        if not at.size:
            break
    return magnitude * sign
