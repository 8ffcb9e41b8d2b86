"""A caption as bytes: its words under the language model, or, where that is not shorter, its UTF-8 bytes behind a mark.

Here encode and decode meet: text.py says which words a text has, ngram.py and letters.py how likely each is, walk.py
codes them. Every decision is in section 4 of codec/FORMAT.md.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from codec import models
from codec.caption.letters import STOP, LetterModel
from codec.caption.ngram import CONTROLS, END, FIRST_WORD, UNKNOWN, WordModel
from codec.caption.tables import Arrays, Ints
from codec.caption.text import Joiner, Style, lower, split, style_of
from codec.caption.walk import Dry, Sink, Source
from codec.stream import FormatError

RAW = (b"\x00", b"\x01")  # marks of UTF-8 bytes: given, guessed
P_RAW = 512  # keeps coded words off payloads that begin with a mark
P_GUESSED = 4096
MAX_WORDS = 1024
MAX_SPELLED = 4096  # bytes of a text spelled byte by byte


@dataclass(frozen=True)
class Caption:
    """A text. guessed: found by a program, not given by a person. complete: False if the payload was cut short."""

    text: str
    guessed: bool = False
    complete: bool = True


class CaptionModel:
    """The tables of one set of weights."""

    def __init__(self, arrays: Arrays) -> None:
        text = zlib.decompress(arrays["lexicon"].tobytes()).decode()
        self._known = int(arrays["words"][0]) - FIRST_WORD
        self.lexicon = text.split("\n")  # words of the vocabulary, then rarer ones that have no number of their own
        self.surfaces = dict(zip(lower(text).split("\n"), self.lexicon, strict=True))
        self.number = {word: i for i, word in enumerate(self.lexicon)}
        self.words = WordModel.unpack(arrays)
        self.styles: Ints = arrays["styles"].astype(np.int64)
        self.p_rare = int(arrays["p_rare"][0])
        self._rare: Ints = np.ones(len(self.lexicon) - self._known, dtype=np.int64)

    @cached_property
    def letters(self) -> LetterModel:
        """The spelling model, built when first needed."""
        return LetterModel([word.encode() for word in self.lexicon])

    def write(self, text: str, guessed: bool) -> Sink:
        """All decisions of a text. ValueError if it is too long for words."""
        style = style_of(text)
        words = split(text, style, self.surfaces)
        if len(words) > MAX_WORDS:
            raise ValueError("too many words")
        sink, history, spelled = Sink(), [self.words.start], 0
        sink.bit(0, P_RAW)
        sink.bit(int(guessed), P_GUESSED)
        sink.symbol(style.number, self.styles)
        for word in words:
            frequencies = self.words.frequencies(history)
            for control in CONTROLS:
                if control in word.controls:
                    sink.symbol(control, frequencies)
            index = self.number.get(word.surface, -1)
            number = FIRST_WORD + index if 0 <= index < self._known else UNKNOWN
            sink.symbol(number, frequencies)
            if number == UNKNOWN:
                sink.bit(int(index >= 0), self.p_rare)
                if index >= 0:
                    sink.symbol(index - self._known, self._rare)
                else:
                    spelled += self._spell(sink, word.surface.encode())
            history.append(number)
        if spelled > MAX_SPELLED:
            raise ValueError("too much to spell")
        sink.symbol(END, self.words.frequencies(history))
        return sink

    def shorter(self, text: str, guessed: bool, raw: bytes) -> bytes:
        """The coded payload of a text, or `raw` where that is not longer."""
        try:
            coded = self.write(text, guessed).payload() or b"\xff"
        except ValueError:
            return raw
        return coded if len(coded) < len(raw) and coded[:1] not in RAW else raw

    def _spell(self, sink: Sink, word: bytes) -> int:
        if len(word) > MAX_SPELLED:
            raise ValueError("too much to spell")
        for i, byte in enumerate(word):
            sink.symbol(byte, self.letters.frequencies(word[:i]))
        sink.symbol(STOP, self.letters.frequencies(word))
        return len(word)

    def read(self, payload: bytes, whole: bool) -> Caption:
        """The caption of a payload of coded words. Raises FormatError."""
        source, guessed = Source(payload, whole), False
        joiner = Joiner(Style(0, False, 0))
        try:
            source.bit(P_RAW)
            guessed = bool(source.bit(P_GUESSED))
            joiner = Joiner(Style.of(source.symbol(self.styles)))
            self._read_words(source, joiner)
        except Dry:
            return Caption(joiner.text, guessed, complete=False)
        return Caption(joiner.ended(), guessed)

    def _read_words(self, source: Source, joiner: Joiner) -> None:
        history, controls = [self.words.start], set[int]()
        left = MAX_SPELLED
        for _ in range(MAX_WORDS * (len(CONTROLS) + 1) + 1):
            number = source.symbol(self.words.frequencies(history))
            if number == END:
                return
            if number in CONTROLS:
                controls.add(number)
                continue
            if number != UNKNOWN:
                surface = self.lexicon[number - FIRST_WORD]
            elif source.bit(self.p_rare):
                surface = self.lexicon[self._known + source.symbol(self._rare)]
            else:
                surface = self._read_spelled(source, left)
                left -= len(surface.encode())
            joiner.add(surface, frozenset(controls))
            controls.clear()
            history.append(number)
            if len(history) > MAX_WORDS + 1:
                break
        raise FormatError(f"offset 0: a caption of more than {MAX_WORDS} words is damaged")

    def _read_spelled(self, source: Source, most: int) -> str:
        word = b""
        while (symbol := source.symbol(self.letters.frequencies(word))) != STOP:
            if len(word) == most:
                raise FormatError(f"offset 0: a caption with more than {MAX_SPELLED} bytes of unknown words is damaged")
            word += bytes([symbol])
        try:
            return word.decode()
        except UnicodeDecodeError:
            raise FormatError("offset 0: a word of this caption is not UTF-8: it is damaged") from None


@cache
def model(weights: int | str) -> CaptionModel:
    """The tables of a set of weights, loaded once. Raises FormatError for an unknown set."""
    return CaptionModel(models.load(weights, "caption"))


def encode(text: str, weights: int | str = 1, guessed: bool = False) -> bytes:
    """The payload of a caption: at most one byte longer than its UTF-8 form.

    guessed: the text was found by a program, not given by a person. Raises ValueError for text that UTF-8 cannot hold,
    FormatError for an unknown set of weights.
    """
    try:
        raw = RAW[guessed] + text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"character {error.start} of the caption is half a surrogate pair: it has no UTF-8") from None
    if not text and not guessed:
        return b""
    return model(weights).shorter(text, guessed, raw)


def decode(payload: bytes, weights: int | str = 1, whole: bool = True) -> Caption:
    """The caption of a payload. whole=False: the payload was cut; the words that are certain. Raises FormatError."""
    if not payload:
        return Caption("", complete=whole)
    if payload[:1] not in RAW:
        return model(weights).read(payload, whole)
    raw = payload[1:]
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        if whole or error.reason != "unexpected end of data":
            raise FormatError(f"offset {1 + error.start}: this caption is not UTF-8: it is damaged") from None
        text = raw[: error.start].decode()
    return Caption(text, payload[:1] == RAW[1], complete=whole)
