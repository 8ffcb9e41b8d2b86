"""The receiving side of coded repair: keeps the bodies of unfinished blocks, and rebuilds what is missing.

A block needs no announcement: a data packet says its block and place, a repair packet how many there are. Memory is
bounded, the block not touched for the longest time goes first: what it lacked is then simply missing. A block that
contradicts its check is dropped whole, and may be built anew from what comes later.
"""

from dataclasses import dataclass, field

from transport.code import Shape, WrongSymbol, rebuild
from transport.symbols import MAX_BLOCK_SIZE, BlockKey, Repair

COST = 64
"""Bytes of bookkeeping charged for a symbol or a block."""
MAX_SHAPES = 4
"""Repair symbols of so many different sendings under one number are kept apart."""
MAX_DONE = 4096
"""Finished blocks remembered."""
TRIES = 4
"""With so many symbols more than should do, a block is hopeless: somebody lies."""


@dataclass
class _Block:
    bodies: dict[int, bytes] = field(default_factory=dict)
    repairs: dict[Shape, dict[int, bytes]] = field(default_factory=dict)
    cost: int = COST


class Blocks:
    """Unfinished blocks. `max_bytes`: memory that they may take, about."""

    def __init__(self, max_bytes: int) -> None:
        self.held = 0
        self.wrong = 0
        """Blocks that were dropped because their check was wrong."""
        self._max_bytes = max_bytes
        self._blocks: dict[BlockKey, _Block] = {}
        self._done: dict[tuple[BlockKey, Shape], bool] = {}

    def handle_body(self, key: BlockKey, place: int, body: bytes) -> list[bytes]:
        """Take the body of a coded data packet; the bodies that could be rebuilt with it."""
        block = self._touch(key)
        if place in block.bodies:
            return []
        block.bodies[place] = body
        self._charge(block, len(body))
        for shape in list(block.repairs):
            if rebuilt := self._try(key, block, shape):
                return rebuilt
        self._evict()
        return []

    def handle_repair(self, packet: Repair) -> list[bytes]:
        """Take a repair packet; the bodies that could be rebuilt with it."""
        shape = Shape(packet.sources, len(packet.symbol), packet.check)
        if (packet.key, shape) in self._done:
            self._drop(packet.key)
            return []
        if shape.sources * shape.size > min(self._max_bytes, MAX_BLOCK_SIZE):
            return []
        block = self._touch(packet.key)
        symbols = block.repairs.setdefault(shape, {})
        if packet.place in symbols:
            return []
        symbols[packet.place] = packet.symbol
        self._charge(block, len(packet.symbol))
        if len(block.repairs) > MAX_SHAPES:
            oldest = block.repairs.pop(next(iter(block.repairs)))
            self._charge(block, -sum(map(len, oldest.values())), -len(oldest))
        rebuilt = self._try(packet.key, block, shape)
        self._evict()
        return rebuilt

    def was_rebuilt(self, packet: Repair) -> bool:
        """Whether repair symbols completed this packet's block."""
        return self._done.get((packet.key, Shape(packet.sources, len(packet.symbol), packet.check)), False)

    def forget(self, group: int) -> None:
        for key in [key for key in self._blocks if key[0] == group]:
            self._drop(key)
        self._done = {done: rebuilt for done, rebuilt in self._done.items() if done[0][0] != group}

    def _try(self, key: BlockKey, block: _Block, shape: Shape) -> list[bytes]:
        """The bodies that were missing, if there are symbols enough; the block is then finished."""
        symbols = block.repairs[shape]
        places = sum(place < shape.sources for place in block.bodies)
        spare = places + len(symbols) - shape.sources
        if spare < 0:
            return []
        try:
            bodies = rebuild(shape, block.bodies, symbols)
        except WrongSymbol:
            bodies, spare = None, TRIES
        if bodies is None:
            if spare >= TRIES:
                self.wrong += 1
                self._drop(key)
            return []
        fresh = [body for place, body in enumerate(bodies) if block.bodies.get(place) != body]
        self._done[key, shape] = bool(fresh)
        if len(self._done) > MAX_DONE:
            del self._done[next(iter(self._done))]
        self._drop(key)
        return fresh

    def _touch(self, key: BlockKey) -> _Block:
        """The block, now the one that was touched last."""
        block = self._blocks.pop(key, None)
        if block is None:
            block = _Block()
            self.held += COST
        self._blocks[key] = block
        return block

    def _charge(self, block: _Block, size: int, symbols: int = 1) -> None:
        block.cost += size + symbols * COST
        self.held += size + symbols * COST

    def _drop(self, key: BlockKey) -> None:
        block = self._blocks.pop(key, None)
        self.held -= block.cost if block else 0

    def _evict(self) -> None:
        while self.held > self._max_bytes and self._blocks:
            self._drop(next(iter(self._blocks)))
