"""A scenario: which photos, over which link, sent how, seen against which peers. TOML in, plain fields out.

    photo.toml ─► Scenario.load ─► changed("link.loss", 0.1) ─► sim.experiment.run

docs/simulator.md says what each key means. What is wrong with a file is told in one line: the file, its line, what to
do.
"""

from __future__ import annotations

import copy
import math
import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from codec.plan import LAYERS
from sim.presets import Preset, presets, read_link
from sim.tables import Table, WrongTable

CHANNELS = ("udp", "quic", "webrtc", "ideal")
ANSWERED = ("quic", "webrtc")
"""Channels that open by a handshake, and whose packets only their ends can read."""
PEERS = (
    "progressive-jpeg", "progressive-jpeg-small", "jpegxl", "jpegxl-small", "jpeg2000", "thumbhash", "blurhash", "ssdv",
    "ssdv-small", "avif", "avif-75",
)  # fmt: skip
"""Peers that are known by name; `module:function` is one's own."""
RATES = ("auto", "known", "estimated")
DEFAULT_SECONDS = 600.0
MOST_RECEIVERS = 256


@dataclass(frozen=True)
class SendPolicy:
    """How our own stream is sent.

    Attributes:
        rate: whether the sender is told the link's rate: "known", "estimated", or "auto" (known where it can be).
        upto: the last layer that is sent.
        deadline: seconds after which nothing more is sent; None for never.
        copies: copies of each of the four classes unasked; None for the transport's own choice.
        loss, burst, protect_all: what a sender that nobody answers expects of the link, and whether it protects all, as
            `send --loss --burst --protect-first`.
        sender: one's own sender, made of a SenderConfig, in place of `transport.Sender`; "module:Class".
    """

    rate: str = "auto"
    upto: str = LAYERS[-1]
    deadline: float | None = None
    copies: tuple[int, ...] | None = None
    loss: float = 0.1
    burst: float | None = None
    protect_all: bool = True
    sender: str | None = None


@dataclass(frozen=True)
class Scenario:
    """What is to be tried. `values` is the table as written, for copies with changes and for the record.

    Attributes:
        name, about: for people.
        images: photos, or streams (`.lcast`), whose own whole picture is then the reference.
        captions: one a photo, or none.
        link: the way there and back.
        policy: how our stream is sent.
        channel: of CHANNELS.
        seeds: one run each.
        until: seconds that a run lasts at most.
        receivers: of a broadcast, each with its own losses and delay; none for one receiver.
        looks: times (seconds) at which the picture is looked at, ascending.
        peers: who else sends the same photo over the same link.
        vary: (key, values) of a sweep.
    """

    name: str
    link: Preset
    values: Mapping[str, Any] = field(repr=False, compare=False)
    folder: Path = field(repr=False, compare=False)
    about: str = ""
    images: tuple[Path, ...] = ()
    captions: tuple[str, ...] = ()
    policy: SendPolicy = SendPolicy()
    channel: str = "udp"
    seeds: tuple[int, ...] = (0,)
    until: float = DEFAULT_SECONDS
    receivers: tuple[Preset, ...] = ()
    looks: tuple[float, ...] = ()
    peers: tuple[str, ...] = ()
    vary: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @classmethod
    def load(cls, path: str | Path) -> Scenario:
        """The scenario in a file. Raises OSError, WrongTable."""
        return cls.parse(Path(path).read_text(encoding="utf-8"), str(path), Path(path).parent)

    @classmethod
    def parse(cls, text: str, name: str, folder: Path = Path()) -> Scenario:
        """The scenario in a text."""
        Table.parse(text, name)
        return read_scenario(tomllib.loads(text), name, folder, text)

    @classmethod
    def of_link(cls, preset: str) -> Scenario:
        """The plainest scenario over a preset. KeyError for one that there is not."""
        found = presets()[preset]
        values = {"name": preset, "about": found.about, "link": {"preset": preset}}
        return read_scenario(values, preset, Path(), "")

    def changed(self, changes: Mapping[str, Any]) -> Scenario:
        """The same with other values, by their keys ("link.loss"). Raises WrongTable."""
        values = {"name": self.name, **copy.deepcopy(dict(self.values))}
        for key, value in changes.items():
            _put(values, key, value)
        return read_scenario(values, self.name, self.folder, "")

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """The changes of each point of the sweep; one without any if nothing varies."""
        found: list[dict[str, Any]] = [{}]
        for key, values in self.vary:
            found = [{**point, key: value} for point in found for value in values]
        return found


def read_scenario(values: Mapping[str, Any], name: str, folder: Path, text: str = "") -> Scenario:
    """A scenario of a table. Raises WrongTable."""
    table = Table(values, name, "", text)
    link = table.sub("link")
    if link is None:
        table.fail("link", "is missing; say which: [link] with preset = NAME or rate = BIT/S")
    until = float(table.number("until", DEFAULT_SECONDS, above=0, high=1e8))
    there = read_link(link, folder=folder)
    scenario = Scenario(
        name=table.text("name", Path(name).stem),
        link=there,
        values=values,
        folder=folder,
        about=table.text("about", ""),
        images=_images(table, folder),
        captions=table.texts("captions"),
        policy=_policy(table.sub("policy")),
        channel=table.text("channel", CHANNELS[0], CHANNELS),
        seeds=_seeds(table),
        until=until,
        receivers=_receivers(table, there),
        looks=_looks(table, until),
        peers=_peers(table),
        vary=_vary(table),
    )
    table.done()
    if scenario.channel in ANSWERED and not scenario.link.feedback:
        raise WrongTable(f"{name}: channel {scenario.channel} needs an answer; this link gives none (feedback = false)")
    if scenario.receivers and (scenario.link.feedback or scenario.channel != CHANNELS[0]):
        raise WrongTable(f"{name}: receivers of a broadcast do not answer; give link.feedback = false and channel udp")
    if len(scenario.captions) not in (0, len(scenario.images)):
        table.fail(
            "captions", f"are {len(scenario.captions)} for {len(scenario.images)} images; give one each, or none"
        )
    return scenario


