"""How commands speak: failures in one line, warnings to stderr, progress on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click


class Failure(click.ClickException):
    """A failure that the user can act on: `layercast: FILE: what is wrong; what to do`, exit 1."""

    exit_code = 1

    def __init__(self, path: str | Path, message: str) -> None:
        super().__init__(f"{path}: {message}")

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"layercast: {self.message}", err=True)


@contextmanager
def failing(path: str | Path) -> Iterator[None]:
    """Turns what can go wrong with the file `path` into a Failure that names it."""
    from codec.files import FileError
    from codec.stream import FormatError

    try:
        yield
    except FileError as error:
        raise Failure(path, str(error)) from None
    except FormatError as error:
        raise Failure(path, f"{error}; check that the file came through whole") from None
    except FileNotFoundError:
        raise Failure(path, "no such file; check the name") from None
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror or error}); check the file and its permissions") from None


def save(path: str | Path, data: bytes) -> None:
    """Writes a file whole or not at all, or raises a Failure."""
    from codec.files import write_whole

    with failing(path):
        write_whole(path, data)


def warn(path: str | Path, message: str) -> None:
    """A remark that is no failure, to stderr."""
    click.echo(f"layercast: {path}: {message}", err=True)


class Progress:
    """Shows stage and share on a terminal's stderr, nothing in a pipe. Call it with (stage, 0..1); close it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown = sys.stderr.isatty()

    def __call__(self, stage: str, share: float) -> None:
        if self._shown:
            bar = "#" * round(20 * share)
            click.echo(f"\r{self._name}  [{bar:<20}] {share:4.0%} {stage:<24.24}", err=True, nl=False)

    def close(self) -> None:
        """Clears the line."""
        if self._shown:
            click.echo("\r\033[K", err=True, nl=False)
