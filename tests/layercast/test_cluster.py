"""Tasks on a Ray cluster of one worker: in order, their errors passed on; without Ray one clear line."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from layercast.cli import cli
from layercast.cluster import LOCAL, spread


def test_tasks_come_back_in_order_with_their_errors() -> None:
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    done: list[int] = []
    assert spread(divmod, [(9, 4), (7, 2), (5, 5)], LOCAL, 1, lambda: done.append(1)) == [(2, 1), (3, 1), (1, 0)]
    assert len(done) == 3
    with pytest.raises(ZeroDivisionError):
        spread(divmod, [(1, 1), (1, 0)], LOCAL, 1, lambda: None)


def test_photos_on_a_cluster(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((20, 30, 3), len(name), np.uint8)).save(tmp_path / name)
    names = [str(tmp_path / name) for name in ("a.png", "missing.png", "b.png")]
    result = CliRunner().invoke(cli, ["encode", *names, "-o", str(tmp_path), "--no-caption", "--cluster"])
    assert result.exit_code == 1 and "missing.png: no such file" in result.stderr
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [str(tmp_path / f"{n}.lcast") for n in "ab"]


def test_without_ray_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(click.ClickException, match=r"--cluster needs Ray; pip install 'layercast\[cluster\]'"):
        spread(divmod, [(1, 1)], LOCAL, 1, lambda: None)
