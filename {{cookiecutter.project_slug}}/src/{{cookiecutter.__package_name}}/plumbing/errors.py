"""Mistakes that a person can mend: the message says what is wrong, where, and what to do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class StageError(Exception):
    """A mistake in data, parameters or files; ends the stage without a traceback."""


class ClusterError(StageError):
    """What keeps a cluster from answering; no task is at fault, and all may be asked again."""


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage; on a :class:`StageError` print its message and exit with code 1."""
    try:
        main()
    except StageError as error:
        sys.exit(f"error: {error}")
