"""What the request log keeps of a row: the block `requests` of monitor.yaml, applied.

A column is kept as it was sent, replaced by a salted digest, or left out, and so are the ids. No
I/O but for the settings and the salt, which are read once.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from ..plumbing.documents import read_yaml
from ..plumbing.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

#: Of monitor.yaml; all but `requests` are the toolkit's.
BLOCKS = ("version", "requests", "source", "labels", "alerts", "retrain")
SALT = "salt"
_SALT_BYTES = 32
_DIGITS = 32  # of a digest, in hexadecimal
_TWO_TO_64 = 2**64


_Rule = Literal["keep", "hash", "drop"]


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much is logged, and what of it."""

    sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0  # share of the rows
    max_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1_000_000_000  # a day, on disk
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 90
    ids: _Rule = "keep"
    columns: dict[str, _Rule] = {}


def read_log_settings(path: Path, inputs: Collection[str]) -> LogSettings:
    """Return the block `requests` of a file; without the file or the block, what is the default.

    Raises :class:`StageError` for a column that is none of the model's ``inputs``, and for a block
    that nobody reads: no slip of the pen must leave a column unprotected.
    """
    if not path.is_file():
        return LogSettings()
    content = read_yaml(path)
    if content is None:
        return LogSettings()
    if not isinstance(content, dict):
        raise StageError(f"{path}: `requests:` and other blocks were expected")
    for name in map(str, content):
        if name not in BLOCKS:
            raise StageError(f"{path}: `{name}:` is not read; the blocks are {', '.join(BLOCKS)}")
    block = content.get("requests")
    try:
        settings = msgspec.convert({} if block is None else block, LogSettings)
    except msgspec.ValidationError as error:
        raise StageError(f"{path}: requests: {error}") from None
    for name in sorted(settings.columns.keys() - set(inputs)):
        raise StageError(f"{path}: requests: column {name} is not an input; those are: {[*inputs]}")
    return settings


def read_salt(folder: Path) -> bytes:
    """Return the salt of a log's folder, made once: equal values have equal digests there."""
    path = folder / SALT
    try:
        salt = path.read_bytes() if path.is_file() else _make_salt(path)
    except OSError as error:
        raise StageError(f"{path}: the salt cannot be read: {error.strerror}") from error
    if len(salt) != _SALT_BYTES:
        raise StageError(f"{path}: {len(salt)} bytes are no salt; remove the file to make another")
    return salt


def _make_salt(path: Path) -> bytes:
    """Write a salt whole or not at all; of two servers that begin together, one makes it."""
    draft = path.with_name(f".{SALT}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SALT_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_bytes()


class Redaction:
    """Takes what may be logged out of the columns of a request, and of its ids."""

    def __init__(self, settings: LogSettings, folder: Path, inputs: Sequence[str]) -> None:
        rules = {name: settings.columns.get(name, "keep") for name in inputs}
        self._ids = settings.ids
        self._share = settings.sample
        is_salted = 0 < self._share < 1 or "hash" in (self._ids, *rules.values())
        self._salt = read_salt(folder) if is_salted else b""
        self._is_hashed = {name: rule == "hash" for name, rule in rules.items() if rule != "drop"}

    def __call__(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the values of the inputs that are logged, of those that were sent.

        They are in the model's order; a missing value stays missing.
        """
        return {
            name: [*map(self._hash, columns[name])] if is_hashed else columns[name]
            for name, is_hashed in self._is_hashed.items()
            if name in columns
        }

    def rename(
        self, request_id: str, ids: Sequence[str | int] | None, rows: int
    ) -> tuple[str, list[str] | None]:
        """Return what is logged as the ids of a request and of its rows.

        None for the rows: each is `<request's>/<row>`. Ids that are dropped get others, which
        nobody knows.
        """
        if self._ids == "drop":
            return secrets.token_hex(_DIGITS // 2), None
        names = None if ids is None else [*map(str, ids)]
        if self._ids == "keep":
            return request_id, names
        if names is None:
            names = [f"{request_id}/{row}" for row in range(rows)]
        return self._digest(request_id), [*map(self._digest, names)]

    def is_sampled(self, name: str) -> bool:
        """Tell whether the row or request of this id is logged: the same one every time.

        Whoever asks chooses ids, so the salt decides with them: nobody can stay out of the log, or
        come into it each time.
        """
        if self._share >= 1:
            return True
        message = name.encode("utf-8", "surrogatepass")
        digest = hmac.new(self._salt, message, hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") < self._share * _TWO_TO_64

    def _hash(self, value: object) -> str | None:
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON writes the same number as 1 and as 1.0
        return self._digest(value)

    def _digest(self, value: object) -> str:
        message = msgspec.json.encode(value)
        return hmac.new(self._salt, message, hashlib.sha256).hexdigest()[:_DIGITS]
