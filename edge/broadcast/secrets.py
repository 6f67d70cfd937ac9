"""Tokens and passwords: from a file or the environment, never from the process list."""

from __future__ import annotations

import os
import secrets
from collections.abc import MutableMapping
from pathlib import Path

from edge.errors import EdgeError

MAX_BYTES = 1024
MIN_TOKEN = 16
# What stands in a URL, a header and a cookie as it is.
_TOKEN_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


class SecretError(EdgeError):
    """A token or password is missing, or cannot be used."""


def read_secret(
    path: Path | None, variable: str, environ: MutableMapping[str, str] | None = None
) -> str:
    """Return what the file holds, else the variable, else "".

    The variable is taken out of the environment: what this process starts need not know it.
    Raises: SecretError: it is empty, too large or no line of text; OSError: it cannot be read.
    """
    environ = os.environ if environ is None else environ
    given = environ.pop(variable, "")
    if path is None:
        return _checked(given, f"${variable}")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        text = data.decode().strip("\r\n")
    except UnicodeDecodeError as cause:
        raise SecretError(f"{path}: not UTF-8; allowed: one line of text") from cause
    if not text:
        raise SecretError(f"{path}: it is empty; write the secret into it, one line of text")
    return _checked(text, str(path))


def _checked(text: str, where: str) -> str:
    if len(text.encode(errors="surrogateescape")) > MAX_BYTES or not all(
        character.isprintable() for character in text
    ):
        raise SecretError(
            f"{where}: allowed: one line of printable text, {MAX_BYTES} bytes at most"
        )
    return text


def check_token(token: str) -> str:
    """Return `token`. Raises: SecretError: it is too short, or has other characters."""
    if len(token) < MIN_TOKEN or not set(token) <= _TOKEN_CHARACTERS:
        raise SecretError(
            f"a token of {len(token)} characters; allowed: {MIN_TOKEN} or more of A-Z, a-z, 0-9, "
            "-, _, . and ~, such as `openssl rand -hex 16` gives"
        )
    return token


def new_token() -> str:
    """Return a token that cannot be guessed: 160 bits."""
    return secrets.token_urlsafe(20)
