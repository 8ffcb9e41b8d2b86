"""A driver gives a session its turns when something comes, when a timer is due and when it is told to."""

import asyncio

import pytest

from sim import virtual
from transport import Item, ItemReceived, Receiver, Sender, SenderConfig
from transport.channels import memory
from transport.driver import Driver


def test_two_driven_ends_move_an_item_and_hear_of_the_close() -> None:
    async def story() -> tuple[bytes, str, str]:
        here, there = memory.pair()
        sender, receiver = Sender(SenderConfig(rate=10_000_000)), Receiver()
        got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def take() -> None:
            while (event := receiver.next_event()) is not None:
                if isinstance(event, ItemReceived) and event.complete:
                    got.set_result(event.payload)

        near, far = Driver(sender, here), Driver(receiver, there, take)
        near.start()
        far.start()
        sender.submit(Item(1, 0, 0, bytes(3000)))
        near.wake()
        payload = await got
        near.channel.close()
        return payload, await near.wait_closed(), await far.wait_closed()

    assert asyncio.run(story()) == (bytes(3000), "closed here", "closed by the peer")


def test_what_the_application_raises_reaches_whoever_waits() -> None:
    async def story() -> None:
        here, _ = memory.pair()

        def fail() -> None:
            raise RuntimeError("full disk")

        driver = Driver(Receiver(), here, fail)
        driver.start()
        await driver.wait_closed()

    with pytest.raises(RuntimeError, match="full disk"):
        asyncio.run(story())


def test_a_channel_that_is_not_ready_is_not_asked_again_and_again() -> None:
    class Full(memory.MemoryChannel):
        full = 1

        @property
        def waiting(self) -> int:
            return self.full

    async def story(network: virtual.Network) -> int:
        channel, turns = Full(), []
        driver = Driver(Sender(SenderConfig(rate=1e6)), channel, lambda: turns.append(channel.full))
        driver.session.submit(Item(1, 0, 0, b"a dog"))  # type: ignore[attr-defined]
        driver.start()
        await asyncio.sleep(10.0)
        asked = len(turns)
        channel.full = 0
        channel.wake()
        await asyncio.sleep(1.0)
        assert driver.session.stats.packets == 2  # type: ignore[attr-defined]
        driver.stop()
        return asked

    assert virtual.run(story) <= 3
