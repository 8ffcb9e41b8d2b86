"""A learnt codebook of edge patches: tokens in, a picture of edges out, in integers (EDGES chunks).

Each token paints a window that is larger than its cell, and windows add up, so that lines run on across cells:

    map at 1/4 = clip(coarse: cells of 8, windows of 12  +  fine: cells of 4, windows of 8)

Both decoder and encoder paint with it; codec/train/edge_vq.py learns it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from codec.models import load
from codec.structure.context import PHASES, UNKNOWN, TokenModel, Tokens

LEVEL = 8  # units of a painted picture per level of the map's 0..255
STEPS = ("coarse", "fine")
SEEN = 8  # side of the window of the coarse picture that the fine tokens' probabilities look at


@dataclass(frozen=True)
class Codebook:
    """Tokens of one step. atoms: int16[K,reach,reach] in 1/8 levels, that of token 0 all zero; cell: side of a cell
    in pixels of the map; price: the encoder's default, squared levels per bit."""

    model: TokenModel
    atoms: NDArray[np.int16]
    cell: int
    fine: bool
    price: float

    @property
    def reach(self) -> int:
        """Side of a token's window."""
        return int(self.atoms.shape[1])

    @property
    def margin(self) -> int:
        """How far a window reaches over its cell, on each side."""
        return (self.reach - self.cell) // 2

    def paint(self, tokens: Tokens) -> NDArray[np.int32]:
        """The sum of the tokens' windows, int32[h*cell,w*cell] in 1/8 levels; UNKNOWN paints nothing."""
        h, w = tokens.shape
        atoms = self.atoms[np.where(tokens == UNKNOWN, 0, tokens)].astype(np.int32)
        canvas = np.zeros((h * self.cell + 2 * self.margin, w * self.cell + 2 * self.margin), np.int32)
        for dy in range(self.reach):
            for dx in range(self.reach):
                canvas[dy :: self.cell, dx :: self.cell][:h, :w] += atoms[:, :, dy, dx]
        return canvas[self.margin : self.margin + h * self.cell, self.margin : self.margin + w * self.cell]

    def window(self, under: NDArray[np.int32]) -> NDArray[np.uint8]:
        """What the probabilities see of the picture below: uint8[h,w,64] in 0..127, or [h,w,0] in the coarse step."""
        h, w = under.shape[0] // self.cell, under.shape[1] // self.cell
        if not self.fine:
            return np.empty((h, w, 0), np.uint8)
        margin = (SEEN - self.cell) // 2
        levels = np.pad(shown(under) >> 1, margin)
        parts = [levels[dy :: self.cell, dx :: self.cell][:h, :w] for dy in range(SEEN) for dx in range(SEEN)]
        return np.stack(parts, axis=2)

    def cut(self, picture: NDArray[np.float32], phase: int) -> NDArray[np.float32]:
        """The windows of one phase, float32[n,reach*reach], of a picture with a margin on each side."""
        row, column = PHASES[phase]
        h = (picture.shape[0] - 2 * self.margin) // self.cell
        w = (picture.shape[1] - 2 * self.margin) // self.cell
        rows, columns = len(range(row, h, 2)), len(range(column, w, 2))
        out = np.empty((rows, columns, self.reach, self.reach), np.float32)
        for dy in range(self.reach):
            for dx in range(self.reach):
                y, x = row * self.cell + dy, column * self.cell + dx
                out[:, :, dy, dx] = picture[y :: 2 * self.cell, x :: 2 * self.cell][:rows, :columns]
        return out.reshape(rows * columns, self.reach * self.reach)


def shown(painted: NDArray[np.int32]) -> NDArray[np.uint8]:
    """A painted picture (1/8 levels) as levels 0..255: floor((p + 4) / 8), clipped."""
    return ((painted + LEVEL // 2) >> 3).clip(0, 255).astype(np.uint8)


@cache
def codebooks(weights: int | str) -> tuple[Codebook, Codebook]:
    """Coarse and fine of one set of weights (number in the header, or name)."""
    coarse, fine = (_codebook(load(weights, "edge_vq"), step) for step in STEPS)
    return coarse, fine


def _codebook(arrays: dict[str, np.ndarray], step: str) -> Codebook:
    own = {name.removeprefix(f"{step}."): array for name, array in arrays.items() if name.startswith(f"{step}.")}
    model = TokenModel(
        own["embedding"], own["hidden"], own["hidden_bias"], own["output"], own["output_bias"], own["tree"],
        arrays["sigmoid"],
    )  # fmt: skip
    model.check()
    return Codebook(model, own["atoms"], 4 if step == "fine" else 8, step == "fine", float(own["price"][0]))
