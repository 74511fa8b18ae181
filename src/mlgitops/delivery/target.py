"""What every target of a delivery can do, and how each says what it serves. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A model in service: which, by which commit, since when, and where it answers."""

    model: str
    version: str | None  # of the release; None when a commit is named without one
    sha256: str  # of the model file
    commit: str  # that asked for it
    revision: str  # whose dvc.lock names the model and whose code serves it
    forced: bool  # not merged, or not published
    since: str  # UTC, ISO 8601
    url: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a deployment did."""

    environment: str
    deployed: Deployed
    previous: str | None  # sha256 of the model before, None when there was none
    changed: bool  # False: this very model was in service already, in good health
    baking: bool  # the old model still stands behind it
    logs: str  # log of the server


@dataclass(frozen=True, kw_only=True)
class Status:
    """What an environment serves at this moment."""

    environment: str
    serving: bool  # it answers at its address
    deployed: Deployed | None = None  # None: nothing was deployed
    problem: str | None = None  # why it does not answer, and what to do
    requests: str | None = None  # folder with the log of its requests; None: there is none here


class Target(Protocol):
    """Where the models of a project are brought into service, each environment by its name."""

    def deploy(
        self,
        environment: str,
        *,
        revision: str | None = None,
        force: bool = False,
        port: int | None = None,
        patient: bool = True,
    ) -> Outcome:
        """Make ``environment`` serve what its file wants on the default branch.

        ``revision`` names another commit, which needs ``force``; ``patient`` waits for the end of
        the bake. Raises :class:`~mlgitops.delivery.protocol.CheckFailedError` when the model
        failed a check and :class:`~mlgitops.errors.MlgitopsError` when it could not be tried;
        either way what served before still serves.
        """

    def read_status(self, environment: str) -> Status:
        """Return what ``environment`` serves, asked at the address that its users ask."""

    def stop(self, environment: str) -> bool:
        """End all that serves ``environment``; return whether there was anything."""
