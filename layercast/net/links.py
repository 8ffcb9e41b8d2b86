"""Presets of links, as `assets/links.toml` lists them: what a sender, a plan and a simulation need to know of one."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any

from sim.airtime import AirLink, Lora
from transport import Policy, SenderConfig, packet_size

SINGLE = (Policy(must_send=True), Policy(), Policy(), Policy())
"""Each class once, for links that deliver or say that they did not."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A link by its figures; `assets/links.toml` says what each means. Raises ValueError for impossible ones."""

    name: str
    about: str = ""
    rate: float | None = None
    lora: Lora | None = None
    packet: int | None = None
    overhead: int = 28
    gap: float = 0.0
    rtt: float = 0.0
    loss: float = 0.0
    duty: float = 1.0
    feedback: bool = True
    copies: bool = True
    billed: int | None = None
    approximate: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.lora is None):
            raise ValueError("a link has a rate or LoRa's settings")
        if not 0 <= self.loss < 1 or (self.billed is not None and self.billed < 1):
            raise ValueError("the share lost is 0 or more and below 1, a unit that is billed at least 1 B")
        _ = self.link, self.config()

    @property
    def link(self) -> AirLink:
        """The link for `sim.run.Transfer`, the same both ways."""
        rate = self.rate if self.rate is not None else 1.0  # LoRa's airtime does not look at it
        return AirLink(
            rate=rate,
            delay=self.rtt / 2,
            loss=self.loss,
            overhead=self.overhead,
            gap=self.gap,
            duty=self.duty,
            lora=self.lora,
        )

    @property
    def packet_size(self) -> int:
        """Bytes of the largest datagram."""
        return self.packet if self.packet is not None else packet_size(self.rate or 0.0)

    def config(self) -> SenderConfig:
        """Settings of a sender that knows this link."""
        return SenderConfig(
            packet_size=self.packet_size,
            overhead=self.overhead,
            rate=self.link.sustained(self.packet_size),
            initial_rtt=max(self.rtt, 0.05),
            feedback=self.feedback,
            policies=None if self.copies else SINGLE,
        )


def presets() -> dict[str, Preset]:
    """All presets by name, in the order of the file."""
    text = files("layercast").joinpath("assets", "links.toml").read_text(encoding="utf-8")
    return {name: parse(name, table) for name, table in tomllib.loads(text).items()}


def parse(name: str, table: dict[str, Any]) -> Preset:
    """A preset of a table of TOML. Raises ValueError for a table that is none."""
    known = {field.name for field in fields(Preset)} - {"name"}
    if unknown := set(table) - known:
        raise ValueError(f"{name}: {', '.join(sorted(unknown))} is not known of a link")
    values = dict(table)
    try:
        if "lora" in values:
            values["lora"] = Lora(**values["lora"])
        if "approximate" in values:
            values["approximate"] = tuple(values["approximate"])
        return Preset(name=name, **values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
