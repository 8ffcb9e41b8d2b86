"""A growing stream: whatever the order in which chunks arrive, its bytes are a stream of the same picture."""

import asyncio
import random

import numpy as np
import pytest

import codec
from layercast.net.growing import Growing, replay
from player.items import items_of
from sim.virtual import VirtualLoop
from tests.fuzz.parsers import streams


async def collected(growing: Growing) -> bytes:
    return b"".join([part async for part in growing.reads()])


@pytest.mark.parametrize("seed", range(5))
def test_chunks_in_any_order_are_a_stream(seed: int) -> None:
    data = streams()[0]
    header, items = items_of(data)
    random.Random(seed).shuffle(items)

    async def story() -> bytes:
        growing = Growing()
        growing.start(b"JUNK", 0.0)
        growing.start(header, 0.0)
        growing.start(header, 0.0)
        reading = asyncio.create_task(collected(growing))
        for item in items:
            growing.push(item.index, item.payload[:3], len(item.payload) <= 3, 0.0)
            growing.push(item.index, item.payload, True, 0.0)
            await asyncio.sleep(0)
        growing.push(7, b"of no kind", True, 0.0)
        growing.end()
        return await reading

    body = asyncio.run(story())
    assert np.array_equal(codec.decode(body, strict=True).picture, codec.decode(data).picture)
    assert codec.decode(body).verified


def test_what_was_on_its_way_stands_cut_at_the_end() -> None:
    data = streams()[0]
    header, items = items_of(data)
    last = max(items, key=lambda item: len(item.payload))

    async def story() -> bytes:
        growing = Growing()
        growing.start(header, 0.0)
        for item in items:
            if item is not last:
                growing.push(item.index, item.payload, True, 0.0)
        growing.push(last.index, last.payload[:1], False, 0.0)
        growing.push(last.index, last.payload[:-1], False, 0.0)
        growing.end("the link is gone")
        growing.push(last.index, last.payload, True, 0.0)
        assert growing.failed == "the link is gone"
        return await collected(growing)

    chunks = codec.stream.read(asyncio.run(story()))[1]
    assert chunks[-1].payload == last.payload[:-1] and chunks[-1].cut
    assert len(chunks) == len(items)


def test_a_replayed_file_comes_at_its_rate() -> None:
    data = streams()[0]
    loop = VirtualLoop()
    growing = Growing("photo.lcast", len(data), clock=loop.time)

    async def story() -> bytes:
        work = asyncio.create_task(replay(growing, data, 8 * 1000))
        body = await collected(growing)
        await work
        return body

    try:
        assert loop.run_until_complete(story()) == data
    finally:
        loop.close()
    for at, size in growing.marks:
        assert size == min(len(data), round(1000 * at)) or abs(size - 1000 * at) < 2
    assert growing.marks[-1][0] == pytest.approx(len(data) / 1000, abs=0.06)
