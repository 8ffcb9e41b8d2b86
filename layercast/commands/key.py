"""`layercast key`: keys that seal pictures from end to end."""

from __future__ import annotations

import os
import secrets

import click

from layercast.commands.report import Failure


@click.group()
def key() -> None:
    """Make a key for --seal."""


@key.command()
@click.option("-o", "--output", metavar="FILE", required=True, help="Where it is put; nothing there is replaced.")
def new(output: str) -> None:
    """A new random key in a file that only its owner can read. Bring it to the other ends by a way that you trust."""
    from transport.seal import KEY_BYTES

    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failure(
            output, "is there already; a key that is lost opens nothing any more, choose another name"
        ) from None
    except OSError as error:
        raise Failure(output, f"cannot be written ({error.strerror}); choose another place") from None
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    click.echo(f"{output}: a new key; whoever has it can read and can seal")
