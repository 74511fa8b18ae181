"""One issue for each marker: opened, updated, closed and opened again in place, never doubled.

Network only; what the issue says was decided and rendered before. The rule is that of the
comments: look at what stands there, do the one thing that brings it closer to "the
lowest-numbered issue of ours says this, and no other of ours is open", and look again.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlgitops.github.client import GitHubError, LostAnswerError
from mlgitops.github.comment import DEFAULT_LOGIN, MAX_BODY_BYTES, fetch_login, list_logins
from mlgitops.github.marker import has_first_line, render_key_marker
from mlgitops.github.payloads import Issue, parse_answer
from mlgitops.github.pull_requests import MAX_TITLE

if TYPE_CHECKING:
    from mlgitops.github.client import GitHubClient

_MAX_ROUNDS = 8
#: Seconds to wait after a write before looking again, and after an answer was lost.
_AFTER_WRITE = (0.2, 0.3)
_AFTER_LOSS = (1.0, 2.0)
#: With these words a person says that it shall stay closed; "completed" says that it is over.
_SILENCED = ("not_planned", "duplicate")


_DAY = re.compile(r"<!-- mlgitops:day (\d{4}-\d\d-\d\d) -->")


@dataclass(frozen=True, kw_only=True)
class Dated:
    """The day that a text is of, for trouble that is looked at again and again."""

    day: str  # such as "2026-11-28"
    forget_after: int  # days after it was closed, from which an issue is no longer opened again

    @property
    def line(self) -> str:
        """Return the hidden line below the marker."""
        return f"<!-- mlgitops:day {self.day} -->"

    def is_older(self, issue: Issue) -> bool:
        """Tell whether an issue says something of a later day."""
        lines = (issue.body or "").splitlines()[1:2]
        match = _DAY.fullmatch(lines[0]) if lines else None
        return match is not None and match[1] > self.day

    def is_forgotten(self, issue: Issue) -> bool:
        """Tell whether an issue was closed so long before the day that it is another story."""
        if issue.state == "open" or issue.closed_at is None:
            return False
        closed = issue.closed_at.date()
        return (dt.date.fromisoformat(self.day) - closed).days > self.forget_after


def keep_issue(
    client: GitHubClient,
    repository: str,
    *,
    marker: str,
    title: str,
    body: str,
    open_: bool,
    login: str | None = None,
    dated: Dated | None = None,
) -> int | None:
    """Bring the repository to one issue of ``marker`` that is open, or closed; return its number.

    None: it shall be closed, and there never was one. ``marker`` names what the issue is about,
    such as an environment and a commit; two that are alike are one issue. An issue that was closed
    as completed is opened again when the trouble is back; one that a person closed as not planned
    stays closed. With ``dated``, a text of an earlier day than the issue's own changes nothing,
    and an issue that was closed long before that day is left alone. Only issues of our own
    ``login`` count; without it the server is asked. Raises :class:`GitHubError` when the API does
    not let us, and never writes after a list that could not be read.
    """
    hidden = [render_key_marker("issue", marker), *([dated.line] if dated else [])]
    text = "\n".join([*hidden, body])
    if not title.strip() or len(title) > MAX_TITLE or len(text.encode()) > MAX_BODY_BYTES:
        raise GitHubError("an issue needs a title and must fit GitHub's limits")
    keeper = _Keeper(client, repository, login, title, text)
    for _ in range(_MAX_ROUNDS):
        ours = keeper.fetch_ours()
        if dated is not None:
            newer = [issue for issue in ours if dated.is_older(issue)]
            if newer:
                return newer[0].number
            ours = [issue for issue in ours if not dated.is_forgotten(issue)]
        if not ours and not open_:
            return None
        if not ours:
            keeper.create()
        elif not keeper.approach(ours, open_=open_):
            return ours[0].number
    raise GitHubError("the issue keeps changing under us; another run is posting")


class _Keeper:
    """The issues of one marker in one repository, and what they shall say.

    What it wrote once it does not write again: another text by then is a later run's.
    """

    def __init__(
        self, client: GitHubClient, repository: str, login: str | None, title: str, text: str
    ) -> None:
        self._client = client
        self._path = f"/repos/{repository}/issues"
        self._logins = list_logins(login or fetch_login(client, None) or DEFAULT_LOGIN)
        self._title, self._text = title, text
        self._line = text.split("\n", 1)[0]
        self._written: int | None = None  # the issue that was given our text

    def fetch_ours(self) -> list[Issue]:
        """Read every page, oldest first, and keep our issues, lowest number first."""
        query = {"state": "all", "sort": "created", "direction": "asc"}
        issues = [
            issue
            for page in self._client.fetch_pages(self._path, query)
            for issue in parse_answer(page, list[Issue], "the list of issues is")
        ]
        return sorted(filter(self._is_ours, issues), key=lambda issue: issue.number)

    def _is_ours(self, issue: Issue) -> bool:
        author = issue.user.login.lower() if issue.user else None
        if issue.pull_request is not None or author not in self._logins:
            return False
        return has_first_line(issue.body or "", self._line)

    def create(self) -> None:
        """Create the issue, unless we did and the list does not show it yet."""
        wait = _AFTER_WRITE
        if self._written is None:
            try:
                answer = self._client.post(self._path, {"title": self._title, "body": self._text})
                self._written = parse_answer(answer, Issue, "the new issue is").number
            except LostAnswerError:
                wait = _AFTER_LOSS
        self._client.pause(*wait)

    def approach(self, ours: list[Issue], *, open_: bool) -> bool:
        """Do the one thing that is missing; False when there is nothing to do."""
        kept, *others = ours
        change = _find_change(kept, self._title, self._text, open_=open_)
        if change and kept.number != self._written:
            self._change(kept, change)
            self._written = kept.number
            return True
        duplicates = [issue for issue in others if issue.state == "open"]
        for issue in duplicates:
            self._change(issue, {"state": "closed", "state_reason": "not_planned"})
        return bool(duplicates)

    def _change(self, issue: Issue, change: dict[str, object]) -> None:
        self._client.patch(f"{self._path}/{issue.number}", change)
        self._client.pause(*_AFTER_WRITE)


def _find_change(issue: Issue, title: str, text: str, *, open_: bool) -> dict[str, object]:
    """Return the fields to set; nothing for one that is closed and shall be, or stays closed."""
    is_open = issue.state == "open"
    if not is_open and (not open_ or issue.state_reason in _SILENCED):
        return {}
    change: dict[str, object] = {}
    if issue.body != text:
        change |= {"title": title, "body": text}
    if not open_:
        return change | {"state": "closed", "state_reason": "completed"}
    return change if is_open else change | {"state": "open"}
