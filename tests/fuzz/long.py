"""`make fuzz`: 200,000 hostile inputs over all parsers, the slowest and the largest of them.

The same parsers and changes as test_fuzz.py, other inputs, more of them. Memory is what Python and numpy allocate while
an input is parsed, by tracemalloc, which also slows the seconds down. `--write FILE` puts the figures under "Hostile
input" into a document that `layercast bench document` keeps.
"""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import click
from tqdm import tqdm

from layercast.bench.document import HOSTILE, put_section
from layercast.bench.report import Report, Table
from tests.fuzz.mutate import hostile
from tests.fuzz.parsers import ERRORS, PARSERS, Parser

DEFAULT = 200_000, 2  # inputs, seed
GOAL_SECONDS = 5.0
GOAL_BYTES = 200_000_000
TEXT = "Damaged, cut, spliced and made-up inputs to every parser; each gives a result or the one error."


@dataclass
class Found:
    """Of one parser: inputs, those refused, the longest in seconds, the most bytes of memory for one, failures."""

    name: str
    inputs: int
    refused: int
    seconds: float
    memory: int
    failures: list[str]


def feed(parser: Parser, amount: int, seed: int) -> Found:
    """Feeds `amount` hostile inputs to a parser."""
    found = Found(parser.name, amount, 0, 0.0, 0, [])
    honest = parser.honest()
    for data in honest:
        parser.feed(data)  # loads what is loaded once
    inputs = tqdm(hostile(honest, amount, seed), total=amount, desc=parser.name, disable=None, leave=False)
    for number, data in enumerate(inputs):
        tracemalloc.start()
        start = time.process_time()
        try:
            parser.feed(data)
        except ERRORS:
            found.refused += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            found.failures.append(f"{parser.name} input {number}: {type(error).__name__}: {error}: {data.hex()}")
        found.seconds = max(found.seconds, time.process_time() - start)
        found.memory = max(found.memory, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return found


def report(found: list[Found]) -> Report:
    """A row a parser, the goals, every failure."""
    result = Report("fuzz", [line for each in found for line in each.failures])
    table = Table(("parser", "inputs", "refused", "failures", "slowest s", "largest allocation kB"))
    for each in found:
        row = (each.name, each.inputs, each.refused, len(each.failures), each.seconds, each.memory // 1000)
        table.rows.append(row)
    result.tables.append(table)
    total, failures = sum(each.inputs for each in found), sum(len(each.failures) for each in found)
    result.check("a result or the one error", f"{total - failures} of {total}", "all", not failures)
    slow = max(found, key=lambda each: each.seconds)
    figure = f"{slow.seconds:.2f} s ({slow.name})"
    result.check("slowest input", figure, f"<= {GOAL_SECONDS:g} s", slow.seconds <= GOAL_SECONDS)
    large = max(found, key=lambda each: each.memory)
    figure = f"{large.memory / 1e6:.1f} MB ({large.name})"
    result.check("largest allocation", figure, f"<= {GOAL_BYTES / 1e6:g} MB", large.memory <= GOAL_BYTES)
    return result


@click.command()
@click.option("--inputs", type=click.IntRange(100), default=DEFAULT[0], show_default=True, help="In all.")
@click.option("--seed", type=int, default=DEFAULT[1], show_default=True, help="Of the changes.")
@click.option(
    "--write", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A document to put them in."
)
@click.option(
    "--parser", "only", multiple=True, type=click.Choice([each.name for each in PARSERS]), help="Only these; repeat it."
)
def main(inputs: int, seed: int, write: Path | None, only: tuple[str, ...]) -> None:
    """Hostile inputs over all parsers; exit status 1 if one of them is not met by a result or the one error."""
    if only and write is not None:
        raise click.UsageError("--write takes all parsers")
    parsers = [parser for parser in PARSERS if not only or parser.name in only]
    share = inputs / sum(parser.inputs for parser in parsers)
    found = report([feed(parser, -int(-parser.inputs * share // 1), seed) for parser in parsers])
    if write is not None:
        body = found.markdown().split("\n", 2)[2].strip()
        words = "make fuzz" if (inputs, seed) == DEFAULT else f'make fuzz ARGS="--inputs {inputs} --seed {seed}"'
        put_section(write, HOSTILE, f"{TEXT}\n\n    {words}\n\n{body}")
    found.show(as_json=False, strict=True)


if __name__ == "__main__":
    main()
