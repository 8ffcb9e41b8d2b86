"""`layercast plan`: what each layer of a stream would cost on a link, before anything is sent."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.report import failing

if TYPE_CHECKING:
    from layercast.net.costs import Cost, LayerCost
    from sim.presets import Preset

UNITS = (("d", 86400), ("h", 3600), ("min", 60))
ADDED = ("packets", "wire", "airtime", "units")
_NUMBERS = ("rate", "packet", "overhead", "gap", "rtt", "loss", "duty")


@click.command()
@click.argument("source", metavar="IN", required=False)
@click.option("--link", metavar="PRESET", help="A link by name; --list shows them.")
@click.option("--rate", type=click.FloatRange(1), metavar="BIT/S", help="Rate of the link.")
@click.option("--packet", type=click.IntRange(40, 65507), metavar="BYTES", help="Largest datagram.")
@click.option("--overhead", type=click.IntRange(0, 1000), metavar="BYTES", help="What the layers below add to each.")
@click.option("--gap", type=click.FloatRange(0), metavar="SECONDS", help="What each packet takes beyond its bits.")
@click.option("--rtt", type=click.FloatRange(0), metavar="SECONDS", help="Round trip.")
@click.option("--loss", type=click.FloatRange(0, 0.9), metavar="SHARE", help="Packets lost, 0 to 0.9.")
@click.option("--duty", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE", help="Time on the air allowed.")
@click.option("--one-way/--feedback", "one_way", default=None, help="Whether anybody answers.")
@click.option("--price-message", type=click.FloatRange(0), default=0.0, metavar="MONEY", help="For each packet.")
@click.option("--price-unit", type=click.FloatRange(0), default=0.0, metavar="MONEY", help="For each unit billed.")
@click.option("--price-mb", type=click.FloatRange(0), default=0.0, metavar="MONEY", help="For each MB on the wire.")
@click.option("--seed", type=int, default=0, help="Of the losses.")
@click.option("--list", "listing", is_flag=True, help="List the presets.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each layer.")
def plan(
    source: str | None,
    link: str | None,
    one_way: bool | None,
    price_message: float,
    price_unit: float,
    price_mb: float,
    seed: int,
    listing: bool,
    as_json: bool,
    **numbers: Any,
) -> None:
    """Tell what each layer of a stream would cost on a link: packets, bytes, seconds, airtime, messages.

    The stream is sent over the link in virtual time, up to each of its layers by itself and as a whole. Numbers given
    beside a preset replace the preset's.
    """
    if listing:
        _list(as_json)
        return
    if source is None:
        raise click.UsageError("name a stream, or --list the presets")
    preset = _preset(link, one_way, {name: value for name in _NUMBERS if (value := numbers[name]) is not None})
    prices = (price_message, price_unit, price_mb)
    from layercast.net.costs import layer_costs
    from layercast.stream import Stream

    with failing(source):
        found = layer_costs(Stream.load(source), preset, Path(source).name, seed)
    if as_json:
        _print_json(source, preset, found, prices)
    else:
        _print(source, preset, found, prices)


def _preset(link: str | None, one_way: bool | None, numbers: dict[str, Any]) -> Preset:
    """The preset by name with the numbers given instead of its own, or a link of the numbers alone."""
    from dataclasses import replace

    from sim.presets import Preset, presets

    if link is None and "rate" not in numbers:
        raise click.UsageError("say which link: --link PRESET or --rate BIT/S")
    known = presets()
    if link is not None and link not in known:
        raise click.UsageError(f"there is no preset {link!r}; --list shows them")
    changes: dict[str, Any] = dict(numbers)
    if one_way is not None:
        changes["feedback"] = not one_way
    if "rate" in changes and link is not None:
        changes.update(lora=None, fading=None, course=None)
    if "rtt" in changes:
        changes["delay"] = None
    try:
        return replace(known[link], **changes) if link is not None else Preset(name="given", **changes)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _list(as_json: bool) -> None:
    from sim.presets import presets

    for preset in presets().values():
        if as_json:
            facts = {name: value for name, value in asdict(preset).items() if value is not None}
            click.echo(json.dumps({**facts, "packet": preset.packet_size}))
            continue
        about = f" ({', '.join(preset.approximate)}: about)" if preset.approximate else ""
        click.echo(f"{preset.name:20} {preset.packet_size:>5} B  {preset.about}{about}")


def _print_json(source: str, preset: Preset, found: list[LayerCost], prices: tuple[float, float, float]) -> None:
    before: dict[str, Any] = dict.fromkeys(ADDED, 0)
    for each in found:
        cost = asdict(each.alone)
        added = {name: cost[name] - before[name] for name in ADDED if cost[name] is not None}
        facts = {"file": source, "link": preset.name, "upto": each.layer, "bytes": each.bytes, **cost, "added": added}
        click.echo(json.dumps({**facts, "price": each.alone.price(*prices), "seconds_in_whole": each.whole}))
        before = cost


def _print(source: str, preset: Preset, found: list[LayerCost], prices: tuple[float, float, float]) -> None:
    click.echo(f"{source} over {preset.name}{': ' if preset.about else ''}{preset.about}")
    if preset.approximate:
        click.echo(f"about, since links differ: {', '.join(preset.approximate)}")
    heads = ["up to", "bytes", "packets", "more", "on the wire", "on the air", "there after", "of the whole, after"]
    heads += ["billed"] * (preset.billed is not None) + ["price"] * any(prices)
    earlier = [0, *(each.alone.packets for each in found)]
    rows = [_row(each, before, prices) for each, before in zip(found, earlier, strict=False)]
    widths = [max(len(row[place]) for row in [heads, *rows]) for place in range(len(heads))]
    for row in [heads, *rows]:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join([first.strip().ljust(widths[0]), *others]))
    _print_notes(preset, found[-1].alone if found else None)


def _row(each: LayerCost, before: int, prices: tuple[float, float, float]) -> list[str]:
    """The cells of a layer; `before`: packets up to the layer before it."""
    cost = each.alone
    row = [each.layer, f"{each.bytes:,}", f"{cost.packets:,}", f"{cost.packets - before:+,}", f"{cost.wire:,} B"]
    row += [_time(cost.airtime), _time(cost.seconds), _time(each.whole)]
    row += [f"{cost.units:,}"] if cost.units is not None else []
    return row + ([f"{cost.price(*prices):.2f}"] if any(prices) else [])


def _print_notes(preset: Preset, last: Cost | None) -> None:
    if last is None:
        return
    if last.back_packets:
        click.echo(
            f"answers: {last.back_packets:,} packets, {last.back_wire:,} B, {_time(last.back_airtime)} on the air"
        )
    elif preset.copies:
        click.echo("nobody answers: the first layers go more than once")
    if last.seconds is None:
        click.echo(f"with {preset.loss:.0%} of the packets lost not everything arrives")
    if preset.billed is not None:
        click.echo(f"billed: units of {preset.billed} B begun, message by message")


def _time(seconds: float | None) -> str:
    """Seconds, and beyond ten minutes what people count in as well."""
    if seconds is None:
        return "never"
    if seconds < 600:
        return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"
    unit, length = next((each for each in UNITS if seconds >= 2 * each[1]), UNITS[-1])
    return f"{seconds:,.0f} s ({seconds / length:.1f} {unit})"
