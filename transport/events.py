"""What sessions tell the application, taken one by one with `next_event()`."""

from dataclasses import dataclass

from transport.schedule import Key


@dataclass(frozen=True, slots=True)
class GroupStarted:
    """Receiver: the first packet of a base came; `preamble` is what its sender gave for the group.

    Again for one with another preamble: one of the two was changed on the way, perhaps the first.
    """

    group: int
    preamble: bytes


@dataclass(frozen=True, slots=True)
class SenderNamed:
    """Receiver: the sender said who it is, for the first time or differently than before. Unproved, as all is here."""

    name: str


@dataclass(frozen=True, slots=True)
class ItemReceived:
    """Receiver: more of an item is here. `payload`: all its bytes from the start; `complete`: there are no more."""

    key: Key
    payload: bytes
    complete: bool


@dataclass(frozen=True, slots=True)
class ItemDelivered:
    """Sender: the peer has the whole item."""

    key: Key


@dataclass(frozen=True, slots=True)
class ItemDropped:
    """Sender: nothing more of the item will be sent (too late, needs one that was dropped, or cancelled)."""

    key: Key


@dataclass(frozen=True, slots=True)
class LevelWanted:
    """Sender: the peer wants classes up to `upto` (NOTHING: stop) of a group, or (None) of all not named otherwise."""

    group: int | None
    upto: int


@dataclass(frozen=True, slots=True)
class TopicWanted:
    """Sender: what the peer came for, in the application's own words. Whatever it says is the peer's: check it."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Receiver: the sender has delivered all that is wanted and has no more. `why`: if that is nothing, its reason."""

    why: str = ""


Event = GroupStarted | SenderNamed | ItemReceived | ItemDelivered | ItemDropped | LevelWanted | TopicWanted | Ended
