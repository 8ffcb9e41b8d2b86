"""The order in which the packets of one group leave when nobody answers.

    items ─► packets of the base, of each coded class, of the rest
          ─► base ▪ by priority ▪ repair symbols between what follows their block ▪ copies of the base far apart

How many copies and repair symbols there are follows from the channel, the target of each class and the places in this
very order: they are raised until the exact chance of each class is what was asked for. A class is cut into packets of
the size that costs the fewest bytes: a small one needs less repair in several small packets than in one large one.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from transport import wire
from transport.code import LENGTH_SIZE, BlockEncoder, largest_symbol, most_sources, symbol_size
from transport.fields import BASE, CLASSES, varint_size
from transport.redundancy import MAX_COPIES, Channel, chance_complete, chance_missed, copies_needed, repairs_needed
from transport.schedule import Item, Key
from transport.symbols import ALIGNMENT, MAX_BLOCK, REPAIRS, Repair

MAX_SOURCES: Final = 120
"""Packets in a block: so that its repair symbols suffice up to two thirds of loss."""
SMALLEST_PIECE: Final = 24
"""Room below which it is not worth starting another piece in a packet."""
LAST_SOURCES: Final = 40
"""Of the last class, where it is protected: it is long, and what is missing of it shows until its block is complete."""
FINEST: Final = 16
"""A class is cut into at most so many packets more than it needs."""
FAR: Final = 4
"""Places between a block's packets, at best; and between copies, at least: real links know bursts that nobody told."""
APART: Final = 0.05
"""Copies stand so far apart that no more than this share of the one's fate is left for the next."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a program is made for.

    Attributes:
        packet_size: largest datagram, bytes.
        overhead: bytes that the layers below add to a datagram; they count in what is cheapest.
        channel: what all receivers together miss.
        targets: for each class the chance that all of it arrives; None: sent once, unprotected.
    """

    packet_size: int
    overhead: int
    channel: Channel
    targets: tuple[float | None, float | None, float | None, float | None]


@dataclass(eq=False)
class Block:
    """Data packets of one class that repair symbols protect. `repairs`: how many of those a round sends."""

    group: int
    cls: int
    number: int
    bodies: list[bytes]
    target: float
    repairs: int = 0
    _encoder: BlockEncoder | None = None

    def repair(self, place: int) -> bytes:
        """The repair packet with the symbol `place`, from 0; beyond 255 they come again."""
        encoder = self._encoder = self._encoder or BlockEncoder(self.bodies)
        shape = encoder.shape
        place %= REPAIRS
        symbol = encoder.symbol(place)
        return Repair(self.group, self.cls, self.number, shape.sources, place, shape.check, symbol).encode()


@dataclass(frozen=True, slots=True)
class Slot:
    """One packet of a program: `data`, or else repair symbol `place` of `block`. Nothing leaves after `deadline`."""

    data: bytes = b""
    block: Block | None = None
    place: int = 0
    priority: int = 0
    deadline: float = math.inf
    keys: tuple[Key, ...] = ()
    payload: int = 0

    def packet(self, turn: int) -> bytes:
        """The datagram in the given turn, from 0: further turns have further repair symbols."""
        if self.data or self.block is None:
            return self.data
        return self.block.repair(self.place + turn * self.block.repairs)


@dataclass
class Program:
    """The packets of one turn in their order; `base` are those of one copy of the base."""

    slots: list[Slot]
    base: list[Slot]
    reached: dict[int, float] = field(default_factory=dict)
    """For each protected class: the chance that all of it arrives in one turn."""


def make_program(plan: Plan, preamble: bytes, items: Sequence[Item], first_block: int = 0) -> tuple[Program, int]:
    """The program of some items of one group, and the number of the next free block."""
    deadlines = _effective_deadlines(items)
    by_priority = sorted(items, key=lambda item: item.priority)
    base = _base_slots(plan, preamble, [item for item in by_priority if item.cls == BASE])
    rest: list[Slot] = []
    blocks: dict[int, list[Block]] = {}
    for cls in range(1, CLASSES):
        mine = [item for item in by_priority if item.cls == cls]
        target = plan.targets[cls]
        if target is None:
            packed = _pack_apart(mine, deadlines, plan.packet_size - wire.head_size(False, 0) + 1)
            rest += [_data_slot(segments, deadlines, None) for segments in packed]
        elif mine:
            slots, blocks[cls] = _code(plan, mine, deadlines, target, first_block)
            first_block = (first_block + len(blocks[cls])) % (MAX_BLOCK + 1)
            rest += slots
    rest.sort(key=lambda slot: slot.priority)
    return _order(plan, base, rest, blocks), first_block


# --- packing ---


@dataclass(frozen=True, slots=True)
class _Piece:
    item: Item
    segment: wire.Segment


