"""The demo's year, week by week, from the sums of its days: `make study` writes the page.

`benchmarks/monitoring/year_days.csv` holds a line for each day: what `mlgitops demo` kept of its
year. With `--demo PROJECT` it is taken anew from the project that a demo left.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import sys
from calendar import monthrange
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from benchmarks.monitoring_study import span_days
from mlgitops.judgement.policy import parse_policy
from mlgitops.model.look import FindingState
from mlgitops.model.monitoring import AlertSettings, DayFact
from mlgitops.monitoring.history import read_archive
from mlgitops.monitoring.labelled import CALIBRATION, Demands, judge_labelled
from mlgitops.monitoring.look import take_look
from mlgitops.monitoring.store import BranchStore
from mlgitops.rehearsal.demonstration.year import (
    ALERTS,
    CALIBRATION_LIMIT,
    FIRST_DAY,
    ISSUES,
    MONTHS,
    YEAR,
)
from mlgitops.render.mermaid import compose_diagram
from mlgitops.render.numbers import DASH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlgitops.model import Policy
    from mlgitops.model.look import Finding, Look

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "docs" / "reference" / "year.md"
DAYS = Path(__file__).parent / "monitoring" / "year_days.csv"
POLICY = ROOT / "{{cookiecutter.project_slug}}" / "data" / "bundled" / "flights" / "policy.yaml"
LIMITS = (CALIBRATION_LIMIT, 0.02, 0.05)
_MODELS = {"first": "a" * 64, "second": "b" * 64}
_HEAD = """# The year of `mlgitops demo`

Written by `make study` from the sums that a demo kept of its days; do not edit. The demo's last
part is nine months in fast motion: a model that was trained on January to March 2013 answers the
flights of April and later, {rows:,} of them, a month at a time. How a month's flights ended comes
at its end, and then `mlgitops monitor` looks. The requests are real; only the days are moved: the
server's log says when it answered, and `replay.py` in the demo's project reads it with the days
that the flights have.

{shown} flights a day are few, so what is watched closely here is one figure, the calibration: the
mean score less the share of flights that were late, over 28 days, allowed to be {limit:g} either
way in the demo's monitor.yaml. The default is 0.05.

## The picture

The figure of each Sunday's look, in points (hundredths), and the limit both ways. The first model
expects too few late flights in summer; the second, trained again on what production taught until 3
July, is in service from 1 August, and has 28 labelled days at the end of August. Many Sundays lie
beyond a limit without an alert: that needs the whole interval beyond it, and of so few flights
the interval reaches several points either way.

{chart}

## Sundays with an alert

| allowed, either way | first model | second model |
| --- | --- | --- |
{alerts}

## What the demo shows

It looks at the end of each month. An alert lasts from its first Sunday without a break. The issue
closes once the figure has held at two looks, and opens again for an alert since then.

| look | alert since | the issue about the model |
| --- | --- | --- |
{looks}

The retraining comes at the end of July, is judged by the project's own workflow like any pull
request, and is merged, released and promoted. In October the second model expects too many late
flights: it never saw an autumn. By the end of November it is over. `mlgitops demo` fails when its
alerts and its issue are others than these.

[How to read alerts](../how-to/monitor.md) and [how to retrain](../how-to/retrain.md) are pages of
their own."""


@dataclass(frozen=True, kw_only=True)
class Week:
    """The look of one Sunday at one model, with one limit."""

    day: str
    model: str  # "first" or "second"
    figure: float | None  # None: too few days
    alert: bool


def take_days(project: Path) -> list[DayFact]:
    """Return the calibration of each day that a demo's project kept, of its year alone."""
    facts = BranchStore(project, "").read("production")
    kept = [it for it in facts if (it.name, it.of) == (CALIBRATION, None) and it.day >= FIRST_DAY]
    models = list(dict.fromkeys(fact.model for fact in sorted(kept, key=lambda it: it.day)))
    named = dict(zip(models, _MODELS.values(), strict=True))
    return [
        DayFact(
            day=fact.day,
            model=named[fact.model],
            name=CALIBRATION,
            rows=fact.rows,
            numerator=round(fact.numerator, 6),
            denominator=fact.denominator,
        )
        for fact in kept
    ]


def write_days(facts: Iterable[DayFact]) -> None:
    """Write the table of days."""
    names = {digest: name for name, digest in _MODELS.items()}
    with DAYS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("day", "model", "rows", "gap"))
        writer.writerows((it.day, names[it.model], it.rows, it.numerator) for it in facts)


