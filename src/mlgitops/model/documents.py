"""What we write as JSON for people and programs to keep: to bytes and back. No I/O."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from mlgitops.errors import MlgitopsError
from mlgitops.parsing import parse_json

_Document = TypeVar("_Document")


def encode_document(document: object, *, indent: int = 1) -> bytes:
    r"""Encode as indented JSON with sorted keys and a final newline: equal input, equal bytes.

    >>> encode_document({"b": 1, "a": None}).splitlines()
    [b'{', b' "a": null,', b' "b": 1', b'}']
    """
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=indent) + b"\n"


def parse_document(
    data: bytes, kind: type[_Document], where: str, *, limit: int, problem: str, hint: str
) -> _Document:
    """Read what :func:`encode_document` wrote of a ``kind``; raises for anything else.

    Also for duplicate keys, deep nesting and more than ``limit`` bytes. ``problem`` says what it
    is not, and ``hint`` what to do then.
    """
    try:
        parse_json(data, where, limit=limit)
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise MlgitopsError(f"{problem}: {error}", where=where, hint=hint) from error
    except MlgitopsError as error:
        raise MlgitopsError(error.what, where=error.where, hint=error.hint or hint) from error
