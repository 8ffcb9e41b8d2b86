"""Prefixes of a progressive JPEG."""

import numpy as np

from sim import progressive
from sim.metrics import psnr


def picture() -> np.ndarray:
    y, x = np.mgrid[:60, :90]
    return np.stack([x * 2, y * 4, 128 + 100 * np.sin(x / 9) * np.cos(y / 7)], 2).astype(np.uint8)


def test_every_prefix_is_none_or_a_picture() -> None:
    data = progressive.encode(picture())
    seen = [progressive.decode_prefix(data[:size]) for size in range(len(data) + 1)]
    first = next(size for size, shown in enumerate(seen) if shown is not None)
    assert first < len(data) / 2, "a picture from the first scan on"
    assert all(shown is not None and shown.shape == (60, 90, 3) for shown in seen[first:])
    quality = [psnr(picture(), shown) for shown in seen[first:] if shown is not None]
    assert quality[-1] > 30 > 20 > quality[0]
    assert np.array_equal(seen[-1], seen[-3]), "the end mark adds nothing"


def test_scans_are_counted() -> None:
    data = progressive.encode(picture())
    counts = [progressive.scans(data[:size]) for size in range(len(data) + 1)]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == data.count(b"\xff\xda")


def test_grey_and_alpha_are_coded_as_colour_and_garbage_is_none() -> None:
    assert progressive.decode_prefix(progressive.encode(picture()[:, :, :1])) is not None
    assert progressive.decode_prefix(progressive.encode(np.dstack([picture(), picture()[:, :, :1]]))) is not None
    assert progressive.decode_prefix(b"") is None
    assert progressive.decode_prefix(b"\xff\xd8\xff\xda\x00\x04ab" + bytes(50)) is None
