"""What there was to be seen and from when on: states, each of which holds until the next.

Journey ─► of_journey ─┐
a file in order ─► of_prefixes ─┼─► Timeline ─► sim.measure
packets that stand alone ─► of_subsets ─┘
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from codec import plan
from codec.stream import Kind, read
from player import Player
from player.items import group_of, index_of, items_of
from sim.journey import Journey, Load
from sim.metrics import Picture
from sim.subject import Subject, codec_digest
from transport import GroupStarted, Item, ItemReceived

LAYER_MARKS = ("structure", "latent", "residual")


@dataclass
class Timeline:
    """The states of one viewer's screen.

    Attributes:
        name: whose.
        times: when each state began, seconds, ascending.
        held: bytes of the stream or file that are of use in each state.
        keys: what each state shows, as a name: equal names show the same picture.
        paint: the picture of a state, uint8[H, W, C]; None where there is none.
        marks: when something particular was there: caption, colour, a layer to its end, all of it.
        size: bytes of the whole stream or file.
        wire, back: bytes on the wire there and back, all headers and copies included.
        arrived: of `wire`, what arrived.
        digest: of the link's logs.
    """

    name: str
    times: list[float]
    held: list[int]
    keys: list[str]
    paint: Callable[[int], Picture | None]
    marks: dict[str, float] = field(default_factory=dict)
    size: int = 0
    wire: int = 0
    back: int = 0
    arrived: int = 0
    digest: str = ""

    def state(self, time: float) -> int:
        """The state at a time; -1 before the first."""
        return bisect_right(self.times, time) - 1


def load_of(subject: Subject, upto: str = plan.LAYERS[-1]) -> Load:
    """A subject's stream up to a layer as items of one group."""
    return load_of_stream(subject.stream, upto)


def load_of_stream(stream: bytes, upto: str = plan.LAYERS[-1]) -> Load:
    """The same of a stream. Raises FormatError if it is none."""
    _, chunks = read(stream)
    wanted = {index_of(chunk.key) for chunk in plan.select(chunks, upto)}
    preamble, items = items_of(stream)
    group, chosen = group_of(stream), [item for item in items if item.index in wanted]
    fields = [(i.cls, i.index, i.payload, i.priority, None, i.needs, i.may_cut, i.ends) for i in chosen]
    return Load(group, preamble, [Item(group, *each) for each in fields])


def of_journey(subject: Subject, load: Load, journey: Journey, name: str = "layercast") -> Timeline:
    """Our own stream as its items arrived."""
    steps = _Steps(subject, load)
    for arrival in journey.arrivals:
        if isinstance(arrival.event, (GroupStarted, ItemReceived)):
            steps.take(arrival.time, arrival.event)
    return Timeline(
        name,
        steps.times,
        steps.held,
        steps.keys,
        steps.paint,
        steps.marks(),
        size=len(subject.stream),
        wire=sum(event.size for event in journey.there if event.what == "sent"),
        back=sum(event.size for event in journey.back if event.what == "sent"),
        arrived=sum(event.size for event in journey.there if event.what == "arrived"),
        digest=journey.digest,
    )


class _Steps:
    """States out of arrivals. A state's name is a sum over what is held, so that the order of arrival is not in it."""

    def __init__(self, subject: Subject, load: Load) -> None:
        self.times: list[float] = []
        self.held: list[int] = []
        self.keys: list[str] = []
        self._counts: list[int] = []  # arrivals taken by the end of each state
        self._events: list[tuple[float, GroupStarted | ItemReceived]] = []
        self._sizes: dict[int, int] = {}
        self._whole: dict[int, float] = {}
        self._items = {item.index: item for item in load.items}
        self._layers = {index_of(chunk.key): plan.layer_of(chunk.kind) for chunk in read(subject.stream)[1]}
        self._total = 0
        self._sum, self._base = 0, hashlib.sha256(subject.stream + codec_digest().encode()).hexdigest()
        self._begun = False
        self._player, self._taken = Player(), 0

    def take(self, time: float, event: GroupStarted | ItemReceived) -> None:
        self._events.append((time, event))
        if isinstance(event, GroupStarted):
            self._begun = True
        else:
            self._note(event, time)
        if self.times and self.times[-1] == time:
            self.held.pop(), self.keys.pop(), self._counts.pop()
        else:
            self.times.append(time)
        self.held.append(self._total if self._begun else 0)
        self.keys.append(f"{self._base[:32]}{self._sum:064x}" if self._begun else "nothing")
        self._counts.append(len(self._events))

    def _note(self, event: ItemReceived, time: float) -> None:
        index, size = event.key[2], len(event.payload)
        if size >= self._sizes.get(index, 0):
            self._sum ^= _hash(index, self._sizes.get(index, 0)) ^ _hash(index, size)
            self._total += size - self._sizes.get(index, 0)
            self._sizes[index] = size
        item = self._items.get(index)
        if item is not None and size == len(item.payload) and index not in self._whole:
            self._whole[index] = time

    def marks(self) -> dict[str, float]:
        """Times of the caption, the first colour, each layer to its end, and of everything."""
        started = next((time for time, event in self._events if isinstance(event, GroupStarted)), None)
        if started is None:
            return {}
        found = {}
        for name, key in (("caption", (Kind.CAPTION, 0)), ("colour", (Kind.LATENT, 0))):
            time = self._whole.get(index_of(key))
            if time is not None:
                found[name] = max(time, started)
        for layer in LAYER_MARKS:
            self._mark(found, layer, [index for index, its in self._layers.items() if its == layer], started)
        self._mark(found, "all", list(self._layers), started)
        return found

    def _mark(self, found: dict[str, float], name: str, indices: Sequence[int], started: float) -> None:
        times = [self._whole[index] for index in indices if index in self._whole]
        if indices and len(times) == len(indices):
            found[name] = max(started, *times)

    def paint(self, state: int) -> Picture | None:
        """The picture of a state. Going forward costs what came in between, going back starts anew."""
        if state < 0:
            return None
        if self._counts[state] < self._taken:
            self._player, self._taken = Player(), 0
        for time, event in self._events[self._taken : self._counts[state]]:
            if isinstance(event, GroupStarted):
                self._player.start(event.preamble, time)
            else:
                self._player.push(event.key[2], event.payload, event.complete, time)
        self._taken = self._counts[state]
        return self._player.picture(self.times[state])


