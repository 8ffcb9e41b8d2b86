"""How a text falls into words, and how words become the same text again: letter case, spaces, the end.

Most captions begin with a capital, end with a full stop and have single spaces between words. A style, coded once, says
which habit a text has; what departs from it costs a control before the word concerned. `Joiner` holds the rules that
decoder and encoder share; `split` finds for a text the style and the words that give exactly this text.
Only ASCII letters change case, so that no version of Unicode matters.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass

from codec.caption.ngram import CAPITAL, JOIN, LOWER, PLAIN, UPPER

ENDS = ("", ".", "!", "?", " .", "..", "...", " ")
LOWER_STYLE, SENTENCE_STYLE, TITLE_STYLE, UPPER_STYLE = range(4)
STYLES = 4 * 2 * len(ENDS)

_TO_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_TO_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
_LEFT = frozenset(".,;:!?)%'-/]}")  # no space before a word that begins so
_RIGHT = frozenset("([{-/$#")  # no space after a word that ends so
_SPACED = frozenset("-/")  # both, in texts whose punctuation stands apart
_WHITE = frozenset(" \t\n\r\v\f")
_SENTENCE_ENDS = frozenset(".!?")
_PIECE = re.compile(r"'(?:s|t|re|ll|ve|m|d)(?![A-Za-z])|[A-Za-z\x80-\U0010ffff]+|[0-9]+|  +|[^ ]|^ | $")
_CASES: tuple[frozenset[int], ...] = tuple(
    frozenset(controls) for controls in ((), (CAPITAL,), (PLAIN,), (UPPER,), (LOWER,), (CAPITAL, LOWER))
)


def lower(text: str) -> str:
    """`text` with ASCII letters in lower case."""
    return text.translate(_TO_LOWER)


def _capital(text: str) -> str:
    return text[:1].translate(_TO_UPPER) + text[1:]


def _flip(text: str) -> str:
    first = text[:1].translate(_TO_UPPER)
    return (first if first != text[:1] else text[:1].translate(_TO_LOWER)) + text[1:]


@dataclass(frozen=True)
class Style:
    """Habits of a whole text. case: one of the four; spaced: punctuation stands apart; end: index into ENDS."""

    case: int
    spaced: bool
    end: int

    @property
    def number(self) -> int:
        """0..STYLES-1."""
        return (self.case * 2 + self.spaced) * len(ENDS) + self.end

    @classmethod
    def of(cls, number: int) -> Style:
        """The style of a number 0..STYLES-1."""
        rest, end = divmod(number, len(ENDS))
        return cls(rest // 2, bool(rest % 2), end)


class Joiner:
    """Puts words together. `text` is what there is so far, without the style's end."""

    def __init__(self, style: Style) -> None:
        self.text = ""
        self._style = style
        self._sentence_start = True
        self._quoted = False
        self._last = ""

    def cased(self, surface: str, controls: frozenset[int]) -> str:
        """`surface` as it would stand here."""
        case = self._style.case
        if PLAIN in controls:
            word = surface
        elif UPPER in controls or (case == UPPER_STYLE and LOWER not in controls):
            word = surface.translate(_TO_UPPER)
        elif LOWER in controls or case == LOWER_STYLE:
            word = lower(surface)
        elif case == TITLE_STYLE or self._sentence_start:
            word = _capital(surface)
        else:
            word = surface
        return _flip(word) if CAPITAL in controls else word

    def spaced(self, surface: str, controls: frozenset[int]) -> bool:
        """Whether a space stands before this word."""
        left, right = (_SPACED, _SPACED) if self._style.spaced else (_LEFT, _RIGHT)
        ends = self._last[-1:]
        begins = surface[:1]
        tight = not self.text or ends in right or begins in left or ends in _WHITE or begins in _WHITE
        if self._quoted and not self._style.spaced:
            tight |= '"' in (ends, begins)  # after the opening quotation mark, before the closing one
        return tight == (JOIN in controls)

    def add(self, surface: str, controls: frozenset[int]) -> None:
        """Appends a word."""
        word = self.cased(surface, controls)
        self.text += " " * self.spaced(surface, controls) + word
        self._quoted ^= surface == '"'
        self._sentence_start = surface in _SENTENCE_ENDS
        self._last = surface

    def ended(self) -> str:
        """The whole text."""
        return self.text + ENDS[self._style.end]


@dataclass(frozen=True)
class Word:
    """A word of the vocabulary or another text, as it is to be added, and the controls before it."""

    surface: str
    controls: frozenset[int]


def style_of(text: str) -> Style:
    """The likeliest habits of a text."""
    end = max((i for i, ending in enumerate(ENDS) if text.endswith(ending)), key=lambda i: len(ENDS[i]))
    words = re.findall("[A-Za-z]+", text)
    capitals = sum(word[0].isupper() for word in words)
    case = LOWER_STYLE
    if len(words) > 1 and all(word.isupper() for word in words):
        case = UPPER_STYLE
    elif len(words) > 2 and capitals > 0.75 * len(words):
        case = TITLE_STYLE
    elif words and words[0][0].isupper():
        case = SENTENCE_STYLE
    return Style(case, ENDS[end] == " ." or " , " in text, end)


def _pieces(body: str) -> Iterator[tuple[str, bool]]:
    """Pieces of a text, and whether one space stands before each."""
    at = 0
    for match in _PIECE.finditer(body):
        yield match.group(), match.start() > at
        at = match.end()


def split(text: str, style: Style, surfaces: dict[str, str]) -> list[Word]:
    """The words that a Joiner of this style turns into `text`.

    surfaces: for each word of the vocabulary in lower case, how it is stored. ValueError if there are none.
    """
    ending = ENDS[style.end]
    joiner, words = Joiner(style), []
    for piece, space in _pieces(text[: len(text) - len(ending)]):
        known = surfaces.get(lower(piece))
        tries = [known] if known is not None else []
        word = _fitting(joiner, piece, [*tries, lower(piece), piece])
        if joiner.spaced(word.surface, word.controls) != space:
            word = Word(word.surface, word.controls | {JOIN})
        joiner.add(word.surface, word.controls)
        words.append(word)
    if joiner.ended() != text:
        raise ValueError("this text does not fall into words")
    return words


def _fitting(joiner: Joiner, piece: str, surfaces: list[str]) -> Word:
    for surface in surfaces:
        for controls in _CASES:
            if joiner.cased(surface, controls) == piece:
                return Word(surface, controls)
    raise AssertionError("a piece as it is, with PLAIN, always fits")
