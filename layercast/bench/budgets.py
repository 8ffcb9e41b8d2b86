"""Budgets at which codecs are compared: so many bytes, or so many bits per pixel; 0 is the thumbnail."""

from __future__ import annotations

from dataclasses import dataclass

THUMBNAIL = "thumbnail"
SMALL = 3000  # bytes up to which the latents decide
BYTES = "150-3000 B"
MORE_BYTES = "above 3000 B"
BITS = "0.1-2 bpp"
DEFAULT = "0,150,300,600,1000,2000,3000,0.1bpp,0.15bpp,0.25bpp,0.4bpp,0.6bpp,1bpp,1.5bpp,2bpp"


@dataclass(frozen=True)
class Budget:
    """`amount` bytes of any picture or, `per_pixel`, bits per pixel of it."""

    amount: float
    per_pixel: bool = False

    @classmethod
    def parse(cls, word: str) -> Budget:
        """`600`, `0.25bpp`, `0` (the thumbnail). ValueError for anything else."""
        word = word.strip()
        if word.endswith("bpp"):
            budget = cls(float(word.removesuffix("bpp")), True)
        else:
            budget = cls(int(word))
        if not 0 <= budget.amount < 1e9 or (budget.per_pixel and not budget.amount):
            raise ValueError(f"no budget: {word}")
        return budget

    @property
    def label(self) -> str:
        """For tables: `600`, `0.25 bpp`, `thumbnail`."""
        if self.per_pixel:
            return f"{self.amount:g} bpp"
        return f"{self.amount:g}" if self.amount else THUMBNAIL

    @property
    def range(self) -> str | None:
        """The range of rates that its point belongs to, BYTES, MORE_BYTES or BITS; None for the thumbnail."""
        if self.per_pixel:
            return BITS
        return (BYTES if self.amount <= SMALL else MORE_BYTES) if self.amount else None

    def bytes(self, pixels: int) -> int:
        """Bytes of a picture of so many pixels."""
        return int(self.amount * pixels / 8) if self.per_pixel else int(self.amount)


def parse(text: str) -> list[Budget]:
    """Budgets between commas, bytes first, each from small to large. ValueError."""
    found = {Budget.parse(word) for word in text.split(",")}
    return sorted(found, key=lambda budget: (budget.per_pixel, budget.amount))
