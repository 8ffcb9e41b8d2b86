"""Peers over the same link: the same photo as somebody else would send it, and what there was to be seen when.

Each is a function (subject, link, seed, until) -> Timeline; a scenario names one of RIVALS or `module:function`. Where
a peer needs a reliable stream, it gets an ideal one (`sim.run.IdealStream`): no handshake, no headers beyond the
link's, every loss known a round trip later. docs/simulator.md says how each peer is set up.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec

from PIL import Image

from sim import jpeg2000, jpegxl, progressive, ssdv
from sim.measure import NETWORK
from sim.metrics import Picture, to_rgb
from sim.packet import LinkEvent
from sim.peers import THUMBNAILS, avif, default_cache
from sim.presets import Preset
from sim.run import IdealStream, one_way
from sim.scenario import load_object
from sim.smallest import enlarged, smallest
from sim.subject import Subject
from sim.tables import WrongTable
from sim.timeline import Timeline, of_prefixes, of_subsets

Rival = Callable[[Subject, Preset, int, float], Timeline]
Decode = Callable[[bytes], Picture | None]
QUALITY = 75
"""Of JPEG, JPEG XL and AVIF, where nothing else is said."""


def _streamed(
    name: str,
    data: bytes,
    decode: Decode,
    link: Preset,
    seed: int,
    until: float,
    first: bytes = b"",
    shown_first: Picture | None = None,
    coarse: bool = True,
) -> Timeline:
    """A file on an ideal stream over the link."""
    stream = IdealStream(first + data, link.link, link.packet_size, seed, len(first))
    stream.run(until)
    found = of_prefixes(name, data, stream.timeline, decode, first, shown_first, coarse)
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

    return _streamed("layercast", subject.stream, decode, link, seed, until, coarse=False)


def _at_size(decode: Decode, subject: Subject) -> Decode:
    """What is shown of a small picture, enlarged to the photo's size."""

    def shown(data: bytes) -> Picture | None:
        picture = decode(data)
        return None if picture is None else enlarged(Image.fromarray(picture), subject.picture)

    return shown


def _whole(data: bytes) -> Decode:
    """Nothing of a file before it is whole."""

    def decode(held: bytes) -> Picture | None:
        return to_rgb(_pixels(held)) if len(held) == len(data) else None

    return decode


def _pixels(data: bytes) -> Picture:
    import numpy as np

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"), np.uint8)


