"""A process that ends with connections open: it ends at once, says goodbye and leaves nothing half done."""

import asyncio
import gc
import logging

import pytest

from transport.channels.signalling import Signalling, connect, serve
from transport.channels.webrtc import WebRtcChannel, WebRtcConfig

HERE = WebRtcConfig(addresses=("127.0.0.1",))


@pytest.mark.parametrize("end", ["nothing", "close", "close and wait"])
def test_the_loop_ends_with_connections_open(end: str, caplog: pytest.LogCaptureFixture) -> None:
    accepted: list[WebRtcChannel] = []

    async def run() -> None:
        serving = await serve("127.0.0.1", 0, Signalling(accepted.append, config=HERE))
        for _ in range(3):
            await connect(f"http://127.0.0.1:{serving.port}", config=HERE)
        await asyncio.sleep(0)
        if end != "nothing":
            serving.close()
        if end == "close and wait":
            await serving.wait_closed()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
        gc.collect()
    assert len(accepted) == 3 and all(channel.closed for channel in accepted)
    assert not [record for record in caplog.records if record.name == "asyncio"], caplog.text
