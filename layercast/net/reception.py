"""One picture received for somebody who looks at it: connects, goes on after breaks, asks for what is wanted.

Whoever looks is a `Watcher`, as `player.Player` is. Of an address with several pictures and no name behind it the first
that comes is watched, and nothing more of the others is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

from codec import plan
from codec.stream import FormatError, parse_header
from layercast.net.endpoints import ONE_WAY, Address, Link, connect, open_one_way
from layercast.net.ends import Receiving
from layercast.net.fetch import Change
from layercast.net.oneway import Listening
from layercast.net.parcel import ABOUT, ORDER
from layercast.net.store import Shelf, Store
from player import Want
from transport import NOTHING
from transport.log import Log
from transport.seal import SealKey

LONGEST_PAUSE = 16.0
"""Seconds before the next try, at most."""
QUIET, SILENCE = 4.0, 15.0
"""Seconds without a packet of a picture that is wanted, until that is said, and until the sender is given up."""
LEVELS = {"": NOTHING, "caption": 0, "structure": 1, "latent": 2, "residual": 3}


class Watcher(Protocol):
    """Who looks at what comes: the header, then items, again whenever they grew."""

    def start(self, header: bytes, now: float) -> None: ...
    def push(self, index: int, payload: bytes, complete: bool, now: float) -> None: ...


class Reception:
    """Receives one picture into watchers. Within a running event loop; `run` it, and `want` at any time."""

    def __init__(
        self,
        url: Address,
        store: Store,
        watchers: Sequence[Watcher],
        *,
        token: str = "",
        link: Link | None = None,
        seal: SealKey | None = None,
        log: Log | None = None,
        one_way: bool = False,
        noted: Callable[[Change], None] = lambda change: None,
    ) -> None:
        """`noted` is called with what comes of this picture, and with "others" when there are more."""
        self.url = url
        self.store = store
        self.shelf: Shelf | None = None
        self._others = False
        self._watchers = watchers
        self._token, self._link, self._seal, self._log = token, link or Link(), seal, log
        self._one_way = one_way or url.scheme == ONE_WAY
        self._noted = noted
        self._receiving: Receiving | Listening | None = None
        self._want = Want()
        self._asked = asyncio.Event()
        self._begun = self._done = self._limited_once = self._told_end = self._silent = False
        self._state, self._text = "connecting", "connecting"
        self._heard_at = 0.0

    @property
    def asks(self) -> bool:
        """Whether the sender can be asked for anything."""
        return not self._one_way

    def facts(self) -> dict[str, object]:
        """The link's state in a word and in a line for people, the share of packets lost (None: not known)."""
        loss = self._receiving.receiver.loss if isinstance(self._receiving, Receiving) else None
        return {"state": self._state, "text": self._text, "loss": loss}

    def trouble(self) -> str:
        """What there is to say while nothing comes."""
        return self._text if self._state in ("silent", "stopped", "waiting") else ""

    def want(self, want: Want) -> None:
        """From now on this. ValueError for layers that there are not, or where nobody is asked."""
        if not self.asks:
            raise ValueError("nobody answers there, so nobody can be asked")
        if want.upto not in LEVELS:
            raise ValueError(f"{want.upto!r} is no layer; name one of {', '.join(plan.LAYERS)}")
        self._want = want
        self._limited_once |= want.upto != "residual"
        self._told_end = False
        self._asked.set()
        self._heard_at = asyncio.get_running_loop().time()
        if isinstance(self._receiving, Receiving):
            self._ask(self._receiving)
        if not want.upto:
            self._tell("stopped", "stopped; what came is kept")
        elif self._state == "stopped":
            self._tell("connected", "arriving")

    def stream(self) -> bytes:
        """What is here, in the order of the sender's file; of a whole one its very bytes. FormatError before that."""
        if self.shelf is None:
            raise FormatError("offset 0: nothing has come")
        whole = self.shelf.complete and self.shelf.file is not None
        return self.shelf.file.read_bytes() if whole and self.shelf.file is not None else self.shelf.stream()

    async def run(self) -> None:
        """Until all is here. Raises OSError: the peer cannot be reached at all; ConnectionError: it has refused."""
        tries = 0
        while True:
            if not self._want.upto:
                self._asked.clear()
                await self._asked.wait()
                continue
            held = self.shelf.held if self.shelf is not None else 0
            why = await self._try_once()
            if self._done:
                return self._tell("ended", "all is here")
            if self.shelf is None:
                raise ConnectionError(why)
            tries = 0 if self.shelf.held > held else tries + 1
            pause = min(2.0**tries, LONGEST_PAUSE)
            if self._want.upto:
                self._tell("waiting", f"{why}; what came is kept, the next try in {pause:.0f} s")
                self._asked.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._asked.wait(), pause)

    async def _try_once(self) -> str:
        """One session; why it ended. Raises ConnectionError for what another try would not mend."""
        try:
            channel = await (
                open_one_way(self.url, self._link, sends=False)
                if self._one_way
                else connect(self.url, self._token, self._link)
            )
        except (OSError, ValueError) as error:
            if self.shelf is None:
                raise ConnectionError(f"cannot be reached ({error})") from None
            return f"cannot be reached ({error})"
        if self._one_way:
            self._receiving = Listening(channel, self.store, self._take, seal=self._seal, log=self._log)
        else:
            upto = LEVELS[self._want.upto] if self.shelf is None else NOTHING
            self._receiving = receiving = Receiving(
                channel, self.store, self._take, upto, self.url.name, stays=True, seal=self._seal, log=self._log
            )
            if self.shelf is not None:
                self._tell("connecting", "asking the sender again")
                self._ask(receiving)
        watch = asyncio.ensure_future(self._watch(self._receiving))
        try:
            why = await self._receiving.wait_closed()
        finally:
            channel.close()
            watch.cancel()
            fetch, self._receiving = self._receiving.fetch, None
            if self.shelf is not None:
                self.shelf.close()
        if fetch.ended:
            raise ConnectionError(fetch.ended)
        return f"nothing has come for {SILENCE:.0f} s" if self._silent else why

    async def _watch(self, receiving: Receiving | Listening) -> None:
        """Says when a sender falls silent, and gives it up."""
        if not isinstance(receiving, Receiving):
            return  # whoever only listens has nobody to ask again
        loop, packets = asyncio.get_running_loop(), 0
        self._heard_at, self._silent = loop.time(), False
        while True:
            await asyncio.sleep(QUIET / 4)
            if receiving.fetch.ended:
                receiving.channel.close()
                return
            if receiving.receiver.stats.packets > packets or self._want.upto != "residual":
                packets, self._heard_at = receiving.receiver.stats.packets, loop.time()
                self._told_end = False
                if self._state in ("silent", "connecting") and packets:
                    self._tell("connected", "arriving")
            elif (since := loop.time() - self._heard_at) >= SILENCE:
                self._silent = True
                receiving.channel.close()
                return
            elif since >= QUIET and self._told_end:
                self._done = True
                receiving.channel.close()
                return
            elif since >= QUIET:
                self._tell("silent", "nothing comes at the moment")

    def _ask(self, receiving: Receiving) -> None:
        if self.shelf is not None:
            receiving.ask(self.shelf.group, LEVELS[self._want.upto], self._want.region)

    def _take(self, change: Change) -> None:
        """Something came."""
        if change.shelf is not None and self.shelf is None:
            self.shelf = change.shelf
            self._tell("connected", "arriving")
            if isinstance(self._receiving, Receiving):
                if not self.url.name:
                    self._limited_once = True  # of this one too, for a moment: its end may be told at once
                    self._receiving.ask(None, NOTHING)
                if not self.url.name or self._want != Want():
                    self._ask(self._receiving)
        if change.shelf is not self.shelf and change.shelf is not None:
            if not self._others:
                self._others = True
                self._noted(Change("others"))
            return
        self._tell_watchers(change)
        self._noted(change)
        if change.what == "complete":
            self._done = True
        elif change.what == "ended" and self.shelf is not None:
            self._told_end = True  # of a sender that was told to stop, that may be an old word: `_watch` waits a little
            self._done = not self._limited_once
        if self._receiving is not None and (self._done or self._receiving.fetch.ended):
            self._receiving.channel.close()

    def _tell_watchers(self, change: Change) -> None:
        shelf, now = change.shelf, asyncio.get_running_loop().time()
        if shelf is None:
            return
        if not self._begun:
            try:
                parse_header(shelf.preamble)
            except FormatError:
                return  # it has not come yet
            self._begun = True
            items = list(shelf.items.items())
            for watcher in self._watchers:
                watcher.start(shelf.preamble, now)
        elif change.what == "item" and change.key is not None:
            key = change.key[1:]
            items = [(key, shelf.items[key])]
        else:
            return
        for key, (payload, whole) in items:
            if key not in (ABOUT, ORDER):
                for watcher in self._watchers:
                    watcher.push(key[1], payload, whole, now)

    def _tell(self, state: str, text: str) -> None:
        self._state, self._text = state, text