def progressive_jpeg(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """A progressive JPEG of quality 75, optimised tables, 4:2:0."""
    data = _progressive_file(subject)
    return _streamed("progressive-jpeg", data, progressive.decode_prefix, link, seed, until)


def small_jpeg(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """The smallest progressive JPEG that is recognisable, at the best of several scales."""
    data = _smallest(subject, "progressive-jpeg")
    decode = _at_size(progressive.decode_prefix, subject)
    return _streamed("progressive-jpeg-small", data, decode, link, seed, until)


def jpeg_xl(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """A progressive JPEG XL of quality 75."""
    return _streamed("jpegxl", _jpegxl_file(subject), jpegxl.decode_prefix, link, seed, until)


def small_jpeg_xl(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """The smallest JPEG XL that is recognisable."""
    data = _smallest(subject, "jxl")
    return _streamed("jpegxl-small", data, _at_size(jpegxl.decode_prefix, subject), link, seed, until)


def jpeg_2000(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """JPEG 2000, progressive by quality, to 3 bits per pixel."""
    stream = _jpeg2000_file(subject)
    return _streamed("jpeg2000", stream.data, lambda data: stream.decode_prefix(len(data)), link, seed, until)


def _hash_then_jpeg(name: str) -> Rival:
    """A hash in a packet of its own, then the progressive JPEG of quality 75, shown once its first scan is whole."""

    def decode(data: bytes) -> Picture | None:
        return progressive.decode_prefix(data) if progressive.scans(data) > 1 else None

    def rival(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
        small, data = THUMBNAILS[name](subject.picture), _progressive_file(subject)
        return _streamed(name, data, decode, link, seed, until, small.data, small.picture)

    return rival


def ssdv_packets(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """SSDV's packets at quality 50, each once, nobody asked whether it came."""
    return _in_packets("ssdv", _ssdv_packets(subject, link.packet_size), subject, link, seed, until)


def small_ssdv(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """The smallest picture that SSDV can send recognisably."""
    packets = ssdv.packetise(_smallest(subject, "ssdv"), link.packet_size)
    return _in_packets("ssdv-small", packets, subject, link, seed, until)


def _in_packets(name: str, packets: ssdv.Packets, subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    data = [bytes(packets.size)] * packets.count
    arrived, sent = one_way(data, link.link, until, seed)
    identity = subject.fingerprint.encode() + repr((packets.payload, packets.size)).encode()

    def decode(got: frozenset[int]) -> Picture | None:
        shown = packets.decode(got)
        return None if shown is None else enlarged(Image.fromarray(shown), subject.picture)

    found = of_subsets(name, [packets.payload] * packets.count, arrived, decode, identity)
    return _with_wire(found, sent.log, sent.digest())


def small_avif(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """One AVIF, the smallest that is recognisable, of any scale; nothing before it is whole."""
    data = _smallest(subject, "avif")
    return _streamed("avif", data, _at_size(_whole(data), subject), link, seed, until)


def avif_75(subject: Subject, link: Preset, seed: int, until: float) -> Timeline:
    """One AVIF of quality 75; nothing before it is whole."""
    data = _avif_file(subject)
    return _streamed("avif-75", data, _whole(data), link, seed, until)


# --- files, made once for many links ---


@lru_cache(maxsize=4)
def _progressive_file(subject: Subject) -> bytes:
    return progressive.encode(subject.picture, QUALITY)


@lru_cache(maxsize=4)
def _jpegxl_file(subject: Subject) -> bytes:
    return jpegxl.encode(subject.picture, QUALITY)


@lru_cache(maxsize=4)
def _jpeg2000_file(subject: Subject) -> jpeg2000.Codestream:
    return jpeg2000.encode(subject.picture)


@lru_cache(maxsize=4)
def _avif_file(subject: Subject) -> bytes:
    return avif(Image.fromarray(to_rgb(subject.picture)), QUALITY)


@lru_cache(maxsize=8)
def _ssdv_packets(subject: Subject, packet: int) -> ssdv.Packets:
    return ssdv.encode(subject.picture, packet=packet)


def _smallest(subject: Subject, codec: str) -> bytes:
    """Kept on disk, in the folder that holds at the time of the call."""
    return _smallest_in(subject, codec, str(default_cache()))


@lru_cache(maxsize=16)
def _smallest_in(subject: Subject, codec: str, folder: str) -> bytes:
    return smallest(subject.picture, codec).data


RIVALS: dict[str, Rival] = {
    "progressive-jpeg": progressive_jpeg,
    "progressive-jpeg-small": small_jpeg,
    "jpegxl": jpeg_xl,
    "jpegxl-small": small_jpeg_xl,
    "jpeg2000": jpeg_2000,
    "thumbhash": _hash_then_jpeg("thumbhash"),
    "blurhash": _hash_then_jpeg("blurhash"),
    "ssdv": ssdv_packets,
    "ssdv-small": small_ssdv,
    "avif": small_avif,
    "avif-75": avif_75,
}
NEEDS = {
    "progressive-jpeg-small": (NETWORK,),
    "jpegxl-small": (NETWORK, "imagecodecs"),
    "thumbhash": ("fast_thumbhash",),
    "blurhash": ("blurhash",),
    "ssdv-small": (NETWORK,),
    "avif": (NETWORK,),
}
"""Packages of the extra `bench` that a peer cannot do without."""


def rival(name: str) -> Rival:
    """A peer by its name, or one's own by `module:function`. Raises WrongTable if that cannot be had."""
    if name not in RIVALS:
        return load_object(name)
    missing = [package.replace("_", "-") for package in NEEDS.get(name, ()) if find_spec(package) is None]
    if missing:
        raise WrongTable(f"peer {name}: needs {', '.join(missing)}; pip install 'layercast[bench]'")
    if name.startswith("jpegxl") and not jpegxl.available():
        raise WrongTable(f"peer {name}: {jpegxl.MISSING}")
    return RIVALS[name]
