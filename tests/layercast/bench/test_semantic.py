"""The benchmarks of words: what regions hit, whether pairs are told apart, how near a sentence is to people's."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from layercast.bench import agreement, bench, captioners, regions
from layercast.bench.captioners import EMBEDDED, PERSON, Said
from layercast.bench.regions import Photo, Thing
from layercast.bench.report import Report
from layercast.commands.describing import Describer
from tests.layercast.test_cli import draw

DOG, MAN = Thing("dog", (0.0, 0.0, 0.5, 0.5)), Thing("person", (0.5, 0.5, 1.0, 1.0))


def rows(report: Report) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for table in report.tables for row in table.rows]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four held-out photos with two sentences each, in the layout of the data sets."""
    (tmp_path / "captions").mkdir()
    (tmp_path / "flickr8k").mkdir()
    with lzma.open(tmp_path / "captions" / "flickr8k_test200.tsv.xz", "wt", encoding="utf-8") as out:
        for i, thing in enumerate(("dog", "boat", "girl", "horse")):
            out.write(f"{i}.jpg\tA {thing} runs over the grass.\n{i}.jpg\tThe {thing} is out there.\n")
    with tarfile.open(tmp_path / "flickr8k" / "test200.tar", "w") as tar:
        for i in range(4):
            file = io.BytesIO()
            Image.fromarray(np.roll(draw(48, 64, 3), 9 * i, axis=1)).save(file, "PNG")
            entry = tarfile.TarInfo(f"{i}.webp")
            entry.size = file.tell()
            tar.addfile(entry, io.BytesIO(file.getvalue()))
    return tmp_path


def run(*words: str | Path) -> list[dict[str, Any]]:
    result = CliRunner().invoke(bench, [*map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_regions_hit_point_and_name() -> None:
    good = Photo(((0.0, 0.0, 0.5, 0.4), (0.5, 0.5, 1.0, 1.0)), ("a brown dog", "two men"), 20, 1.0, (DOG, MAN))
    bad = Photo(((0.4, 0.0, 1.0, 0.3), (0.0, 0.5, 0.1, 1.0)), ("a dog", "a cat"), 99, 3.0, (DOG, MAN))
    by = Describer("embedded", regions=2)
    found = regions.report([good, bad], by)
    own, next_ones, drawn = rows(found)[:3]
    assert found.notes == ["4 objects; half of them cover less than 25.0% of a photo."]
    assert (own["overlap an object by half %"], own["point at an object %"], own["name it %"]) == (50, 50, 50)
    assert next_ones["overlap an object by half %"] == 50 and 0 < drawn["overlap an object by half %"] < 30
    assert rows(found)[3]["mean bytes"] == 59.5 and found.ok
    assert not regions.report([bad], by).ok and not regions.report([bad._replace(boxes=())], by).tables
    assert regions.names("a row of cars", "car") and not regions.names("a cart", "car")
    assert regions.names("a little girl", "person") and regions.names("a stop sign", "stop sign")


def test_pairs_are_told_apart_or_not() -> None:
    assert agreement.auc([0.9, 0.8], [0.1, 0.2]) == 1 and agreement.auc([0.5], [0.5]) == 0.5
    assert agreement.auc([0.3, 0.1], [0.2]) == 0.5
    good = agreement.Shown(None, {"agreement": [0.5, 0.6]}, {"agreement": [0.0, -0.1]})
    bad = agreement.Shown(600, {"agreement": [0.0, 0.6]}, {"agreement": [0.1, -0.1]})
    found = agreement.report([good, bad])
    assert [check.ok for check in found.checks] == [True, False]
    assert [row["picture"] for row in rows(found)] == ["as it is", "600 B"]


def test_agreement_of_photos_as_they_decode(data: Path) -> None:
    lines = run("agreement", data, "--budgets", "120")
    shown = [line for line in lines if line.get("score") == "agreement"]
    assert [(line["picture"], line["photos"]) for line in shown] == [("as it is", 4), ("120 B", 4)]
    assert all(0 <= line["AUC"] <= 1 for line in shown)
    assert CliRunner().invoke(bench, ["agreement", str(data), "--budgets", "few"]).exit_code == 2


def test_captioners_are_held_against_people(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = {"a": ["A dog runs.", "A dog runs fast."], "b": ["Two cats sit there.", "Two cats sit."]}
    right = Said({"a": "A dog runs fast.", "b": "Two cats sit there."}, 0.1)
    wrong = Said({"a": "Zebras drink water.", "b": "Zebras drink water."}, 0.1)
    first = Said({name: texts[0] for name, texts in people.items()}, 0.0)
    good, bad = (rows(captioners.report({PERSON: first, EMBEDDED: said}, people))[1] for said in (right, wrong))
    assert good["CIDEr-D"] > 3 and good["different %"] == 100 and bad["CIDEr-D"] == 0 and bad["different %"] == 50
    monkeypatch.setattr(captioners, "programs", lambda named: {"index": lambda photo: "A dog runs over the grass."})
    lines = run("captioners", data, "--show", "1")
    assert [line["program"] for line in lines if "program" in line] == [PERSON, "index"]
    assert any("- index: A dog runs over the grass." in line.get("note", "") for line in lines)


@pytest.mark.parametrize("name", ["agreement", "captioners", "regions"])
def test_missing_data_is_one_line(name: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(bench, [name, str(tmp_path)])
    assert result.exit_code == 1 and "give the folder of the data sets" in result.output
