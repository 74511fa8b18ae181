"""How often an alert is raised where nothing changed, and how soon where it did: `make study`.

Years without change are drawn from real days of flights (benchmarks/monitoring/), and a model in
service is looked at once a week, by the product's own statistics and by rules that others use.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.monitoring.rules import (
    INPUT_RULES,
    METRICS,
    find_value,
    judge_ours,
    judge_three_sigma,
    judge_week_by_day,
    judge_week_by_row,
    judge_window,
    read_sums,
)
from benchmarks.monitoring.years import (
    BEFORE,
    LOOKS,
    WEEK,
    draw_days,
    list_months,
    read_flights,
    split_served,
)
from mlgitops.render.numbers import DASH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.monitoring.years import Flights, Floats

    Judge = Callable[[int], bool]  # days up to a look → whether it raises an alert

OUTPUT = Path(__file__).parents[1] / "docs" / "reference" / "monitoring.md"
BLOCKS = (7, 14)
YEARS = 216
#: A loss above the limit that is to be found, after half a year of service.
LOSS, SERVED, WEEKS = 0.03, 182, 13
#: What a month's Brier score may be worse than the held-out days', in the real year.
MARGIN = 0.02
OURS, WINDOW = "**28 days, alpha = 0.004, noise of half a year**", "28 days, alpha = 0.004, alone"
_REFERENCE_WEEKS = 8
_LABELLED = (
    OURS,
    WINDOW,
    "the week's days, t, 5 %",
    "the week's rows, z, 5 %",
    "mean + 3 deviations of the reference's weeks (NannyML)",
)
_COLUMNS = (
    "| rule, asked weekly | weeks with an alert, blocks of 7 / 14 days | issues opened a year"
    " | +0.03 Brier found within 4 weeks | within 13 weeks |"
)
_REAL = """Nothing is drawn here: these are the days as they were, and the model does get worse at
times. The limit is {limit:.3f}: the Brier score of the held-out days and a margin of {margin:g}.
The rules on inputs have the held-out days as their reference. Dates are the Sundays of the looks
with an alert."""
_HEAD = """# How often monitoring raises an alert

Written by `make study`; do not edit. A model was trained on flights of January to March 2013, and
served the rest of the year: {rows:,} flights on {days} days. {years} years **without change** are
drawn from it for each length of block: all days of a year come from one month, in blocks of 7 or
14 days that really followed each other. The model is looked at once a week. The limit is exactly
what the model truly has, which is the worst case: every alert is false, and a limit that leaves any
room has fewer. An issue is opened by the first alert and closed after two looks without one;
what is counted is how often it is opened in a year of 52 looks.

