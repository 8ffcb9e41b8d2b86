"""What is done about loss: how often each class is sent, and which packets under way count as lost.

`Policy` is the table that answers "resend, code or drop" a class (`coding` does the coding). `Flight` keeps
the numbered packets that have not been acknowledged and says which are lost: overtaken by three later ones, overtaken
and late, or (no acknowledgement at all for too long) everything older than the probe time.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from transport.coding import CodedBlock
    from transport.schedule import Outgoing

REORDERING: Final = 3
"""A packet is lost when one sent this many later has arrived."""
LATE: Final = 1.25
"""... or when a later one has arrived and this many round trips have passed."""
MAX_PROBE_TIME: Final = 10.0
MAX_REMEMBERED: Final = 64
"""Lost packets remembered, in case their acknowledgement still comes."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One class. `copies`: how often it is sent unasked; `resend`: lost bytes go again; `must_send`: never dropped;
    `code`: repair symbols follow where that pays, before anything is sent again."""

    copies: int = 1
    resend: bool = True
    must_send: bool = False
    code: bool = False


WITH_FEEDBACK: Final = (Policy(copies=2, must_send=True), Policy(code=True), Policy(code=True), Policy())
"""Base twice at once: a loss then costs no round trip. The rest once, and what is lost again; the middle classes with
repair symbols where a round trip is long."""
ONE_WAY: Final = (Policy(copies=3, must_send=True), Policy(copies=2), Policy(), Policy())
"""Nobody answers: a Sender then has copies alone. `broadcast` is made for that case and does better."""


Piece = tuple["Outgoing", int, int]
"""(item, start, stop): a range of its units."""


@dataclass(eq=False)
class Sent:
    """A numbered packet that left at `time` (seconds); `block`: if it is coded.

    `size`: wire bytes, those of the layers below included. `total`: wire bytes of all numbered packets so far, this one
    included. `early`: seconds that it left before the link was thought to be free.
    """

    number: int
    time: float
    size: int
    pieces: list[Piece]
    block: "CodedBlock | None" = None
    lost: bool = False
    total: int = 0
    early: float = 0.0


@dataclass
class Flight:
    """Packets sent and not acknowledged, oldest first; those held for lost are kept apart for a while."""

    packets: dict[int, Sent] = field(default_factory=dict)
    lost: dict[int, Sent] = field(default_factory=dict)
    bytes: int = 0
    largest_acked: int = -1
    probes: int = 0
    late_at: float | None = None
    """When the next overtaken packet will count as lost."""
    _probed_at: float = -math.inf

    def handle_sent(self, packet: Sent) -> None:
        self.packets[packet.number] = packet
        self.bytes += packet.size

    def handle_acked(self, ranges: Iterable[tuple[int, int]]) -> list[Sent]:
        """`ranges`: inclusive (lowest, highest) numbers, newest first. The packets acknowledged for the first time."""
        acked: list[Sent] = []
        places = [(waiting, next(iter(waiting), math.inf)) for waiting in (self.packets, self.lost)]
        for low, high in ranges:
            if all(high < oldest for _, oldest in places):
                break
            for waiting, oldest in places:
                if high < oldest:
                    continue
                few = range(low, high + 1) if high - low < len(waiting) else list(waiting)
                acked += [waiting.pop(number) for number in few if low <= number <= high and number in waiting]
        for packet in acked:
            self.largest_acked = max(self.largest_acked, packet.number)
            self.bytes -= 0 if packet.lost else packet.size
        if acked:
            self.probes = 0
            self._probed_at = -math.inf
        return acked

    def detect_lost(self, round_trip: float, now: float) -> list[Sent]:
        """Packets that later ones overtook; `round_trip` in seconds."""
        lost: list[Sent] = []
        self.late_at = None
        for packet in self.packets.values():
            if packet.number > self.largest_acked:
                break
            late_at = packet.time + LATE * round_trip
            if packet.number <= self.largest_acked - REORDERING or now >= late_at:
                lost.append(packet)
            elif self.late_at is None or late_at < self.late_at:
                self.late_at = late_at
        return self._mark(lost)

    def detect_silence(self, probe_time: float, now: float) -> list[Sent]:
        """Packets that are older than the probe time (seconds), when neither they nor later ones were acknowledged."""
        at = self.silence_at(probe_time)
        if at is None or now < at:
            return []
        self.probes += 1
        self._probed_at = now
        return self._mark([packet for packet in self.packets.values() if packet.time <= now - probe_time])

    def silence_at(self, probe_time: float) -> float | None:
        """When silence will count as loss; None with nothing under way.

        The first two times do not wait longer: at the end of a transfer the link is idle and a needless packet is free.
        Then each time twice as long, for a link that is down.
        """
        if not self.packets:
            return None
        oldest = next(iter(self.packets.values()))
        patience = min(probe_time * (1 << min(max(self.probes - 1, 0), 10)), max(MAX_PROBE_TIME, probe_time))
        return max(oldest.time + probe_time, self._probed_at + patience)

    def _mark(self, lost: list[Sent]) -> list[Sent]:
        for packet in lost:
            packet.lost = True
            self.bytes -= packet.size
            self.lost[packet.number] = self.packets.pop(packet.number)
        while len(self.lost) > MAX_REMEMBERED:
            self.lost.pop(next(iter(self.lost)))
        return lost
