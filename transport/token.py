"""Bearer tokens: made, read from where secrets are kept, and compared in constant time.

Only hashes under a key of this process are kept and compared: the time that a comparison takes tells nothing of a
token, not even its length, and what is kept helps nobody who gets to see it.
"""

import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "LAYERCAST_TOKEN"
RANDOM_BYTES: Final = 24
MOST: Final = 4096
"""Characters of a token that anybody may present; longer ones are wrong without a look."""
SHORTEST: Final = 16
"""Characters below which a token can be guessed over a network."""


class TokenError(ValueError):
    """No token where one should be, or one that protects nothing. The message never holds the token."""


class Tokens:
    """The tokens that open a door. Raises TokenError for one that is too short to protect it."""

    __slots__ = ("_hashes", "_key")

    def __init__(self, tokens: Iterable[str]) -> None:
        found = list(tokens)
        if not found:
            raise TokenError("no token is given")
        if min(map(len, found)) < SHORTEST:
            raise TokenError(f"a token has at least {SHORTEST} characters")
        self._key = secrets.token_bytes(32)
        self._hashes = tuple(self._hash(token) for token in found)

    def accept(self, presented: str | None) -> bool:
        """Whether this is one of them. Every token is compared, whatever the outcome of those before."""
        wrong = presented is None or len(presented) > MOST
        digest = self._hash("" if wrong or presented is None else presented)
        matches = [hmac.compare_digest(digest, known) for known in self._hashes]
        return any(matches) and not wrong

    def accept_header(self, value: str | None) -> bool:
        """Whether an HTTP `Authorization` header presents one of them as a bearer."""
        scheme, _, rest = (value or "").partition(" ")
        return self.accept(rest.strip() if scheme.lower() == "bearer" else None)

    def _hash(self, token: str) -> bytes:
        return hmac.digest(self._key, token.encode("utf-8", "surrogatepass"), "sha256")

    def __repr__(self) -> str:
        return f"Tokens({len(self._hashes)})"

    def __reduce__(self) -> str:
        raise TypeError("tokens are not pickled")


def make_token() -> str:
    """A new random token of 32 characters that stand unquoted in a URL and in a shell."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def read_tokens(
    given: str | None = None, file: str | Path | None = None, environment: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The tokens of an option, else of a file (a line each, # begins a comment), else of LAYERCAST_TOKEN; or none.

    Raises TokenError for a file that cannot be read, holds none, or can be read by everybody.
    """
    if given is not None:
        return (given,)
    if file is not None:
        return _of_file(Path(file))
    found = (os.environ if environment is None else environment).get(VARIABLE, "").strip()
    return (found,) if found else ()


def _of_file(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8")
        open_to_all = os.name == "posix" and path.stat().st_mode & 0o007
    except (OSError, UnicodeDecodeError):
        raise TokenError(f"{path} cannot be read as a file of tokens") from None
    if open_to_all:
        raise TokenError(f"{path} can be read by everybody; chmod 600 it")
    lines = (line.strip() for line in text.splitlines())
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not found:
        raise TokenError(f"{path} holds no token")
    return found
