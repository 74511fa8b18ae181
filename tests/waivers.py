"""The situations of the golden comments with a waiver: a report, and what was found."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mlgitops.model import Waiver, Waiving

HEAD_SHA = "4ead" * 10


def make_waiver(**changes: Any) -> Waiver:  # noqa: ANN401
    """Make a waiver of the golden reports' head; ``changes`` replace its fields."""
    fields = {
        "login": "octocat",
        "at": datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
        "sha": HEAD_SHA,
        "reason": "The auditor asked for it; issue 12 will bring the loss back.",
        "url": "https://github.com/octo-org/flights/pull/7#issuecomment-100",
    }
    return Waiver(**{**fields, **changes})


_HOSTILE = "@octocat fixes #1 `` | <b>x</b> <!-- y --> ![z](https://evil.example/z.png) **bold**"
#: name → (situation of tests/comments.py, what was found of a waiver)
WAIVINGS: dict[str, tuple[str, Waiving]] = {
    "waived": ("worsened", Waiving(waiver=make_waiver())),
    "waived_several": ("several_fail", Waiving(waiver=make_waiver(by_author=True))),
    "waived_hostile_reason": ("removed", Waiving(waiver=make_waiver(reason=_HOSTILE))),
    "waiver_possible": ("worsened", Waiving()),
    "waiver_without_reason": (
        "worsened",
        Waiving(why_not="the label `accept-regression` is set, but no comment gives the reason"),
    ),
    "waiver_without_access": (
        "worsened",
        Waiving(
            why_not="the label `accept-regression` is set, but `stranger` may not write "
            "to this repository"
        ),
    ),
    "waiver_of_a_pass": (
        "improved_without_noise",
        Waiving(why_not="nothing fails, so the label `accept-regression` changes nothing"),
    ),
}
