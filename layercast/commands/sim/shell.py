"""`layercast sim shell`: any program behind a modelled link."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layercast.commands.report import Failure, failing
from layercast.commands.sim.naming import link_of

if TYPE_CHECKING:
    from sim.shell import Shell


@click.command()
@click.argument("scenario", metavar="SCENARIO")
@click.argument("command", metavar="[-- COMMAND ...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--far", metavar="COMMAND", help="Run this at the other end, in a network of its own.")
@click.option("--sends", is_flag=True, help="COMMAND is the sender: the link's way there leads away from it.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a value: link.loss=0.1")
@click.option("--seed", default=1, show_default=True, help="Chooses which packets are lost.")
@click.option("--packets", metavar="FILE", help="Keep all packets: a packet log, or a capture if it ends in .pcap.")
def shell(
    scenario: str,
    command: Sequence[str],
    far: str | None,
    sends: bool,
    changes: Sequence[str],
    seed: int,
    packets: str | None,
) -> None:
    """Run a program behind the link of SCENARIO, in real time; your shell if none is given.

    Its only network is the link. As root, the other end is this computer itself, at an address that is told; with
    --far, and for others than root, it is a network of its own, in which --far COMMAND runs. LAYERCAST_HERE
    and LAYERCAST_THERE hold both addresses. The exit status is the program's. Linux only; without root the kernel must
    allow user namespaces.
    """
    from sim.shell import Shell
    from sim.wire import WireUnavailable

    link = link_of(scenario, changes)
    log = None if packets is None else Path(packets).absolute()
    if log is not None:
        with failing(log):
            log.touch()
    words = list(command) or [os.environ.get("SHELL", "/bin/sh")]
    try:
        with Shell(link, sends, _split(far), seed, log) as behind:
            about = f" ({link.about})" if link.about else ""
            click.echo(f"layercast: {scenario}{about}: {_ends(behind, far)}", err=True)
            status = behind.run(words)
    except WireUnavailable as error:
        raise Failure(scenario, str(error)) from None
    sys.exit(status)


def _split(far: str | None) -> list[str] | None:
    try:
        words = None if far is None else shlex.split(far)
    except ValueError as error:
        raise click.UsageError(f"--far: {str(error).lower()}") from None
    if words == []:
        raise click.UsageError("--far: is empty; give a command")
    return words


def _ends(behind: Shell, far: str | None) -> str:
    """Which address is which."""
    if far is not None:
        what = f"where `{far}` runs"
    elif behind.on_host:
        what = "this computer itself"
    else:
        what = "an empty network (--far COMMAND runs something there; root reaches this computer)"
    return f"here is {behind.here}, the other end is {behind.there}, {what}"
