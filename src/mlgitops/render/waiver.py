"""What a comment says of a waiver: who gave it and why, why one does not count, how to give one.

Pure. The reason is a person's free text and goes through :mod:`mlgitops.render.escape`.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from mlgitops.model import WAIVER_LABEL
from mlgitops.render.blocks import fold
from mlgitops.render.escape import escape_address, escape_code, escape_line, escape_prose

if TYPE_CHECKING:
    from mlgitops.model import Waiver, Waiving

_SHORT = 7
_HOW = (
    "Someone who may write to this repository can waive what fails: write a comment that begins "
    f"with this line and goes on with the reason, then set the label `{WAIVER_LABEL}` (if it is "
    "set already, take it off and set it again). It holds for this commit alone and ends with "
    "the next push."
)


def title_waiver(waiver: Waiver, *, code: bool = False) -> str:
    """Say the verdict of a waived report in a few words; ``code``: Markdown, else plain text."""
    who = escape_code(waiver.login) if code else escape_line(waiver.login)
    return f"⚠️ Fails, waived by {who}: may merge"


def describe_waiving(waiving: Waiving | None) -> list[str]:
    """Say who waived what fails, when and why; or why a waiver does not count."""
    if waiving is None:
        return []
    if waiving.waiver is not None:
        return [_describe(waiving.waiver)]
    return [f"**Not waived:** {escape_prose(waiving.why_not)}."] if waiving.why_not else []


def explain_waiving(sha: str) -> str:
    """Say, folded, how to waive the failing commit ``sha``, with the line to copy."""
    line = f"```text\n{WAIVER_LABEL} {sha}\n```"
    return fold("Merge it all the same?", f"{_HOW}\n\n{line}", 0, "line")


def format_trailers(waiver: Waiver) -> list[str]:
    """Write the waiver as trailers of a commit's message, one line each.

    https://git-scm.com/docs/git-interpret-trailers
    """
    return [
        f"Waived-by: {escape_line(waiver.login)}",
        f"Waived-at: {_moment(waiver, '%Y-%m-%dT%H:%M:%SZ')}",
        f"Waived-sha: {waiver.sha}",
        f"Waived-reason: {escape_line(waiver.reason)}",
        f"Waived-in: {escape_address(waiver.url) or 'unknown'}",
    ]


def _describe(waiver: Waiver) -> str:
    who = escape_code(waiver.login)
    also = ", who is also the author of this pull request" if waiver.by_author else ""
    when, address = _moment(waiver, "%Y-%m-%d %H:%M UTC"), escape_address(waiver.url)
    said = f"[on {when}]({address})" if address else f"on {when}"
    sha = escape_code(waiver.sha[:_SHORT])
    reason = escape_prose(waiver.reason)
    return f"**Waived** by {who}{also}, {said}, for {sha} alone:\n\n> {reason}"


def _moment(waiver: Waiver, form: str) -> str:
    return waiver.at.astimezone(UTC).strftime(form)