def _receivers(table: Table, link: Preset) -> tuple[Preset, ...]:
    """How many, or a table of each with what is otherwise than on the link."""
    given = table.take("receivers", [])
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= MOST_RECEIVERS:
        given = [{}] * given
    tables = isinstance(given, list) and len(given) <= MOST_RECEIVERS and all(isinstance(each, dict) for each in given)
    if not tables:
        table.fail("receivers", f"is {given!r}; give how many, or a list of tables such as {{ loss = 0.3 }}")
    like = replace(link, name="receiver", cross=0, back=None)
    return tuple(read_link(Table(each, table.name, f"receivers {n}"), like=like) for n, each in enumerate(given, 1))


def _images(table: Table, folder: Path) -> tuple[Path, ...]:
    found = []
    for name in table.texts("images"):
        path = folder / name
        if not path.is_file():
            table.fail("images", f"names {str(path)!r}, which is no file; check the name")
        found.append(path)
    return tuple(found)


def _seeds(table: Table) -> tuple[int, ...]:
    value = table.take("seeds", 1)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 100_000:
        return tuple(range(value))
    good = isinstance(value, list) and value and all(isinstance(each, int) and each >= 0 for each in value)
    if not good:
        table.fail("seeds", f"is {value!r}; give how many, or a list of whole numbers")
    return tuple(value)


def _looks(table: Table, until: float) -> tuple[float, ...]:
    """Given, or 1-2-5 steps over four decades up to the end."""
    given = table.numbers("looks")
    if given is not None:
        if not given or list(given) != sorted(set(given)):
            table.fail("looks", "must be times in seconds, ascending")
        return tuple(float(each) for each in given)
    decades = range(math.floor(math.log10(until)) - 3, math.ceil(math.log10(until)) + 1)
    steps = [round(step * 10.0**decade, 6) for decade in decades for step in (1, 2, 5)]
    return (*(step for step in steps if until / 2000 <= step < until), until)


def _policy(table: Table | None) -> SendPolicy:
    if table is None:
        return SendPolicy()
    copies = table.numbers("copies", low=1, whole=True)
    if copies is not None and len(copies) != 4:
        table.fail("copies", f"has {len(copies)} numbers; give four: base, structure, latent, residual")
    sender = table.text("sender")
    if sender is not None and not re.fullmatch(r"[\w.]+:\w+", sender):
        table.fail("sender", f"is {sender!r}; give module:Class")
    policy = SendPolicy(
        rate=table.text("rate", RATES[0], RATES),
        upto=table.text("upto", LAYERS[-1], LAYERS),
        deadline=table.number("deadline", above=0),
        copies=tuple(int(each) for each in copies) if copies is not None else None,
        loss=table.number("loss", SendPolicy.loss, low=0, below=1),
        burst=table.number("burst", low=1),
        protect_all=bool(table.flag("protect_all", SendPolicy.protect_all)),
        sender=sender,
    )
    table.done()
    return policy


def _peers(table: Table) -> tuple[str, ...]:
    found = table.texts("peers")
    for name in found:
        if ":" not in name and name not in PEERS:
            table.fail("peers", f"has {name!r}; known are {', '.join(PEERS)}, and module:function is your own")
    return found


def _vary(table: Table) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    given = table.take("vary", {})
    if not isinstance(given, dict):
        table.fail("vary", "is no table; give [vary] with lines KEY = [VALUES]")
    for key, values in given.items():
        if not isinstance(values, list) or not values:
            table.fail("vary", f"has {key!r} = {values!r}; give a list of values")
    return tuple((key, tuple(values)) for key, values in given.items())


def load_object(name: str) -> Callable[..., Any]:
    """What `module:attribute` names. Raises WrongTable if there is none."""
    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found: Callable[..., Any] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise WrongTable(f"{name}: cannot be imported ({error}); give module:Class, found from where you are") from None
    return found


def bundled() -> dict[str, Scenario]:
    """The scenarios that come along, by name."""
    found = {}
    for file in sorted(files("sim").joinpath("scenarios").iterdir(), key=lambda file: file.name):
        name = file.name.removesuffix(".toml")
        found[name] = Scenario.parse(file.read_text(encoding="utf-8"), file.name)
    return found


def parse_value(text: str) -> Any:
    """A value from a command line: TOML if it is, else a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *tables, last = key.split(".")
    for name in tables:
        inner = values.setdefault(name, {})
        if not isinstance(inner, dict):
            raise WrongTable(f"{key}: {name} is no table")
        values = inner
    values[last] = value


def _said(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in changes.items())


def said(changes: Mapping[str, Any], names: Sequence[str] = ()) -> str:
    """Changes in a few words for a table or a plot."""
    return _said({key: changes[key] for key in names or changes})
