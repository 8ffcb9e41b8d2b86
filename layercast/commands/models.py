"""`layercast models`: the learned weights of this installation, and larger ones of others."""

from __future__ import annotations

import json

import click

from layercast.commands.report import Failure


@click.group()
def models() -> None:
    """List or verify the learned weights; fetch larger models of others that say what photos show."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a file.")
def list_(as_json: bool) -> None:
    """Every file of weights: its set, name, numbers, bytes and licence."""
    from codec.models import models as installed

    for model in installed():
        licence = model.licence.read_text().strip().splitlines()[0] if model.licence else "none given"
        if as_json:
            fields = {"set": model.set, "name": model.name, "parameters": model.parameters, "bytes": model.size}
            click.echo(json.dumps({**fields, "sha256": model.sha256, "licence": licence}))
        else:
            click.echo(f"{model.set:9} {model.name:20} {model.parameters:>11,} numbers {model.size:>11,} B  {licence}")


@models.command()
@click.argument("name", metavar="blip|blip2|florence2|sd15|sd-turbo|sdxl-turbo")
def pull(name: str) -> None:
    """Fetch a captioner (`encode --captioner`) or a painter (`decode --renderer diffusion --model`).

    At a pinned revision, from Hugging Face into its shared cache.
    """
    from codec.extract import foundation
    from codec.extract.foundation import NoModel
    from player.renderers import diffusion

    known = [*foundation.SOURCES, *diffusion.SOURCES]
    if name not in known:
        raise click.UsageError(f"no model {name!r} to pull; one of {', '.join(known)}")
    source = (foundation.SOURCES | diffusion.SOURCES)[name]
    click.echo(f"{source.repository}, {source.gigabytes:g} GB, licence of the weights: {source.licence}")
    try:
        if isinstance(source, diffusion.Source):
            folder = diffusion.pull(source)
        else:
            folder = foundation.pull(source)
    except NoModel as problem:
        raise Failure(name, str(problem)) from None
    click.echo(folder)


@models.command()
def verify() -> None:
    """Compare every file of weights with its checksum."""
    from codec.models import FOLDER
    from codec.models import models as installed
    from codec.models import verify as problems

    found = problems()
    for problem in found[1:]:
        click.echo(f"layercast: {FOLDER / problem}", err=True)
    if found:
        raise Failure(FOLDER / found[0], "install layercast anew")
    click.echo(f"{sum(1 for _ in installed())} files of weights, all as published")
