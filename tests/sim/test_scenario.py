"""Scenarios: read, changed, refused in one line."""

from pathlib import Path

import pytest

from sim.scenario import PEERS, Scenario, bundled, load_object, parse_value
from sim.tables import WrongTable

GOOD = """
name = "by the road"
images = ["a.png"]
captions = ["a dog"]
seeds = [3, 5]
until = 50
peers = ["ssdv", "own.module:peer"]
channel = "quic"
looks = [1, 5, 50]
[link]
preset = "gprs"
loss = 0.05
[link.back]
loss = 0.0
[policy]
rate = "estimated"
upto = "latent"
deadline = 20
copies = [3, 1, 1, 1]
[vary]
"link.loss" = [0.0, 0.1]
seeds = [1, 2, 3]
"""


def scenario(tmp_path: Path, text: str = GOOD) -> Scenario:
    (tmp_path / "a.png").write_bytes(b"")
    path = tmp_path / "road.toml"
    path.write_text(text)
    return Scenario.load(path)


def test_every_key_is_read(tmp_path: Path) -> None:
    found = scenario(tmp_path)
    assert (found.name, found.channel, found.until, found.seeds) == ("by the road", "quic", 50.0, (3, 5))
    assert found.images == (tmp_path / "a.png",) and found.captions == ("a dog",)
    assert found.peers == ("ssdv", "own.module:peer") and found.looks == (1.0, 5.0, 50.0)
    assert (found.link.loss, found.link.back_link.loss) == (0.05, 0.0)
    policy = found.policy
    assert (policy.rate, policy.upto, policy.deadline, policy.copies) == ("estimated", "latent", 20, (3, 1, 1, 1))
    assert len(found.points) == 6 and {"link.loss": 0.1, "seeds": 3} in found.points


def test_a_copy_with_changes_leaves_the_first_as_it_was(tmp_path: Path) -> None:
    found = scenario(tmp_path)
    other = found.changed({"link.loss": 0.2, "policy.rate": "known", "link.back.rate": 9000})
    assert other.name == found.name and other.link.loss == 0.2 and other.policy.rate == "known"
    assert other.link.back_link.rate == 9000 and other.policy.upto == "latent"
    assert found.link.loss == 0.05 and found.link.back_link.rate == 26_800


def test_looks_are_spread_over_the_logarithm_of_the_time(tmp_path: Path) -> None:
    found = scenario(tmp_path, "[link]\nrate = 1000\n")
    assert found.looks == (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 600.0)
    assert found.changed({"until": 2.0}).looks[-3:] == (0.5, 1, 2.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("until = 5\n", "road.toml: link is missing"),
        ("[link]\nrate = 1\n[policy]\nupto = 'latents'\n", "line 4: policy.upto is 'latents'; did you mean 'latent'?"),
        ("chanel = 'udp'\n[link]\nrate = 1\n", "line 1: chanel is not known here; did you mean 'channel'?"),
        ("channel = 'tcp'\n[link]\nrate = 1\n", "line 1: channel is 'tcp'; known are udp, quic, webrtc, ideal"),
        ("images = ['b.png']\n[link]\nrate = 1\n", "line 1: images names"),
        ("peers = ['webp']\n[link]\nrate = 1\n", "line 1: peers has 'webp'; known are"),
        ("seeds = 0\n[link]\nrate = 1\n", "line 1: seeds is 0"),
        ("looks = [5, 1]\n[link]\nrate = 1\n", "line 1: looks must be"),
        ("channel = 'quic'\n[link]\npreset = 'lora-sf7'\n", "channel quic needs an answer"),
        ("channel = 'webrtc'\n[link]\nrate = 1\nfeedback = false\n", "channel webrtc needs an answer"),
        ("captions = ['x']\n[link]\nrate = 1\n", "captions are 1 for 0 images"),
        ("[link]\nrate = 1\n[policy]\ncopies = [1]\n", "line 4: policy.copies has 1 numbers"),
        ("[link]\nrate = 1\n[policy]\nsender = 'Mine'\n", "line 4: policy.sender is 'Mine'; give module:Class"),
        ("[link]\nrate = 1\n[vary]\nuntil = 5\n", "vary has 'until' = 5"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(WrongTable) as error:
        scenario(tmp_path, text)
    assert says in str(error.value) and "\n" not in str(error.value) and "road.toml" in str(error.value)


def test_what_comes_along_can_be_read() -> None:
    found = bundled()
    assert {"first-look", "lossy-radio", "tunnel", "shared", "satellite-pass"} <= set(found)
    for each in found.values():
        assert each.about and set(each.peers) <= set(PEERS)
        for point in each.points:
            each.changed(point)
    assert Scenario.of_link("mars").link.windows is not None
    with pytest.raises(KeyError):
        Scenario.of_link("nowhere")


def test_values_of_a_command_line() -> None:
    assert [parse_value(text) for text in ("0.1", "3", "true", "[1, 2]", "gprs", "'x'")] == [
        0.1, 3, True, [1, 2], "gprs", "x",
    ]  # fmt: skip


def test_ones_own_is_found_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brought_along.py").write_text("def peer(): return 7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    assert load_object("brought_along:peer")() == 7
    for name in ("brought_along:nothing", "no_such_module_here:x"):
        with pytest.raises(WrongTable, match="cannot be imported"):
            load_object(name)
