"""A UDP server and its clients in virtual time, each client behind links and a NAT of its own.

Every test in this world also checks, by its own count, that no address gets more than three times what came from it
before it has echoed a cookie.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from sim.clock import Clock
from sim.link import Forward, Link, LinkSpec, Packet, Stage
from transport import Event, Item, ItemReceived, Receiver, Sender, SenderConfig, greeting
from transport.admission import Address, Admission, Joined, Left, Limits, Peer
from transport.channels import nothing, pump
from transport.joining import Joining

GROUP = 7
FREE = LinkSpec(1_000_000, 0.05)


class Choose:
    """A stage of a test's own: `rule(time, number, data)` gives the bytes that go on, or None to lose the packet."""

    def __init__(self, rule: Callable[[float, int, bytes], bytes | None]) -> None:
        self.rule = rule

    def start(self, clock: Clock, rng: Random) -> None:
        self._clock = clock

    def push(self, packet: Packet, forward: Forward, drop: Forward) -> None:
        data = self.rule(self._clock.now, packet.number, packet.data)
        if data is None:
            drop(packet)
        else:
            forward(replace(packet, data=data))


class Alarm:
    """Wakes somebody at the earliest time that was asked for, once."""

    def __init__(self, clock: Clock, action: Callable[[], None]) -> None:
        self.clock, self.action, self.due = clock, action, float("inf")

    def set(self, *times: float | None) -> None:
        time = min((time for time in times if time is not None), default=None)
        if time is not None and time < self.due:
            self.due = time
            self.clock.at(time, lambda: self._ring(time))

    def _ring(self, time: float) -> None:
        if self.due == time:
            self.due = float("inf")
            self.action()


class Client:
    """A client: joining, a session (a receiver by default), its links and its present public address."""

    def __init__(
        self,
        world: "World",
        address: Address,
        joining: Joining,
        up: Sequence[Stage],
        down: Sequence[Stage],
        session: Sender | Receiver | None = None,
    ) -> None:
        self.world, self.address, self.joining = world, address, joining
        self.session = session or Receiver()
        self.wake = nothing
        self.largest, self.overhead, self.waiting = 1472, 28, 0
        self.events: list[tuple[float, Event]] = []
        self.up, self.down = (self._link(stages, way) for stages, way in ((up, "up"), (down, "down")))
        self.up.arrived = lambda packet: world.from_client(self, packet.data)
        self.down.arrived = lambda packet: self._came(packet.data)
        self._inbox: deque[bytes] = deque()
        self._alarm = Alarm(world.clock, self.turn)

    def _link(self, stages: Sequence[Stage], way: str) -> Link:
        spec = self.world.spec
        own = spec.make(self.world.clock).stages
        return Link(self.world.clock, [*stages, *own], f"{self.world.seed}/{self.address}/{way}")

    @property
    def closed(self) -> str | None:
        return self.joining.closed

    def send(self, data: bytes) -> None:
        self.up.send(data)

    def receive(self) -> bytes | None:
        return self._inbox.popleft() if self._inbox else None

    def close(self) -> None:
        self.joining.close()

    def turn(self) -> None:
        now = self.world.clock.now
        self.joining.handle_timer(now)
        while (data := self.joining.poll_transmit()) is not None:
            self.up.send(data)
        pump(self.session, self, now)
        while (event := self.session.next_event()) is not None:
            self.events.append((now, event))
        if self.closed is None:
            self._alarm.set(self.joining.next_timer(), self.session.next_timer())

    def received(self) -> dict[tuple[int, int, int], bytes]:
        whole = [event for _, event in self.events if isinstance(event, ItemReceived) and event.complete]
        return {event.key: event.payload for event in whole}

    def when(self, *key: int) -> float:
        return next(t for t, e in self.events if isinstance(e, ItemReceived) and e.complete and e.key == key)

    def _came(self, data: bytes) -> None:
        payload = self.joining.handle_datagram(data, self.world.clock.now)
        if payload is not None:
            self._inbox.append(payload)
        self.turn()