def _effective_deadlines(items: Iterable[Item]) -> dict[Key, float]:
    """Until when each item is worth sending: no longer than what it needs; the base is always."""
    found: dict[Key, float] = {}
    for item in items:
        found[item.key] = math.inf if item.deadline is None or item.cls == BASE else item.deadline
    needs = {item.key: [(item.group, *need) for need in item.needs] for item in items if item.cls != BASE}
    changed = True
    while changed:
        changed = False
        for key, needed in needs.items():
            least = min((found.get(need, math.inf) for need in needed), default=math.inf)
            if least < found[key]:
                found[key], changed = least, True
    return found


def _pack_apart(items: Iterable[Item], deadlines: dict[Key, float], limit: int) -> list[list[_Piece]]:
    """Pieces of items in packets' bodies of up to `limit` bytes; items of different deadlines never share one."""
    runs = groupby(items, key=lambda item: deadlines[item.key])
    return [packet for _, run in runs for packet in _pack(run, limit)]


def _pack(items: Iterable[Item], limit: int) -> list[list[_Piece]]:
    packets: list[list[_Piece]] = []
    room = 0
    for item in items:
        offset, end = 0, len(item.payload)
        while True:
            more = varint_size(len(packets[-1][-1].segment.payload)) if packets else 0
            left = room - more - 1 - wire.segment_size(item.index, offset)
            size = end - offset
            alone = limit - 1 - wire.segment_size(item.index, offset)
            if not packets or (size > left and (left < SMALLEST_PIECE or (size <= alone and not item.may_cut))):
                packets.append([])
                left = alone
            stop = min(end, offset + left)
            payload = item.payload[offset:stop]
            segment = wire.Segment(item.cls, item.index, offset, payload, item.ends and stop == end)
            packets[-1].append(_Piece(item, segment))
            room = left - len(payload)
            offset = stop
            if offset == end:
                break
    return packets


def _data_slot(pieces: list[_Piece], deadlines: dict[Key, float], coded: tuple[int, int] | None) -> Slot:
    segments = tuple(piece.segment for piece in pieces)
    lead = pieces[0].item
    data = wire.Data(lead.group, segments, coded=coded).encode()
    keys = tuple(dict.fromkeys(piece.item.key for piece in pieces))
    payload = sum(len(segment.payload) for segment in segments)
    return Slot(data, priority=lead.priority, deadline=deadlines[lead.key], keys=keys, payload=payload)


def _base_slots(plan: Plan, preamble: bytes, items: Sequence[Item]) -> list[Slot]:
    slots = []
    for pieces in _pack(items, plan.packet_size - wire.head_size(False, len(preamble)) + 1):
        segments = tuple(piece.segment for piece in pieces)
        data = wire.Data(pieces[0].item.group, segments, preamble=preamble).encode()
        keys = tuple(dict.fromkeys(piece.item.key for piece in pieces))
        payload = sum(len(segment.payload) for segment in segments)
        slots.append(Slot(data, priority=pieces[0].item.priority, keys=keys, payload=payload))
    return slots


# --- coding ---


def _code(
    plan: Plan, items: Sequence[Item], deadlines: dict[Key, float], target: float, first_block: int
) -> tuple[list[Slot], list[Block]]:
    """A class as coded data packets and their blocks; each block's target is a share of the class's, or for the last
    class, whose blocks are of use one by one, that target itself."""
    packed = _cheapest_packing(plan, items, deadlines, target, first_block)
    last = items[0].cls == CLASSES - 1
    most = most_sources(symbol_size(max(map(_body_size, packed))), LAST_SOURCES if last else MAX_SOURCES)
    apart = [
        group[at : at + size]
        for _, run in groupby(packed, key=lambda packet: deadlines[packet[0].item.key])
        for group in [list(run)]
        for size in [math.ceil(len(group) / math.ceil(len(group) / most))]
        for at in range(0, len(group), size)
    ]
    slots: list[Slot] = []
    blocks: list[Block] = []
    for number, packets in enumerate(apart, first_block):
        number %= MAX_BLOCK + 1
        made = [_data_slot(pieces, deadlines, (number, place)) for place, pieces in enumerate(packets)]
        bodies = [wire.Data(0, tuple(piece.segment for piece in pieces)).body() for pieces in packets]
        lead = packets[0][0].item
        block = Block(lead.group, lead.cls, number, bodies, target if last else target ** (1 / len(apart)))
        slots += [Slot(s.data, block, 0, s.priority, s.deadline, s.keys, s.payload) for s in made]
        blocks.append(block)
    return slots, blocks


