"""A look to at most one issue of each kind, by the rules of :mod:`mlgitops.github.issues`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlgitops.github.issues import Dated, keep_issue
from mlgitops.model.look import AlertKind, FindingState
from mlgitops.render.monitor import write_issue, write_title

if TYPE_CHECKING:
    from mlgitops.github.client import GitHubClient
    from mlgitops.model.look import Look

#: Days after its closing, within which an issue is opened again; later a new one is.
FORGET_AFTER = 30


def post_look(
    client: GitHubClient, repository: str, look: Look, *, login: str | None = None
) -> dict[AlertKind, int | None]:
    """Keep the issue of each kind, and return its number; None where there is none.

    A look at an earlier day than an issue is of changes nothing, and one that says nothing of a
    kind, such as of a model that is new, leaves its issue as it is.
    """
    return {
        kind: keep_issue(
            client,
            repository,
            marker=f"monitor {look.project}{look.environment} {kind}",
            title=write_title(look, kind),
            body=write_issue(look, kind),
            open_=kind in look.open_kinds,
            login=login,
            dated=Dated(day=look.day, forget_after=FORGET_AFTER),
        )
        for kind in AlertKind
        if kind in look.open_kinds or _says_something(look, kind)
    }


def _says_something(look: Look, kind: AlertKind) -> bool:
    """Tell whether any figure of a kind was held to a limit."""
    return any(it.kind is kind and it.state is FindingState.HOLDS for it in look.findings)
