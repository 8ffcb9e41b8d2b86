"""The caption layer: every text comes back, small, and any bytes give a text or FormatError."""

import json
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.caption import Caption, decode, encode
from codec.caption.coder import MAX_SPELLED, model
from codec.stream import FormatError

VECTORS = Path(__file__).parents[2] / "vectors" / "caption" / "captions.json"
DATA = Path(os.environ.get("LAYERCAST_DATA") or Path(__file__).parents[4] / "shared" / "data")

TEXTS = [
    "",
    " ",
    ".",
    "A man riding a wave on top of a surfboard.",
    "A man riding a wave on top of a surfboard",
    "a man riding a wave on top of a surfboard .",
    "A MAN RIDING A WAVE ON TOP OF A SURFBOARD",
    "A Man Riding A Wave",
    "Two dogs -- one black, one white -- don't play; they're asleep!",
    'A sign reads "Stop here" near the man\'s (red) car.',
    "A stop sign at W 122nd St. in New York. It is 5:30 p.m..",
    "  two  spaces, a\ttab\nand a line \r\n end ",
    "iPhone, LaTeX and McDonald's in one pHoto.",
    "Ein schwarzer Hund läuft über die Straße.",
    "一个男人在海里冲浪。",
    "🐶🐱 a dog and a cat 🐶",
    "\x00\x01\x7f control characters",
    "xqzzk vlorpt",
    "https://example.org/a?b=c#d",
    "The quick brown fox. " * 95,
    "字" * 2000,
    "word" * 1500,
    "\u202eright to left\u202c, e\u0301 combining",
]


@pytest.mark.parametrize("weights", [0, 1])
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts_come_back(text: str, weights: int) -> None:
    payload = encode(text, weights)
    assert len(payload) <= len(text.encode()) + 1
    assert decode(payload, weights) == Caption(text)
    assert decode(encode(text, weights, guessed=True), weights) == Caption(text, guessed=True)


@given(st.text(), st.booleans())
def test_any_text_comes_back(text: str, guessed: bool) -> None:
    payload = encode(text, 0, guessed)
    assert len(payload) <= len(text.encode()) + 1
    assert decode(payload, 0) == Caption(text, guessed)


_LIKE_CAPTIONS = st.lists(st.sampled_from("A a man Man dog TV tv 's ' \" , . ( ) - / ? 12 über xy ,, ...".split()))


@given(_LIKE_CAPTIONS, st.sampled_from(["", " ", "  "]), st.sampled_from(["", ".", " .", "!", "..."]))
def test_case_and_punctuation_come_back(words: list[str], between: str, end: str) -> None:
    text = between.join(words) + end
    assert decode(encode(text, 0), 0).text == text


def test_half_a_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        encode("a \ud800 b", 0)


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(FormatError, match="weights set 9"):
        decode(b"\x80", 9)
    with pytest.raises(FormatError, match="weights set 9"):
        encode("A dog.", 9)


def test_usual_captions_are_small() -> None:
    text = "A man riding a wave on top of a surfboard."
    assert len(encode(text)) <= 4
    assert len(encode(text, guessed=True)) <= 5


def test_vectors() -> None:
    for vector in json.loads(VECTORS.read_text()):
        payload = bytes.fromhex(vector["payload"])
        assert encode(vector["text"], vector["weights"], vector["guessed"]) == payload
        assert decode(payload, vector["weights"]) == Caption(vector["text"], vector["guessed"])


@pytest.mark.parametrize("text", ["A black dog and a zwieback cat, sitting.", "Ein Hund läuft über die Straße 犬"])
def test_a_cut_payload_gives_its_certain_words(text: str) -> None:
    payload = encode(text)
    before = ""
    for length in range(len(payload)):
        cut = decode(payload[:length], whole=False)
        assert not cut.complete
        assert text.startswith(cut.text)
        assert cut.text.startswith(before)
        before = cut.text
    assert before, "the last cut leaves some words"


def _damaged(rng: random.Random, payloads: list[bytes]) -> bytes:
    data = bytearray(rng.choice(payloads) if rng.random() < 0.6 else rng.randbytes(rng.randrange(40)))
    for _ in range(rng.randrange(4)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.3 else data)


@pytest.mark.parametrize("weights, count", [(0, 2700), (1, 300)])
def test_any_bytes_give_a_text_or_format_error(weights: int, count: int) -> None:
    rng = random.Random(weights)
    payloads = [encode(text, weights) for text in TEXTS if len(text) < 100]
    longest = 0.0
    for _ in range(count):
        payload, whole = _damaged(rng, payloads), rng.random() < 0.5
        begun = time.process_time()
        try:
            text = decode(payload, weights, whole).text
        except FormatError:
            pass
        else:
            text.encode()
        longest = max(longest, time.process_time() - begun)
    assert longest < 10


def test_endless_words_are_refused() -> None:
    """Payloads made of one word over and over, or of one letter: both are bounded."""
    tables = model(0)
    from codec.caption.walk import Sink

    sink = Sink()
    sink.bit(0, 512)
    sink.bit(0, 4096)
    sink.symbol(0, tables.styles)
    sink.symbol(1, tables.words.frequencies([tables.words.start]))
    sink.bit(0, tables.p_rare)
    for i in range(MAX_SPELLED + 1):
        sink.symbol(ord("a"), tables.letters.frequencies(b"a" * i))
    with pytest.raises(FormatError, match="unknown words"):
        decode(sink.payload(), 0)


def test_frequencies_are_whole_and_positive() -> None:
    words = model(1).words
    for history in ([words.start], [words.start, 7], [words.start, 900, 901, 902, 903]):
        frequencies = words.frequencies(history)
        assert frequencies.dtype == np.int64
        assert frequencies.min() > 0
        assert 2**31 < int(frequencies.sum()) < 2**34


@pytest.mark.skipif(not (DATA / "captions").is_dir(), reason="no caption data: sizes on held-out captions not shown")
def test_held_out_captions_are_small() -> None:
    from codec.train.caption import read, sizes

    texts = [text for _, text in read(DATA, "coco_eval.tsv")]
    real, ideal = sizes(model(1), texts)
    assert real.mean() <= 9.5
    assert np.percentile(real, 95) <= 16
    assert real.mean() <= ideal.mean() / 8 + 0.5
