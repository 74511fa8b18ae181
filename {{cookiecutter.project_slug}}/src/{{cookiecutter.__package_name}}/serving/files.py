"""The files that a server is given, checked before anything is made of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ..plumbing.errors import StageError

if TYPE_CHECKING:
    from pathlib import Path

#: Characters of a token, at least: a shorter one can be guessed.
TOKEN_LENGTH = 16


def read_verified(path: Path, sha256: str | None) -> tuple[bytes, str]:
    """Return the bytes of a model's file, and their sha256, which must be ``sha256``; None: any.

    Raises :class:`StageError` otherwise: nobody has read the bytes as a model by then.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StageError(f"{path}: {error.strerror}; `make train` makes the model") from None
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and sha256 != digest:
        raise StageError(
            f"{path} has sha256 {digest}, and {sha256} is to be served; fetch the model again"
        )
    return data, digest


def read_tokens(path: Path) -> list[bytes]:
    """Return the tokens in a file, one a line; several, so that one can replace another."""
    try:
        lines = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: the tokens cannot be read: {error}") from None
    short = [number for number, line in enumerate(lines, start=1) if len(line) < TOKEN_LENGTH]
    hint = "`openssl rand -hex 32` makes one"
    if short:
        limit = f"shorter than {TOKEN_LENGTH} characters"
        raise StageError(f"{path}: token {short[0]} is {limit}; {hint}")
    if not lines:
        raise StageError(f"{path}: there is no token; {hint}")
    return [line.encode() for line in lines]
