"""The one-way benchmark: what it counts is right, and a link that loses nothing loses nothing."""

import json

import pytest
from click.testing import CliRunner

from layercast.bench import bench, oneway
from layercast.bench.oneway import NAMES, bundled_stream, failures, lose, merged, receive, send
from sim.link import Loss
from transport import BroadcastConfig
from transport.wire import Data, parse


@pytest.fixture(scope="module")
def stream() -> bytes:
    return bundled_stream()


def test_everything_arrives_where_nothing_is_lost(stream: bytes) -> None:
    sending = send(stream, BroadcastConfig(10_000, 256, loss=0.0))
    assert receive(lose(sending.datagrams, Loss(0.0), "")) == {item.key: item.payload for item in sending.items}
    assert failures(send(stream, BroadcastConfig(10_000, 256, loss=0.0)), None, 3, "") != {}, "unprotected"


def test_what_is_counted(stream: bytes) -> None:
    sending = send(stream, BroadcastConfig(10_000, 256, loss=0.2))
    sizes = [sending.size_of(cls) for cls in range(4)]
    assert sum(packets for packets, _, _ in sizes) == len(sending.datagrams)
    assert sum(plain for _, plain, _ in sizes) == sum(map(len, sending.datagrams))
    assert all(wire == plain + 28 * packets for packets, plain, wire in sizes)
    assert sending.packets_alone(0) == 1 and sizes[0][0] > 4
    assert len(sending.protected()) == sum(packets for packets, _, _ in sizes[:3])
    coded = [packet for data in sending.protected() if isinstance(packet := parse(data), Data) and packet.coded]
    assert len(coded) == sending.packets_alone(1) + sending.packets_alone(2)


def test_the_command(stream: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oneway, "bundled_stream", lambda: stream)
    result = CliRunner().invoke(bench, ["oneway", "--runs", "2", "--json"], catch_exceptions=False)
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert result.exit_code == 0 and sum("check" in line for line in lines) == 33
    bytes_line = next(line for line in lines if line.get("check") == "datagram bytes of the three")
    assert bytes_line["ok"]


def test_few_runs(stream: bytes) -> None:
    missed = failures(send(stream, BroadcastConfig(10_000, 200, loss=0.2, burst=4)), 4.0, 30, "few")
    assert all(missed[cls] <= 4 for cls in range(len(NAMES)))
    sending = send(stream, BroadcastConfig(10_000, 256, loss=0.5, receivers=2, targets=(0.9999, 0.9999, 0.9999, None)))
    together, alone, lacking = merged(sending, 6)
    assert (together, lacking) == (0, 0) and alone >= 0
