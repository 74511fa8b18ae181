"""A lock that says whether another run held it since. Reads and writes disk."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlgitops.environments import locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Turns:
    """The turns of one run at a lock.

    What a run remembers of git and of the ledger is good only while nobody else had a turn: the
    other one may have seen a newer desired state, or given one up. (`make ledger` shows that a run
    which does not ask tries a state again that another one gave up.)
    """

    def __init__(self, lock: Path) -> None:
        self._lock = lock
        self._name = uuid.uuid4().hex

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Hold the lock; yield whether nobody else held it since the last time."""
        with locked(self._lock):
            is_undisturbed = self._lock.read_text("utf-8", "replace") == self._name
            if not is_undisturbed:
                self._lock.write_text(self._name, "utf-8")
            yield is_undisturbed
