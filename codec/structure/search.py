"""The encoder's choice of tokens: what looks closest for what it costs (edges' encoder side only).

Tokens are chosen phase by phase, as they will be decoded: for every position of a phase each token's squared error
over its window plus `price` times its bits under the very probabilities that the decoder will have. A second sweep
chooses again with the windows of all neighbours painted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.entropy import BitEncoder
from codec.stream import MAX_LENGTH
from codec.structure.codebook import Codebook
from codec.structure.context import PHASES, UNKNOWN, Tokens, encode_phase, put_phase

SWEEPS = 2
TRIES = 8  # prices tried to keep a payload within its budget

Floats = NDArray[np.float32]


def choose(
    book: Codebook, target: NDArray[np.uint8], under: NDArray[np.int32], price: float, sweeps: int = SWEEPS
) -> tuple[Tokens, bytes]:
    """Tokens int[h,w] and their payload for the map `target` uint8[mh,mw].

    under: int32[h*cell,w*cell], what is painted already, in 1/8 levels (Codebook.blank, or the coarse picture).
    price: squared levels (of 0..255) that a bit may cost.
    """
    shape = (under.shape[0] // book.cell, under.shape[1] // book.cell)
    mask = np.zeros(under.shape, np.float32)
    mask[: target.shape[0], : target.shape[1]] = 1
    missing = np.zeros(under.shape, np.float32)
    missing[: target.shape[0], : target.shape[1]] = target
    missing -= under / np.float32(8)
    seen = book.window(under)
    atoms = book.atoms.reshape(len(book.atoms), -1).astype(np.float32) / 8
    margin = ((book.margin, book.margin), (book.margin, book.margin))
    left, inside = np.pad(missing * mask, margin), np.pad(mask, margin)  # what no token has painted yet
    painted = np.full(shape, UNKNOWN, np.int32)
    for _ in range(sweeps):
        encoder = BitEncoder()
        tokens = np.full(shape, UNKNOWN, np.int32)
        for phase, (row, column) in enumerate(PHASES):
            probabilities = book.model.probabilities(tokens, seen, phase)
            old = painted[row::2, column::2].reshape(-1)
            windows, valid = book.cut(left, phase), book.cut(inside, phase)
            before = np.where(old[:, None] >= 0, atoms[old], np.float32(0))
            error = valid @ (atoms * atoms).T - 2 * ((windows + before * valid) @ atoms.T)
            cost = error + np.float32(price) * book.model.rates(probabilities)
            best = cost.argmin(1).astype(np.int32)
            encode_phase(book.model, encoder, best, probabilities)
            put_phase(tokens, phase, best)
            _add_windows(book, left, (before - atoms[best]) * valid, phase)
        painted = tokens
    return painted, encoder.finish()


def fit(book: Codebook, target: NDArray[np.uint8], under: NDArray[np.int32], most: int) -> tuple[Tokens, bytes]:
    """`choose` at the codebook's price, or at the first of a few higher ones that keeps the payload within `most`.

    Within MAX_LENGTH always; a map of noise may stay above a smaller `most`.
    """
    price = book.price
    tokens, payload = choose(book, target, under, price)
    tries = 0
    while len(payload) > MAX_LENGTH or (len(payload) > most and tries < TRIES):
        price *= max(1.1, (len(payload) / most) ** 1.5)
        tokens, payload = choose(book, target, under, price)
        tries += 1
    return tokens, payload


def _add_windows(book: Codebook, picture: Floats, windows: Floats, phase: int) -> None:
    """Adds windows float32[n,reach*reach] of one phase to the picture, which has a margin; they overlap each other
    in no phase as long as a window reaches over at most one cell beyond its own on either side."""
    row, column = PHASES[phase]
    cell, reach = book.cell, book.reach
    rows = len(range(row, (picture.shape[0] - 2 * book.margin) // cell, 2))
    if not len(windows):
        return
    parts = windows.reshape(rows, -1, reach, reach)
    for dy in range(reach):
        for dx in range(reach):
            y, x = row * cell + dy, column * cell + dx
            picture[y :: 2 * cell, x :: 2 * cell][: parts.shape[0], : parts.shape[1]] += parts[:, :, dy, dx]
