"""What a promotion changes for users, in every voice, whatever the names are."""

from __future__ import annotations

import io

import msgspec
import pytest
from comments import LINKS, MARKER, situations

from mlgitops.console import Console
from mlgitops.judgement.judge import judge_report
from mlgitops.model import Policy, Report, Rule
from mlgitops.render.html import render_html
from mlgitops.render.markdown import render_comment
from mlgitops.render.terminal import render_terminal

POLICY = Policy(metrics={"test.roc_auc": Rule(min_value=0.7, max_worsening=0.005)})


def show_all(report: Report) -> list[str]:
    """Render a report for the comment, the terminal and the page, each as one line."""
    console = Console(out=io.StringIO(), err=io.StringIO())
    render_terminal(report, console)
    assert isinstance(console.out, io.StringIO)
    comment = render_comment(report, marker=MARKER, links=LINKS)
    page = str(render_html(report, links=LINKS))
    return [" ".join(text.split()) for text in (comment, console.out.getvalue(), page)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "promotion_improves",
            ("nothing yet", "4.16% of the answers change", "+0.0061 to +0.0139"),
        ),
        ("promotion_worsens", ("lost more than the 0.005", "was measured anew by base")),
        ("promotion_is_a_way_back", ("a way back to a model that was wanted there before",)),
        ("promotion_not_read", ("a model that cannot be named", "is a tag", "not a commit")),
    ],
)
def test_every_voice_says_what_changes(name: str, words: tuple[str, ...]) -> None:
    """Models, metrics with intervals, the share of answers, or why nothing is known."""
    for text in show_all(situations()[name]):
        for word in words:
            assert word in text, text[:3000]


def test_names_of_a_pull_request_stay_text() -> None:
    """An environment and a version may be called anything before git is asked."""
    report = situations()["promotion_worsens"]
    (promotion,) = report.promotions
    assert promotion.base is not None
    hostile = "`<img src=x onerror=y> @octocat #1 | <!-- x"
    label = msgspec.structs.replace(promotion.base, label=hostile)
    promotion = msgspec.structs.replace(promotion, environment=hostile, base=label)
    report = msgspec.structs.replace(report, promotions=(promotion,))
    comment, _, page = show_all(judge_report(report, POLICY))
    assert "<img" not in page.replace("&lt;img", "")
    assert comment.count("<!--") == 1
    assert "@octocat" not in comment
    assert "\\<img" in comment or "`<img" in comment
