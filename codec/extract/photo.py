"""Photos in and pictures out: files of any usual format to uint8 arrays for the encoder, arrays to PNG files.

The first step of encoding and the last of decoding. What a photo loses on the way in (bits above 8, CMYK, a colour
profile, later frames) is said in its notes; its place (EXIF GPS) is kept apart, so that nothing sends it unasked.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from codec.files import FileError, write_whole

LIMIT = 64_000_000  # pixels, unless the caller says otherwise
MAX_SIDE = 65536  # what a stream's header can say

_LOSSLESS_FORMATS = frozenset({"PNG", "TIFF", "BMP", "DIB", "PPM", "TGA", "GIF", "SGI", "PCX", "ICO", "QOI"})
_LOSSY_TIFF = frozenset({"jpeg", "tiff_jpeg", "webp"})
_GPS = 0x8825


class PhotoError(FileError):
    """A file that cannot be read as a photo. The message reads "what is wrong; what to do"."""


@dataclass(frozen=True)
class Photo:
    """A photo ready for the encoder.

    picture: uint8[H, W, C]; C is 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA.
    lossless: whether the file's own format keeps every pixel. size: bytes of the file.
    notes: what was changed on the way in, a sentence each.
    location: "latitude,longitude" in degrees from EXIF, or None.
    """

    picture: NDArray[np.uint8]
    format: str
    lossless: bool
    size: int
    notes: tuple[str, ...]
    location: str | None


def read_photo(path: str | Path, limit: int = LIMIT) -> Photo:
    """Read a photo as people see it: turned as EXIF says, palettes expanded, alpha and grey kept.

    Raises PhotoError for whatever is missing, broken, no picture, or larger than `limit` pixels.
    """
    data = _read_bytes(Path(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked below, broken EXIF is not our reader's affair
            return _read_picture(data, limit)
    except PhotoError:
        raise
    except UnidentifiedImageError:
        raise PhotoError("not a picture in a known format; give a PNG, JPEG, WebP or TIFF file") from None
    except Image.DecompressionBombError:
        raise PhotoError(f"larger than {limit / 1e6:g} megapixels; scale it down") from None
    except Exception as error:  # Pillow's readers let many kinds through on damaged files
        raise PhotoError(f"broken or cut short ({_one_line(error)}); get the file anew") from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PhotoError("no such file; check the name") from None
    except IsADirectoryError:
        raise PhotoError("is a folder; name the photos in it") from None
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror}); check its permissions") from None


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:120]


def _read_picture(data: bytes, limit: int) -> Photo:
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        if width * height > limit:
            raise PhotoError(f"{width}x{height} is more than {limit / 1e6:g} megapixels; scale it down")
        if max(width, height) > MAX_SIDE:
            raise PhotoError(f"{width}x{height} has a side above {MAX_SIDE}; crop or scale it down")
        name, notes = image.format or "unknown", []
        if getattr(image, "n_frames", 1) > 1 and name != "MPO":
            notes.append("only the first of several frames is kept")
        deep = any(";16" in str(tile[3]) for tile in image.tile)
        lossless = _is_lossless(image, data)
        image.load()
        location = _location(image)
        upright = _upright(image, notes)
        picture = _to_array(upright, deep, notes)
        if _has_other_colours(image):
            notes.append("its colour profile is not kept; colours are taken as sRGB")
    return Photo(picture, name, lossless, len(data), tuple(notes), location)


def _is_lossless(image: Image.Image, data: bytes) -> bool:
    if image.format == "WEBP":
        return _webp_is_lossless(data)
    if image.format == "TIFF" and image.info.get("compression") in _LOSSY_TIFF:
        return False
    return image.format in _LOSSLESS_FORMATS


def _webp_is_lossless(data: bytes) -> bool:
    """Whether the first picture in a WebP file is of the lossless kind."""
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        # a frame of an animation holds its picture behind 16 bytes of its own
        at += 24 if name == b"ANMF" else 8 + size + size % 2
    return False


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:  # EXIF is often damaged; the pixels are not
        notes.append("its EXIF orientation cannot be read and is ignored")
        return image


def _location(image: Image.Image) -> str | None:
    """ "latitude,longitude" in degrees, five digits (a metre), or None if EXIF has none that makes sense."""
    try:
        exif: Any = image.getexif()
        gps = exif.get_ifd(_GPS)
        latitude = _degrees(gps[2]) * (-1 if gps.get(1) == "S" else 1)
        longitude = _degrees(gps[4]) * (-1 if gps.get(3) == "W" else 1)
    except Exception:  # absent or damaged: as good as none
        return None
    sane = abs(latitude) <= 90 and abs(longitude) <= 180  # false for nan, too
    return f"{latitude:.5f},{longitude:.5f}" if sane else None


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600


def _has_other_colours(image: Image.Image) -> bool:
    profile = image.info.get("icc_profile") or b""
    return bool(profile) and b"sRGB" not in profile and b"s\0R\0G\0B" not in profile


def _to_array(image: Image.Image, deep: bool, notes: list[str]) -> NDArray[np.uint8]:
    """uint8[H, W, C] of a loaded picture of any of Pillow's modes."""
    if image.mode.startswith("I"):
        notes.append("of 16 bits a sample the upper 8 are kept")
        return _reduce_depth(np.asarray(image))
    if image.mode == "F":
        raise PhotoError("has floating point pixels; convert it to 8 or 16 bits")
    if deep:
        notes.append("of 16 bits a sample the upper 8 are kept")
    if image.mode == "1":
        notes.append("1 bit a pixel becomes 8 bit grey")
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        notes.append(f"{image.mode} is converted to RGB")
    picture = np.array(image.convert(_target_mode(image)), dtype=np.uint8)
    return picture.reshape(image.height, image.width, -1)


def _reduce_depth(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey of 16 bits, 0..65535 in whatever integers, to uint8[H, W, 1]: the upper 8, as Pillow does for colours."""
    wide = samples.astype(np.int64)
    if wide.min() < 0 or wide.max() > 65535:
        raise PhotoError("has more than 16 bits a sample; convert it to 8 or 16 bits")
    return (wide >> 8).astype(np.uint8)[..., None]


def _target_mode(image: Image.Image) -> str:
    transparent = "transparency" in image.info
    if image.mode in ("1", "L"):
        return "LA" if transparent and image.mode == "L" else "L"
    if image.mode in ("LA", "La"):
        return "LA"
    return "RGBA" if transparent or image.mode in ("RGBA", "RGBa", "PA") else "RGB"


def png_bytes(picture: NDArray[np.uint8], texts: Mapping[str, str] | None = None) -> bytes:
    """A PNG file of a picture, uint8[H, W, C] with C of 1 to 4. texts: its iTXt chunks by keyword ("Description")."""
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    info = PngInfo()
    for keyword, text in (texts or {}).items():
        info.add_itxt(keyword, text)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def write_png(path: str | Path, picture: NDArray[np.uint8], texts: Mapping[str, str] | None = None) -> None:
    """Write uint8[H, W, C] as a PNG file, whole or not at all, with `texts` as png_bytes. Raises FileError."""
    write_whole(path, png_bytes(picture, texts))
