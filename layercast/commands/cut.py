"""`layercast cut`: a shorter stream, without decoding anything."""

from __future__ import annotations

import click

from layercast.commands.report import Failure, failing, save, warn


@click.command()
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT", required=True, help="Where to write the shorter stream.")
@click.option("--bytes", "size", type=click.IntRange(min=1), metavar="N", help="Keep the first N bytes.")
@click.option(
    "--upto",
    type=click.Choice(["caption", "structure", "latent", "residual"]),
    help="Keep the layers up to this one, in their order.",
)
def cut(source: str, output: str, size: int | None, upto: str | None) -> None:
    """Shorten a stream: to a number of bytes or up to a layer.

    Every prefix of a stream is a stream. With both options, the layers are chosen first.
    """
    from layercast.stream import Stream

    if size is None and upto is None:
        raise click.UsageError("say how far: --bytes N or --upto LAYER")
    with failing(source):
        stream = Stream.load(source)
        if upto is not None:
            stream = stream.upto(upto)
    if size is not None and size > len(stream):
        warn(source, f"has {len(stream)} bytes; nothing is cut off")
    elif size is not None:
        try:
            stream = stream.cut(size)
        except ValueError as error:
            raise Failure(source, f"{error}; ask for more bytes") from None
    save(output, stream.data)
    click.echo(f"{output}: {len(stream)} bytes, {len(stream.frames)} chunks")
