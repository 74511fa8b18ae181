"""A waiver: who let a change merge although it fails, when, why, and for which commit.

It is asked of GitHub by the job that may write, and is never a part of `report.json`:
nothing that a pull request's code leaves behind can hold one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from mlgitops.model.fields import Sha, Struct, Text

#: The label on the pull request, and the word that the comment begins with.
WAIVER_LABEL = "accept-regression"


class Waiver(Struct, frozen=True, kw_only=True):
    """A waiver that counts: label, comment and permission were all there when it was asked."""

    login: Annotated[str, Meta(min_length=1, max_length=100)]
    at: Annotated[datetime, Meta(tz=True)]  # when the comment was written
    sha: Sha  # the only commit that it is for
    reason: Text  # one line
    url: str  # of the comment
    by_author: bool = False  # the pull request's own author gave it


class Waiving(Struct, frozen=True, kw_only=True):
    """The waiver of a failed verdict, or why there is none; empty when nobody asked for one."""

    waiver: Waiver | None = None
    why_not: Text | None = None  # why a comment does not count as a waiver; names in backticks
    allowed: bool = True  # by the policy at base
