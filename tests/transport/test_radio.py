"""docs/radio.md: its example runs, its table is right."""

import re
from pathlib import Path

import pytest

from transport import packet_size
from transport.framing import frame_overhead

PAGE = (Path(__file__).parents[2] / "docs" / "radio.md").read_text()


def test_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(compile(example, "docs/radio.md, example", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said == ["item (7, 0, 0) of 5 bytes", "item (7, 2, 1) of 900 bytes", "from N0CALL"]


def test_the_table_of_packet_sizes() -> None:
    rows = re.findall(r"^\| ([\d,]+) B \| .* \| (\d+) \| (0\.\d\d) \|$", PAGE, re.M)
    assert len(rows) == 5
    for shown, frame, share in rows:
        size = int(shown.replace(",", ""))
        assert frame_overhead(size) == int(frame)
        head = 5 + 2 + 2 + 2  # flags and group, number, an index and an offset of two bytes
        assert float(share) == pytest.approx((size - head) / (size + frame_overhead(size)), abs=0.006)
    assert packet_size(8000) == 200 and packet_size(44_000) == 1100
