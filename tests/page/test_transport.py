"""The page's receiver, in node, against the real sender over a bad middle, in virtual time.

Only `make page-test` runs this: it needs node and what `make page` builds.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from layercast.net.parcel import pack
from tests.fuzz.parsers import streams
from tests.transport.pair import Pair
from tests.transport.test_vectors import UNCODED, lossy, picture
from transport import Event, GroupStarted, ItemReceived, SenderConfig, SenderNamed
from transport.events import Ended

SCRIPT = Path(__file__).parent / "transport.mjs"
pytestmark = pytest.mark.skipif(
    "LAYERCAST_PAGE" not in os.environ, reason="the page's receiver was not shown: run make page-test"
)


def _event(told: list[Any] | None) -> Event | None:
    match told:
        case ["started", group, preamble]:
            return GroupStarted(group, bytes.fromhex(preamble))
        case ["item", group, cls, index, payload, complete]:
            return ItemReceived((group, cls, index), bytes.fromhex(payload), complete)
        case ["named", name]:
            return SenderNamed(name)
        case ["ended", why]:
            return Ended(why)
    return None


class PageReceiver:
    """The receiver in a process of its own; as `transport.Receiver`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _call(self, *call: Any) -> list[Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([call]) + "\n")
        self._process.stdin.flush()
        results: list[Any] = json.loads(self._process.stdout.readline())
        return results

    def want(self, upto: int, group: int | None = None, now_first: Any = ()) -> None:
        self._call("want", upto, group, list(now_first))

    def resume(self, group: int, preamble: bytes, items: dict[tuple[int, int], tuple[bytes, bool]]) -> None:
        held = [[cls, index, payload.hex(), whole] for (cls, index), (payload, whole) in items.items()]
        self._call("resume", group, preamble.hex(), held)

    def handle_datagram(self, data: bytes, now: float) -> None:
        self._call("in", now, data.hex())

    def handle_timer(self, now: float) -> None:
        pass

    def next_timer(self) -> float | None:
        (timer,) = self._call("timer")
        return None if timer is None else float(timer)

    def poll_transmit(self, now: float) -> bytes | None:
        (data,) = self._call("out", now)
        return None if data is None else bytes.fromhex(data)

    def next_event(self) -> Event | None:
        return _event(self._call("event")[0])

    def stats(self) -> dict[str, int]:
        (found,) = self._call("stats")
        return dict(found)


@contextmanager
def page_receiver() -> Iterator[PageReceiver]:
    with subprocess.Popen(
        ["node", str(SCRIPT), "peer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield PageReceiver(process)
        finally:
            process.kill()


def page_pair(receiver: Any, seed: int, share: float, coded: bool = False) -> Pair:
    config = SenderConfig(
        rate=50_000, packet_size=300, wait_for_request=True, policies=None if coded else UNCODED, initial_rtt=0.5
    )
    pair = Pair(config, lossy(seed, share), lossy(seed + 1, share))
    pair.receiver = receiver
    pair.ends = (pair.sender, receiver)
    return pair


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("coded", [False, True])
def test_every_chunk_arrives_over_a_bad_link(seed: int, coded: bool) -> None:
    parcel = pack(max(streams(), key=len), "photo")
    with page_receiver() as receiver:
        pair = page_pair(receiver, seed, 0.25, coded)
        pair.sender.start_group(parcel.group, parcel.preamble)
        pair.submit(*parcel.items)
        pair.sender.finish()
        receiver.want(3)
        pair.drive(3000.0)
        assert pair.received() == {item.key: item.payload for item in parcel.items if item.ends}
        assert pair.sender.idle
        assert any(isinstance(event, Ended) for _, event in pair.events)
        assert receiver.stats()["malformed"] == 0
        assert max(len(data) for _, data in pair.sent[1]) <= 200


def test_what_is_held_is_not_sent_again_and_wants_are_kept() -> None:
    items = picture(3, 7, bulk=40)
    rng = random.Random(4)
    held = {(item.cls, item.index): (item.payload, True) for item in rng.sample(items, 20) if item.ends}
    with page_receiver() as receiver:
        pair = page_pair(receiver, 9, 0.2)
        pair.sender.start_group(7, b"head")
        pair.submit(*items)
        receiver.resume(7, b"head", held)
        receiver.want(0)
        pair.drive(30.0)
        missing = {item.key for item in items if item.ends and (item.cls, item.index) not in held}
        assert pair.received().keys() == {key for key in missing if key[1] == 0}
        last = max(key for key in missing if key[1] == 3)
        receiver.want(3, 7, [last[1:]])
        pair.drive(900.0)
        assert pair.received().keys() == missing
        behind = [event.key for _, event in pair.events if isinstance(event, ItemReceived) and event.key[1] == 3]
        assert behind.index(last) < len(behind) // 3, "what is asked for first comes first"
