"""What is wrong with a table is told in one line: the file, its line, the key, what to do."""

from pathlib import Path

import pytest

from sim.presets import parse, presets, read_link
from sim.queues import QueueSpec
from sim.rates import SteppedRate
from sim.tables import Table, WrongTable

FILE = "x.toml"


def link(text: str, folder: Path | None = None) -> object:
    table = Table.parse(text, FILE)
    found = table.sub("link")
    assert found is not None
    return read_link(found, folder=folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[link]\nrate = -5\n", "x.toml: line 2: link.rate is -5; it must be above 0"),
        ("[link]\nrate = 'fast'\n", "x.toml: line 2: link.rate is 'fast'; give a number"),
        ("[link]\n\nrate = 5\nlos = 0.1\n", "x.toml: line 4: link.los is not known here; did you mean 'loss'?"),
        ("[link]\nrate = 1\nlora = { spreading = 7 }\n", "line 3: link.lora stands beside rate"),
        ("[link]\npreset = 'grps'\n", "line 2: link.preset is 'grps'; did you mean 'gprs'?"),
        ("[link]\nrate = 5\nqueue = { limit = 3, unit = 'boxes' }\n", "link.queue.unit is 'boxes'"),
        ("[link]\nrate = 5\nwindows = { open = 3 }\n", "link.windows needs every"),
        ("[link]\nrate = 5\nwindows = { open = 3, every = 1 }\n", "link.windows: a window"),
        ("[link]\nrate = 5\noutages = [[1, -2]]\n", "link.outages"),
        ("[link]\nrate = 5\ndrop = [1.5]\n", "line 3: link.drop"),
        ("[link]\nrate = 5\n[link.back]\nloss = 1\n", "line 4: link.back.loss is 1; it must be below 1"),
        ("[link]\ntrace = 'gone.txt'\n", "line 2: link.trace names 'gone.txt', which cannot be read (No such file"),
        ("[link]\nsteps = [[1, 0]]\n", "line 2: link.steps cannot be: a course"),
        ("[link]\nloss = 0.1\n", "x.toml: link: a link has a rate or LoRa's settings"),
        ("[link]\nrate = 5\nloss = 0.6\nburst = 1.2\n", "x.toml: link: no channel loses 60%"),
        ("[link\nrate = 5\n", "x.toml: line 1: "),
    ],
)
def test_one_line_that_says_where_and_what(text: str, says: str) -> None:
    with pytest.raises(WrongTable) as error:
        link(text)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_bad_row_of_a_trace_names_the_trace(tmp_path: Path) -> None:
    (tmp_path / "drive.txt").write_text("0 1\nmist\n")
    with pytest.raises(WrongTable, match=r"drive\.txt: line 2: 'mist' is not seconds and Mbit/s"):
        link("[link]\ntrace = 'drive.txt'\n", tmp_path)


def test_a_preset_with_changes(tmp_path: Path) -> None:
    (tmp_path / "drive.txt").write_text("0 1\n1 3\n")
    found = read_link(Table({"preset": "gprs", "loss": 0.1, "queue": {"limit": 9, "unit": "packets"}}))
    assert found.rate == 26_800 and found.loss == 0.1 and found.queue == QueueSpec(limit=9, unit="packets")
    assert found.link.loss == found.back_link.loss == 0.1 and presets()["gprs"].loss == 0
    traced = read_link(Table({"preset": "lora-sf7", "trace": "drive.txt", "share": 0.5}), folder=tmp_path)
    assert traced.lora is None and traced.rate == pytest.approx(1e6) and traced.config().rate is not None
    stepped = parse("x", {"steps": [[1, 1000], [3, 5000]], "rtt": 0.4})
    assert isinstance(stepped.course, SteppedRate) and stepped.rate == 4000 and stepped.config().rate is None
    assert parse("x", {"preset": "mars", "rtt": 2.0}).link.delay == 1.0, "a round trip of one's own beats the delay"


def test_the_way_back_is_the_same_but_for_what_is_said() -> None:
    found = parse("x", {"rate": 1000, "rtt": 0.4, "loss": 0.2, "drop": [1], "back": {"rate": 9000, "loss": 0.0}})
    assert (found.link.rate, found.link.loss, found.link.drops) == (1000, 0.2, (1,))
    assert (found.back_link.rate, found.back_link.loss, found.back_link.drops) == (9000, 0.0, ())
    assert found.round_trip == pytest.approx(0.4)
