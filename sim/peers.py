"""Other codecs at equal bytes: what a photo looks like when JPEG, WebP, AVIF, JPEG XL or JPEG 2000 has the same budget.

The comparison is made kind to them: at each budget every scale of SCALES is tried, the best setting of the codec that
still fits is found, the small picture is enlarged by two filters, and the try with the best PSNR counts. The true size
of a scaled picture is theirs for free; only the bytes of the file are counted. Results are kept on disk, since the same
photo meets the same peers in every run.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sim.metrics import Picture, psnr, to_rgb

SCALES = ((1, 1), (3, 4), (1, 2), (3, 8), (1, 4), (1, 6), (1, 8), (1, 12), (1, 16))
FILTERS = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC)
_RULES = 1  # counts up when the search changes, so that no kept result is taken for a new one


@dataclass(frozen=True)
class Peer:
    """A codec as two functions and its ladder of settings from the fewest bytes to the most."""

    name: str
    settings: Sequence[float]
    encode: Callable[[Image.Image, float], bytes]
    decode: Callable[[bytes], Image.Image]
    lossless: Callable[[Image.Image], bytes] | None = None


@dataclass(frozen=True)
class Coded:
    """A peer's best file within a budget, its picture uint8[H, W, 3] at the photo's size, the scale it was coded at,
    `how` of FILTERS that enlarged it."""

    data: bytes
    picture: Picture
    scale: tuple[int, int]
    how: int = 0


@dataclass(frozen=True)
class Lossless:
    """A peer's lossless file of one photo, in bytes, and the seconds it took."""

    size: int
    encode_s: float
    decode_s: float


def _saver(kind: str, **fixed: Any) -> Callable[..., bytes]:
    """A function that saves an image as `kind` by Pillow with these options and those of the call."""

    def save(image: Image.Image, **options: Any) -> bytes:
        Image.init()  # or Pillow knows only its commonest formats
        held = io.BytesIO()
        image.save(held, kind, **fixed, **options)
        return held.getvalue()

    return save


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def jpeg(image: Image.Image, quality: float, **options: Any) -> bytes:
    """A JPEG file, by Pillow's options."""
    return _saver("JPEG")(image, quality=int(quality), **options)


def avif(image: Image.Image, quality: float, speed: int = 6) -> bytes:
    """An AVIF file, 4:2:0."""
    return _saver("AVIF", subsampling="4:2:0", max_threads=1)(image, quality=int(quality), speed=speed)


def _by_quality(save: Callable[..., bytes]) -> Callable[[Image.Image, float], bytes]:
    return lambda image, setting: save(image, quality=int(setting))


def _jp2(image: Image.Image, ratio: float) -> bytes:
    """A bare JPEG 2000 codestream (no JP2 boxes) at the compression ratio 1 / `ratio`, irreversible 9/7."""
    return _saver("JPEG2000", no_jp2=True, mct=1, irreversible=True, quality_mode="rates")(
        image, quality_layers=[1 / ratio]
    )


def _jp2_lossless(image: Image.Image) -> bytes:
    return _saver("JPEG2000", no_jp2=True, mct=1, irreversible=False)(image)


def jxl(image: Image.Image, distance: float, effort: int = 7) -> bytes:
    """A JPEG XL file."""
    from imagecodecs import jpegxl_encode

    return bytes(jpegxl_encode(np.asarray(image), distance=distance, effort=effort, numthreads=1))


def _jxl_lossless(image: Image.Image) -> bytes:
    from imagecodecs import jpegxl_encode

    return bytes(jpegxl_encode(np.asarray(image), lossless=True, effort=7, numthreads=1))


def _jxl_open(data: bytes) -> Image.Image:
    from imagecodecs import jpegxl_decode

    return Image.fromarray(np.asarray(jpegxl_decode(data, numthreads=1))).convert("RGB")


def _ladder(first: float, last: float, steps: int) -> tuple[float, ...]:
    """`steps` values from `first` to `last` in equal ratios."""
    return tuple(first * (last / first) ** (i / (steps - 1)) for i in range(steps))


