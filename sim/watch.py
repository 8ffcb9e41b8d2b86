"""What a person sees at given times when a photo comes over a link: ours, and the same photo as a progressive JPEG.

stream ─► Transfer over the link ─► Player ─► a View a time
JPEG   ─► ideal reliable stream over the same link ─► decode what is there ─► a View a time
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from player import Player
from sim import progressive
from sim.link import IP_UDP, LinkSpec
from sim.metrics import Picture, psnr, ssimulacra2
from sim.run import Transfer, reliable_stream
from sim.timeline import load_of_stream
from transport import GroupStarted, ItemReceived, packet_size


@dataclass(frozen=True, eq=False)
class View:
    """What was to be seen at `time` (seconds after the start).

    bytes: of the stream or file, held by the viewer. wire: bytes that had arrived, every header and copy included.
    layers: what the picture is made of. picture: uint8[H, W, C], None before anything can be shown. psnr (dB) and
    ssimulacra2 are None until `measured`, and without a picture.
    """

    time: float
    bytes: int
    wire: int
    layers: tuple[str, ...]
    caption: str | None
    picture: Picture | None
    psnr: float | None = None
    ssimulacra2: float | None = None


def measured(
    rows: Sequence[Sequence[View]], reference: Picture, tell: Callable[[float], None] = lambda share: None
) -> list[list[View]]:
    """The same views with their PSNR and SSIMULACRA2 against uint8[H, W, C].

    Each different picture is measured once, on two threads. `tell` hears the share of the work done.
    """
    pictures = {_digest(view.picture): view.picture for row in rows for view in row if view.picture is not None}
    found: dict[bytes, tuple[float, float]] = {}

    def measure(digest: bytes) -> tuple[bytes, float, float]:
        return digest, psnr(reference, pictures[digest]), ssimulacra2(reference, pictures[digest])

    with ThreadPoolExecutor(2) as pool:
        for digest, decibels, score in pool.map(measure, pictures):
            found[digest] = decibels, score
            tell(len(found) / len(pictures))
    return [[_with(view, found) for view in row] for row in rows]


def _with(view: View, found: dict[bytes, tuple[float, float]]) -> View:
    if view.picture is None:
        return view
    decibels, score = found[_digest(view.picture)]
    return replace(view, psnr=decibels, ssimulacra2=score)


def _digest(picture: Picture) -> bytes:
    return hashlib.sha256(picture.tobytes()).digest()


def watch_stream(data: bytes, link: LinkSpec, times: Sequence[float], seed: int = 0) -> list[View]:
    """Send a stream over a link and look at each of `times` (ascending, seconds). Raises FormatError if it is none."""
    transfer, load = Transfer(link, seed), load_of_stream(data)
    transfer.submit(load.group, load.preamble, load.items)
    arrivals = transfer.run(times[-1])
    player, taken, views = Player(), 0, []
    for time in times:
        while taken < len(arrivals) and arrivals[taken].time <= time:
            arrival = arrivals[taken]
            event, taken = arrival.event, taken + 1
            if isinstance(event, GroupStarted):
                player.start(event.preamble, arrival.time)
            elif isinstance(event, ItemReceived):
                player.push(event.key[2], event.payload, event.complete, arrival.time)
        moment = player.look(time)
        wire = sum(event.size for event in transfer.forward.log if event.what == "arrived" and event.time <= time)
        picture = player.picture(time)
        views.append(View(time, moment.bytes, wire, moment.layers, moment.caption, picture))
    return views


def watch_jpeg(data: bytes, link: LinkSpec, times: Sequence[float], seed: int = 0) -> list[View]:
    """The same for a progressive JPEG on an ideal reliable stream."""
    arrived = reliable_stream(data, link, times[-1], seed)
    views = []
    for time in times:
        held = max((size for when, size in arrived if when <= time), default=0)
        picture = progressive.decode_prefix(data[:held])
        count = progressive.scans(data[:held])
        layers = (f"{count} of {progressive.scans(data)} scans",) if count else ()
        wire = held + -(-held // packet_size(link.rate)) * IP_UDP
        views.append(View(time, held, wire, layers, None, picture))
    return views
