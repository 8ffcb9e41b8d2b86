"""Golden vectors of WIRE.md for receivers in other languages: packets, and whole conversations call by call.

`tests/page/transport.mjs` replays them in JavaScript. `--update-vectors` writes them anew.
"""

import json
import random
from pathlib import Path
from typing import Any

from tests.transport.pair import Middle, Pair
from tests.transport.test_hostile import mutate
from transport import (
    NOTHING,
    Ended,
    Event,
    GroupStarted,
    Item,
    ItemReceived,
    Policy,
    Receiver,
    SenderConfig,
    SenderNamed,
    wire,
)
from transport.control import End, First, Heard, Held, Level, Partial, Request, Topic
from transport.symbols import Rebuilt, Repair
from transport.wire import Ack, Data, Name, Segment

VECTORS = Path(__file__).parents[1] / "vectors/transport/receiver.json"
UNCODED = (Policy(copies=2, must_send=True), Policy(), Policy(), Policy())
PACKETS: list[wire.Packet] = [
    Data(0x01020304, (Segment(0, 0, 0, b"hi", True),), 7),
    Data(0xFFFFFFFF, (Segment(3, 5, 0, b"hi", False),)),
    Data(1, (Segment(0, 4, 0, b"a", True),), 0xFFFF, b"\xc1\x10\x03\x02"),
    Data(1, (Segment(0, 0, 0, b"a", True), Segment(2, 20, 70000, b"", True)), 2, b"12345678"),
    Data(1, (Segment(2, 4194303, 0, b"ab", True), Segment(2, 20, 0, b"c", False)), None, b"", (3, 7)),
    Data(1, (Segment(1, 300, 1000, b"ab", False),), 4, b"", (200, 254)),
    Repair(1, 2, 200, 255, 255, 0xFFFF, bytes(16), 9),
    Repair(0x80000000, 1, 0, 1, 0, 0, b"\xff" * 8),
    Ack(9, ((0, 3), (5, 5), (200, 210)), 0.25, 66000, 4660, 185),
    Ack(65535, ((0, 0), (2, 32000)), 4194.303, 0xFFFFFFFF, 65535),
    Name("Öse / 41"),
    Rebuilt(((1, 2, 3), (0xFFFFFFFF, 1, 4095))),
    Heard((0, 65535)),
    End(""),
    End("there is no stream of that name"),
    Request(65535, (Level(None, 3), Level(7, NOTHING), Topic(""), Topic("a photo, größer"))),
    Request(0, (First(7, ((3, range(8, 9)), (3, range(16, 100, 8)))), Held(7, ((0, range(0, 3)),)))),
    Request(1, (Partial(0xFFFFFFFF, 2, 4194303, 4194303),)),
]


def lossy(seed: int, share: float = 0.2) -> Middle:
    """Some datagrams are lost, some come twice, all are delayed by chance and so overtake each other."""
    rng = random.Random(seed)

    def fate(number: int, data: bytes) -> list[float]:
        if rng.random() < share:
            return []
        return [rng.uniform(0.02, 0.4) for _ in range(1 + (rng.random() < 0.05))]

    return fate


def told(event: Event | None) -> list[Any] | None:
    """An event as a list."""
    match event:
        case GroupStarted(group, preamble):
            return ["started", group, preamble.hex()]
        case ItemReceived((group, cls, index), payload, complete):
            return ["item", group, cls, index, payload.hex(), complete]
        case SenderNamed(name):
            return ["named", name]
        case Ended(why):
            return ["ended", why]
    return None