_WEBP = _saver("WEBP", method=6)
PEERS = {
    peer.name: peer
    for peer in (
        Peer("jpeg", range(1, 96), partial(jpeg, optimize=True), _open),
        Peer("progressive-jpeg", range(1, 96), partial(jpeg, optimize=True, progressive=True), _open),
        Peer("webp", range(101), _by_quality(_WEBP), _open, _saver("WEBP", method=6, lossless=True, exact=True)),
        Peer("avif", range(101), avif, _open),
        Peer("jxl", _ladder(25, 0.05, 160), jxl, _jxl_open, _jxl_lossless),
        Peer("jp2", _ladder(1 / 2000, 1 / 1.5, 256), _jp2, _open, _jp2_lossless),
        Peer("png", (), lambda image, setting: b"", _open, _saver("PNG", optimize=True)),
    )
}
LOSSY = tuple(name for name, peer in PEERS.items() if peer.settings)
LOSSLESS = tuple(name for name, peer in PEERS.items() if peer.lossless)


class _Scaled:
    """A photo at one scale under one codec: each setting is tried once, whatever the budgets."""

    def __init__(self, peer: Peer, photo: Image.Image, scale: tuple[int, int]) -> None:
        part, whole = scale
        size = max(1, round(photo.width * part / whole)), max(1, round(photo.height * part / whole))
        self._image = photo if part == whole else photo.resize(size, Image.Resampling.LANCZOS)
        self._peer = peer
        self._files: dict[int, bytes] = {}

    def _file(self, setting: int) -> bytes:
        if setting not in self._files:
            self._files[setting] = self._peer.encode(self._image, self._peer.settings[setting])
        return self._files[setting]

    def best(self, budget: int) -> tuple[bytes | None, bool]:
        """The largest file within `budget` by bisection over the settings; whether the best setting of all fitted."""
        best = self._file(0)
        if len(best) > budget:
            return None, False
        low, high = 1, len(self._peer.settings) - 1
        while low <= high:
            middle = (low + high) // 2
            data = self._file(middle)
            if len(data) <= budget:
                best, low = data, middle + 1
            else:
                high = middle - 1
        return best, high == len(self._peer.settings) - 1


