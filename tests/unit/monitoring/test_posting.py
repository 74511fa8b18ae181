"""A look at production becomes at most one issue of each kind, whatever fails on the way."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace
from posting import BOT, REPOSITORY, connect, make_forge

from mlgitops.errors import MlgitopsError
from mlgitops.model import Interval
from mlgitops.model.look import AlertKind, Finding, FindingState, Look
from mlgitops.monitoring.posting import post_look
from mlgitops.rehearsal.forge import Fault, Forge
from mlgitops.render.monitor import describe_look, write_issue
from mlgitops.render.sections import render_page, render_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlgitops.rehearsal.forge import Issue

BRIER = Finding(
    kind=AlertKind.MODEL,
    name="test.brier",
    state=FindingState.ALERT,
    figure=0.234,
    interval=Interval(low=0.211, high=0.257, confidence=0.992, method="Newey-West, 28 days"),
    limit=0.2,
    source="policy.yaml",
    days=28,
    rows=2800,
    since="2026-11-08",
)
HOLDS = Finding(kind=AlertKind.MODEL, name="test.brier", state=FindingState.HOLDS, figure=0.1)
SHORT = Finding(
    kind=AlertKind.MODEL,
    name="test.brier",
    state=FindingState.NOT_ENOUGH,
    reason="3 of 28 days with labels",
)


def make_look(day: str, *findings: Finding, lingers: bool = False) -> Look:
    """Make a look with one kind of finding."""
    is_open = lingers or any(it.state is FindingState.ALERT for it in findings)
    return Look(
        toolkit="0.1.0",
        project="models/flights/",
        environment="production",
        day=day,
        week=day,
        model="ab" * 32,
        findings=findings,
        open_kinds=(AlertKind.MODEL,) if is_open else (),
    )


def only(forge: Forge) -> Issue:
    """Return the one issue there is."""
    (issue,) = forge.state.issues.values()
    return issue


def test_each_kind_has_its_own_issue_however_long_the_project_is_called() -> None:
    """What holds of one kind closes no issue of another."""
    look = replace(make_look("2026-11-22", BRIER), project=f"{'models/' * 40}flights/")
    silence = Finding(kind=AlertKind.DATA, name="silence", state=FindingState.HOLDS, figure=0.0)
    forge = make_forge()
    with connect(forge) as client:
        post_look(client, REPOSITORY, replace(look, findings=(BRIER, silence)))
    assert only(forge).state == "open"


def test_an_issue_opens_lingers_and_closes() -> None:
    """It says what is beyond, and after two clean looks it is over."""
    forge = make_forge()
    with connect(forge) as client:
        post_look(client, REPOSITORY, make_look("2026-11-15", HOLDS))
        assert forge.state.issues == {}
        post_look(client, REPOSITORY, make_look("2026-11-22", BRIER))
        assert only(forge).title == (
            "production (models/flights/): the model answers worse than the policy allows"
        )
        assert "`test.brier` is 0.234, allowed is at most 0.2, policy.yaml" in only(forge).body
        post_look(client, REPOSITORY, make_look("2026-11-29", HOLDS, lingers=True))
        assert only(forge).state == "open"
        assert "nothing is beyond its limit any more" in only(forge).body
        post_look(client, REPOSITORY, make_look("2026-12-06", HOLDS))
    assert only(forge).state == "closed"


def test_a_look_that_says_nothing_closes_nothing() -> None:
    """A new model has no figures yet: nothing is green on doubt."""
    forge = make_forge()
    with connect(forge) as client:
        post_look(client, REPOSITORY, make_look("2026-11-22", BRIER))
        post_look(client, REPOSITORY, make_look("2026-12-20", SHORT))
    assert only(forge).state == "open"


def test_an_older_look_changes_nothing() -> None:
    """A job that was queued for long comes too late."""
    forge = make_forge()
    with connect(forge) as client:
        post_look(client, REPOSITORY, make_look("2026-11-29", BRIER))
        body = only(forge).body
        post_look(client, REPOSITORY, make_look("2026-11-22", HOLDS))
    assert (only(forge).state, only(forge).body) == ("open", body)


HOSTILE = "<img src=x onerror=alert(1)> @all `x` ](javascript:a) <!-- mlgitops:day 2099-01-01 -->"


def test_names_of_anybody_are_shown_and_never_work() -> None:
    """A column's name is markup, a mention, a link and a marker at once."""
    finding = Finding(
        kind=AlertKind.MODEL,
        name="missing",
        of=HOSTILE,
        state=FindingState.ALERT,
        figure=0.5,
        limit=0.1,
        source="monitor.yaml",
        reason=HOSTILE,
    )
    look = make_look("2026-11-22", finding)
    markdown = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    shown = markdown.render(write_issue(look, AlertKind.MODEL))
    assert "<img" not in shown
    assert "<a " not in shown
    assert "<!--" not in shown
    page = render_page(describe_look(look))
    assert "<img" not in page
    assert "<!-- mlgitops" not in page
    assert "ALERT" in render_text(describe_look(look))


FAULTS = (Fault(status=500), Fault(status=502, after=True), Fault(status=429))


def fail_often(dice: random.Random) -> Callable[[str, str], Fault | None]:
    """Make an API of whose requests three of ten fail."""
    return lambda _method, _path: dice.choice(FAULTS) if dice.random() < 0.3 else None


@pytest.mark.slow
def test_whatever_fails_at_most_one_issue_is_open(
    record_property: Callable[[str, object], None],
) -> None:
    """Looks of some weeks are posted against an API that fails; the last one mends all."""
    failed = 0
    for seed in range(8):
        dice = random.Random(seed)  # noqa: S311 - a story, not a secret
        forge = make_forge()
        forge.fault = fail_often(dice)
        looks = [
            make_look(f"2026-11-{day:02}", dice.choice((BRIER, HOLDS))) for day in (1, 8, 15, 22)
        ]
        with connect(forge) as client:
            for look in dice.sample(looks, k=4):
                try:
                    post_look(client, REPOSITORY, look, login=BOT)
                except MlgitopsError:
                    failed += 1
        forge.fault = lambda _method, _path: None
        last = make_look("2026-11-29", dice.choice((BRIER, HOLDS)))
        with connect(forge) as client:
            post_look(client, REPOSITORY, last, login=BOT)
        open_ = [issue for issue in forge.state.issues.values() if issue.state == "open"]
        assert len(open_) == len(last.alerts()), seed
        assert all("2026-11-29" in issue.body for issue in open_), seed
    record_property("cases", 8)
    assert 0 < failed < 32
