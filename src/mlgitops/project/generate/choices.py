"""What the person decides about the table, in a flag or when asked. Holds no state, does no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def take_default(question: str, default: bool) -> bool:  # noqa: ARG001 - as one who asks
    """Return the default: nobody is there to ask."""
    return default


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Decisions that the person has made already, and a way to ask for the others."""

    split: str | None = None  # time, hash or group; None: by what the columns say
    split_column: str | None = None  # what time or group reads; None: the likeliest
    keep: tuple[str, ...] = ()  # features, whatever speaks against them
    ask: Callable[[str, bool], bool] = take_default  # a question and its default → yes or no