def _hash(index: int, size: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{index} {size}".encode()).digest(), "big") if size else 0


def of_prefixes(
    name: str,
    data: bytes,
    arrived: Sequence[tuple[float, int]],
    decode: Callable[[bytes], Picture | None],
    first: bytes = b"",
    shown_first: Picture | None = None,
    coarse: bool = False,
) -> Timeline:
    """A file that comes in order: what its first bytes show. A thumbnail may go before it.

    arrived: (seconds, bytes so far) of `first + data`. coarse: show what up to 4% more bytes would, which is kind, so
    that links share what was measured. Marks: all, when the file is whole; the thumbnail's colour.
    """
    whole = len(first) + len(data)
    counts = [_rounded_up(held - len(first), len(data)) if coarse else held - len(first) for _, held in arrived]
    begins = _begins(data, decode) if first else 0
    base, before = hashlib.sha256(data).hexdigest()[:32], hashlib.sha256(first).hexdigest()[:32]

    def paint(state: int) -> Picture | None:
        if state < 0 or counts[state] < 0:
            return None
        return shown_first if counts[state] < begins else decode(data[: counts[state]])

    def key(count: int) -> str:
        return f"{before}{max(min(count, 0), -1):032x}" if count < begins else f"{base}{count:032x}"

    marks = {}
    for mark, size in (("colour", len(first)), ("all", whole)):
        if size:
            times = [time for time, held in arrived if held >= size]
            marks.update({mark: times[0]} if times else {})
    return Timeline(
        name,
        [time for time, _ in arrived],
        [held for _, held in arrived],
        [key(count) for count in counts],
        paint,
        marks,
        size=whole,
    )


STEPS_PER_OCTAVE = 16


def _rounded_up(count: int, most: int) -> int:
    """The next of steps of 4%, at most `most`; what is 0 or less stays."""
    if count <= 0:
        return count
    step = math.ceil(STEPS_PER_OCTAVE * math.log2(count) - 1e-9)
    return min(max(count, math.ceil(2 ** (step / STEPS_PER_OCTAVE))), most)


def _begins(data: bytes, decode: Callable[[bytes], Picture | None]) -> int:
    """The bytes from which on a file shows anything, by halving."""
    low, high = 0, len(data)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if decode(data[:middle]) is not None else (middle + 1, high)
    return low


def of_subsets(
    name: str,
    sizes: Sequence[int],
    arrived: Sequence[tuple[float, int]],
    decode: Callable[[frozenset[int]], Picture | None],
    identity: bytes,
) -> Timeline:
    """Packets each of which stands alone: what a set of them shows.

    sizes: useful bytes of each packet; arrived: (seconds, packet), repeats included.
    """
    base, sets, got, held = hashlib.sha256(name.encode() + identity).hexdigest()[:32], [], set[int](), []
    times, keys = [], []
    for time, packet in arrived:
        if packet in got:
            continue
        got.add(packet)
        times.append(time)
        sets.append(frozenset(got))
        held.append(sum(sizes[each] for each in got))
        keys.append(base + hashlib.sha256(repr(sorted(got)).encode()).hexdigest())
    marks = {"all": times[-1]} if len(got) == len(sizes) and times else {}
    return Timeline(
        name, times, held, keys, lambda state: decode(sets[state]) if state >= 0 else None, marks, size=sum(sizes)
    )
