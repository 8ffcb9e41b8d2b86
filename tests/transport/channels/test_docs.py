"""The Python of docs/two-machines.md runs, and its commands have the options that it names."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from layercast.cli import cli

PAGE = (Path(__file__).parents[3] / "docs" / "two-machines.md").read_text()


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(compile(example, "docs/two-machines.md", "exec"), {})
    assert capsys.readouterr().out == "item (1, 0, 0): a dog\n"


def test_the_commands_know_the_options() -> None:
    lines = re.findall(r"^    layercast (serve|receive) (.*)$", PAGE, re.M)
    assert len(lines) == 5
    for command, words in lines:
        known = CliRunner().invoke(cli, [command, "--help"]).output
        options = [word for word in shlex.split(words) if word.startswith("-")]
        assert options and all(option in known for option in options)
