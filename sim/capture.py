"""Packets as they happen, into a file: the lines of `sim.packetlog`, or a capture (pcap) for Wireshark and tcpdump."""

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim.packet import Packet

VERSION = 1
SIDES = ("sender", "receiver")
SEEN = {
    "sender": {("there", "sent"), ("back", "arrived")},
    "receiver": {("there", "arrived"), ("back", "sent")},
}
"""What is to be seen at each side's wire."""
_RAW_IP = 101


def line_of(way: str, time: float, what: str, packet: Packet, sent: dict[tuple[str, int], bytes]) -> str:
    """A line of a packet log, with the packet's bytes where they are new. sent: what is under way, kept up to date."""
    line: dict[str, Any] = {"t": time, "way": way, "what": what, "n": packet.number, "size": packet.size}
    if what == "sent":
        sent[way, packet.number] = packet.data
    if what == "sent" or (sent.pop((way, packet.number), None) != packet.data and what == "arrived"):
        line["data"] = base64.b64encode(packet.data).decode()
    return json.dumps(line)


def pcap_head() -> bytes:
    """The beginning of a capture of IPv4 packets."""
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, _RAW_IP)


def pcap_packet(time: float, data: bytes) -> bytes:
    """An IPv4 packet at a time, in seconds."""
    seconds, rest = divmod(round(time * 1e6), 1_000_000)
    return struct.pack("<IIII", seconds, rest, len(data), len(data)) + data


class Capture:
    """A file that grows with each packet: a packet log, or a capture of what the receiver's wire sees if its name ends
    in `.pcap`. Raises OSError if it cannot be made."""

    def __init__(self, path: Path) -> None:
        self._pcap = path.suffix == ".pcap"
        self._file = open(path, "wb", buffering=1 << 16)
        self._sent: dict[tuple[str, int], bytes] = {}
        head = pcap_head() if self._pcap else json.dumps({"packetlog": VERSION}).encode() + b"\n"
        self._file.write(head)

    def tap(self, way: str) -> Callable[[float, str, Packet], None]:
        """For `Link.tap` of the link of one way."""
        return lambda time, what, packet: self._take(way, time, what, packet)

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()

    def _take(self, way: str, time: float, what: str, packet: Packet) -> None:
        if not self._pcap:
            self._file.write(line_of(way, time, what, packet, self._sent).encode() + b"\n")
        elif (way, what) in SEEN["receiver"]:
            self._file.write(pcap_packet(time, packet.data))