class PeerEnd:
    """The server's end of a client, with a session (a sender by default)."""

    def __init__(self, world: "World", peer: Peer, session: Sender | Receiver) -> None:
        self.world, self.peer, self.session = world, peer, session
        self.wake = nothing
        self.largest, self.overhead = 1472, 28
        self.events: list[Event] = []
        self._alarm = Alarm(world.clock, self.turn)

    @property
    def waiting(self) -> int:
        return self.peer.waiting

    @property
    def closed(self) -> str | None:
        return self.peer.closed

    def send(self, data: bytes) -> None:
        self.world.admission.send(self.peer, data)
        self.world.transmit()

    def receive(self) -> bytes | None:
        return self.peer.receive()

    def close(self) -> None:
        self.world.admission.close(self.peer, self.world.clock.now)

    def turn(self) -> None:
        now = self.world.clock.now
        pump(self.session, self, now)
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
        if self.closed is None and not self.waiting:
            self._alarm.set(self.session.next_timer())


class World:
    """The server and all that reaches it. `serve` makes the session for each new peer."""

    def __init__(
        self,
        spec: LinkSpec = FREE,
        token: bytes = b"sesame",
        limits: Limits | None = None,
        serve: Callable[[], Sender | Receiver] = Receiver,
        seed: int = 1,
    ) -> None:
        self.clock, self.spec, self.token, self.seed = Clock(), spec, token, seed
        self.admission = Admission(token, limits, secret=bytes(32))
        self.serve = serve
        self.ends: dict[Peer, PeerEnd] = {}
        self.left: list[Peer] = []
        self.clients: list[Client] = []
        self.received: Counter[Address] = Counter()
        self.sent: Counter[Address] = Counter()
        self.confirmed: set[Address] = set()
        self._cookies: set[tuple[Address, bytes]] = set()
        self._alarm = Alarm(self.clock, self.turn)

    def client(
        self,
        port: int = 1000,
        token: bytes | None = None,
        up: Sequence[Stage] = (),
        down: Sequence[Stage] = (),
        session: Sender | Receiver | None = None,
        expected: int = 320,
        host: str = "192.0.2.1",
    ) -> Client:
        """A new client that says hello now."""
        token = self.token if token is None else token
        id = Random(f"{self.seed}/{host}/{port}/{len(self.clients)}").randbytes(8)
        joining = Joining(token, self.clock.now, expected=expected, id=id)
        made = Client(self, (host, port), joining, up, down, session)
        self.clients.append(made)
        made.turn()
        return made

    def from_client(self, client: Client, data: bytes) -> None:
        self.from_anyone(client.address, data)

    def from_anyone(self, address: Address, data: bytes) -> None:
        """A datagram reaches the server."""
        self.received[address] += len(data)
        message = greeting.parse(data)
        if isinstance(message, greeting.Echo) and (address, message.cookie) in self._cookies:
            self.confirmed.add(address)
        self.admission.handle_datagram(data, address, self.clock.now)
        self.turn()

    def turn(self) -> None:
        now = self.clock.now
        self.admission.handle_timer(now)
        self.transmit()
        while (event := self.admission.next_event()) is not None:
            if isinstance(event, Joined):
                self.ends[event.peer] = PeerEnd(self, event.peer, self.serve())
            if isinstance(event, Left):
                self.left.append(event.peer)
            self.ends[event.peer].turn()
        self._alarm.set(self.admission.next_timer())

    def transmit(self) -> None:
        while (out := self.admission.poll_transmit()) is not None:
            data, address = out
            self.sent[address] += len(data)
            message = greeting.parse(data)
            if isinstance(message, greeting.Challenge):
                self._cookies.add((address, message.cookie))
            small = self.sent[address] <= 3 * self.received[address]
            assert address in self.confirmed or small, f"{address} got {self.sent[address]} B"
            for client in self.clients:
                if client.address == address:
                    client.down.send(data)

    def run(self, until: float) -> None:
        self.clock.run(until)


def sending(items: Sequence[Item], config: SenderConfig) -> Callable[[], Sender]:
    """Makes a sender with these items for each peer."""

    def make() -> Sender:
        sender = Sender(config)
        sender.start_group(GROUP, bytes(8))
        for item in items:
            sender.submit(item)
        return sender

    return make
