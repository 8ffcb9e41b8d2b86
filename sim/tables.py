"""Reading what a person wrote in TOML: each value checked, each error one line that says where, what, and what to do.

Table.load ─► table.number("rate", above=0) ─► ... ─► table.done()      what is left over is not known
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

Pairs = list[tuple[float, float]]


class WrongTable(ValueError):
    """A table that says something impossible. The message is one line: the file and its line, what is wrong, what to
    do."""


class Table:
    """One table of TOML; a value that was asked for is taken out of it."""

    def __init__(self, values: Mapping[str, Any], name: str = "table", path: str = "", text: str = "") -> None:
        """name: of the file. path: of this table in it, "link.back". text: of the file, so that errors have lines."""
        self.name = name
        self.path = path
        self._left = dict(values)
        self._text = text
        self._known: list[str] = []

    @classmethod
    def load(cls, path: str | Path) -> "Table":
        """The table that a file is. Raises OSError, WrongTable."""
        return cls.parse(Path(path).read_text(encoding="utf-8"), str(path))

    @classmethod
    def parse(cls, text: str, name: str) -> "Table":
        """The table that a text is."""
        try:
            return cls(tomllib.loads(text), name, "", text)
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
            line = f" line {where[1]}:" if where else ""
            what = re.sub(r" \(at .*\)", "", str(error))
            raise WrongTable(f"{name}:{line} {what[:1].lower() + what[1:]}; see https://toml.io") from None

    def fail(self, key: str, what: str) -> NoReturn:
        """Raise a WrongTable about one of the values."""
        full = f"{self.path}.{key}" if self.path else key
        line = _line_of(self._text, self.path, key)
        raise WrongTable(f"{self.name}:{f' line {line}:' if line else ''} {full} {what}")

    def has(self, key: str) -> bool:
        """Whether there is such a value."""
        return key in self._left

    def take(self, key: str, default: Any = None) -> Any:
        """A value as it is."""
        self._known.append(key)
        return self._left.pop(key, default)

    def number(
        self,
        key: str,
        default: Any = None,
        *,
        low: float | None = None,
        above: float | None = None,
        high: float | None = None,
        below: float | None = None,
        whole: bool = False,
    ) -> Any:
        """A number within bounds; `default` if there is none."""
        value = self.take(key)
        if value is None:
            return default
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or value != value:
            self.fail(key, f"is {value!r}; give a {'whole ' if whole else ''}number")
        for bound, good, word in (
            (low, low is None or value >= low, "at least"),
            (above, above is None or value > above, "above"),
            (high, high is None or value <= high, "at most"),
            (below, below is None or value < below, "below"),
        ):
            if not good:
                self.fail(key, f"is {value:g}; it must be {word} {bound:g}")
        return value

    def text(self, key: str, default: Any = None, among: Sequence[str] = ()) -> Any:
        """A string, one of `among` if there are any."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.fail(key, f"is {value!r}; give a text in quotes")
        if among and value not in among:
            self.fail(key, f"is {value!r}; {_suggestion(value, among)}")
        return value

    def flag(self, key: str, default: Any = None) -> Any:
        """true or false."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fail(key, f"is {value!r}; give true or false")
        return value

    def texts(self, key: str, default: Sequence[str] = (), among: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of strings; one string is a list of one."""
        value = self.take(key)
        if value is None:
            return tuple(default)
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            self.fail(key, f"is {value!r}; give a list of texts")
        for each in listed:
            if among and each not in among:
                self.fail(key, f"has {each!r}; {_suggestion(each, among)}")
        return tuple(listed)

    def numbers(self, key: str, low: float = 0.0, whole: bool = False) -> tuple[float, ...] | None:
        """A list of numbers of at least `low`; None if there is none."""
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(_is_number(each, whole) and each >= low for each in value):
            self.fail(key, f"is {value!r}; give a list of {'whole ' if whole else ''}numbers of at least {low:g}")
        return tuple(value)

    def pairs(self, key: str, says: str) -> Pairs | None:
        """A list of pairs of numbers of 0 and more; None if there is none. `says`: what a pair is."""
        value = self.take(key)
        if value is None:
            return None
        good = isinstance(value, list) and value and all(_is_pair(each) for each in value)
        if not good:
            self.fail(key, f"is {str(value)[:60]}; give a list of [{says}], none below 0")
        return [(float(first), float(second)) for first, second in value]

    def sub(self, key: str) -> "Table | None":
        """A table within; None if there is none."""
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.fail(key, f"is {value!r}; give a table")
        return Table(value, self.name, f"{self.path}.{key}" if self.path else key, self._text)

    def done(self) -> None:
        """Nothing may be left."""
        for key in self._left:
            self.fail(key, f"is not known here; {_suggestion(key, self._known)}")


def _suggestion(word: str, known: Iterable[str]) -> str:
    listed = list(known)
    near = get_close_matches(word, listed, 1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(listed)}"


def _is_number(value: Any, whole: bool = False) -> bool:
    return isinstance(value, int if whole else (int, float)) and not isinstance(value, bool) and value == value


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_number(each) and each >= 0 for each in value)


def _line_of(text: str, path: str, key: str) -> int | None:
    """The line at which a key stands; that of its table if it stands there within braces."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            section = head[1]
            if f"{path}.{key}".strip(".") == section:
                return number
        elif section == path and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return number
    outer, _, inner = path.rpartition(".")
    return _line_of(text, outer, inner) if inner else None
