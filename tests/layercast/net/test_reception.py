"""One picture received for who looks, over UDP and modelled links in virtual time: wants, breaks, several pictures."""

import asyncio
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import codec
import layercast
from layercast.net.endpoints import Address, Link
from layercast.net.ends import Sending
from layercast.net.growing import Growing
from layercast.net.parcel import pack
from layercast.net.reception import SILENCE, Reception
from layercast.net.sealing import seal_parcel
from layercast.net.store import Store
from player import Player, Want
from sim.link import LinkSpec
from sim.virtual import Network, run
from tests.fuzz.parsers import picture, streams
from transport.channels import Channel, udp
from transport.seal import SealKey

DATA = streams()[0]
WIDE = picture(1280, 40, 3)  # ten cells side by side
SENDER, RECEIVER = "10.0.0.1", "10.0.0.2"
RATE = 8 * 1000
"""bit/s: eight seconds for DATA."""


@cache
def wide() -> bytes:
    return codec.encode(WIDE, weights=0)


class Server:
    """Serves streams by name at the sender's address, until it is killed."""

    def __init__(self, **named: bytes) -> None:
        self.parcels = [pack(data, f"{name}.lcast") for name, data in named.items()]
        self.sent: list[Sending] = []

    async def start(self) -> "Server":
        self._listener = await udp.listen(SENDER, 4747, self._accept)
        return self

    def _accept(self, channel: Channel) -> None:
        found = lambda topic: [parcel for parcel in self.parcels if topic in parcel.name] or None  # noqa: E731
        self.sent.append(Sending(channel, Link(rate=RATE), found))

    def kill(self) -> None:
        self._listener.close()


def received(folder: Path, story: Callable[[Server, Reception, Player, Network], object], name: str = "") -> Player:
    """A story of a server and a reception that runs beside it; the player that watched."""

    async def all_of_it(network: Network) -> Player:
        network.join(SENDER, RECEIVER, LinkSpec(rate=2 * RATE, delay=0.05))
        server = await Server(one=DATA, two=streams()[3], wide=wide(), part=DATA[:4000]).start()
        player = Player()
        reception = Reception(Address("udp", SENDER, 4747, name), Store(folder), [player])
        player.asks = reception.want
        work = asyncio.ensure_future(reception.run())
        try:
            await asyncio.wait_for(asyncio.ensure_future(story(server, reception, player, network)), 3600)  # type: ignore[arg-type]
            await work
        finally:
            work.cancel()
        return player

    return run(all_of_it)


def test_all_of_it_comes(tmp_path: Path) -> None:
    async def story(server: Server, reception: Reception, player: Player, network: Network) -> None:
        await asyncio.sleep(4)
        facts = reception.facts()
        assert facts["state"] == "connected" and facts["loss"] == 0
        assert player.picture(4.0) is not None and not player.verified

    player = received(tmp_path, story, "one")
    assert player.verified and np.array_equal(player.picture(0.0), codec.decode(DATA).picture)


def test_stop_and_go_on(tmp_path: Path) -> None:
    async def story(server: Server, reception: Reception, player: Player, network: Network) -> None:
        await asyncio.sleep(3)
        player.stop()
        await asyncio.sleep(5)
        assert reception.facts()["state"] == "stopped"
        held = player.bytes
        assert held < len(DATA) / 2
        await asyncio.sleep(600)
        assert player.bytes == held, "nothing more came"
        player.lossless()

    assert received(tmp_path, story, "one").verified


def test_a_stream_that_was_cut_ends_after_a_stop_too(tmp_path: Path) -> None:
    async def story(server: Server, reception: Reception, player: Player, network: Network) -> None:
        await asyncio.sleep(1)
        player.stop()
        await asyncio.sleep(60)
        player.lossless()

    player = received(tmp_path, story, "part")
    assert np.array_equal(player.picture(0.0), codec.decode(DATA[:4000]).picture) and player.bytes == 4000


def test_a_level_is_kept_until_more_is_wanted(tmp_path: Path) -> None:
    async def story(server: Server, reception: Reception, player: Player, network: Network) -> None:
        player.want(upto="latent")
        await asyncio.sleep(100)
        player.picture(0.0)
        assert player.layers[-1] == "latent" and reception.facts()["state"] == "connected"
        player.lossless()

    assert received(tmp_path, story, "one").verified


