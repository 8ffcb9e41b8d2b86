"""Raw rows for other programs: JSON lines as they are, or a flat table that pandas, R or DuckDB read as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sim.measure import MARKS, Row

LOOKS = ("time", "bytes", "psnr", "ssimulacra2", "features")


class NoWriter(RuntimeError):
    """The package that writes Parquet is not there."""


def json_lines(rows: Sequence[Row]) -> Iterator[str]:
    """A line of JSON a row."""
    return (json.dumps(row.plain()) for row in rows)


def flat(row: Row, keys: Sequence[str]) -> dict[str, Any]:
    """One level of columns: `point.KEY` for each of `keys`, `until.MARK` in seconds; looks are a list of records."""
    values = row.plain()
    point, times, looks = values.pop("point"), values.pop("times"), values.pop("looks")
    return {
        **values,
        **{f"point.{key}": point.get(key) for key in keys},
        **{f"until.{mark}": times.get(mark) for mark in MARKS},
        "looks": [dict(zip(LOOKS, [time, size, *(found or [None] * 3)], strict=True)) for time, size, found in looks],
    }


def write_parquet(rows: Sequence[Row], target: Path) -> None:
    """A file with a record a row. Raises NoWriter without pyarrow, OSError."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise NoWriter("Parquet needs pyarrow; pip install 'layercast[parquet]', or export json") from None
    keys = list(dict.fromkeys(key for row in rows for key in row.point))
    records = [flat(row, keys) for row in rows]
    for key in (f"point.{key}" for key in keys):
        values = [record[key] for record in records if record[key] is not None]
        if len({isinstance(value, (int, float)) for value in values}) > 1:  # a column has one kind of values
            for record in records:
                record[key] = None if record[key] is None else str(record[key])
    table = pyarrow.Table.from_pylist(records)
    kinds = [field.with_type(pyarrow.float64()) if field.type == pyarrow.null() else field for field in table.schema]
    parquet.write_table(table.cast(pyarrow.schema(kinds)), target)  # a column of nothing is one of numbers