def read_days() -> list[DayFact]:
    """Read the table of days."""
    with DAYS.open(encoding="utf-8", newline="") as file:
        return [
            DayFact(
                day=row["day"],
                model=_MODELS[row["model"]],
                name=CALIBRATION,
                rows=int(row["rows"]),
                numerator=float(row["gap"]),
                denominator=float(row["rows"]),
            )
            for row in csv.DictReader(file)
        ]


def watch(facts: list[DayFact], limit: float) -> Iterator[Week]:
    """Look at each Sunday as the product does."""
    demands = Demands(policy=read_policy(), settings=AlertSettings(calibration=limit), released={})
    last = max(fact.day for fact in facts)
    archive = read_archive(facts, last)
    for name, digest in _MODELS.items():
        days = [fact.day for fact in facts if fact.model == digest]
        for sunday in list_sundays(min(days), max(days)):
            finding = _pick(judge_labelled(archive.models[digest], demands, sunday))
            alert = finding.state is FindingState.ALERT
            yield Week(day=sunday, model=name, figure=finding.figure, alert=alert)


def look_monthly(facts: list[DayFact], limit: float) -> Iterator[Look]:
    """Look at the end of each month as the demo does: with a row answered on each of the days."""
    demands = Demands(policy=read_policy(), settings=AlertSettings(calibration=limit), released={})
    asked = [replace(it, name="rows", numerator=it.denominator, denominator=1.0) for it in facts]
    for month in MONTHS:
        day = f"{YEAR}-{month:02}-{monthrange(YEAR, month)[1]}"
        yield take_look([*asked, *facts], demands, day=day, project="", environment="production")


def read_policy() -> Policy:
    """Read the policy of the bundled flights, which the demo's project has."""
    return parse_policy(POLICY.read_bytes(), where=POLICY.name)


def _pick(findings: Iterable[Finding]) -> Finding:
    return next(finding for finding in findings if finding.name == CALIBRATION)


def list_sundays(first: str, last: str) -> list[str]:
    """Return the Sundays from one day to another."""
    day, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    day += dt.timedelta(days=7 - day.isoweekday())
    return [
        (day + dt.timedelta(days=7 * week)).isoformat() for week in range((end - day).days // 7 + 1)
    ]


def render_page(facts: list[DayFact]) -> str:
    """Render the page."""
    by_limit = {limit: list(watch(facts, limit)) for limit in LIMITS}
    alerts = "\n".join(
        f"| {limit:g} | {_span(weeks, 'first')} | {_span(weeks, 'second')} |"
        for limit, weeks in by_limit.items()
    )
    rows, days = sum(fact.rows for fact in facts), len({fact.day for fact in facts})
    page = _HEAD.format(
        rows=rows,
        shown=round(rows / days),
        limit=CALIBRATION_LIMIT,
        chart=_draw(by_limit[CALIBRATION_LIMIT]),
        alerts=alerts,
        looks="\n".join(_list_looks()),
    )
    return page + "\n"


def _span(weeks: list[Week], model: str) -> str:
    return span_days([week.day for week in weeks if week.alert and week.model == model])


def _list_looks() -> Iterator[str]:
    state = "there is none"
    for month in MONTHS:
        day = next((it for it in {**ALERTS, **ISSUES} if it[5:7] == f"{month:02}"), None)
        state = ISSUES.get(day or "", state)
        name = dt.date(YEAR, month, 1).strftime("%B")
        yield f"| end of {name} | {ALERTS.get(day or '', DASH)[-5:]} | {state} |"


def _draw(weeks: list[Week]) -> str:
    """Draw the figures as a chart of Mermaid, which GitHub shows."""
    shown = [week for week in weeks if week.figure is not None]
    points = [round(100 * (week.figure or 0.0), 1) for week in shown]
    bound = [100 * CALIBRATION_LIMIT] * len(shown)
    diagram = compose_diagram(
        {
            "figure": ("line", "#4493f8", points),
            "at most": ("line", "#d4a72c", bound),
            "at least": ("line", "#d4a72c", [-height for height in bound]),
        },
        # All of them would lie over each other, and each must differ: the others have no width.
        ["\u200b" * at if at % 4 else week.day[5:] for at, week in enumerate(shown)],
        x_label="28 days up to each Sunday",
        y_label="score less share late, points",
        reach=(-14, 8),
    )
    return f"```mermaid\n{diagram}```"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, and the table of days where a demo is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=None, help="project that a demo left")
    parser.add_argument("--output", type=Path, default=None, help="write the page here")
    options = parser.parse_args(arguments)
    if options.demo:
        write_days(take_days(options.demo))
    page = render_page(read_days())
    print(page)
    if options.output:
        options.output.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
