"""Two sessions joined by a line of bytes in virtual time: frames go in, what a test makes of the bytes comes out."""

from collections import deque
from collections.abc import Sequence

from sim.clock import Clock
from sim.link import Link, LinkSpec, Packet, Stage
from tests.transport.udp_world import Alarm
from transport import Event, ItemReceived, Receiver, Sender
from transport.channels import nothing, pump
from transport.framing import Deframer, frame, frame_overhead


class PipeEnd:
    """One end; `out` is set when both ends exist."""

    out: Link

    def __init__(self, clock: Clock, session: Sender | Receiver) -> None:
        self.clock, self.session = clock, session
        self.largest, self.overhead, self.waiting = 1100, frame_overhead(252), 0
        self.closed: str | None = None
        self.wake = nothing
        self.deframer = Deframer(self.largest)
        self.events: list[tuple[float, Event]] = []
        self._inbox: deque[bytes] = deque()
        self._alarm = Alarm(clock, self.turn)

    def send(self, data: bytes) -> None:
        self.out.send(frame(data))

    def receive(self) -> bytes | None:
        return self._inbox.popleft() if self._inbox else None

    def close(self) -> None:
        self.closed = "closed here"

    def came(self, packet: Packet) -> None:
        self._inbox.extend(self.deframer.push(packet.data))
        self.turn()

    def turn(self) -> None:
        now = self.clock.now
        pump(self.session, self, now)
        while (event := self.session.next_event()) is not None:
            self.events.append((now, event))
        self._alarm.set(self.session.next_timer())

    def received(self) -> dict[tuple[int, int, int], bytes]:
        whole = [event for _, event in self.events if isinstance(event, ItemReceived) and event.complete]
        return {event.key: event.payload for event in whole}


class PipeWorld:
    """A sender, a receiver and a line of `spec`; stages spoil the bytes on their way."""

    def __init__(self, spec: LinkSpec, sender: Sender, there: Sequence[Stage] = (), back: Sequence[Stage] = ()) -> None:
        self.clock = Clock()
        self.near, self.far = PipeEnd(self.clock, sender), PipeEnd(self.clock, Receiver())
        for end, other, stages, name in ((self.near, self.far, there, "there"), (self.far, self.near, back, "back")):
            end.out = Link(self.clock, [*stages, *spec.make(self.clock).stages], name, overhead=0)
            end.out.arrived = other.came

    def run(self, until: float) -> None:
        self.near.turn()
        self.clock.run(until)