def _cheapest_packing(
    plan: Plan, items: Sequence[Item], deadlines: dict[Key, float], target: float, first_block: int
) -> list[list[_Piece]]:
    """The packing whose packets and repair together cost the fewest bytes on the wire."""
    last_block = first_block + 1 + sum(len(item.payload) for item in items) // (MAX_SOURCES * ALIGNMENT) + len(items)
    largest = largest_symbol(plan.packet_size, False, min(last_block, MAX_BLOCK)) - LENGTH_SIZE
    best = _pack_apart(items, deadlines, largest)
    if len(best) > MAX_SOURCES:
        return best
    total = sum(map(_body_size, best))
    sizes = {-(-total // (len(best) + finer)) + LENGTH_SIZE for finer in range(FINEST)}
    limits = {-(-size // ALIGNMENT) * ALIGNMENT - LENGTH_SIZE for size in sizes}
    packings = [_pack_apart(items, deadlines, limit) for limit in limits if SMALLEST_PIECE < limit < largest]
    return min([best, *packings], key=lambda packed: _cost(plan, packed, target))


def _body_size(pieces: list[_Piece]) -> int:
    return len(wire.Data(0, tuple(piece.segment for piece in pieces)).body())


def _cost(plan: Plan, packed: Sequence[Sequence[_Piece]], target: float) -> int:
    """Bytes on the wire of a packing as one block with its repair, heads included, about."""
    sizes = [_body_size(list(pieces)) for pieces in packed]
    repairs = repairs_needed(plan.channel, len(sizes), target, 2)
    heads = wire.head_size(False, 0, 0) + 2 + plan.overhead
    return sum(sizes) + len(sizes) * heads + repairs * (max(sizes) + LENGTH_SIZE + ALIGNMENT // 2 + heads)


# --- the order ---


def _order(plan: Plan, base: list[Slot], rest: list[Slot], blocks: dict[int, list[Block]]) -> Program:
    """Raise copies and repair symbols until every class reaches its target where its packets stand."""
    target = plan.targets[BASE]
    copies = copies_needed(plan.channel, len(base), target, _gap(plan.channel)) if base and target else 1
    flat = [block for of_class in blocks.values() for block in of_class]
    for block in flat:
        block.repairs = repairs_needed(plan.channel, len(block.bodies), block.target, FAR)
    while True:
        slots = _spread(plan, base, copies, _interleave(rest))
        short = [block for block in flat if _chance(plan, slots, block) < block.target and block.repairs < REPAIRS]
        more = base and target and copies < MAX_COPIES and _base_chance(plan, slots, base) < target
        if not short and not more:
            break
        copies += bool(more)
        for block in short:
            block.repairs += 1
    reached = {cls: math.prod(_chance(plan, slots, block) for block in mine) for cls, mine in blocks.items()}
    if base:
        reached[BASE] = _base_chance(plan, slots, base)
    return Program(slots, base, reached)


def _gap(channel: Channel) -> int:
    """Places between two copies that make them nearly independent."""
    memory = abs(channel.memory)
    return FAR if memory < APART else max(FAR, math.ceil(math.log(APART) / math.log(memory)))


def _interleave(rest: Iterable[Slot]) -> list[Slot]:
    """The rest in its order; a repair symbol goes after each packet, and all of them before what is not coded."""
    rest = list(rest)
    left = {id(slot.block): len(slot.block.bodies) for slot in rest if slot.block}
    waiting: deque[tuple[Slot, int]] = deque()
    out: list[Slot] = []

    def one_repair() -> None:
        slot, place = waiting.popleft()
        assert slot.block is not None
        if place < slot.block.repairs:
            out.append(Slot(b"", slot.block, place, slot.priority, slot.deadline))
            waiting.append((slot, place + 1))

    for slot in rest:
        while waiting and not slot.block:
            one_repair()
        out.append(slot)
        if waiting:
            one_repair()
        if slot.block:
            left[id(slot.block)] -= 1
            if not left[id(slot.block)]:
                waiting.append((slot, 0))
    while waiting:
        one_repair()
    return out


def _spread(plan: Plan, base: list[Slot], copies: int, rest: list[Slot]) -> list[Slot]:
    """The base in front, its copies evenly among the rest, no farther apart than they need."""
    if not base:
        return rest
    between = max(min(_gap(plan.channel) - len(base), len(rest) // max(copies - 1, 1)), 0)
    out = list(base)
    at = 0
    for _ in range(copies - 1):
        priority = out[-1].priority
        out += rest[at : at + between]
        at += between
        priority = max(priority, out[-1].priority)
        out += [Slot(slot.data, None, 0, priority, slot.deadline) for slot in base]
    return out + rest[at:]


def _places(slots: Iterable[Slot], block: Block) -> list[int]:
    return [place for place, slot in enumerate(slots) if slot.block is block]


def _chance(plan: Plan, slots: Sequence[Slot], block: Block) -> float:
    return chance_complete(plan.channel, len(block.bodies), _places(slots, block))


def _base_chance(plan: Plan, slots: Sequence[Slot], base: Sequence[Slot]) -> float:
    """That all packets of the base arrive: a lower bound where there are several and losses come in bursts."""
    chance = 1.0
    for slot in base:
        places = [place for place, other in enumerate(slots) if other.data == slot.data]
        chance *= 1 - chance_missed(plan.channel, places)
    return chance
