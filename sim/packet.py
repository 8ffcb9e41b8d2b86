"""What moves over a link, and what happens to it: a packet, a line of the log."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(slots=True)
class Packet:
    """A datagram under way. `number`: its place in its direction; `size`: bytes on the wire, headers below us
    included."""

    number: int
    data: bytes
    size: int


Forward = Callable[[Packet], None]


class LinkEvent(NamedTuple):
    """One line of a link's log. `what`: sent, arrived or dropped; `number`: the packet's place in its direction."""

    time: float
    what: str
    number: int
    size: int
