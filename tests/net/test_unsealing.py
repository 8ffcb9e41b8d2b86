"""What opens on its way into the store, between two real ends without sockets."""

from __future__ import annotations

from pathlib import Path

from layercast.net.fetch import Fetch
from layercast.net.parcel import pack
from layercast.net.sealing import Unsealing, seal_parcel, seal_start
from layercast.net.store import Store
from tests.fuzz.parsers import streams
from transport import GroupStarted, Item, Receiver, Sender, SenderConfig, wire
from transport.seal import RECORD, TAG, SealKey, seal

KEY, OTHER = SealKey(bytes(32)), SealKey(bytes(31) + b"\1")


def test_the_start_of_an_item_seals_to_the_start_of_the_sealed_item() -> None:
    payload = bytes(range(256)) * 20
    whole = seal(Item(5, 0, 8, payload), KEY, b"head").payload
    for size in (0, 1, RECORD - 1, RECORD, RECORD + 1, 3 * RECORD):
        start = seal_start((5, 0, 8), payload[:size], KEY, b"head")
        assert len(start) == size // RECORD * (RECORD + TAG) and whole.startswith(start)


def drive(receiver: Receiver, key: SealKey, data: bytes, skip: int = 0) -> None:
    """Send a stream sealed, but for the first packets."""
    parcel = seal_parcel(pack(data, "photo"), key)
    sender = Sender(SenderConfig(rate=1e6, feedback=False))
    sender.start_group(parcel.group, parcel.preamble)
    for item in parcel.items:
        sender.submit(item)
    for n in range(100_000):
        while (packet := sender.poll_transmit(n / 100)) is not None:
            skip -= 1
            if skip < 0:
                receiver.handle_datagram(packet, n / 100)
        if sender.idle:
            return


def test_a_false_preamble_is_not_believed(tmp_path: Path) -> None:
    data = streams()[0]
    parcel = seal_parcel(pack(data, "photo"), KEY)
    receiver = Receiver()
    unsealing = Unsealing(receiver, KEY)
    first = next(item for item in parcel.items if item.cls == 0)
    segment = wire.Segment(0, first.index, 0, first.payload, True)
    receiver.handle_datagram(wire.Data(parcel.group, (segment,), None, b"\1\2\3\4").encode(), 0.0)
    assert unsealing.next_event() is None and unsealing.foreign


def test_nothing_of_another_key_reaches_the_store(tmp_path: Path) -> None:
    receiver = Receiver()
    unsealing = Unsealing(receiver, OTHER)
    fetch = Fetch(unsealing, Store(tmp_path))
    drive(receiver, KEY, streams()[0])
    assert list(fetch.take()) == [] and unsealing.foreign and unsealing.damaged
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_groups_start_once_something_of_their_base_has_opened(tmp_path: Path) -> None:
    data, receiver = streams()[0], Receiver()
    unsealing = Unsealing(receiver, KEY)
    drive(receiver, KEY, data)
    event = unsealing.next_event()
    while event is not None and not isinstance(event, GroupStarted):
        assert event.key[1] != 0, "an item of the base before its group"  # type: ignore[union-attr]
        event = unsealing.next_event()
    assert isinstance(event, GroupStarted) and event.preamble == pack(data, "").preamble
