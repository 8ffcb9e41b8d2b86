"""Options for secrets: tokens that admit, keys that seal. None is shown; a passphrase stands in no command line."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.report import Failure

if TYPE_CHECKING:
    from transport.seal import SealKey

PASSPHRASE = "LAYERCAST_PASSPHRASE"


def token_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--token, --token-file or the environment, handed on as `token`; empty for none."""

    @click.option("--token", metavar="T", help="The secret that the serving end gave.  [environment: LAYERCAST_TOKEN]")
    @click.option("--token-file", metavar="FILE", help="Read it from a file that others cannot read.")
    @functools.wraps(command)
    def with_token(token: str | None, token_file: str | None, **others: Any) -> Any:
        return command(token=_token(token, token_file), **others)

    return with_token


def _token(given: str | None, file: str | None) -> str:
    from transport.token import TokenError, read_tokens

    if given is not None and file is not None:
        raise click.UsageError("--token and --token-file exclude one another")
    try:
        found = read_tokens(given, file)
    except TokenError as error:
        raise Failure("--token-file", f"{error}; name one that you alone can read") from None
    if len(found) > 1:
        raise Failure(file or "", f"holds {len(found)} tokens; one is used, take the others out")
    return found[0] if found else ""


def seal_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--seal and --seal-passphrase, handed on as `seal`: a SealKey or None."""

    @click.option("--seal", "key_file", metavar="KEYFILE", help="Seal end to end with this key (`layercast key new`).")
    @click.option(
        "--seal-passphrase", "asked", is_flag=True, help=f"The same, by a passphrase: asked for, or {PASSPHRASE}."
    )
    @functools.wraps(command)
    def with_seal(key_file: str | None, asked: bool, **others: Any) -> Any:
        if key_file is not None and asked:
            raise click.UsageError("--seal and --seal-passphrase exclude one another")
        return command(seal=_key(key_file) if key_file is not None else _asked_key() if asked else None, **others)

    return with_seal


def _key(path: str) -> SealKey:
    from transport.seal import SealError, SealKey

    try:
        if os.name == "posix" and os.path.exists(path) and os.stat(path).st_mode & 0o007:
            raise Failure(path, "this key can be read by everybody; chmod 600 it, or make another")
        return SealKey.from_file(path)
    except SealError as error:
        raise Failure(path, f"is no key ({error}); make one with `layercast key new -o FILE`") from None


def _asked_key() -> SealKey:
    from transport.seal import SealError, SealKey

    passphrase = os.environ.get(PASSPHRASE)
    if passphrase is None:
        if not sys.stdin.isatty():
            raise Failure("--seal-passphrase", f"there is no terminal to ask on; set {PASSPHRASE}")
        passphrase = str(click.prompt("passphrase of the seal", hide_input=True, err=True))
    try:
        return SealKey.from_passphrase(passphrase)
    except SealError as error:
        raise Failure("--seal-passphrase", f"{error}; choose a longer one") from None
