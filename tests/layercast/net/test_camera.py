"""Frames of videos: the right ones at the right times, taken only when something has changed."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercast.net.camera import (
    CameraError,
    Picture,
    changed,
    difference,
    frames,
    grey_copy,
    is_live,
    shown,
    spaced,
)

RATE, SECONDS = 10, 6
WIDTH, HEIGHT = 64, 48


def scene(number: int) -> Picture:
    """Of frame `number`: a ramp; from second 2 to 4 a bright square stands in it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.stack([rows * 4, columns * 3, 0 * rows + 60], axis=2).astype(np.uint8)
    if 2 * RATE <= number < 4 * RATE:
        picture[10:30, 20:40] = 255
    return picture


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds at ten frames a second, losslessly coded."""
    path = tmp_path_factory.mktemp("camera") / "gate.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for number in range(RATE * SECONDS):
            frame = av.VideoFrame.from_ndarray(scene(number), format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_every_frame_with_its_time_and_pixels(video: Path) -> None:
    found = list(frames(str(video)))
    assert [frame.time for frame in found] == pytest.approx([n / RATE for n in range(RATE * SECONDS)])
    for number, frame in enumerate(found):
        np.testing.assert_array_equal(frame.picture, scene(number))
        assert frame.picture.dtype == np.uint8 and frame.picture.flags.c_contiguous
    assert found[0].name == "gate-000000.000" and len({frame.name for frame in found}) == len(found)
    assert sorted(frame.name for frame in found) == [frame.name for frame in found]


def test_every_so_many_seconds(video: Path) -> None:
    assert [frame.time for frame in frames(str(video), every=2.0)] == pytest.approx([0.0, 2.0, 4.0])
    assert [frame.time for frame in frames(str(video), every=0.25)] == pytest.approx(
        [0.0, 0.3, 0.5, 0.8, *(second + part for second in range(1, 6) for part in (0.0, 0.3, 0.5, 0.8))]
    )


def test_only_what_changed(video: Path) -> None:
    found = list(frames(str(video), every=0.5, if_changed=3.0))
    assert [frame.time for frame in found] == pytest.approx([0.0, 2.0, 4.0])
    np.testing.assert_array_equal(found[1].picture, scene(2 * RATE))
    assert len(list(frames(str(video), every=0.5, if_changed=100.0))) == 1
    assert len(list(frames(str(video), every=0.5, if_changed=0.0))) == 12


def test_the_measure_is_what_it_says() -> None:
    rng = np.random.default_rng(5)
    flat = np.full((480, 640, 3), 100, np.uint8)
    noisy = np.clip(flat + rng.normal(0, 10, flat.shape), 0, 255).astype(np.uint8)
    assert difference(grey_copy(flat), grey_copy(flat)) == 0
    assert difference(grey_copy(flat), grey_copy(noisy)) < 1, "a sensor's noise"
    assert difference(grey_copy(flat), grey_copy(flat + np.uint8(20))) == pytest.approx(20)
    corner = flat.copy()
    corner[:240, :320] = 200
    assert difference(grey_copy(flat), grey_copy(corner)) == pytest.approx(100 / 4)


@given(st.integers(1, 100), st.integers(1, 100))
def test_grey_copies_of_any_size(height: int, width: int) -> None:
    picture = np.random.default_rng(height * 101 + width).integers(0, 256, (height, width, 3)).astype(np.uint8)
    small = grey_copy(picture)
    assert small.shape == (min(32, height), min(32, width))
    assert 0 <= small.min() and small.max() <= 255
    if height % 32 == width % 32 == 0:
        assert small.mean() == pytest.approx((picture @ np.array([0.299, 0.587, 0.114])).mean())


def nothing() -> Picture:
    raise AssertionError("a picture was made in vain")


@given(st.lists(st.floats(0.001, 30), max_size=60), st.floats(0.01, 20))
def test_spacing_never_drifts(steps: list[float], every: float) -> None:
    times = [100.0]
    for step in steps:
        times.append(times[-1] + step)
    taken = [at for at, _ in spaced(((at, nothing) for at in times), every)]
    assert taken[0] == 100.0
    wanted = [100.0]
    for at in times[1:]:  # one in each interval in which there is any: its first
        if int((at - 100.0) / every + 1e-6) > int((wanted[-1] - 100.0) / every + 1e-6):
            wanted.append(at)
    assert taken == wanted


def test_what_is_not_taken_is_not_converted() -> None:
    def source() -> Iterator[tuple[float, Callable[[], Picture]]]:
        for number in range(100):
            yield number / 10, (lambda number=number: scene(number)) if number % 50 == 0 else nothing

    assert [at for at, _ in changed(spaced(source(), 5.0), 1.0)] == [0.0]
    assert [make()[0, 0, 2] for _, make in changed(spaced(source(), 5.0), None)] == [60, 60]


def test_a_live_source_takes_its_time_from_the_clock() -> None:
    ticks = iter(range(1_700_000_000, 1_700_000_100))
    found = frames("testsrc=size=64x48:rate=10", every=5.0, kind="lavfi", clock=lambda: float(next(ticks)))
    first, second = next(found), next(found)
    assert (first.time, second.time) == (1_700_000_000, 1_700_000_005)
    assert first.name == "camera-2023-11-14T22-13-20.000" and first.picture.shape == (48, 64, 3)
    found.close()


def test_videos_that_are_turned_come_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        frame = av.VideoFrame.from_ndarray(scene(0), format="rgb24")
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    at = data.rfind(b"\x00\x01\x00\x00" + bytes(12) + b"\x00\x01\x00\x00" + bytes(12) + b"\x40\x00\x00\x00")
    assert at > 0, "the matrix of the track"
    turned = [0, 0x10000, 0, -0x10000 & 0xFFFFFFFF, 0, 0, 0, 0, 0x40000000]
    data[at : at + 36] = b"".join(value.to_bytes(4, "big") for value in turned)
    path.write_bytes(data)
    (found,) = frames(str(path))
    assert found.picture.shape == (WIDTH, HEIGHT, 3)
    upright = np.rot90(scene(0), 3).astype(float)
    assert np.abs(found.picture - upright).mean() < 12, "a quarter turn clockwise, but for what the coder lost"


def test_sources_that_give_nothing(tmp_path: Path, video: Path) -> None:
    (tmp_path / "text.mp4").write_text("Dear diary\n" * 100)
    (tmp_path / "cut.mkv").write_bytes(video.read_bytes()[:300])
    for source, part in (
        (tmp_path / "none.mp4", "cannot be opened (No such file"),
        (tmp_path / "text.mp4", "cannot be opened"),
        (tmp_path / "cut.mkv", ""),
        ("/dev/video987", "cannot be opened"),
    ):
        with pytest.raises(CameraError) as error:
            next(frames(str(source)))
        assert part in str(error.value)
    with pytest.raises(CameraError, match="64x48 are above the limit"):
        next(frames(str(video), limit=1000))
    with pytest.raises(CameraError, match="kind is not known"):
        next(frames(str(video), kind="no such kind"))


def test_a_sound_is_no_camera(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        out.mux(stream.encode(sound))
    with pytest.raises(CameraError, match="has no picture"):
        next(frames(str(path)))


def test_what_is_live_and_what_is_shown() -> None:
    for source in ("0", "/dev/video0", "rtsp://cam/1", "RTSP://u:p@cam", "udp://239.0.0.1:5000"):
        assert is_live(source)
    for source in ("gate.mp4", "./0/x.mp4", "https://host/a.mp4", "video0"):
        assert not is_live(source)
    assert shown("rtsp://user:secret@cam:554/1?x=a@b") == "rtsp://cam:554/1?x=a@b"
    assert shown("gate.mp4") == "gate.mp4"
