"""`layercast sim`: one's own stream and its peers over a modelled link, in virtual time."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from layercast.commands.sim.experiments import report, run, sweep
from layercast.commands.sim.packets import replay, trace
from layercast.commands.sim.shell import shell


@click.group("sim")
def sim() -> None:
    """Send photos over modelled links in virtual time: what is to be seen when, beside other codecs.

    Hours pass in seconds, and the same seed gives the same run. SCENARIO is a TOML file, or the name of a scenario or a
    link that `layercast sim list` shows. docs/simulator.md says all.
    """


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON each.")
def list_(as_json: bool) -> None:
    """List links, scenarios and peers."""
    from sim.presets import presets
    from sim.scenario import PEERS, bundled

    if as_json:
        for preset in presets().values():
            facts = {name: value for name, value in asdict(preset).items() if value not in (None, (), "")}
            click.echo(json.dumps({"kind": "link", **facts, "packet": preset.packet_size}, default=str))
        for name, found in bundled().items():
            click.echo(json.dumps({"kind": "scenario", "name": name, "about": found.about}))
        for name in PEERS:
            click.echo(json.dumps({"kind": "peer", "name": name}))
        return
    click.echo("links")
    for preset in presets().values():
        click.echo(f"  {preset.name:20} {preset.packet_size:>5} B  {preset.about}")
    click.echo("\nscenarios")
    for name, found in bundled().items():
        click.echo(f"  {name:20}          {found.about}")
    click.echo(f"\npeers\n  {', '.join(PEERS)}")


for command in (run, sweep, list_, replay, trace, report, shell):
    sim.add_command(command)
