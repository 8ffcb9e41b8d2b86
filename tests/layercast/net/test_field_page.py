"""The examples of docs/field.md run; its table of `plan` has the columns that the command prints."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from layercast.cli import cli
from tests.layercast.net.spool_work import stream

PAGE = (Path(__file__).parents[3] / "docs/field.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.S)


@pytest.mark.parametrize("place", range(len(EXAMPLES)))
def test_examples_run(place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photo.lcast").write_bytes(stream(1))
    exec(compile(EXAMPLES[place], f"docs/field.md, example {place}", "exec"), {})


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 2


def test_the_table_is_of_today(tmp_path: Path) -> None:
    (tmp_path / "rocket.lcast").write_bytes(stream(5))
    result = CliRunner().invoke(cli, ["plan", str(tmp_path / "rocket.lcast"), "--link", "lora-sf9"])
    shown = re.search(r"\$ layercast plan .*\n(.*)\n(.*)\n", PAGE)
    assert shown is not None
    title, heads = result.stdout.splitlines()[:2]
    assert title.endswith(shown.group(1)) and heads.split() == shown.group(2).split()
