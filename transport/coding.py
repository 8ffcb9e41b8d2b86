"""Coded repair where the receiver answers: what a Sender keeps of the blocks that it sent.

    data packets of one class ─► open block ─► closed: repair symbols for the loss measured ─► all symbols decided
                                                   │                                               │
                                                   └── the receiver says Rebuilt: delivered        └── else: resend

A repair symbol costs a packet's time and may spare a round trip: there are as many as make the block complete soonest
on average, for the loss and the round trip measured; where that is none, packets go as they are. Lost packets of a
block are held back as long as the symbols still under way may replace them; then they are sent again like all others.
"""

from dataclasses import dataclass, field
from typing import Final

from transport import wire
from transport.code import LENGTH_SIZE, BlockEncoder, largest_symbol, most_sources
from transport.fields import BASE
from transport.redundancy import Channel, repairs_that_pay
from transport.repair import Piece, Sent
from transport.schedule import Item
from transport.symbols import MAX_BLOCK, BlockKey, Repair

MIN_LOSS: Final = 0.02
"""Share of packets lost from which on repair symbols are sent."""
MAX_LOSS: Final = 0.5
MAX_SOURCES: Final = 64
MAX_WAIT: Final = 1000
SMALLEST_SYMBOL: Final = 24
MAX_SETTLED: Final = 64
"""Blocks remembered whose fate is decided, in case the receiver's word still comes."""


@dataclass(eq=False)
class CodedBlock:
    """A block under way. `got`: symbols acknowledged; `under_way`: those whose fate is open; `held`: what was lost."""

    key: BlockKey
    limit: int
    """Largest data packet of it, bytes."""
    most: int
    """Data packets that it may have."""
    pieces: list[list[Piece]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    encoder: BlockEncoder | None = None
    repairs: int = 0
    sent_repairs: int = 0
    got: int = 0
    under_way: int = 0
    held: list[Piece] = field(default_factory=list)

    @property
    def place(self) -> tuple[int, int]:
        """(block, place) of the next data packet."""
        return self.key[2], len(self.pieces)

    @property
    def unsent(self) -> int:
        return self.repairs - self.sent_repairs

    @property
    def wanted(self) -> bool:
        """Whether any item of it is not done yet."""
        return any(not outgoing.closed for pieces in self.pieces for outgoing, _, _ in pieces)

    @property
    def hopeful(self) -> bool:
        """Whether symbols that are still to come may complete it."""
        coming = self.under_way + self.unsent
        return self.encoder is None or (coming > 0 and self.got + coming >= len(self.pieces))


class Coding:
    """The blocks of one sender."""

    def __init__(self) -> None:
        self._open: CodedBlock | None = None
        self._due: list[CodedBlock] = []
        self._blocks: dict[BlockKey, CodedBlock] = {}
        self._next = 0
        self._channel = Channel()
        self._wait = 0
        self._released: list[Piece] = []

    @property
    def waiting(self) -> bool:
        """Whether there is something to send: repair symbols, or a block to be closed."""
        return self._open is not None or bool(self._due)

    def follow(self, lead: Item | None) -> None:
        """`lead` goes next, or nothing does: close the open block if it is not of it. The base may come between."""
        block = self._open
        if block is not None and (lead is None or (lead.cls != BASE and (lead.group, lead.cls) != block.key[:2])):
            self._close(block)

    def measure(self, loss: float, wait: float) -> bool:
        """Note the share of packets lost and the round trip in packets; whether coding may pay at all."""
        self._channel = Channel(min(round(loss, 2), MAX_LOSS))
        self._wait = min(int(wait), MAX_WAIT)
        return loss >= MIN_LOSS and self._wait >= 1

    def block_for(self, lead: Item, size: int, largest: int) -> CodedBlock | None:
        """The block that a packet beginning with `lead` goes into; None if coding does not pay.

        `size`: bytes still to be sent of its class and group; `largest`: bytes of a datagram, for a new block.
        """
        if self._open is not None and (lead.group, lead.cls) == self._open.key[:2]:
            return self._open
        symbol = largest_symbol(largest, True, self._next)
        if symbol < SMALLEST_SYMBOL:
            return None
        most = most_sources(symbol, MAX_SOURCES)
        if not repairs_that_pay(self._channel, min(-(-size // symbol), most), self._wait):
            return None
        key = (lead.group, lead.cls, self._next)
        self._next = (self._next + 1) % (MAX_BLOCK + 1)
        limit = wire.head_size(True, 0, key[2]) - 1 + symbol - LENGTH_SIZE
        self._open = self._blocks[key] = CodedBlock(key, limit, most)
        self._forget_settled()
        return self._open

    def handle_built(self, block: CodedBlock, body: bytes, pieces: list[Piece]) -> None:
        """A data packet of the open block leaves."""
        block.bodies.append(body)
        block.pieces.append(pieces)
        block.under_way += 1
        if len(block.pieces) >= block.most:
            self._close(block)

    def poll_repair(self, number: int) -> tuple[bytes, CodedBlock] | None:
        """The next repair packet, with its packet number, if one is due."""
        while self._due:
            block = self._due[0]
            if not block.unsent or not block.wanted:
                block.repairs = block.sent_repairs
                self._due.pop(0)
                continue
            assert block.encoder is not None
            shape, place = block.encoder.shape, block.sent_repairs
            block.sent_repairs += 1
            block.under_way += 1
            symbol = block.encoder.symbol(place)
            return Repair(*block.key, shape.sources, place, shape.check, symbol, number).encode(), block
        return None

    def handle_acked(self, sent: Sent) -> None:
        """A packet came through."""
        if (block := sent.block) is not None:
            block.got += 1
            block.under_way -= not sent.lost
            self._release(block)

    def handle_lost(self, sent: Sent) -> None:
        """A packet was lost."""
        if (block := sent.block) is None:
            self._released += sent.pieces
        else:
            block.held += sent.pieces
            block.under_way -= 1
            self._release(block)

    def take_lost(self) -> list[Piece]:
        """What was lost and no repair will bring back, since the last call."""
        released, self._released = self._released, []
        return released

    def handle_rebuilt(self, key: BlockKey) -> list[Piece]:
        """The receiver has the whole block: all that was in it."""
        block = self._blocks.pop(key, None)
        if block is None or block.encoder is None:
            return []
        block.held.clear()
        return [piece for pieces in block.pieces for piece in pieces]

    def _release(self, block: CodedBlock) -> None:
        if not block.hopeful:
            self._released += block.held
            block.held = []

    def _close(self, block: CodedBlock) -> None:
        self._open = None
        block.encoder = BlockEncoder(block.bodies)
        block.repairs = repairs_that_pay(self._channel, len(block.bodies), self._wait)
        block.bodies = []
        self._due.append(block)
        self._release(block)

    def _forget_settled(self) -> None:
        settled = [key for key, block in self._blocks.items() if block.encoder and not block.hopeful]
        for key in settled[: max(len(settled) - MAX_SETTLED, 0)]:
            del self._blocks[key]
