"""Moves prioritised items over thin links; knows nothing of what they are.

`session` and `receive` are the centre: a sans-I/O Sender and Receiver. WIRE.md is what travels. Channels are thin
adapters. Imports none of the other packages, so anyone can use it for their own layered media.
"""

from transport.broadcast import PROTECT_ALL, BroadcastConfig, BroadcastSender
from transport.control import NOTHING
from transport.events import (
    Ended,
    Event,
    GroupStarted,
    ItemDelivered,
    ItemDropped,
    ItemReceived,
    LevelWanted,
    SenderNamed,
    TopicWanted,
)
from transport.fields import BASE
from transport.log import Log
from transport.pace import packet_size
from transport.receive import Receiver, ReceiverConfig
from transport.repair import ONE_WAY, WITH_FEEDBACK, Policy
from transport.schedule import Item, Key
from transport.session import Sender, SenderConfig
from transport.wire import WireError

__all__ = [
    "BASE",
    "NOTHING",
    "ONE_WAY",
    "PROTECT_ALL",
    "WITH_FEEDBACK",
    "BroadcastConfig",
    "BroadcastSender",
    "Ended",
    "Event",
    "GroupStarted",
    "Item",
    "ItemDelivered",
    "ItemDropped",
    "ItemReceived",
    "Key",
    "LevelWanted",
    "Log",
    "Policy",
    "Receiver",
    "ReceiverConfig",
    "Sender",
    "SenderConfig",
    "SenderNamed",
    "TopicWanted",
    "WireError",
    "packet_size",
]
