"""Reading photos of every kind, and writing PNG files whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from codec.extract.photo import PhotoError, read_photo, write_png
from codec.files import FileError, write_whole

RNG = np.random.default_rng(7)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (4000, 1), (1, 4000), (33, 17)])
def test_png_comes_back_in_its_own_channels(tmp_path: Path, channels: int, size: tuple[int, int]) -> None:
    picture = noise(*size, channels)
    write_png(tmp_path / "a.png", picture)
    photo = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.picture, picture)
    assert (photo.format, photo.lossless, photo.notes) == ("PNG", True, ())
    assert photo.size == (tmp_path / "a.png").stat().st_size


@pytest.mark.parametrize(
    ("name", "options", "lossless"),
    [
        ("a.jpg", {}, False),
        ("a.webp", {"lossless": True}, True),
        ("a.webp", {"quality": 80}, False),
        ("a.webp", {"lossless": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}, True),
        ("a.webp", {"quality": 80, "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}, False),
        ("a.tif", {"compression": "tiff_lzw"}, True),
        ("a.tif", {"compression": "jpeg"}, False),
        ("a.bmp", {}, True),
        ("a.ppm", {}, True),
    ],
)
def test_lossless_sources_are_told_from_lossy(tmp_path: Path, name: str, options: dict, lossless: bool) -> None:
    picture = noise(16, 24, 3)
    Image.fromarray(picture).save(tmp_path / name, **options)
    photo = read_photo(tmp_path / name)
    assert photo.lossless is lossless
    assert np.array_equal(photo.picture, picture) is lossless


def test_animation_keeps_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise(8, 8, 3)) for _ in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    photo = read_photo(tmp_path / "a.webp")
    np.testing.assert_array_equal(photo.picture[..., :3], np.asarray(frames[0]))
    assert photo.lossless
    assert photo.notes == ("only the first of several frames is kept",)


def test_palette_is_expanded(tmp_path: Path) -> None:
    image = Image.fromarray(noise(9, 11, 3)).quantize(16)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png").picture, np.asarray(image.convert("RGB")))
    image.save(tmp_path / "b.png", transparency=3)
    picture = read_photo(tmp_path / "b.png").picture
    assert picture.shape == (9, 11, 4)
    np.testing.assert_array_equal(picture[..., 3] == 0, np.asarray(image) == 3)


def test_transparent_grey_becomes_grey_with_alpha(tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(grey).save(tmp_path / "a.png", transparency=5)
    picture = read_photo(tmp_path / "a.png").picture
    np.testing.assert_array_equal(picture[..., 0], grey)
    np.testing.assert_array_equal(picture[..., 1] == 0, grey == 5)


def test_bilevel_becomes_grey(tmp_path: Path) -> None:
    bits = RNG.random((9, 9)) < 0.5
    Image.fromarray(bits).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.picture[..., 0], bits * np.uint8(255))
    assert photo.notes == ("1 bit a pixel becomes 8 bit grey",)


def test_sixteen_bit_grey_keeps_the_upper_half(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (7, 5), dtype=np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        photo = read_photo(tmp_path / name)
        np.testing.assert_array_equal(photo.picture[..., 0], deep >> 8)
        assert photo.notes == ("of 16 bits a sample the upper 8 are kept",)


def png_rgb16(picture: np.ndarray) -> bytes:
    """A PNG of uint16[H, W, 3], which Pillow cannot write."""
    import struct
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width, _ = picture.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in picture)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_sixteen_bit_colour_keeps_the_upper_half(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (7, 5, 3), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png_rgb16(deep))
    photo = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.picture, deep >> 8)
    assert photo.notes == ("of 16 bits a sample the upper 8 are kept",)


def test_cmyk_is_converted_with_a_note(tmp_path: Path) -> None:
    image = Image.new("CMYK", (6, 4), (0, 255, 255, 0))
    image.save(tmp_path / "a.tif")
    photo = read_photo(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.picture, np.asarray(image.convert("RGB")))
    assert photo.notes == ("CMYK is converted to RGB",)


def test_floating_point_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(PhotoError, match="floating point"):
        read_photo(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int) -> None:
    pixels = np.zeros((16, 32), np.uint8)
    pixels[:8, :8] = 255  # the bright corner is at the top left of what is stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    picture = read_photo(tmp_path / "a.jpg").picture[..., 0]
    assert picture.shape == ((16, 32) if orientation < 5 else (32, 16))
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    for place in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert (picture[place] > 128) == (place == corner[orientation])


def test_location_stands_apart(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8825] = {1: "S", 2: (33.0, 51.0, 30.0), 3: "E", 4: (151.0, 12.0, 36.0)}
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.jpg", exif=exif)
    assert read_photo(tmp_path / "a.jpg").location == "-33.85833,151.21000"
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "b.jpg")
    assert read_photo(tmp_path / "b.jpg").location is None


def test_foreign_colours_are_noted(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png", icc_profile=b"Display P3, as far as we look")
    assert read_photo(tmp_path / "a.png").notes == ("its colour profile is not kept; colours are taken as sRGB",)


def test_what_is_no_photo_is_one_clear_error(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64, 3)).save(tmp_path / "a.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:1500])
    (tmp_path / "text.jpg").write_text("Not a picture at all.\n")
    (tmp_path / "empty.png").write_bytes(b"")
    expected = {
        "cut.jpg": "broken or cut short",
        "text.jpg": "not a picture in a known format",
        "empty.png": "not a picture in a known format",
        "missing.png": "no such file",
        ".": "is a folder",
    }
    for name, message in expected.items():
        with pytest.raises(PhotoError, match=message) as caught:
            read_photo(tmp_path / name)
        assert "\n" not in str(caught.value) and "; " in str(caught.value)


def test_bombs_are_refused_before_they_unfold(tmp_path: Path) -> None:
    Image.new("L", (2000, 1000)).save(tmp_path / "a.png")
    with pytest.raises(PhotoError, match="2000x1000 is more than 1 megapixels"):
        read_photo(tmp_path / "a.png", limit=1_000_000)
    head = png_rgb16(np.zeros((1, 1, 3), np.uint16))
    huge = head[:16] + (60_000).to_bytes(4, "big") * 2 + head[24:]
    (tmp_path / "b.png").write_bytes(huge[:29] + __import__("zlib").crc32(huge[12:29]).to_bytes(4, "big") + huge[33:])
    with pytest.raises(PhotoError, match="megapixels"):
        read_photo(tmp_path / "b.png")


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_files_are_photos_or_one_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    name = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "GIF"]))
    Image.fromarray(np.arange(300, dtype=np.uint32).astype(np.uint8).reshape(10, 10, 3)).save(path, name)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        picture = read_photo(path, limit=1_000_000).picture
    except PhotoError:
        return
    assert picture.dtype == np.uint8 and picture.ndim == 3 and 1 <= picture.shape[2] <= 4


def test_unwritable_outputs_are_one_clear_error_and_leave_nothing(tmp_path: Path) -> None:
    picture = noise(4, 4, 3)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    for target in (tmp_path / "none" / "a.png", tmp_path / "file" / "a.png", tmp_path / "folder"):
        with pytest.raises(FileError, match=r"cannot be written \(.+\); choose another place"):
            write_png(target, picture)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"


def test_writing_replaces_whole_files_and_follows_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old and longer")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()
