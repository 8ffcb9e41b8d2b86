"""What a benchmark says: tables, checks against their goals, notes; as Markdown or as JSON lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import click


class Interval(NamedTuple):
    """A figure and the bounds that it lies within."""

    mean: float
    low: float
    high: float


Cell = str | float | int | bool | Interval | None


@dataclass(frozen=True)
class Check:
    """A figure beside its goal, in words, and whether it holds."""

    name: str
    figure: str
    goal: str
    ok: bool

    def line(self) -> str:
        """One line for a person."""
        return f"{'PASS' if self.ok else 'FAIL'}  {self.name}: {self.figure} (goal {self.goal})"


@dataclass
class Table:
    """Rows under columns. JSON carries the cells as they are, Markdown rounds them."""

    columns: Sequence[str]
    rows: list[Sequence[Cell]] = field(default_factory=list)
    title: str = ""

    def markdown(self) -> str:
        """The table in Markdown, with its title above."""
        lines = [self.columns, ["---"] * len(self.columns), *([_shown(cell) for cell in row] for row in self.rows)]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"**{self.title}**\n\n{body}" if self.title else body


def _shown(cell: Cell) -> str:
    """A cell for a person: three to four figures, a dash for nothing."""
    if cell is None:
        return "-"
    if isinstance(cell, Interval):
        return f"{_shown(cell.mean)} [{_shown(cell.low)}, {_shown(cell.high)}]"
    if isinstance(cell, bool) or not isinstance(cell, float):
        return str(cell)
    if not math.isfinite(cell):
        return "exact" if cell == math.inf else "-"
    if cell and abs(cell) < 0.001:
        return f"{cell:.1e}"
    return f"{cell:.0f}" if abs(cell) >= 1000 else f"{cell:.1f}" if abs(cell) >= 100 else f"{cell:.{_digits(cell)}f}"


def _digits(cell: float) -> int:
    return 2 if abs(cell) >= 1 else 3


def _plain(cell: Cell) -> Cell | dict[str, float]:
    """JSON knows no infinity, and names the parts of an interval."""
    if isinstance(cell, Interval):
        return cell._asdict()
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


@dataclass
class Report:
    """All that one run of a benchmark found."""

    name: str
    notes: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def check(self, name: str, figure: str, goal: str, ok: bool) -> None:
        """Adds a check."""
        self.checks.append(Check(name, figure, goal, bool(ok)))

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)

    def markdown(self) -> str:
        """The whole report for a person or a document."""
        parts = [f"## {self.name}", *self.notes, *(table.markdown() for table in self.tables)]
        if self.checks:
            parts.append("\n".join(f"- {check.line()}" for check in self.checks))
        return "\n\n".join(parts)

    def json_lines(self) -> Iterator[str]:
        """One JSON object a line: notes, rows of the tables, checks. An infinite PSNR (no difference) is null."""
        for note in self.notes:
            yield json.dumps({"bench": self.name, "note": note})
        for table in self.tables:
            for row in table.rows:
                cells = {column: _plain(cell) for column, cell in zip(table.columns, row, strict=True)}
                yield json.dumps({"bench": self.name, "table": table.title, **cells})
        for check in self.checks:
            held = {"check": check.name, "figure": check.figure, "goal": check.goal, "ok": check.ok}
            yield json.dumps({"bench": self.name, **held})

    def show(self, as_json: bool, strict: bool) -> None:
        """Prints the report; exit status 1 under `strict` if a check fails."""
        click.echo("\n".join(self.json_lines()) if as_json else self.markdown())
        if strict and not self.ok:
            raise SystemExit(1)
