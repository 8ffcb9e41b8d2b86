"""Scenarios by what a person writes: a name, a file, changes; what is wrong with it in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.report import Failure, failing

if TYPE_CHECKING:
    from sim.presets import Preset
    from sim.scenario import Scenario

BUNDLED, BUNDLED_CAPTION = "rocket.webp", "A rocket stands on its launch pad at dusk."


@contextmanager
def telling(path: str) -> Iterator[None]:
    """What is wrong with what a person wrote becomes one line; the messages of sim name the file themselves."""
    from sim.packetlog import WrongLog
    from sim.rates import WrongTrace
    from sim.tables import WrongTable

    try:
        with failing(path):
            yield
    except (WrongTable, WrongTrace, WrongLog) as error:
        raise _Told(str(error)) from None
    except UnicodeDecodeError:
        raise Failure(path, "is no text; check the name") from None


class _Told(click.ClickException):
    """A failure whose message names its file."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        click.echo(f"layercast: {self.message}", err=True)


def scenario_of(
    name: str,
    vary: Sequence[str] = (),
    *,
    images: Sequence[str],
    captions: Sequence[str],
    changes: Sequence[str],
    seeds: int | None,
    until: float | None,
    peers: str | None,
    policy: str | None,
    **_: Any,
) -> Scenario:
    """The scenario by its name or file, with what the command line changes."""
    from sim.experiment import check_names
    from sim.scenario import Scenario, bundled, parse_value

    with telling(name):
        found = _named(name, bundled, Scenario)
        values: dict[str, Any] = dict(_pair(change, parse_value) for change in changes)
        values.update({"seeds": seeds} if seeds is not None else {})
        values.update({"until": until} if until is not None else {})
        values.update({"peers": [each for each in peers.split(",") if each]} if peers is not None else {})
        values.update({"policy.sender": policy} if policy is not None else {})
        if images or not found.images:
            values.update(_pictures(images, captions))
        grid = {key: list(several) for key, several in (_several(each, parse_value) for each in vary)}
        if grid:
            values["vary"] = grid
        found = found.changed(values) if values else found
        for point in found.points:
            found.changed(point)  # what cannot be is said before anything is run
        check_names(found)
    return found


def link_of(name: str, changes: Sequence[str]) -> Preset:
    """The link of a scenario, changed."""
    from sim.scenario import Scenario, bundled, parse_value

    with telling(name):
        found = _named(name, bundled, Scenario)
        values = dict(_pair(change, parse_value) for change in changes)
        return (found.changed(values) if values else found).link


def _named(name: str, bundled: Callable[[], dict[str, Scenario]], kind: type[Scenario]) -> Scenario:
    from sim.presets import presets

    if name.endswith(".toml") or Path(name).is_file():
        return kind.load(name)
    if name in (scenarios := bundled()):
        return scenarios[name]
    if name in presets():
        return kind.of_link(name)
    raise Failure(name, "is no file, and no scenario or link of this name comes along; `layercast sim list` shows them")


def _pictures(images: Sequence[str], captions: Sequence[str]) -> dict[str, Any]:
    """The photos of the command line, or the bundled one."""
    if images:
        for image in images:
            if not Path(image).is_file():
                raise Failure(image, "no such file; check the name")
        return {"images": [str(Path(image).resolve()) for image in images], "captions": list(captions)}
    path = Path(str(files("layercast") / "assets" / BUNDLED))
    return {"images": [str(path)], "captions": [captions[0] if captions else BUNDLED_CAPTION]}


def _pair(text: str, parse: Callable[[str], Any]) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"{text!r}: give KEY=VALUE, such as link.loss=0.1")
    return key, parse(value)


def _several(text: str, parse: Callable[[str], Any]) -> tuple[str, list[Any]]:
    key, value = _pair(text, lambda each: each)
    whole = parse(value)
    return key, whole if isinstance(whole, list) else [parse(each) for each in value.split(",")]
