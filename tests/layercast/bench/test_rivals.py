"""`bench rivals`: what it makes of rows, and what it says of wrong names."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from layercast.bench import bench
from layercast.bench.rivals import report
from sim.contest import entries
from sim.measure import Row

PEERS = ("progressive-jpeg", "avif")


def row(link: str, codec: str, time: float | None, needed: int | None, area: float | None) -> Row:
    times = {} if time is None else {"recognisable": time}
    return Row(link, "a.png", 0, codec, "udp", times=times, area=area, needed=needed, size=9000)


def test_tables_losses_and_goals_of_rows() -> None:
    links = entries(["thin-10k", "hf-75-fading"])
    rows = [
        row("thin-10k", "layercast", 0.15, 100, 20.0),
        row("thin-10k", "progressive-jpeg", 1.05, 900, 25.0),
        row("thin-10k", "avif", 0.25, 300, 0.0),
        row("hf-75-fading", "layercast", 25.0, 100, 10.0),
        row("hf-75-fading", "progressive-jpeg", None, None, 5.0),
        row("hf-75-fading", "avif", 15.0, 300, 0.0),
    ]
    found = report(rows, links, PEERS)
    sooner, seconds, area, losses, sizes = found.tables
    assert sooner.rows == [("thin-10k", "10", "2.0"), ("hf-75-fading, one way", "never", "0.50")]
    assert seconds.rows == [("thin-10k", "0.15", "1.05", "0.25"), ("hf-75-fading, one way", "25.0", "never", "15.0")]
    assert area.rows[0] == ("thin-10k", "20.0", "25.0", "0.0")
    assert losses.rows == [
        ("progressive-jpeg", "0 of 2 runs", "10", "1 of 2 runs"), ("avif", "1 of 2 runs", "0.50", "0 of 2 runs"),
    ]  # fmt: skip
    assert sizes.rows[0] == ("a.png", "layercast", 100, 9000)
    assert [(check.ok, check.figure) for check in found.checks] == [
        (True, "a.png on 2 of 2 links"), (False, "a.png on 0 of 1 links"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--links", "gprss"), "no link 'gprss'"),
        (("--peers", "avif,own:nothing"), "cannot be imported"),
        (("--resume",), "--resume needs a folder"),
    ],
)
def test_wrong_names_are_said_before_anything_is_run(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    result = CliRunner().invoke(bench, ["rivals", str(tmp_path), *words])
    assert result.exit_code in (1, 2) and said in result.output and "Traceback" not in result.output
