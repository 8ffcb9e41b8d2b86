"""Rows for other programs."""

import json
import sys
from pathlib import Path

import pytest

from sim.export import NoWriter, flat, json_lines, write_parquet
from sim.measure import Look, Quality, Row


def rows() -> list[Row]:
    looks = [Look(1.0, 0, None), Look(2.0, 900, Quality(30.0, 55.5, 0.4))]
    first = Row("s", "a.png", 0, "layercast", "udp", {"link.loss": 0.1}, {"caption": 0.5}, looks, area=27.75)
    second = Row("s", "a.png", 0, "avif", "udp", {"link.loss": 0.1, "link.preset": "gprs"}, {}, looks)
    return [first, second]


def test_lines_of_json_come_back() -> None:
    assert [Row.of(json.loads(line)) for line in json_lines(rows())] == rows()


def test_columns_are_flat() -> None:
    record = flat(rows()[0], ["link.loss", "link.preset"])
    assert record["point.link.loss"] == 0.1 and record["point.link.preset"] is None
    assert record["until.caption"] == 0.5 and record["until.recognisable"] is None
    assert record["looks"][0] == {"time": 1.0, "bytes": 0, "psnr": None, "ssimulacra2": None, "features": None}
    assert record["looks"][1]["ssimulacra2"] == 55.5


def test_a_parquet_file_holds_the_same(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet(rows(), tmp_path / "rows.parquet")
    table = parquet.read_table(tmp_path / "rows.parquet")
    assert table.column("codec").to_pylist() == ["layercast", "avif"]
    assert table.column("area").to_pylist() == [27.75, None]
    assert table.column("point.link.preset").to_pylist() == [None, "gprs"]
    assert str(table.schema.field("fairness").type) == "double", "a column of nothing is one of numbers"
    assert table.column("looks").to_pylist()[1][1]["features"] == 0.4


def test_without_pyarrow_one_line_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NoWriter, match=r"needs pyarrow; pip install 'layercast\[parquet\]'"):
        write_parquet(rows(), tmp_path / "rows.parquet")
