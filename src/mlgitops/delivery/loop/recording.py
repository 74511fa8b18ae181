"""Write what happened to an environment into the ledger, as every target does it."""

from __future__ import annotations

import getpass
import os
import time
from typing import TYPE_CHECKING

from mlgitops.delivery.loop.decision import make_entry

if TYPE_CHECKING:
    from mlgitops.delivery.ledger import Ledger
    from mlgitops.delivery.loop.effects import Append
    from mlgitops.model.ledger import LedgerEntry


def append_entry(ledger: Ledger, environment: str, effect: Append) -> None:
    """Append what ``effect`` says, unless it is there; raises as :meth:`Ledger.append` does."""

    def write_entry(entries: tuple[LedgerEntry, ...]) -> LedgerEntry | None:
        return make_entry(
            effect, entries, environment=environment, actor=find_actor(), at=utc_now()
        )

    ledger.append(environment, write_entry)


def find_actor() -> str | None:
    """Find who, or which run, does this; None for a user without a name, as in a container."""
    try:
        return os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        return None


def utc_now() -> str:
    """Return the time for people to read, such as 2030-01-31T12:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
