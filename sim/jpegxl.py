"""What a person sees of a progressive JPEG XL file while its bytes arrive: DC first, then finer passes.

No Python package decodes a part of a file, so libjxl is called itself, by ctypes: the copy that imagecodecs brings
(extra `bench`), else the system's. Its C interface (https://libjxl.readthedocs.io) is the same from 0.7 on.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_float, c_int, c_int64, c_size_t, c_uint8, c_uint32, c_void_p
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sim.metrics import Picture, to_rgb

MISSING = "needs libjxl; pip install imagecodecs, or install your system's package of it (Debian: libjxl0.7)"
EFFORT = 7
_EFFORT, _GROUP_ORDER, _RESPONSIVE, _PROGRESSIVE = 0, 13, 16, 18
"""JxlEncoderFrameSettingId: what `cjxl -p` sets, but for DC frames of their own, with which no picture came sooner."""
_BASIC_INFO, _FULL_IMAGE = 0x40, 0x1000
_SUCCESS, _NEED_MORE_OUTPUT, _NEED_IMAGE_OUT_BUFFER = 0, 2, 5
_WIDTH, _HEIGHT, _ORIGINAL_PROFILE = 1, 2, 9
"""Places in JxlBasicInfo, counted in words of 32 bits."""
_PIECE = 1 << 16


class NoLibrary(RuntimeError):
    """libjxl cannot be found or loaded."""


class _Format(ctypes.Structure):
    """JxlPixelFormat: interleaved RGB of 8 bits."""

    _fields_ = (("channels", c_uint32), ("kind", c_int), ("endian", c_int), ("align", c_size_t))


_RGB = _Format(3, 2, 0, 0)


@cache
def _library() -> Any:
    """libjxl with the types of what is called. Raises NoLibrary."""
    for path in (*_bundled(), find_library("jxl")):
        if path is not None:
            try:
                library = ctypes.CDLL(path)
            except OSError:
                continue
            for name in ("JxlEncoderCreate", "JxlDecoderCreate", "JxlEncoderFrameSettingsCreate"):
                getattr(library, name).restype = c_void_p
            return library
    raise NoLibrary(MISSING)


def _bundled() -> Iterator[str]:
    """The libjxl beside imagecodecs, which has to be in use or its own needs are not found."""
    try:
        import imagecodecs

        imagecodecs.jpegxl_version()
    except (ImportError, RuntimeError):
        return
    package = Path(imagecodecs.__file__).parent
    for folder in (package.with_name("imagecodecs.libs"), package / ".dylibs"):
        for pattern in ("libjxl-*.so*", "libjxl.*", "jxl-*.dll"):
            yield from map(str, sorted(folder.glob(pattern)))


def available() -> bool:
    """Whether there is a libjxl."""
    try:
        _library()
    except NoLibrary:
        return False
    return True


def distance(quality: float) -> float:
    """Butteraugli's distance that libjxl takes for a quality of 30 to 100 on JPEG's scale."""
    return 0.1 + (100 - quality) * 0.09


def encode(picture: Picture, quality: float = 75) -> bytes:
    """A progressive file of the colours of uint8[H, W, C], effort 7, groups from the centre. Raises NoLibrary."""
    colours, library = to_rgb(picture), _library()
    with _handle("Encoder") as encoder:
        info = (c_uint32 * 128)()
        library.JxlEncoderInitBasicInfo(info)
        info[_HEIGHT], info[_WIDTH], info[_ORIGINAL_PROFILE] = colours.shape[0], colours.shape[1], 0
        _done(library.JxlEncoderSetBasicInfo(encoder, info))
        colour = (c_uint8 * 512)()
        library.JxlColorEncodingSetToSRGB(colour, 0)
        _done(library.JxlEncoderSetColorEncoding(encoder, colour))
        settings = c_void_p(library.JxlEncoderFrameSettingsCreate(encoder, None))
        _done(library.JxlEncoderSetFrameDistance(settings, c_float(distance(quality))))
        for key, value in ((_EFFORT, EFFORT), (_GROUP_ORDER, 1), (_RESPONSIVE, 1), (_PROGRESSIVE, 1)):
            _done(library.JxlEncoderFrameSettingsSetOption(settings, key, c_int64(value)))
        pixels = c_void_p(colours.ctypes.data)
        _done(library.JxlEncoderAddImageFrame(settings, byref(_RGB), pixels, c_size_t(colours.nbytes)))
        library.JxlEncoderCloseInput(encoder)
        return b"".join(_output(encoder))


def _output(encoder: c_void_p) -> Iterator[bytes]:
    status = _NEED_MORE_OUTPUT
    while status == _NEED_MORE_OUTPUT:
        held = (c_uint8 * _PIECE)()
        place, left = c_void_p(ctypes.addressof(held)), c_size_t(_PIECE)
        status = _library().JxlEncoderProcessOutput(encoder, byref(place), byref(left))
        yield bytes(held)[: _PIECE - left.value]
    _done(status)


def decode_prefix(data: bytes) -> Picture | None:
    """The picture uint8[H, W, 3] that the first bytes of a file give; None before there is one. Raises NoLibrary."""
    library = _library()
    with _handle("Decoder") as decoder:
        library.JxlDecoderSubscribeEvents(decoder, _BASIC_INFO | _FULL_IMAGE)
        library.JxlDecoderSetInput(decoder, data, c_size_t(len(data)))
        library.JxlDecoderCloseInput(decoder)
        info, shown = (c_uint32 * 128)(), None
        while True:
            status = library.JxlDecoderProcessInput(decoder)
            if status == _BASIC_INFO:
                library.JxlDecoderGetBasicInfo(decoder, info)
            elif status == _NEED_IMAGE_OUT_BUFFER:
                shown = np.zeros((info[_HEIGHT], info[_WIDTH], 3), np.uint8)
                pixels = c_void_p(shown.ctypes.data)
                _done(library.JxlDecoderSetImageOutBuffer(decoder, byref(_RGB), pixels, c_size_t(shown.nbytes)))
            elif status in (_SUCCESS, _FULL_IMAGE):
                return shown
            else:  # the bytes end here: what is there already
                return shown if shown is not None and library.JxlDecoderFlushImage(decoder) == _SUCCESS else None


@contextmanager
def _handle(kind: str) -> Iterator[c_void_p]:
    """An encoder or decoder, given back at the end."""
    handle = c_void_p(getattr(_library(), f"Jxl{kind}Create")(None))
    try:
        yield handle
    finally:
        getattr(_library(), f"Jxl{kind}Destroy")(handle)


def _done(status: int) -> None:
    if status != _SUCCESS:
        raise RuntimeError(f"libjxl failed with status {status}")