class Noting(Receiver):
    """A receiver that notes every call and what it gave."""

    calls: list[list[Any]]

    def __init__(self) -> None:
        super().__init__()
        self.calls = []

    def want(self, upto: int, group: int | None = None, now_first: Any = ()) -> None:
        items = list(now_first)
        self.calls.append(["want", upto, group, items])
        super().want(upto, group, items)

    def ask_for(self, topic: str) -> None:
        self.calls.append(["ask", topic])
        super().ask_for(topic)

    def resume(self, group: int, preamble: bytes, items: Any) -> None:
        held = [[cls, index, payload.hex(), whole] for (cls, index), (payload, whole) in items.items()]
        self.calls.append(["resume", group, preamble.hex(), held])
        super().resume(group, preamble, items)

    def close(self, group: int) -> None:
        self.calls.append(["close", group])
        super().close(group)

    def handle_datagram(self, data: bytes, now: float) -> None:
        self.calls.append(["in", now, data.hex()])
        super().handle_datagram(data, now)

    def next_timer(self) -> float | None:
        timer = super().next_timer()
        self.calls.append(["timer", None if timer is None else max(timer, -1.0)])
        return timer

    def poll_transmit(self, now: float) -> bytes | None:
        data = super().poll_transmit(now)
        self.calls.append(["out", now, None if data is None else data.hex()])
        return data

    def next_event(self) -> Event | None:
        event = super().next_event()
        self.calls.append(["event", told(event)])
        return event


def picture(seed: int, group: int, bulk: int = 6) -> list[Item]:
    rng = random.Random(seed)
    small = [Item(group, 0, index, rng.randbytes(12), index) for index in range(3)]
    middle = [Item(group, 1 + index % 2, 8 + 8 * index, rng.randbytes(30), 3 + index) for index in range(4)]
    large = [Item(group, 3, 5 + 8 * index, rng.randbytes(150), 9 + index, may_cut=True) for index in range(bulk)]
    return [*small, *middle, *large, Item(group, 2, 4, b"part", 8, ends=False)]


def conversation(seed: int, share: float, packet_size: int = 200) -> list[list[Any]]:
    """A whole transfer with wants, something held from before, noise among the packets, and a group that is closed."""
    config = SenderConfig(rate=20_000, packet_size=packet_size, policies=UNCODED, wait_for_request=True)
    pair = Pair(config, lossy(seed, share), lossy(seed + 1, share))
    receiver = pair.receiver = Noting()
    pair.ends = (pair.sender, receiver)
    rng = random.Random(seed)
    receiver.ask_for("größer")
    first, second = picture(1, 7), picture(2, 0xFEDCBA98)
    held = {(item.cls, item.index): (item.payload, True) for item in first[:4]}
    receiver.resume(7, b"head", held | {(3, 13): (first[8].payload[:70], False)})
    receiver.want(3, 7, [(3, 45), (3, 37), (2, 32)])
    receiver.want(0)
    for group, items in ((7, first), (0xFEDCBA98, second)):
        pair.sender.start_group(group, b"head")
        pair.submit(*items)
    pair.drive(1.5)
    for _ in range(10):
        receiver.handle_datagram(mutate(rng, rng.choice(pair.sent[0])[1]), pair.now)
    receiver.handle_datagram(Name("G4ABC").encode(), pair.now)
    receiver.want(3)
    pair.drive(3.0)
    receiver.close(7)
    pair.sender.finish()
    pair.drive(60.0)
    return receiver.calls


def vectors() -> dict[str, Any]:
    rng = random.Random(5)
    noise = {mutate(rng, rng.choice(PACKETS).encode()) for _ in range(300)}
    return {
        "packets": [packet.encode().hex() for packet in PACKETS],
        "refused": sorted(data.hex() for data in noise if not _is_packet(data))[:80],
        "conversations": [conversation(11, 0.0), conversation(22, 0.25), conversation(33, 0.4, 60)],
    }


def _is_packet(data: bytes) -> bool:
    try:
        wire.parse(data)
    except wire.WireError:
        return False
    return True


def test_what_a_receiver_does_is_what_the_vectors_say(update_vectors: bool) -> None:
    found = json.loads(json.dumps(vectors()))
    if update_vectors:
        lines = [json.dumps(talk, separators=(",", ":"), ensure_ascii=False) for talk in found.pop("conversations")]
        head = json.dumps(found, indent=0, ensure_ascii=False)[:-2]
        VECTORS.write_text(head + ',\n"conversations": [\n' + ",\n".join(lines) + "\n]\n}\n", encoding="utf-8")
        return
    assert found == json.loads(VECTORS.read_text(encoding="utf-8"))
    calls = [call for talk in found["conversations"] for call in talk]
    names = [call[1][0] for call in calls if call[0] == "event" and call[1]]
    assert set(names) == {"started", "item", "named", "ended"}
    assert len({json.dumps(call) for call in calls if call[0] == "out" and call[2]}) > 60
