"""What every target of a delivery can do, and how each says what it serves. Pure.

There is one target so far, this host (`local`). A cluster would be a second class with the
same three methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A bundle in service: which model, of which commit, since when, and where it answers."""

    bundle: str  # digest of the model, digest of what serves it
    model: str
    sha256: str  # of the model file
    commit: str
    since: str  # UTC, ISO 8601
    url: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a deployment did."""

    environment: str
    deployed: Deployed
    previous: str | None  # sha256 of the model before, None when there was none
    changed: bool  # False: this very bundle was in service already
    logs: str  # log of the server


@dataclass(frozen=True, kw_only=True)
class Status:
    """What an environment serves at this moment."""

    environment: str
    serving: bool  # it answers at its address
    deployed: Deployed | None = None  # None: nothing was deployed


class Target(Protocol):
    """Where the models of a project are brought into service, each environment by its name."""

    def deploy(
        self, environment: str, *, revision: str = "HEAD", port: int | None = None
    ) -> Outcome:
        """Make ``environment`` serve what its file wants at ``revision``.

        Raises :class:`~mlgitops.delivery.protocol.CheckFailedError` when the model failed a
        check and :class:`~mlgitops.errors.MlgitopsError` when it could not be tried; either way
        what served before still serves.
        """

    def read_status(self, environment: str) -> Status:
        """Return what ``environment`` serves, asked at the address that its users ask."""

    def stop(self, environment: str) -> bool:
        """End all that serves ``environment``; return whether there was anything."""
