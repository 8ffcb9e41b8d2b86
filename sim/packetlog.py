"""Packet logs: every packet of a run with its time and its bytes. Kept, replayed, exported as pcap.

A file of JSON lines. The first says which run it was; each other is a packet at a moment:

    {"packetlog": 1, "scenario": {...}, "image": ..., "seed": 0, "digest": ..., ...}
    {"t": 0.05, "way": "there", "what": "sent", "n": 0, "size": 228, "data": "base64"}

`data` stands with what was sent, and with what arrived if it arrived otherwise.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.capture import SEEN, SIDES, VERSION, line_of, pcap_head, pcap_packet
from sim.journey import Journey, Recorded
from sim.packet import LinkEvent, Packet
from sim.run import Arrival
from sim.subject import Subject
from transport import Receiver

WAYS, WHATS = ("there", "back"), ("sent", "arrived", "dropped")


class WrongLog(ValueError):
    """A file that is no packet log; the message names its line."""


@dataclass(frozen=True)
class PacketLog:
    """`about`: which run; `packets`: in the order in which things happened."""

    about: Mapping[str, Any]
    packets: Sequence[Recorded]

    @classmethod
    def of(
        cls, values: Mapping[str, Any], point: Mapping[str, Any], subject: Subject, seed: int, journey: Journey
    ) -> PacketLog:
        """The log of a journey whose packets were recorded."""
        about = {
            "packetlog": VERSION,
            "scenario": values,
            "point": point,
            "image": subject.name,
            "stream": hashlib.sha256(subject.stream).hexdigest(),
            "seed": seed,
            "digest": journey.digest,
            "seconds": journey.seconds,
        }
        return cls(about, journey.packets)

    def save(self, path: Path) -> None:
        """Write it. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        sent: dict[tuple[str, int], bytes] = {}
        with open(path, "w", encoding="ascii") as file:
            file.write(json.dumps(self.about) + "\n")
            for event in self.packets:
                file.write(line_of(*event, sent) + "\n")

    @classmethod
    def load(cls, path: Path) -> PacketLog:
        """Read it. Raises OSError, WrongLog."""
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        about = _parsed(lines[0] if lines else "", f"{path}: line 1")
        if about.get("packetlog") != VERSION:
            raise WrongLog(f"{path}: line 1: is no packet log of version {VERSION}; `sim run -o F --packets` makes one")
        sent: dict[tuple[str, int], bytes] = {}
        packets = [_packet(line, f"{path}: line {number}", sent) for number, line in enumerate(lines[1:], 2)]
        return cls(about, packets)

    @property
    def of_run(self) -> bool:
        """Whether it is of a scenario that was run; `sim shell` keeps logs too."""
        return "scenario" in self.about

    @property
    def channel(self) -> str:
        """Of a run's scenario."""
        return str({"channel": "udp", **self.about["scenario"], **self.about["point"]}["channel"])

    def events(self, way: str) -> list[LinkEvent]:
        """The log of one direction."""
        return [LinkEvent(time, what, p.number, p.size) for at, time, what, p in self.packets if at == way]

    def digest(self) -> str:
        """Of both directions, as the link counts it: the same for the same run."""
        return "".join(_digest(self.events(way))[:32] for way in WAYS)

    def replay(self) -> list[Arrival]:
        """What a new receiver makes of the datagrams that arrived, at the times at which they did."""
        receiver, arrivals = Receiver(), list[Arrival]()
        for way, time, what, packet in self.packets:
            if way != "there" or what != "arrived":
                continue
            receiver.handle_datagram(packet.data, time)
            while (event := receiver.next_event()) is not None:
                arrivals.append(Arrival(time, event, 0))
            while receiver.poll_transmit(time) is not None:
                pass
        return arrivals

    def journey(self) -> Journey:
        """As it was, with the arrivals of a replay."""
        return Journey(
            self.replay(), self.events("there"), self.events("back"), self.digest(), [], float(self.about["seconds"])
        )

    def pcap(self, side: str = SIDES[0]) -> bytes:
        """A capture (pcap, raw IPv4) of the UDP datagrams at the sender's or the receiver's wire."""
        parts = [pcap_head()]
        for way, time, what, packet in self.packets:
            if (way, what) in SEEN[side]:
                parts.append(pcap_packet(time, _datagram(packet.data, way, packet.number)))
        return b"".join(parts)


_HOSTS = {"there": ((10, 0, 0, 1), (10, 0, 0, 2)), "back": ((10, 0, 0, 2), (10, 0, 0, 1))}
_PORT = 4747


def _parsed(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise WrongLog(f"{where}: is no JSON object; a packet log has one a line")
    return found


def _packet(line: str, where: str, sent: dict[tuple[str, int], bytes]) -> Recorded:
    """A line; `sent` is what was sent before, and grows."""
    fields = _parsed(line, where)
    try:
        way, what, number = fields["way"], fields["what"], int(fields["n"])
        time, size = float(fields["t"]), int(fields["size"])
        data = base64.b64decode(fields["data"], validate=True) if "data" in fields else sent[way, number]
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise WrongLog(f"{where}: is no packet ({type(error).__name__}: {error}); was the file cut?") from None
    if way not in WAYS or what not in WHATS:
        raise WrongLog(f"{where}: {way!r}, {what!r}; a way is {' or '.join(WAYS)}, and it was {', '.join(WHATS)}")
    if what == "sent":
        sent[way, number] = data
    return way, time, what, Packet(number, data, size)


def _digest(events: Sequence[LinkEvent]) -> str:
    lines = (f"{e.time!r} {e.what} {e.number} {e.size}\n" for e in events)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _datagram(payload: bytes, way: str, number: int) -> bytes:
    """An IPv4 packet with a UDP datagram in it, checksums included."""
    source, target = (bytes(host) for host in _HOSTS[way])
    length = 8 + len(payload)
    udp = struct.pack(">HHHH", _PORT, _PORT, length, 0) + payload
    total = _sum(source + target + struct.pack(">HH", 17, length) + udp) or 0xFFFF
    udp = struct.pack(">HHHH", _PORT, _PORT, length, total) + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, number & 0xFFFF, 0, 64, 17, 0) + source + target
    return head[:10] + struct.pack(">H", _sum(head)) + head[12:] + udp


def _sum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(padded[at : at + 2], "big") for at in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
