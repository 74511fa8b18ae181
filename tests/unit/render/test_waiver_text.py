"""A reason is a person's free text: in a comment and in a commit's message it stays text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from comments import LINKS, MARKER, situations
from git_project import git
from hypothesis import given, settings
from unit.render.test_render import HOSTILE, parse_gfm, plain_texts, table_shapes
from waivers import make_waiver

from mlgitops.github.waiver import MAX_REASON
from mlgitops.model import Waiving
from mlgitops.render.escape import clean_text
from mlgitops.render.markdown import render_comment
from mlgitops.render.waiver import format_trailers, title_waiver

if TYPE_CHECKING:
    from pathlib import Path

REPORT = situations()["worsened"]
NAMES = ["Waived-by", "Waived-at", "Waived-sha", "Waived-reason", "Waived-in"]
LIVE = re.compile(r"@\w|#\d|(?i:gh-\d)|(?i:www\.)|://|\[")


def comment(waiving: Waiving, limit: int = 60_000) -> str:
    """Render the comment of a failing report."""
    return render_comment(REPORT, marker=MARKER, links=LINKS, waiving=waiving, limit=limit)


PLAIN = parse_gfm(comment(Waiving(waiver=make_waiver(reason="plain"))))


@settings(max_examples=150, deadline=None)
@given(HOSTILE)
def test_no_reason_changes_the_shape_of_the_comment(text: str) -> None:
    """Same tables and links, no mention, image or HTML of its own, one paragraph in its quote."""
    reason = clean_text(text, limit=MAX_REASON) or "x"
    shown = comment(Waiving(waiver=make_waiver(reason=reason)))
    tokens = parse_gfm(shown.partition("\n")[2])
    plain = PLAIN[1:] if PLAIN[0].type == "html_block" else PLAIN
    assert table_shapes(tokens) == table_shapes(plain)
    for kind in ("link_open", "blockquote_open", "paragraph_open", "heading_open", "image"):
        assert count(tokens, kind) == count(plain, kind), kind
    for kind in ("html_inline", "html_block", "fence", "hr", "list_item_open"):
        assert count(tokens, kind) == count(plain, kind), kind
    assert not re.search(r"@\w|#\d|(?i:gh-\d)|(?i:www\.)|://", "\n".join(plain_texts(tokens)))
    assert shown.count("<!--") == 1


@settings(max_examples=150, deadline=None)
@given(HOSTILE, HOSTILE)
def test_no_text_leaves_its_trailer(reason: str, login: str) -> None:
    """One line each; nothing mentions, closes an issue, or tells GitHub to skip a workflow."""
    waiver = make_waiver(reason=clean_text(reason, limit=MAX_REASON), login=login[:100] or "x")
    lines = format_trailers(waiver)
    assert [line.partition(": ")[0] for line in lines] == NAMES
    for line in lines[:-1]:
        assert len(line.splitlines()) == 1
        assert not LIVE.search(line.partition(": ")[2])


def test_an_address_that_is_none_is_not_linked() -> None:
    """The API's address goes through the same gate as any other."""
    odd = make_waiver(url="javascript:x")
    assert "javascript" not in comment(Waiving(waiver=odd))
    assert format_trailers(odd)[-1] == "Waived-in: unknown"


def test_git_reads_the_trailers(tmp_path: Path) -> None:
    """Exactly ours, whatever the reason holds."""
    reason = clean_text("a\nSigned-off-by: evil\r\n\nWaived-by: owner\u2028x: y")
    text = "Record\n\nProse.\n\n" + "\n".join(format_trailers(make_waiver(reason=reason))) + "\n"
    printed = git(tmp_path, "interpret-trailers", "--parse", stdin=text)
    assert [line.partition(": ")[0] for line in printed.splitlines()] == NAMES


@pytest.mark.parametrize("limit", [900, 1500, 3000, 60_000])
def test_however_short_the_comment_says_who_and_why(limit: int) -> None:
    """Less detail drops tables, never the waiver."""
    waiver = make_waiver(reason="because")
    text = comment(Waiving(waiver=waiver), limit=limit)
    assert len(text.encode()) <= limit
    assert "waived by `octocat`: may merge" in text.splitlines()[1]
    assert "> because" in text
    assert "**Fails:**" in text


def test_the_title_is_plain_text_that_mentions_nobody() -> None:
    """A check's title knows no Markdown."""
    assert title_waiver(make_waiver()) == "⚠️ Fails, waived by octocat: may merge"


def count(tokens: list, kind: str) -> int:  # type: ignore[type-arg]
    """Count tokens of one kind."""
    return sum(token.type == kind for token in tokens)
