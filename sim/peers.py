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
from functools import cache
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
    """A peer's best file within a budget, its picture uint8[H, W, 3] at the photo's size, the scale it was coded at."""

    data: bytes
    picture: Picture
    scale: tuple[int, int]


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


def _by_quality(save: Callable[..., bytes]) -> Callable[[Image.Image, float], bytes]:
    return lambda image, setting: save(image, quality=int(setting))


def _jp2(image: Image.Image, ratio: float) -> bytes:
    """A bare JPEG 2000 codestream (no JP2 boxes) at the compression ratio 1 / `ratio`, irreversible 9/7."""
    return _saver("JPEG2000", no_jp2=True, mct=1, irreversible=True, quality_mode="rates")(
        image, quality_layers=[1 / ratio]
    )


def _jp2_lossless(image: Image.Image) -> bytes:
    return _saver("JPEG2000", no_jp2=True, mct=1, irreversible=False)(image)


def _jxl(image: Image.Image, distance: float) -> bytes:
    from imagecodecs import jpegxl_encode

    return bytes(jpegxl_encode(np.asarray(image), distance=distance, effort=7, numthreads=1))


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
_AVIF = _saver("AVIF", speed=6, subsampling="4:2:0", max_threads=1)
PEERS = {
    peer.name: peer
    for peer in (
        Peer("jpeg", range(1, 96), _by_quality(_saver("JPEG", optimize=True)), _open),
        Peer("progressive-jpeg", range(1, 96), _by_quality(_saver("JPEG", optimize=True, progressive=True)), _open),
        Peer("webp", range(101), _by_quality(_WEBP), _open, _saver("WEBP", method=6, lossless=True, exact=True)),
        Peer("avif", range(101), _by_quality(_AVIF), _open),
        Peer("jxl", _ladder(25, 0.05, 160), _jxl, _jxl_open, _jxl_lossless),
        Peer("jp2", _ladder(1 / 2000, 1 / 1.5, 256), _jp2, _open, _jp2_lossless),
        Peer("png", (), lambda image, setting: b"", _open, _saver("PNG", optimize=True)),
    )
}
LOSSY = tuple(name for name, peer in PEERS.items() if peer.settings)
LOSSLESS = tuple(name for name, peer in PEERS.items() if peer.lossless)


def _best_setting(peer: Peer, image: Image.Image, budget: int) -> tuple[bytes | None, bool]:
    """The largest file within `budget` by bisection over the settings, and whether the best setting of all fitted."""
    best = peer.encode(image, peer.settings[0])
    if len(best) > budget:
        return None, False
    low, high = 1, len(peer.settings) - 1
    while low <= high:
        middle = (low + high) // 2
        data = peer.encode(image, peer.settings[middle])
        if len(data) <= budget:
            best, low = data, middle + 1
        else:
            high = middle - 1
    return best, high == len(peer.settings) - 1


def _enlarge(image: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Picture:
    return np.asarray(image if image.size == size else image.resize(size, how), dtype=np.uint8)


def _tries(peer: Peer, picture: Picture, budget: int) -> list[tuple[float, int, int, bytes]]:
    """PSNR, scale, filter and file of the best file of each scale."""
    photo, found = Image.fromarray(picture), []
    for scale, (part, whole) in enumerate(SCALES):
        size = tuple(max(1, round(side * part / whole)) for side in photo.size)
        small = photo if part == whole else photo.resize((size[0], size[1]), Image.Resampling.LANCZOS)
        data, at_best = _best_setting(peer, small, budget)
        if data is None:
            continue
        shown = peer.decode(data)
        for number, how in enumerate(FILTERS[:1] if shown.size == photo.size else FILTERS):
            found.append((psnr(picture, _enlarge(shown, photo.size, how)), scale, number, data))
        if at_best:  # fewer pixels at the best quality cannot be better
            break
    return found


def default_cache() -> Path:
    """Where results are kept: LAYERCAST_CACHE, or the user's cache folder."""
    base = os.environ.get("LAYERCAST_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "layercast"


@cache
def _versions() -> str:
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
    peer, picture = PEERS[codec], to_rgb(picture)
    if not peer.settings:
        raise KeyError(f"{codec} has no lossy settings")
    name = hashlib.sha256(f"{codec} {budget} {picture.shape} {_versions()} ".encode() + picture.tobytes()).hexdigest()
    path = (keep or default_cache()) / "peers" / name[:2] / name
    if path.is_file():
        held = path.read_bytes()
    else:
        best = max(_tries(peer, picture, budget), default=None, key=lambda found: found[0])
        held = b"" if best is None else bytes(best[1:3]) + best[3]
        keep_file(path, held)
    if not held:
        return None
    size = picture.shape[1], picture.shape[0]
    return Coded(held[2:], _enlarge(peer.decode(held[2:]), size, FILTERS[held[1]]), SCALES[held[0]])


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