[How to read alerts](../how-to/monitor.md) is another page."""


@dataclass(frozen=True, kw_only=True)
class Year:
    """What came of one year, by rule: how often an issue was opened, and when a loss was found."""

    opened: dict[str, int]
    alerted: dict[str, int]  # looks with an alert
    metrics: dict[str, int]  # by our rule
    first: dict[str, int | None]  # week in which a loss of `LOSS` was found


def count_opened(alerts: Iterable[bool]) -> int:
    """Count how often an issue is opened that closes after two looks without an alert.

    >>> count_opened([True, False, True, False, False, True])
    2
    """
    opened, clean = 0, 2
    for alert in alerts:
        opened += alert and clean >= 2  # noqa: PLR2004 - looks
        clean = 0 if alert else clean + 1
    return opened


def live_year(task: tuple[int, int]) -> Year:
    """Live through one year: its length of block, and its number, which is its seed."""
    block, number = task
    _, served = split_served(read_flights())
    months = list_months(served)
    month = months[number % len(months)]
    rng = np.random.default_rng([block, number])
    count = BEFORE + WEEK * (LOOKS - 1)
    year = served.choose(draw_days(month, block, count, rng))
    truth = served.choose(month)
    reference = served.choose(draw_days(month, block, WEEK * _REFERENCE_WEEKS, rng))
    looks = range(BEFORE, count + 1, WEEK)
    metrics = {name: [judge_metric(year, truth, name, at) for at in looks] for name in METRICS}
    alerts: dict[str, list[bool]] = {
        name: [judge(at) for at in looks]
        for name, judge in list_judges(year, truth, reference).items()
    }
    alerts[OURS + ", any of three"] = [any(look) for look in zip(*metrics.values(), strict=True)]
    late = served.choose(draw_days(month, block, SERVED + WEEK * WEEKS, rng))
    return Year(
        opened={name: count_opened(own) for name, own in alerts.items()},
        alerted={name: sum(own) for name, own in alerts.items()},
        metrics={name: count_opened(own) for name, own in metrics.items()},
        first=find_loss(late, truth, reference),
    )


def judge_metric(year: Flights, truth: Flights, metric: str, at: int) -> bool:
    """Tell whether our rule raises an alert for a metric whose limit is what it truly is."""
    above, below = read_sums(year, metric)
    limit, upper = find_value(truth, metric), METRICS[metric][2]
    return judge_ours(above[:at], below[:at], limit, upper=upper)


def list_judges(year: Flights, truth: Flights, reference: Flights) -> dict[str, Judge]:
    """Return each rule as a question about the days up to a look."""
    judges = judge_losses(*read_sums(year, "brier"), year, truth, reference)
    for name, rule in INPUT_RULES.items():
        judges[name] = _ask_inputs(rule, reference, year)
    return judges


def _ask_inputs(
    rule: Callable[[Flights, Flights], bool], reference: Flights, year: Flights
) -> Judge:
    return lambda at: rule(reference, year.choose(np.arange(at - WEEK, at)))


def judge_losses(
    above: Floats, below: Floats, year: Flights, truth: Flights, reference: Flights
) -> dict[str, Judge]:
    """Return the rules on the Brier score, whose sums are given."""
    limit = find_value(truth, "brier")
    weeks = [values.reshape(-1, WEEK).sum(1) for values in read_sums(reference, "brier")]
    squares = year.sums["brier_squares"]
    judges: tuple[Judge, ...] = (
        lambda at: judge_ours(above[:at], below[:at], limit),
        lambda at: judge_window(above[:at], below[:at], limit),
        lambda at: judge_week_by_day(above[:at], below[:at], limit),
        lambda at: judge_week_by_row(above[:at], squares[:at], below[:at], limit),
        lambda at: judge_three_sigma(above[:at], below[:at], weeks[0] / weeks[1]),
    )
    return dict(zip(_LABELLED, judges, strict=True))


def find_loss(year: Flights, truth: Flights, reference: Flights) -> dict[str, int | None]:
    """Return the week in which each rule finds a loss that begins after half a year; or None."""
    above, below = read_sums(year, "brier")
    late = np.arange(len(below)) >= SERVED
    judges = judge_losses(above + LOSS * late * below, below, year, truth, reference)
    looks = [SERVED + WEEK * week for week in range(1, WEEKS + 1)]
    return {
        name: next((week for week, at in enumerate(looks, 1) if judge(at)), None)
        for name, judge in judges.items()
    }


def watch_real_year() -> dict[str, list[str]]:
    """Return the Sundays on which each rule raises an alert in the year as it was."""
    held_out, served = split_served(read_flights())
    above, below = read_sums(served, "brier")
    limit = find_value(held_out, "brier") + MARGIN
    looks = range(BEFORE, len(served.day) + 1, WEEK)
    alerts = {
        OURS: [served.day[at - 1] for at in looks if judge_ours(above[:at], below[:at], limit)]
    }
    for name, rule in INPUT_RULES.items():
        judge = _ask_inputs(rule, held_out, served)
        alerts[name] = [served.day[at - 1] for at in looks if judge(at)]
    return alerts


def render_page(years: dict[int, list[Year]], alerts: dict[str, list[str]]) -> str:
    """Render the page."""
    held_out, served = split_served(read_flights())
    rows = int(served.sums["rows"].sum())
    head = _HEAD.format(rows=rows, days=len(served.day), years=len(years[BLOCKS[0]]))
    limit = find_value(held_out, "brier") + MARGIN
    looks = len(range(BEFORE, len(served.day) + 1, WEEK))
    real = [
        f"| {name} | {len(days)} of {looks} | {span_days(days)} |" for name, days in alerts.items()
    ]
    return "\n".join(
        [
            head,
            "",
            "## Years without change",
            "",
            _COLUMNS,
            "| --- | --- | --- | --- | --- |",
            *_list_rows(years),
            "",
            f"Of the three figures alone, by our rule, issues a year: {_tell_metrics(years)}.",
            "",
            "## The real year",
            "",
            _REAL.format(limit=limit, margin=MARGIN),
            "",
            "| rule, asked weekly | weeks with an alert | which |",
            "| --- | --- | --- |",
            *real,
            "",
        ]
    )


def _list_rows(years: dict[int, list[Year]]) -> list[str]:
    rules = list(years[BLOCKS[0]][0].opened)
    rules.insert(1, rules.pop(rules.index(OURS + ", any of three")))
    lines = []
    for rule in rules:
        alerted = " / ".join(f"{share_alerted(years[block], rule):.2f}" for block in BLOCKS)
        opened = " / ".join(f"{mean_opened(years[block], rule):.2f}" for block in BLOCKS)
        power = [_tell_power(years, rule, weeks) for weeks in (4, WEEKS)]
        lines.append(f"| {rule} | {alerted} | {opened} | {power[0]} | {power[1]} |")
    return lines


def share_alerted(years: list[Year], rule: str) -> float:
    """Return the share of looks in which a rule raises an alert."""
    return sum(year.alerted[rule] for year in years) / len(years) / LOOKS


def mean_opened(years: list[Year], rule: str) -> float:
    """Return how often a year an issue is opened."""
    return sum(year.opened[rule] for year in years) / len(years)


def share_found(years: list[Year], rule: str, weeks: int) -> float:
    """Return the share of years in which the loss is found in so many weeks."""
    found_in = [year.first[rule] for year in years]
    return sum(week is not None and week <= weeks for week in found_in) / len(years)


def _tell_power(years: dict[int, list[Year]], rule: str, weeks: int) -> str:
    if rule not in years[BLOCKS[0]][0].first:
        return DASH
    return " / ".join(f"{share_found(years[block], rule, weeks):.2f}" for block in BLOCKS)


def _tell_metrics(years: dict[int, list[Year]]) -> str:
    parts = []
    for metric in METRICS:
        means = [sum(y.metrics[metric] for y in years[b]) / len(years[b]) for b in BLOCKS]
        parts.append(f"{metric} {means[0]:.2f} and {means[1]:.2f}")
    return ", ".join(parts)


def span_days(days: list[str]) -> str:
    """Name the Sundays in runs: the first and the last of each."""
    runs: list[list[str]] = []
    for day in days:
        if runs and np.datetime64(day) - np.datetime64(runs[-1][-1]) == np.timedelta64(WEEK, "D"):
            runs[-1].append(day)
        else:
            runs.append([day])
    texts = [run[0][5:] if len(run) == 1 else f"{run[0][5:]} to {run[-1][5:]}" for run in runs]
    return ", ".join(texts) or DASH


def run_study(years: int, workers: int) -> dict[int, list[Year]]:
    """Live through so many years for each length of block."""
    tasks = list(product(BLOCKS, range(years)))
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        lived = pool.map(live_year, tasks, 4)
    return {
        block: [year for (own, _), year in zip(tasks, lived, strict=True) if own == block]
        for block in BLOCKS
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the study and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=YEARS, help="for each length of block")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, default=None, help="write the page here")
    options = parser.parse_args(arguments)
    page = render_page(run_study(options.years, options.workers), watch_real_year())
    print(page)
    if options.output:
        options.output.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