def _enlarge(image: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Picture:
    return np.asarray(image if image.size == size else image.resize(size, how), dtype=np.uint8)


class Fitting:
    """The best files of one picture (uint8[H, W, C]; alpha is dropped) by one codec, within any budgets.

    Budgets share what was tried. Nothing is kept on disk. KeyError for a codec that is not in LOSSY.
    """

    def __init__(self, codec: str, picture: Picture) -> None:
        self._peer, self._picture = PEERS[codec], to_rgb(picture)
        if not self._peer.settings:
            raise KeyError(f"{codec} has no lossy settings")
        self._size = self._picture.shape[1], self._picture.shape[0]

    @cached_property
    def _scales(self) -> list[_Scaled]:
        photo = Image.fromarray(self._picture)
        return [_Scaled(self._peer, photo, scale) for scale in SCALES]

    def best(self, budget: int) -> Coded | None:
        """The best file of at most `budget` bytes; None when no setting at any scale fits."""
        found = max(self._tries(budget), default=None, key=lambda found: found[0])
        return None if found is None else self.coded(*found[1:])

    def coded(self, scale: int, how: int, data: bytes) -> Coded:
        """A file with the picture that it gives: `scale` of SCALES, enlarged by `how` of FILTERS."""
        return Coded(data, _enlarge(self._peer.decode(data), self._size, FILTERS[how]), SCALES[scale], how)

    def _tries(self, budget: int) -> list[tuple[float, int, int, bytes]]:
        """PSNR, scale, filter and file of the best file of each scale."""
        found = []
        for scale, scaled in enumerate(self._scales):
            data, at_best = scaled.best(budget)
            if data is None:
                continue
            shown = self._peer.decode(data)
            for number, how in enumerate(FILTERS[:1] if shown.size == self._size else FILTERS):
                found.append((psnr(self._picture, _enlarge(shown, self._size, how)), scale, number, data))
            if at_best:  # fewer pixels at the best quality cannot be better
                break
        return found


def default_cache() -> Path:
    """Where results are kept: LAYERCAST_CACHE, or the user's cache folder."""
    base = os.environ.get("LAYERCAST_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "layercast"


@cache
def versions() -> str:
    """Everything that may change what a peer writes."""
    import imagecodecs
    from PIL import __version__, features

    libraries = [features.version(name) for name in ("libjpeg_turbo", "webp", "avif", "jpg_2000")]
    return f"{_RULES} {__version__} {libraries} {imagecodecs.__version__} {SCALES}"


def keep_file(path: Path, content: bytes) -> None:
    """Writes whole or not at all; a folder that cannot be written only costs time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as held:
            held.write(content)
        os.replace(held.name, path)
    except OSError:
        return


def encode_to_budget(codec: str, picture: Picture, budget: int, keep: Path | None = None) -> Coded | None:
    """The best file of `picture` (uint8[H, W, C]; alpha is dropped) that `codec` makes in at most `budget` bytes.

    None when no setting at any scale fits. `keep`: the folder of results (default_cache() unless told). KeyError for a
    codec that is not in LOSSY.
    """
    fitting, picture = Fitting(codec, picture), to_rgb(picture)
    text = f"{codec} {budget} {picture.shape} {versions()} "
    name = hashlib.sha256(text.encode() + picture.tobytes()).hexdigest()
    path = (keep or default_cache()) / "peers" / name[:2] / name
    if path.is_file():
        held = path.read_bytes()
        return fitting.coded(held[0], held[1], held[2:]) if held else None
    best = fitting.best(budget)
    keep_file(path, b"" if best is None else bytes((SCALES.index(best.scale), best.how)) + best.data)
    return best


def encode_lossless(codec: str, picture: Picture) -> Lossless:
    """Bytes and seconds of processor time of `codec`'s lossless mode, one thread. ValueError if it changes pixels."""
    save = PEERS[codec].lossless
    if save is None:
        raise KeyError(f"{codec} has no lossless mode")
    image = Image.fromarray(to_rgb(picture))
    start = time.process_time()
    data = save(image)
    middle = time.process_time()
    shown = np.asarray(PEERS[codec].decode(data))
    end = time.process_time()
    if not np.array_equal(shown, np.asarray(image)):
        raise ValueError(f"{codec} changed pixels in its lossless mode")
    return Lossless(len(data), middle - start, end - middle)


def thumbhash(picture: Picture) -> Coded:
    """ThumbHash (https://evanw.github.io/thumbhash/): 18-25 bytes, enlarged to the photo's size."""
    from fast_thumbhash import rgba_to_thumb_hash, thumb_hash_to_rgba  # type: ignore[import-untyped]

    image = Image.fromarray(to_rgb(picture))
    size = image.size
    image.thumbnail((100, 100), Image.Resampling.BOX)
    data = bytes(rgba_to_thumb_hash(*image.size, image.convert("RGBA").tobytes()))
    width, height, rgba = thumb_hash_to_rgba(data)
    shown = Image.frombytes("RGBA", (width, height), bytes(rgba)).convert("RGB")
    return Coded(data, _enlarge(shown, size, FILTERS[1]), (1, 1))


def blurhash(picture: Picture, parts: tuple[int, int] = (4, 3)) -> Coded:
    """BlurHash (https://blurha.sh) with `parts` components, 28 bytes for 4x3, enlarged to the photo's size."""
    import blurhash as package  # type: ignore[import-untyped]

    image = Image.fromarray(to_rgb(picture))
    size = image.size
    image.thumbnail((64, 64), Image.Resampling.BOX)
    text = package.encode(np.asarray(image), components_x=parts[0], components_y=parts[1])
    small = np.asarray(package.decode(text, *image.size))
    shown = Image.fromarray(np.clip(np.round(small), 0, 255).astype(np.uint8))
    return Coded(text.encode(), _enlarge(shown, size, FILTERS[1]), (1, 1))


THUMBNAILS: dict[str, Callable[[Picture], Coded]] = {"thumbhash": thumbhash, "blurhash": blurhash}


def bits_per_pixel(size: int, picture: Picture) -> float:
    """`size` bytes as bits per pixel of `picture`; infinite for an empty one."""
    pixels = picture.shape[0] * picture.shape[1]
    return 8 * size / pixels if pixels else math.inf
