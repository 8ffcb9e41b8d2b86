"""`layercast plan`: what it foretells is what is sent, for every preset; and what it says of itself."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import layercast
from layercast.cli import cli
from layercast.net.costs import cost, layer_costs
from layercast.net.parcel import pack
from sim.link import LinkSpec
from sim.presets import presets
from sim.run import Transfer
from tests.transport.pair import Pair
from transport import Item

CAPTION = "Two grey ramps cross."


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows, columns = np.mgrid[:48, :64]
    picture = np.stack([rows * 3 + columns, columns * 4 - rows, (rows > 20) * 90 + columns], axis=2)
    path = tmp_path_factory.mktemp("plan") / "a.lcast"
    path.write_bytes(layercast.encode((picture % 256).astype(np.uint8), caption=CAPTION))
    return path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["plan", *map(str, words)])


def told(path: Path, *words: str) -> list[dict[str, object]]:
    result = run(path, *words, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def items(data: bytes) -> tuple[int, bytes, list[Item]]:
    parcel = pack(data, "a.lcast")
    return parcel.group, parcel.preamble, list(parcel.items)


STEADY = [
    name for name, p in presets().items() if not (p.loss or p.jitter or p.link.varies or p.windows or p.back or p.delay)
]


@pytest.mark.parametrize("name", STEADY)
def test_foretold_is_what_two_ends_send_without_loss(path: Path, name: str) -> None:
    preset, data = presets()[name], path.read_bytes()
    group, head, found = items(data)

    def cross(number: int, datagram: bytes) -> list[float]:
        return [preset.link.airtime(len(datagram) + preset.overhead) + preset.rtt / 2]

    pair = Pair(preset.config(), forward=cross, back=cross)
    pair.sender.start_group(group, head)
    pair.submit(*found)
    pair.drive(1e9)
    assert pair.received() == {item.key: item.payload for item in found}
    foretold = cost(data, preset, "a.lcast")
    sent = [len(datagram) + preset.overhead for _, datagram in pair.sent[0]]
    assert (foretold.packets, foretold.wire) == (len(sent), sum(sent))
    assert foretold.airtime == pytest.approx(sum(map(preset.link.airtime, sent)))
    assert foretold.seconds is not None and foretold.seconds >= preset.rtt / 2
    assert foretold.busy >= foretold.airtime * (1 - 1e-9), "the transmitter sends one packet after the other"


def test_times_are_those_of_the_link(path: Path) -> None:
    data = path.read_bytes()
    transfer = Transfer(LinkSpec(rate=10_000, delay=0.05), config=presets()["thin-10k"].config())
    transfer.submit(*items(data))
    arrivals = transfer.run(1e6)
    foretold = cost(data, presets()["thin-10k"], "a.lcast")
    assert foretold.seconds == arrivals[-1].time
    assert foretold.back_wire == sum(e.size for e in transfer.back.log if e.what == "sent")


@pytest.mark.parametrize("name", sorted(set(presets()) - set(STEADY)))
def test_every_other_link_can_be_planned_for(path: Path, name: str) -> None:
    foretold = cost(path.read_bytes(), presets()[name], "a.lcast")
    assert foretold.packets > 1 and foretold.wire > len(path.read_bytes())
    assert foretold.seconds is None or foretold.seconds > presets()[name].round_trip / 2


def test_layers_add_up(path: Path) -> None:
    stream = layercast.Stream.load(path)
    for name in ("lora-sf9", "iridium-sbd", "thin-50k"):
        found = layer_costs(stream, presets()[name], "a.lcast")
        assert [each.layer for each in found] == [layer for layer, size in stream.layers.items() if size]
        assert [each.bytes for each in found] == [len(stream.upto(each.layer)) for each in found]
        assert found[-1].alone == cost(stream.data, presets()[name], "a.lcast")
        assert found[-1].whole == found[-1].alone.seconds
        for less, more in pairwise(found):
            assert less.alone.packets <= more.alone.packets and less.alone.wire < more.alone.wire
        lines = told(path, "--link", name)
        assert [line["packets"] for line in lines] == [each.alone.packets for each in found]
        assert sum(line["added"]["wire"] for line in lines) == found[-1].alone.wire  # type: ignore[index]


def test_a_stream_cut_short_is_planned_as_it_is(path: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.lcast"
    part.write_bytes(layercast.Stream.load(path).cut(400).data)
    lines = told(part, "--link", "thin-2k")
    assert lines[-1]["bytes"] == part.stat().st_size and lines[-1]["seconds"] is not None


def test_messages_and_prices(path: Path) -> None:
    lines = told(path, "--link", "iridium-sbd", "--price-message", "0.5", "--price-unit", "0.1", "--price-mb", "1000")
    for line in lines:
        assert line["units"] >= line["packets"] >= 1  # type: ignore[operator]
        money = line["packets"] * 0.5 + line["units"] * 0.1 + line["wire"] / 1000  # type: ignore[operator]
        assert line["price"] == pytest.approx(money)
    assert lines[0]["packets"] == 1, "the caption fits one message, and goes once"
    text = run(path, "--link", "iridium-sbd", "--price-unit", "0.1").stdout
    assert "billed" in text and "price" in text and "about, since links differ" in text


def test_numbers_instead_of_a_preset_or_beside_one(path: Path) -> None:
    by_hand = told(path, "--rate", "10000", "--packet", "250", "--rtt", "0.1")
    by_name = told(path, "--link", "thin-10k")
    for one, other in zip(by_hand, by_name, strict=True):
        assert {**one, "link": "thin-10k"} == other
    slower = told(path, "--link", "thin-10k", "--rate", "5000")
    assert slower[-1]["airtime"] == pytest.approx(by_name[-1]["airtime"] * 2, rel=0.1)  # type: ignore[operator]
    silent = told(path, "--link", "thin-10k", "--one-way")
    assert silent[0]["packets"] > by_name[0]["packets"] and silent[-1]["back_packets"] == 0  # type: ignore[operator]


def test_losses_are_repaired_where_somebody_answers(path: Path) -> None:
    clean, lossy = told(path, "--link", "thin-10k"), told(path, "--link", "thin-10k", "--loss", "0.2")
    assert lossy[-1]["packets"] > clean[-1]["packets"] and lossy[-1]["seconds"] is not None  # type: ignore[operator]
    assert lossy == told(path, "--link", "thin-10k", "--loss", "0.2")
    assert lossy != told(path, "--link", "thin-10k", "--loss", "0.2", "--seed", "5")
    result = run(path, "--link", "thin-10k", "--one-way", "--loss", "0.3")
    assert "never" in result.stdout and "30% of the packets lost" in result.stdout


def test_the_table_tells_of_each_layer(path: Path) -> None:
    result = run(path, "--link", "lora-sf12")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0 and [line.split()[0] for line in lines[2:-1]] == ["caption", "latent", "residual"]
    assert len({len(line) for line in lines[1:-1]}) == 1, "the columns stand under each other"
    assert "answers" in run(path, "--link", "thin-2k").stdout


def test_presets_are_listed() -> None:
    lines = run("--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(presets())
    listed = [json.loads(line) for line in run("--list", "--json").stdout.splitlines()]
    assert {each["name"]: each["packet"] for each in listed}["lora-sf12"] == 51


def test_usage(path: Path, tmp_path: Path) -> None:
    for words, part in (
        ((), "name a stream"),
        ((path,), "say which link"),
        ((path, "--link", "carrier-pigeon"), "no preset 'carrier-pigeon'"),
        ((path, "--link", "lte", "--loss", "0.95"), "0.95"),
        ((path, "--rate", "100", "--packet", "20"), "20"),
    ):
        result = run(*words)
        assert result.exit_code == 2 and part in result.stderr
    (tmp_path / "text").write_text("Dear diary\n")
    for name, part in (("text", "not a layercast stream"), ("missing", "no such file")):
        result = run(tmp_path / name, "--link", "lte")
        assert result.exit_code == 1 and part in result.stderr and len(result.stderr.splitlines()) == 1


def test_it_starts_without_torch(path: Path) -> None:
    program = (
        "import sys\nfrom layercast.cli import cli\n"
        f"cli.main(['plan', {str(path)!r}, '--link', 'thin-10k'], standalone_mode=False)\n"
        "print(*[name for name in ('torch', 'PIL', 'aiortc', 'av', 'scipy') if name in sys.modules], file=sys.stderr)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "" and "residual" in result.stdout