@pytest.mark.parametrize("key", [None, SealKey(bytes(31) + b"1")])
def test_a_seal_that_does_not_open(tmp_path: Path, key: SealKey | None) -> None:
    async def story(network: Network) -> None:
        network.join(SENDER, RECEIVER, LinkSpec(rate=2 * RATE, delay=0.05))
        server = Server(one=DATA)
        server.parcels = [seal_parcel(parcel, SealKey(bytes(32))) for parcel in server.parcels]
        await server.start()
        player = Player()
        reception = Reception(Address("udp", SENDER, 4747, "one"), Store(tmp_path), [player], seal=key)
        await asyncio.wait_for(reception.run(), 60)

    with pytest.raises(ConnectionError, match="seal"):
        run(story)


def test_a_region_comes_first(tmp_path: Path) -> None:
    async def story(server: Server, reception: Reception, player: Player, network: Network) -> None:
        await asyncio.sleep(2)
        player.want((1160, 0, 120, 40))
        while player.bytes < len(wide()) / 2:
            await asyncio.sleep(0.1)
        shown = player.picture(0.0)
        assert shown is not None
        wrong = np.abs(shown.astype(int) - WIDE).mean(axis=(0, 2)).reshape(10, 128).mean(axis=1)
        assert 4 * wrong[-1] < wrong[:6].min(), wrong

    assert received(tmp_path, story, "wide").verified


def test_a_sender_that_is_gone_is_found_again(tmp_path: Path) -> None:
    async def story(server: Server, reception: Reception, player: Player, network: Network) -> None:
        await asyncio.sleep(3)
        server.kill()
        held = player.bytes
        await asyncio.sleep(SILENCE / 2)
        assert reception.facts()["state"] == "silent"
        while reception.facts()["state"] == "silent":
            await asyncio.sleep(0.1)
        assert reception.facts()["state"] == "waiting" and "what came is kept" in str(reception.facts()["text"])
        again = await Server(one=DATA).start()
        await asyncio.sleep(100)
        sent = sum(sending.sender.stats.bytes for sending in again.sent)
        assert player.verified and sent < 1.3 * (len(DATA) - held), "nothing was sent twice"

    assert received(tmp_path, story, "one").verified


def test_of_several_pictures_the_first_is_watched(tmp_path: Path) -> None:
    told: list[str] = []

    async def story(server: Server, reception: Reception, player: Player, network: Network) -> None:
        reception._noted = lambda change: told.append(change.what)
        await asyncio.sleep(100)
        sent = sum(sending.sender.stats.bytes for sending in server.sent)
        assert sent < 1.2 * len(DATA), "of the others only what was on its way"

    player = received(tmp_path, story)
    assert player.verified and told.count("others") == 1 and told[-1] == "complete"


def test_a_name_that_there_is_not(tmp_path: Path) -> None:
    async def story(server: Server, reception: Reception, player: Player, network: Network) -> None:
        await asyncio.sleep(20)

    with pytest.raises(ConnectionError, match="no stream of that name"):
        received(tmp_path, story, "three")


def test_nobody_there(tmp_path: Path) -> None:
    async def story(server: Server, reception: Reception, player: Player, network: Network) -> None:
        server.kill()
        await asyncio.sleep(300)

    with pytest.raises(ConnectionError):
        received(tmp_path, story, "one")


def test_wants_that_make_no_sense(tmp_path: Path) -> None:
    reception = Reception(Address("udp-oneway", SENDER, 4747), Store(tmp_path), [])
    assert not reception.asks
    with pytest.raises(ValueError, match="nobody answers there"):
        reception.want(Want())
    with pytest.raises(ValueError, match="is no layer"):
        Reception(Address("udp", SENDER, 4747), Store(tmp_path), []).want(Want("everything"))


def test_watch_is_all_of_that_in_one_call() -> None:
    async def story(network: Network) -> layercast.Player:
        network.join(SENDER, RECEIVER, LinkSpec(rate=2 * RATE, delay=0.05))
        await Server(one=DATA).start()
        player = layercast.Player()
        work = asyncio.ensure_future(layercast.watch(f"udp://{SENDER}:4747/one", player))
        await asyncio.sleep(2)
        player.stop()
        await asyncio.sleep(100)
        assert not player.verified and not work.done()
        player.lossless()
        await work
        assert player.asks is None
        return player

    assert run(story).verified


def test_a_growing_stream_watches_too(tmp_path: Path) -> None:
    growing = Growing()

    async def story(server: Server, reception: Reception, player: Player, network: Network) -> None:
        reception._watchers = [player, growing]

    received(tmp_path, story, "one")
    assert np.array_equal(codec.decode(bytes(growing.data)).picture, codec.decode(DATA).picture)
