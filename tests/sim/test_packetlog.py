"""Packet logs: kept, read, replayed; the capture is what a network tool would have seen."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import codec
from layercast.cli import cli
from sim.journey import over_udp
from sim.packetlog import PacketLog, WrongLog
from sim.presets import parse
from sim.scenario import SendPolicy
from sim.subject import Subject
from sim.timeline import load_of, of_journey

LINK = parse("test", {"rate": 20_000, "rtt": 0.2, "loss": 0.1, "corrupt": 0.1, "duplicate": 0.1, "packet": 300})


@pytest.fixture(scope="module")
def subject() -> Subject:
    y, x = np.mgrid[:40, :56]
    picture = np.stack([x * 4, y * 6, 128 + 100 * np.sin(x / 9)], 2).astype(np.uint8)
    return Subject("photo.png", picture, codec.encode(picture, caption="waves", weights=0))


@pytest.fixture(scope="module")
def log(subject: Subject) -> PacketLog:
    journey = over_udp(load_of(subject), LINK, SendPolicy(), 3, 60.0, record=True)
    return PacketLog.of({"link": {"rate": 20_000}}, {}, subject, 3, journey)


def test_written_and_read_it_is_the_same(log: PacketLog, tmp_path: Path) -> None:
    log.save(tmp_path / "x" / "run.jsonl")
    again = PacketLog.load(tmp_path / "x" / "run.jsonl")
    assert again == log and again.digest() == log.about["digest"]
    assert any(what == "arrived" for _, _, what, _ in log.packets)


def test_a_replay_ends_as_the_run_did(log: PacketLog, subject: Subject) -> None:
    load = load_of(subject)
    first = of_journey(subject, load, over_udp(load, LINK, SendPolicy(), 3, 60.0))
    second = of_journey(subject, load, log.journey())
    assert (first.times, first.keys, first.marks) == (second.times, second.keys, second.marks)
    assert (first.wire, first.back, first.digest) == (second.wire, second.back, second.digest)
    assert np.array_equal(second.paint(len(second.times) - 1), subject.picture) and "all" in second.marks


def test_the_capture_holds_every_datagram_with_true_checksums(log: PacketLog) -> None:
    for side, there, back in (("sender", "sent", "arrived"), ("receiver", "arrived", "sent")):
        data = log.pcap(side)
        assert struct.unpack("<IHHiIII", data[:24]) == (0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
        at, found = 24, []
        while at < len(data):
            seconds, micro, length, original = struct.unpack("<IIII", data[at : at + 16])
            packet = data[at + 16 : at + 16 + length]
            assert length == original == struct.unpack(">H", packet[2:4])[0]
            assert _folded(packet[:20]) == 0xFFFF
            udp = packet[20:]
            assert _folded(packet[12:20] + struct.pack(">HH", 17, len(udp)) + udp) == 0xFFFF
            found.append((seconds + micro / 1e6, udp[8:]))
            at += 16 + length
        wanted = [(t, p.data) for way, t, what, p in log.packets if (way, what) in {("there", there), ("back", back)}]
        assert [payload for _, payload in found] == [payload for _, payload in wanted]
        assert [time for time, _ in found] == pytest.approx([time for time, _ in wanted], abs=1e-6)


def _folded(data: bytes) -> int:
    """The one's complement sum, checksum included: all ones if that is right."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: [], "line 1: is no JSON object"),
        (lambda lines: ['{"x": 1}'], "line 1: is no packet log"),
        (lambda lines: [*lines[:3], lines[3][:20]], "line 4: is no JSON object"),
        (
            lambda lines: [*lines[:1], '{"t": 1, "way": "there", "what": "arrived", "n": 7, "size": 9}'],
            "line 2: is no p",
        ),
        (lambda lines: [*lines[:1], json.dumps({**json.loads(lines[1]), "way": "up"})], "line 2: 'up'"),
        (lambda lines: [*lines[:1], json.dumps({**json.loads(lines[1]), "data": "?"})], "line 2: is no packet"),
    ],
)
def test_what_is_no_log_is_told_with_its_line(log: PacketLog, tmp_path: Path, change: object, says: str) -> None:
    log.save(tmp_path / "run.jsonl")
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    (tmp_path / "bad.jsonl").write_text("\n".join(change(lines)))  # type: ignore[operator]
    with pytest.raises(WrongLog, match=says) as error:
        PacketLog.load(tmp_path / "bad.jsonl")
    assert "bad.jsonl" in str(error.value) and "\n" not in str(error.value)


def test_what_cannot_be_replayed_is_told(log: PacketLog, tmp_path: Path) -> None:
    other = tmp_path / "quic.jsonl"
    PacketLog({**log.about, "point": {"channel": "quic"}}, log.packets).save(other)
    done = CliRunner().invoke(cli, ["sim", "replay", str(other)])
    assert done.exit_code == 1 and "only its two ends can read" in done.stderr and done.stderr.count("\n") == 1
    done = CliRunner().invoke(cli, ["sim", "replay", str(other), "--pcap", str(tmp_path / "x.pcap")])
    assert done.exit_code == 0 and (tmp_path / "x.pcap").stat().st_size > 1000
    shell = tmp_path / "shell.jsonl"
    PacketLog({"packetlog": 1}, log.packets).save(shell)
    done = CliRunner().invoke(cli, ["sim", "replay", str(shell)])
    assert done.exit_code == 1 and "packets of `sim shell`" in done.stderr
    assert CliRunner().invoke(cli, ["sim", "trace", str(shell)]).exit_code == 0
