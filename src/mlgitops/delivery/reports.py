"""Tell people that a desired state failed: the pull request that reverts it, and one issue.

The issue is open until what git wants is in service. Every target shares this. Without a token for
the API it says at the terminal what to do instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.delivery.desired import PERSONAL
from mlgitops.delivery.proposals.proposal import open_proposal, push_proposal
from mlgitops.delivery.proposals.rollback import plan_rollback
from mlgitops.errors import MlgitopsError
from mlgitops.render.escape import escape_code, escape_prose
from mlgitops.storage.exchange import has_origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlgitops.console import Console
    from mlgitops.delivery.loop.observed import ServedModel
    from mlgitops.git.repository import Folder

_SHORT = 12


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """Keeps the issues of one environment; ``environ`` holds token, repository and API."""

    environment: str
    folder: Folder  # of the project, in its repository
    environ: Mapping[str, str]
    console: Console

    def open(self, served: ServedModel, reason: str) -> int | None:
        """Open the issue of a desired state that failed, and the pull request that takes it back.

        Return the number of the issue; None where there is no token to open it with.
        """
        way_back = self._propose_way_back(reason)
        self.console.warn(
            f"{self.environment}: {served.label}, wanted by {served.commit[:_SHORT]}, failed and "
            f"is not tried again. {way_back}"
        )
        title = f"{self.environment}: {served.label} failed"
        body = _write_body(self.environment, served, reason, way_back)
        return self._keep(served.commit, title, body, open_=True)

    def close(self, commit: str) -> None:
        """Close the issue of the desired state of ``commit``."""
        text = f"{escape_code(self.environment)} serves what git wants again."
        self._keep(commit, f"{self.environment} is healthy again", text, open_=False)

    def _propose_way_back(self, reason: str) -> str:
        """Open the pull request that reverts the desired state; return what to do, as Markdown.

        It is asked again and again: one that a person closed stays closed, and what git or the API
        refuses is said, for the issue must be opened all the same.
        """
        repository = self.folder.repository
        if self.environment == PERSONAL or not has_origin(repository.root):
            return "Take that commit back, or merge a better model."
        try:
            proposal = plan_rollback(
                self.folder, self.environment, None, reason=reason, console=self.console
            )
            commit = push_proposal(repository, proposal)
            proposed = open_proposal(repository, proposal, commit, self.environ, again=False)
        except MlgitopsError as error:  # such as a file that never wanted another model
            return f"Take that commit back, or merge a better model ({escape_prose(error.what)})."
        if proposed.number is not None:
            return f"Merge the pull request that takes it back: #{proposed.number}."
        return f"The way back is on the branch {escape_code(proposed.branch)}."

    def _keep(self, commit: str, title: str, body: str, *, open_: bool) -> int | None:
        token, repository = self.environ.get("GITHUB_TOKEN"), self.environ.get("GITHUB_REPOSITORY")
        if not token or not repository:
            return None
        from mlgitops.github.client import open_client
        from mlgitops.github.issues import keep_issue

        api = self.environ.get("GITHUB_API_URL") or "https://api.github.com"
        marker = f"deploy {self.folder.prefix}{self.environment} {commit}"
        with open_client(api, token=token) as client:
            return keep_issue(
                client, repository, marker=marker, title=title, body=body, open_=open_
            )


def _write_body(environment: str, served: ServedModel, reason: str, way_back: str) -> str:
    failed = (
        f"The model {escape_code(served.label)} that commit {served.commit} wants in "
        f"{escape_code(environment)} failed. What served well before serves on, and this one is "
        "not tried again until git changes."
    )
    closing = "This issue closes by itself when what git wants is in service."
    advice = f"What to do: {way_back}"
    return "\n\n".join((failed, "\n".join(_quote(reason)), advice, closing))


def _quote(reason: str) -> Iterator[str]:
    """Write a reason as a quotation; a cluster, or an older ledger, gives several lines."""
    for line in reason.splitlines():
        yield f"> {escape_prose(line)}  "
