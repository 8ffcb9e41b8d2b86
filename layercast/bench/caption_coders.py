"""Captions under several coders: the format's own, and what others have at hand. Payloads alone, no framing.

The others are told all that they can be: zstd and deflate get a dictionary of the training captions, zstd's frames
have no magic number, Huffman gets the frequencies of characters (as cross-modal compression does it).
"""

from __future__ import annotations

import heapq
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from codec.caption.coder import RAW

DICTIONARY = 350_000  # bytes of zstd's, as many as our model has; deflate sees 32 kB back
LEVEL = 19  # of zstd; more gains nothing on a sentence
TEXTS = {
    "nothing": "",
    "Chinese": "一只狗在草地上追着红色的球。",
    "German": "Ein großer Hund läuft über die grüne Wiese hinter dem Haus.",
    "emoji": "👩‍🚀🚀🌕✨🐶",
    "2,000 characters": "Zwölf Boxkämpfer jagen Viktor über den Sylter Deich" * 39 + "." * 11,
}

Coder = Callable[[str], int]


@dataclass(frozen=True)
class Row:
    """One coder on one set of captions: bytes, mean and 95th percentile; milliseconds each way where it is ours."""

    coder: str
    mean: float
    high: float
    encode_ms: float | None = None
    decode_ms: float | None = None


def own(name: str, model: Any, texts: Sequence[str]) -> Row:
    """The caption coder with a model; times are processor time a caption. ValueError if one does not come back."""
    model.shorter(texts[0], False, texts[0].encode())  # builds what is built once
    start = time.process_time()
    payloads = [model.shorter(text, False, RAW[0] + text.encode()) for text in texts]
    middle = time.process_time()
    coded = [(payload, text) for payload, text in zip(payloads, texts, strict=True) if payload[:1] not in RAW]
    if any(model.read(payload, whole=True).text != text for payload, text in coded):
        raise ValueError(f"{name}: a caption did not come back")
    end = time.process_time()
    encode, decode = (1000 * seconds / len(texts) for seconds in (middle - start, end - middle))
    sizes = [len(payload) for payload in payloads]
    return Row(name, fmean(sizes), float(np.percentile(sizes, 95)), encode, decode)


def others(training: Sequence[str]) -> dict[str, Coder]:
    """Bytes of a text under each other coder, which know the training captions."""
    import zstandard

    joined = "\n".join(training).encode()
    book = zstandard.train_dictionary(DICTIONARY, [text.encode() for text in training])
    book.precompute_compress(level=LEVEL)
    plain = zstandard.ZstdCompressionParameters.from_level(
        LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False, write_dict_id=False
    )
    packer = zstandard.ZstdCompressor(dict_data=book, compression_params=plain)
    lengths = huffman(Counter("".join(text + "\n" for text in training)))
    longest = max(lengths.values()) + 8  # a character that the training captions lack

    def deflate(text: str) -> int:
        stream = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=joined[-32768:])
        return len(stream.compress(text.encode()) + stream.flush())

    return {
        "UTF-8": lambda text: len(text.encode()),
        "zlib": lambda text: len(zlib.compress(text.encode(), 9)),
        "deflate, dictionary": deflate,
        "zstd, dictionary": lambda text: len(packer.compress(text.encode())),
        "character Huffman": lambda text: -(-sum(lengths.get(sign, longest) for sign in text + "\n") // 8),
    }


def huffman(counts: Counter[str]) -> dict[str, int]:
    """Bits of each character's code."""
    heap = [(count, i, [sign]) for i, (sign, count) in enumerate(counts.items())]
    heapq.heapify(heap)
    length = dict.fromkeys(counts, 0)
    while len(heap) > 1:
        (n, _, some), (m, i, more) = heapq.heappop(heap), heapq.heappop(heap)
        for sign in some + more:
            length[sign] += 1
        heapq.heappush(heap, (n + m, i, some + more))
    return length


def compare(texts: Sequence[str], training: Sequence[str], models: dict[str, Path]) -> list[Row]:
    """A row for each model of ours (a file of weights by name) and for each other coder."""
    from codec.caption.coder import CaptionModel
    from codec.models import read_safetensors

    rows = [own(name, CaptionModel(read_safetensors(path.read_bytes())), texts) for name, path in models.items()]
    for name, size in others(training).items():
        sizes = [size(text) for text in texts]
        rows.append(Row(name, fmean(sizes), float(np.percentile(sizes, 95))))
    return rows


def above_raw() -> dict[str, int]:
    """By how many bytes each of TEXTS is longer as a caption than as UTF-8; negative where it is shorter."""
    from codec import caption

    return {name: len(caption.encode(text)) - len(text.encode()) for name, text in TEXTS.items()}
