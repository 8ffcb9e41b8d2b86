"""Peers over the same link: the same photo as somebody else would send it, and what there was to be seen when.

Each is a function (subject, link, seed, until) -> Timeline; a scenario names one of RIVALS or `module:function`. Where
a peer needs a reliable stream, it gets an ideal one (`sim.run.IdealStream`): no handshake, no headers beyond the
link's, every loss known a round trip later. docs/simulator.md says how each peer is set up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

from PIL import Image

from sim import jpeg2000, progressive, ssdv
from sim.measure import RECOGNISABLE
from sim.metrics import Picture, feature_distance, to_rgb
from sim.packet import LinkEvent
from sim.peers import PEERS, default_cache, keep_file, thumbhash, versions
from sim.presets import Preset
from sim.run import IdealStream, one_way
from sim.scenario import load_object
from sim.subject import Subject
from sim.timeline import Timeline, of_prefixes, of_subsets

Rival = Callable[[Subject, Preset, int, float], Timeline]
QUALITY = 75
"""Of JPEGs, where nothing else is said."""


def _streamed(
    name: str,
    data: bytes,
    decode: Callable[[bytes], Picture | None],
    link: Preset,
    seed: int,
    until: float,
    first: bytes = b"",
    shown_first: Picture | None = None,
) -> Timeline:
    """A file on an ideal stream over the link."""
    stream = IdealStream(first + data, link.link, link.packet_size, seed)
    stream.run(until)
    found = of_prefixes(name, data, stream.timeline, decode, first, shown_first)
    return _with_wire(found, stream.link.log, stream.link.digest())


def _with_wire(timeline: Timeline, log: list[LinkEvent], digest: str) -> Timeline:
    timeline.wire = sum(event.size for event in log if event.what == "sent")
    timeline.arrived = sum(event.size for event in log if event.what == "arrived")
    timeline.digest = digest[:32]
    return timeline


def layercast_stream(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """Our own file on an ideal stream: what the format is worth without the transport."""
    import codec
    from codec.stream import FormatError

    def decode(data: bytes) -> Picture | None:
        try:
            return codec.decode(data).picture
        except FormatError:
            return None

    return _streamed("layercast", subject.stream, decode, link, seed, until)


def progressive_jpeg(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """A progressive JPEG of quality 75, optimised tables, 4:2:0."""
    data = progressive.encode(subject.picture, QUALITY)
    return _streamed("progressive-jpeg", data, progressive.decode_prefix, link, seed, until)


def jpeg_2000(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """JPEG 2000, progressive by quality, to 3 bits per pixel."""
    stream = jpeg2000.encode(subject.picture)
    return _streamed("jpeg2000", stream.data, lambda data: stream.decode_prefix(len(data)), link, seed, until)


def thumbhash_jpeg(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """ThumbHash's bytes, then the progressive JPEG."""
    small, data = thumbhash(subject.picture), progressive.encode(subject.picture, QUALITY)
    return _streamed("thumbhash", data, progressive.decode_prefix, link, seed, until, small.data, small.picture)


def ssdv_packets(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """SSDV's packets, each once, nobody asked whether it came."""
    packets = ssdv.encode(subject.picture, packet=link.packet_size)
    data = [bytes(packets.size)] * packets.count
    arrived, sent = one_way(data, link.link, until, seed)
    identity = subject.fingerprint.encode() + repr((packets.payload, packets.size)).encode()
    found = of_subsets("ssdv", [packets.payload] * packets.count, arrived, packets.decode, identity)
    return _with_wire(found, sent.log, sent.digest())


def right_sized_avif(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """One AVIF, the smallest that is recognisable, of any scale; nothing before it is whole."""
    data = smallest(subject.picture, "avif").data

    def decode(held: bytes) -> Picture | None:
        return _enlarged(held, subject) if len(held) == len(data) else None

    return _streamed("avif", data, decode, link, seed, until)


RIVALS: dict[str, Rival] = {
    "progressive-jpeg": progressive_jpeg,
    "jpeg2000": jpeg_2000,
    "thumbhash": thumbhash_jpeg,
    "ssdv": ssdv_packets,
    "avif": right_sized_avif,
}


def rival(name: str) -> Rival:
    """A peer by its name, or one's own by `module:function`. Raises WrongTable if that cannot be had."""
    return RIVALS[name] if name in RIVALS else load_object(name)


class Smallest(NamedTuple):
    """A file, and its feature distance."""

    data: bytes
    features: float


SCALES = (1, 2, 3, 4, 6, 8)


def smallest(picture: Picture, codec: str) -> Smallest:
    """The smallest file of a codec of `sim.peers` that is recognisable when enlarged; the best if none is. Kept."""
    colours = to_rgb(picture)
    name = hashlib.sha256(f"{codec} {colours.shape} {versions()} {SCALES}".encode() + colours.tobytes()).hexdigest()
    path = default_cache() / "smallest" / name[:2] / name
    if path.is_file():
        head, _, data = path.read_bytes().partition(b"\n")
        return Smallest(data, float(json.loads(head)))
    tried = list(_tries(colours, codec))
    good = [each for each in tried if each.features <= RECOGNISABLE]
    best = min(good, key=lambda each: len(each.data)) if good else min(tried, key=lambda each: each.features)
    keep_file(path, json.dumps(best.features).encode() + b"\n" + best.data)
    return best


def _tries(colours: Picture, codec: str) -> Iterator[Smallest]:
    """At each scale the lowest setting that is recognisable, by halving; the highest setting if none is."""
    peer, whole = PEERS[codec], Image.fromarray(colours)
    for scale in SCALES:
        size = max(1, round(whole.width / scale)), max(1, round(whole.height / scale))
        image = whole.resize(size, Image.Resampling.LANCZOS) if scale > 1 else whole

        def attempt(place: int, image: Image.Image = image) -> Smallest:
            data = peer.encode(image, peer.settings[place])
            shown = peer.decode(data).resize(whole.size, Image.Resampling.LANCZOS)
            return Smallest(data, feature_distance(colours, _pixels(shown)))

        low, high = 0, len(peer.settings) - 1
        best = attempt(high)
        while best.features <= RECOGNISABLE and low < high:
            middle = (low + high) // 2
            found = attempt(middle)
            if found.features <= RECOGNISABLE:
                best, high = found, middle
            else:
                low = middle + 1
        yield best


def _enlarged(data: bytes, subject: Subject) -> Picture:
    height, width = subject.picture.shape[:2]
    return _pixels(PEERS["avif"].decode(data).resize((width, height), Image.Resampling.LANCZOS))


def _pixels(image: Image.Image) -> Picture:
    import numpy as np

    return np.asarray(image.convert("RGB"), np.uint8)
