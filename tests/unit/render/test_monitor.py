"""A look at production as the terminal and the page show it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mlgitops import __version__
from mlgitops.model import Interval
from mlgitops.model.look import AlertKind, Finding, FindingState, Look, Trace
from mlgitops.render.monitor import describe_look, write_issue
from mlgitops.render.sections import render_page, render_text

GOLDEN = Path(__file__).parents[2] / "golden"
METHOD = "Newey-West, 28 days"
ALERT, HOLDS, SHOWN = FindingState.ALERT, FindingState.HOLDS, FindingState.SHOWN


def around(low: float, high: float) -> Interval:
    """Return an interval as a look has it."""
    return Interval(low=low, high=high, confidence=0.992, method=METHOD)


FINDINGS = (
    Finding(
        kind=AlertKind.MODEL, name="test.brier", state=ALERT, figure=0.2341, limit=0.2,
        interval=around(0.2113, 0.2569), source="policy.yaml", days=28, rows=28_412,
        since="2026-11-08",
    ),
    Finding(
        kind=AlertKind.MODEL, name="calibration", state=HOLDS, figure=0.0, limit=0.05,
        interval=around(-0.0121, 0.0121), source="monitor.yaml", days=28, rows=28_412,
    ),
    Finding(
        kind=AlertKind.MODEL, name="accuracy by origin, difference", state=FindingState.NOT_ENOUGH,
        days=12, rows=1204, reason="12 of 28 days with labels", lingers=True,
    ),
    Finding(
        kind=AlertKind.DATA, name="silence", state=HOLDS, figure=1.0, limit=1.0,
        source="monitor.yaml", days=90,
    ),
    Finding(
        kind=AlertKind.DATA, name="missing", of="temp", state=HOLDS, figure=0.0, limit=0.05,
        source="monitor.yaml", days=7, rows=7000, reason="on 2026-11-16: 0 of 1,000",
    ),
    Finding(
        kind=AlertKind.DATA, name="refused.contract", state=ALERT, figure=1.0, limit=0.0312,
        source="what is usual here", days=7, rows=7000, since="2026-11-22",
        reason="on 2026-11-21: 1,000 of 1,000",
    ),
    Finding(
        kind=AlertKind.DATA,
        name="psi",
        of="temp",
        state=SHOWN,
        figure=0.1234,
        days=28,
        rows=28_000,
        reason="the first four weeks among themselves: up to 0.02; never an alert: it warns where "
        "nothing is wrong",
    ),
    *(
        Finding(
            kind=AlertKind.SYSTEM, name=name, of=of, state=SHOWN, figure=figure, reason=reason
        )
        for name, of, figure, reason in (
            ("system.rows_per_second", None, 0.011574,
             "of the last seven days; 1,204 rows on 2026-11-20, the busiest"),
            ("system.requests_per_second", None, 0.25, "129,600 in the 6 days since its start"),
            ("system.seconds", "half of the answers", 0.00412, "since the server's start"),
            ("system.seconds", "99 %", 0.0391, "since the server's start"),
            ("system.failed", "status 400", 0.000123, "16 of 129,600 requests"),
            ("system.dropped", "disk", 0.0, "records that the log has not"),
            ("system.memory_mb", None, 311.4, "of the server, now"),
            ("refused.json", None, 0.0001, "what callers send is not the server's fault"),
            ("system.model_age_days", None, 40.0, "v1.1.0, of 2026-10-15"),
            ("system.data_age_days", None, 123.0, "what it was trained on changed on 2026-07-24"),
        )
    ),
)  # fmt: skip
LOOK = Look(
    toolkit=__version__,
    project="models/flights/",
    environment="production",
    day="2026-11-24",
    week="2026-11-22",
    model="ab" * 32,
    findings=FINDINGS,
    open_kinds=(AlertKind.MODEL, AlertKind.DATA),
    traces=(
        Trace(name="test.brier", weeks=(-3, -2, -1, 0), values=(0.15, 0.19, 0.24, 0.25), limit=0.2),
        Trace(name="calibration", weeks=(-1, 0), values=(-0.01, 0.0), limit=0.05),
    ),
)


def compare(name: str, text: str) -> None:
    """Compare with the text that was looked at; MLGITOPS_GOLDEN=write writes it anew."""
    golden = GOLDEN / name
    text = text.replace(__version__, "VERSION")
    if os.environ.get("MLGITOPS_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_terminal_shows_what_was_looked_at() -> None:
    """Alerts first, then what holds, what is not enough, and what is only shown."""
    compare("monitor.txt", render_text(describe_look(LOOK)))


def test_the_page_shows_what_was_looked_at() -> None:
    """Its style aside, which pages of reports hold."""
    page = re.sub(r"(?s)<style>.*?</style>", "<style></style>", render_page(describe_look(LOOK)))
    compare("page_monitor.html", re.sub(r"sha256-[^']+", "sha256-DIGEST", page))


def test_the_chart_of_a_figure_that_is_zero_has_its_limit() -> None:
    """A mean error of nothing at all is held to its limit as well."""
    assert [len(chart.series) for chart in describe_look(LOOK).charts] == [2, 2]


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        ((AlertKind.MODEL,), "`accuracy by origin, difference`: not enough (12 of 28 days"),
        ((), "has held at two looks, so this is closed"),
    ],
)
def test_an_issue_says_what_it_waits_for(kinds: tuple[AlertKind, ...], text: str) -> None:
    """Nothing is beyond its limit; what was is named, with what is known of it."""
    look = Look(
        toolkit="0.1.0", project="", environment="production", day="2026-11-22",
        week="2026-11-22", model="ab" * 32, findings=FINDINGS[1:3] if kinds else FINDINGS[1:2],
        open_kinds=kinds,
    )  # fmt: skip
    assert text in write_issue(look, AlertKind.MODEL)
