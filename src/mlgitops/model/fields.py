"""What the fields of a report have in common: names, texts, counts, and a strict record."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

# `$` alone would let a final newline through.
Sha = Annotated[str, Meta(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$(?!\n)")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Path_ = Annotated[str, Meta(min_length=1, max_length=500)]
Text = Annotated[str, Meta(max_length=500)]
# Of one line: shown to people beside other facts.
OneLine = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen record, comparable, and strict when it is decoded; each is keyword-only."""
