"""The examples of docs/transport.md run, and say what they should."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "transport.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.S)
SAYS = ["item (7, 3, 1) of 900 bytes", "", "item (7, 1, 1) of 400 bytes", "events, the last after"]


@pytest.mark.parametrize("place", range(len(SAYS)))
def test_example(place: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(EXAMPLES) == len(SAYS)
    exec(compile(EXAMPLES[place], f"docs/transport.md, example {place}", "exec"), {})
    assert SAYS[place] in capsys.readouterr().out
