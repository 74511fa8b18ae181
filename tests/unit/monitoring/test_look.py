"""Alerts on production: what is beyond, what noise explains, and what is too little to say."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mlgitops.model import Policy, Rule, SliceRule, Statistic
from mlgitops.model.look import AlertKind, Finding, FindingState, Look
from mlgitops.model.monitoring import NO_MODEL, AlertSettings, DayFact
from mlgitops.monitoring.history import find_week_end, shift_day
from mlgitops.monitoring.labelled import Demands
from mlgitops.monitoring.look import take_look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL, OTHER = "ab" * 32, "cd" * 32
SUNDAY = "2026-11-22"
BRIER = "test.brier"
POLICY = Policy(metrics={BRIER: Rule(greater_is_better=False, max_value=0.2)})


def make_fact(day: str, name: str, above: float, below: float, **fields: Any) -> DayFact:  # noqa: ANN401
    """Make one fact; the rows are what it is divided by, unless given."""
    rest = {"model": MODEL, "rows": int(below), **fields}
    return DayFact(day=day, name=name, numerator=above, denominator=below, **rest)


def make_days(
    count: int,
    brier: Callable[[int], float],
    *,
    rows: int = 100,
    end: str = SUNDAY,
    model: str = MODEL,
) -> Iterator[DayFact]:
    """Make the facts of days, the last one ``end``; ``brier``: days before that → its figure."""
    for before in range(count):
        day = shift_day(end, -before)
        yield make_fact(day, "rows", rows, 1, rows=rows, model=model)
        yield make_fact(day, BRIER, rows * brier(before), rows, model=model)


def look(
    facts: list[DayFact],
    policy: Policy = POLICY,
    *,
    day: str = SUNDAY,
    released: dict[str, float] | None = None,
    **alerts: Any,  # noqa: ANN401
) -> Look:
    """Look at facts."""
    demands = Demands(
        policy=policy, settings=AlertSettings(**alerts), released={MODEL: released or {}}
    )
    return take_look(facts, demands, day=day, project="flights", environment="production")


def pick(seen: Look, name: str, of: str | None = None) -> Finding:
    """Return the one finding of a name."""
    (finding,) = (it for it in seen.findings if it.name == name and of in (None, it.of))
    return finding


def wave(level: float, seed: int = 1, spread: float = 0.03) -> Callable[[int], float]:
    """Return figures of days around a level."""
    dice = random.Random(seed)  # noqa: S311 - a story, not a secret
    values = [dice.gauss(level, spread) for _ in range(400)]
    return lambda before: values[before]


def test_a_figure_beyond_its_limit_is_an_alert_with_its_interval_and_since_when() -> None:
    """Eight bad weeks after as many good ones: alerted, and dated."""
    good, bad = wave(0.15), wave(0.26)
    facts = list(make_days(112, lambda before: bad(before) if before < 56 else good(before)))
    seen = look(facts)
    finding = pick(seen, BRIER)
    assert finding.state is FindingState.ALERT
    assert finding.interval is not None
    assert finding.figure is not None
    assert 0.2 < finding.interval.low < finding.figure < finding.interval.high
    assert finding.interval.confidence == pytest.approx(0.992)
    assert (finding.limit, finding.source) == (0.2, "policy.yaml")
    assert finding.since is not None
    assert "2026-10-04" <= finding.since <= "2026-10-25"
    assert seen.open_kinds == (AlertKind.MODEL,)
    assert seen.traces[0].weeks == tuple(range(-15, 1))


def test_noise_around_the_limit_is_no_alert() -> None:
    """A figure that is above its limit by less than the days differ is within noise."""
    finding = pick(look(list(make_days(56, wave(0.205, spread=0.06)))), BRIER)
    assert finding.state is FindingState.HOLDS


@pytest.mark.parametrize(
    ("days", "rows", "reason"),
    [(27, 100, "27 of 28 days with labels"), (60, 7, "196 of 200 rows with labels")],
)
def test_too_few_days_or_rows_say_nothing(days: int, rows: int, reason: str) -> None:
    """However bad they look."""
    seen = look(list(make_days(days, wave(0.9), rows=rows)))
    finding = pick(seen, BRIER)
    assert (finding.state, finding.reason) == (FindingState.NOT_ENOUGH, reason)
    assert seen.open_kinds == ()


def test_a_rare_class_that_hardly_came_says_nothing() -> None:
    """Where nine rows of a class are all there are, the figure rests on them."""
    facts = list(make_days(28, wave(0.9)))
    for before in range(28):
        day = shift_day(SUNDAY, -before)
        facts.append(make_fact(day, "confusion", 99, 100, of="target=0&answer=0"))
        if before < 9:
            facts.append(make_fact(day, "confusion", 1, 100, of="target=1&answer=0"))
    finding = pick(look(facts), BRIER)
    assert finding.state is FindingState.NOT_ENOUGH
    assert finding.reason == "9 of 10 rows that are not of the most frequent class"


def test_days_without_labels_are_left_out() -> None:
    """28 labelled days are enough, wherever the gaps are."""
    facts = [
        fact for fact in make_days(70, wave(0.3)) if fact.name == "rows" or int(fact.day[-2:]) % 2
    ]
    finding = pick(look(facts), BRIER)
    assert (finding.state, finding.days) == (FindingState.ALERT, 28)


@pytest.mark.parametrize(
    ("silent", "level", "state"),
    [(28, 0.1, "holds"), (29, 0.1, "not enough"), (300, 0.1, "not enough"), (300, 0.4, "alert")],
)
def test_labels_that_ended_show_nothing_of_today(silent: int, level: float, state: str) -> None:
    """Rows go on being answered, and the last labels are old: they only keep an alert up.

    Either way it is said that they are.
    """
    end = shift_day(SUNDAY, -silent)
    facts = [*make_days(60, wave(level), end=end)]
    facts += [fact for fact in make_days(silent, wave(0.4)) if fact.name == "rows"]
    finding = pick(look(facts), BRIER)
    assert finding.state == state
    assert finding.reason == (None if state == "holds" else f"no labels since {end}")


def test_groups_whose_labels_ended_show_nothing_of_today() -> None:
    """A slice rule is held to the same."""
    rule = SliceRule(by=("carrier",), metric=BRIER, statistic=Statistic.MAXIMUM, max_value=0.2)
    facts = [make_fact(SUNDAY, "rows", 100, 1, rows=100)]
    days = [shift_day(SUNDAY, -before) for before in range(40, 80)]
    facts += [make_fact(day, BRIER, 10, 100, of="carrier=AA") for day in days]
    finding = pick(look(facts, Policy(metrics={}, slices=(rule,))), f"{BRIER} by carrier, maximum")
    assert finding.state is FindingState.NOT_ENOUGH
    assert finding.reason == f"no labels since {shift_day(SUNDAY, -40)}"


def test_a_new_model_begins_anew() -> None:
    """What the model before it got wrong is not held against the one that serves now."""
    old = make_days(60, wave(0.4), end=shift_day(SUNDAY, -10), model=OTHER)
    new = make_days(11, wave(0.1))
    seen = look([*old, *new])
    assert seen.model == MODEL
    assert pick(seen, BRIER).reason == "11 of 28 days with labels"


def test_labelled_figures_wait_for_the_week_to_end() -> None:
    """Asked on any day of a week, the answer is the same: more looks were more false alarms."""
    facts = list(make_days(60, wave(0.21, seed=4), end=shift_day(SUNDAY, 6)))
    seen = {pick(look(facts, day=shift_day(SUNDAY, at)), BRIER) for at in range(6)}
    assert len(seen) == 1
    assert find_week_end(shift_day(SUNDAY, 6)) == SUNDAY
    assert pick(look(facts, day=shift_day(SUNDAY, 7)), BRIER) not in seen


def test_an_alert_stays_open_for_one_clean_look() -> None:
    """An issue closes after two looks without an alert."""
    bad = list(make_days(60, wave(0.3), end=shift_day(SUNDAY, -7)))
    week = [make_fact(shift_day(SUNDAY, -at), BRIER, 0, 20_000) for at in range(7)]
    week += [make_fact(shift_day(SUNDAY, -at), "rows", 100, 1, rows=100) for at in range(7)]
    seen = look([*bad, *week])
    assert pick(seen, BRIER).state is FindingState.HOLDS
    assert seen.open_kinds == (AlertKind.MODEL,)
    later = [make_fact(shift_day(SUNDAY, at), BRIER, 0, 20_000) for at in range(1, 8)]
    later += [make_fact(shift_day(SUNDAY, at), "rows", 100, 1, rows=100) for at in range(1, 8)]
    assert look([*bad, *week, *later], day=shift_day(SUNDAY, 7)).open_kinds == ()


def test_the_limit_is_that_of_monitor_yaml_then_the_policys_then_the_releases() -> None:
    """A margin alone needs a value that it is of."""
    facts = list(make_days(56, wave(0.18)))
    margin = Policy(metrics={BRIER: Rule(greater_is_better=False, max_worsening=0.01)})
    assert pick(look(facts, limits={BRIER: 0.1}), BRIER).source == "monitor.yaml"
    assert pick(look(facts), BRIER).limit == 0.2
    assert pick(look(facts, margin), BRIER).state is FindingState.SHOWN
    finding = pick(look(facts, margin, released={BRIER: 0.12}), BRIER)
    assert finding.limit == pytest.approx(0.13)
    assert finding.state is FindingState.ALERT


def test_an_area_within_days_is_not_held_to_the_policys() -> None:
    """Pairs within a day rank worse than those of all days: only a limit of its own counts."""
    policy = Policy(metrics={"test.roc_auc": Rule(min_value=0.7)})
    facts = [
        make_fact(fact.day, "test.roc_auc", 300 * 0.6, 300, rows=100)
        if fact.name == BRIER
        else fact
        for fact in make_days(56, wave(0.2))
    ]
    assert pick(look(facts, policy), "test.roc_auc").state is FindingState.SHOWN
    limits = {"test.roc_auc": 0.65}
    assert pick(look(facts, policy, limits=limits), "test.roc_auc").state is FindingState.ALERT


@pytest.mark.parametrize("bound", [2.0, -4.0])
def test_a_root_is_judged_as_its_square_and_shown_as_itself(bound: float) -> None:
    """The facts of RMSE hold squares; a bound that no root keeps is none that all keep."""
    policy = Policy(metrics={"test.rmse": Rule(greater_is_better=False, max_value=bound)})
    dice = random.Random(3)  # noqa: S311
    facts = [
        make_fact(fact.day, "test.rmse", 100 * dice.gauss(9, 1), 100)
        if fact.name == BRIER
        else fact
        for fact in make_days(56, wave(0.2))
    ]
    finding = pick(look(facts, policy), "test.rmse")
    assert finding.state is FindingState.ALERT
    assert finding.figure == pytest.approx(3, abs=0.2)
    assert finding.limit == pytest.approx(bound)


def test_a_root_without_a_limit_is_shown_as_itself() -> None:
    """Nobody bounds it: what is shown is in the metric's unit all the same."""
    policy = Policy(metrics={"test.rmse": Rule(greater_is_better=False, max_worsening=1.0)})
    squares = wave(9, spread=1)
    facts = list(make_days(56, wave(0.2)))
    facts += [
        make_fact(shift_day(SUNDAY, -at), "test.rmse", 100 * squares(at), 100) for at in range(56)
    ]
    finding = pick(look(facts, policy), "test.rmse")
    assert (finding.state, finding.reason) == (
        FindingState.SHOWN,
        "the policy has no bound for it, and no release was measured",
    )
    assert finding.figure == pytest.approx(3, abs=0.2)
    assert finding.interval is not None
    assert 2.5 < finding.interval.low < 3 < finding.interval.high < 3.5


@pytest.mark.parametrize(
    ("squares", "statistic", "limits", "state", "figure"),
    [
        (0.81, Statistic.MAXIMUM, {"max_value": 0.85}, "alert", 0.9),  # the square is below
        (9.0, Statistic.MAXIMUM, {"max_value": 3.5}, "holds", 3.0),  # the square is above
        (9.0, Statistic.MAXIMUM, {"max_value": 2.5}, "alert", 3.0),
        (9.0, Statistic.DIFFERENCE, {"max_value": 2.5}, "holds", 2.0),  # of 3 and 1
        (9.0, Statistic.RATIO, {"min_value": 0.5}, "alert", 1 / 3),
    ],
)
def test_a_root_of_a_group_is_held_to_the_policys_bound(
    squares: float, statistic: Statistic, limits: dict[str, Any], state: str, figure: float
) -> None:
    """The facts of a group's RMSE hold squares; the bound is of the root."""
    facts = list(make_days(56, wave(0.1)))
    for group, level in (("EWR", squares), ("JFK", squares / 9)):
        noise = wave(level, seed=len(facts), spread=level / 50)
        facts += [
            make_fact(shift_day(SUNDAY, -at), "rmse", 50 * noise(at), 50, of=f"origin={group}")
            for at in range(56)
        ]
    rule = SliceRule(by=("origin",), metric="rmse", statistic=statistic, **limits)
    finding = pick(look(facts, Policy(slices=(rule,))), f"rmse by origin, {statistic}")
    assert finding.state == state
    assert finding.figure == pytest.approx(figure, abs=0.05)


def test_a_calibration_alert_outlives_the_model_until_the_next_one_has_labels() -> None:
    """What is in service since yesterday has no label yet, which is no reason to close an issue."""
    gap, facts = wave(0.3), list(make_days(56, wave(0.1), end=shift_day(SUNDAY, -3), model=OTHER))
    for before in range(56):
        day = shift_day(SUNDAY, -3 - before)
        facts.append(make_fact(day, "calibration", 100 * gap(before), 100, model=OTHER))
        facts.append(make_fact(day, "score", 20, 100, of="class=1", model=OTHER))
    for before in range(3):
        day = shift_day(SUNDAY, -before)
        facts.append(make_fact(day, "rows", 100, 1, rows=100))
        facts.append(make_fact(day, "score", 20, 100, of="class=1"))
    seen = look(facts)
    assert seen.model == MODEL
    finding = pick(seen, "calibration")
    assert (finding.state, finding.lingers) == (FindingState.NOT_ENOUGH, True)
    assert finding.reason == "0 of 28 days with labels"
    assert AlertKind.MODEL in seen.open_kinds


@pytest.mark.parametrize(("gap", "state"), [(0.15, "alert"), (-0.15, "alert"), (0.01, "holds")])
def test_calibration_is_judged_both_ways(gap: float, state: str) -> None:
    """Scores that are too high and those that are too low are wrong alike."""
    facts = list(make_days(56, wave(0.1)))
    noise = wave(gap, spread=0.02)
    for before in range(56):
        day = shift_day(SUNDAY, -before)
        facts.append(make_fact(day, "score", 30, 100, of="class=1"))
        facts.append(make_fact(day, "calibration", 100 * noise(before), 100))
    assert pick(look(facts), "calibration").state == state


def make_groups(gap: float, count: int = 56, spread: float = 0.03, rows: int = 50) -> list[DayFact]:
    """Make days on which two groups differ by ``gap``."""
    facts = list(make_days(count, wave(0.1)))
    for group, level in (("EWR", 0.8), ("JFK", 0.8 - gap)):
        accuracy = wave(level, seed=len(group) + int(100 * gap), spread=spread)
        facts += [
            make_fact(
                shift_day(SUNDAY, -at), "accuracy", rows * accuracy(at), rows, of=f"origin={group}"
            )
            for at in range(count)
        ]
    return facts


def slice_policy(statistic: Statistic, **limits: Any) -> Policy:  # noqa: ANN401
    """Make a policy with one slice rule."""
    rule = SliceRule(by=("origin",), metric="accuracy", statistic=statistic, **limits)
    return Policy(slices=(rule,))


@pytest.mark.parametrize(
    ("statistic", "limits", "state"),
    [
        (Statistic.DIFFERENCE, {"max_value": 0.1}, "alert"),
        (Statistic.DIFFERENCE, {"max_value": 0.35}, "holds"),
        (Statistic.RATIO, {"min_value": 0.9}, "alert"),
        (Statistic.RATIO, {"min_value": 0.5}, "holds"),
        (Statistic.MINIMUM, {"min_value": 0.7}, "alert"),
        (Statistic.MINIMUM, {"min_value": 0.4}, "holds"),
        (Statistic.MAXIMUM, {"max_value": 0.7}, "alert"),
        (Statistic.MAXIMUM, {"max_value": 0.9}, "holds"),
        (Statistic.MAXIMUM, {"min_value": 0.9}, "not enough"),
    ],
)
def test_slices_are_held_to_the_policys_bounds(
    statistic: Statistic, limits: dict[str, float], state: str
) -> None:
    """The worst group, or pair of groups, decides."""
    name = f"accuracy by origin, {statistic}"
    finding = pick(look(make_groups(0.2), slice_policy(statistic, **limits)), name)
    assert finding.state == state
    if statistic is Statistic.DIFFERENCE and state == "alert":
        assert finding.of == "origin=EWR against origin=JFK"
        assert finding.figure == pytest.approx(0.2, abs=0.03)


def test_what_the_facts_cannot_hold_is_not_waited_for() -> None:
    """Why a metric or a slice is never measured stands in the look, in place of missing days."""
    policy = Policy(
        metrics={"test.r2": Rule(min_value=0.2)},
        slices=slice_policy(Statistic.MINIMUM, min_value=0.9).slices,
    )
    reasons = {"test.r2": "no sum gives it", "accuracy by origin": "`origin` has no list"}
    demands = Demands(policy=policy, settings=AlertSettings(), released={}, left_out=reasons)
    facts = list(make_days(60, wave(0.1)))
    seen = take_look(facts, demands, day=SUNDAY, project="", environment="production")
    for name, reason in (
        ("test.r2", "no sum gives it"),
        ("accuracy by origin, minimum", "`origin` has no list"),
    ):
        finding = pick(seen, name)
        assert (finding.state, finding.reason) == (FindingState.NOT_ENOUGH, reason)


def test_small_groups_are_not_judged() -> None:
    """The policy says from how many rows."""
    policy = slice_policy(Statistic.MINIMUM, min_value=0.9, min_rows=2000)
    finding = pick(look(make_groups(0.2), policy), "accuracy by origin, minimum")
    assert finding.reason == "no group of 2000 rows"


def refuse(days: dict[int, int], rows: int = 1000, count: int = 60) -> list[DayFact]:
    """Make days of which some had refusals: days before the last → how many."""
    facts = list(make_days(count, wave(0.1), rows=rows))
    for at, refused in days.items():
        day = shift_day(SUNDAY, -at)
        facts.append(make_fact(day, "refused.contract", refused, rows + refused))
    return facts


@pytest.mark.parametrize(
    ("days", "rows", "state"),
    [
        ({}, 1000, "holds"),
        ({3: 50}, 1000, "alert"),  # one bad day
        ({3: 12}, 1000, "holds"),  # above one in a hundred, and no more than chance
        ({3: 1}, 10, "holds"),  # one of eleven
        ({at: 40 + at % 9 for at in range(60)}, 1000, "holds"),  # as always here
        ({at: 400 if at < 2 else 40 + at % 9 for at in range(60)}, 1000, "alert"),
    ],
)
def test_refusals_are_held_to_what_is_usual(days: dict[int, int], rows: int, state: str) -> None:
    """A level that was always there is no news, and few rows are no proof."""
    seen = look(refuse(days, rows))
    assert pick(seen, "refused.contract").state == state
    assert (AlertKind.DATA in seen.open_kinds) == (state == "alert")


def test_what_the_server_could_not_score_is_of_the_system() -> None:
    """A single failure in a thousand is within what is allowed, ten are not."""
    facts = list(make_days(60, wave(0.1), rows=1000))
    facts.append(make_fact(SUNDAY, "refused.scoring", 10, 1010))
    seen = look(facts)
    assert pick(seen, "refused.scoring").kind is AlertKind.SYSTEM
    assert seen.open_kinds == (AlertKind.SYSTEM,)


@pytest.mark.parametrize(("empty", "state"), [(1, "holds"), (2, "alert")])
def test_silence_where_there_was_traffic_each_day(empty: int, state: str) -> None:
    """Two days without a row are an alert where there never was one."""
    facts = list(make_days(60, wave(0.1), end=shift_day(SUNDAY, -empty)))
    assert pick(look(facts), "silence").state == state


@pytest.mark.parametrize(("empty", "state"), [(4, "holds"), (5, "alert")])
def test_silence_knows_weekends(empty: int, state: str) -> None:
    """Where two days of a week are always empty, four in a row raise no alert."""
    facts = [
        fact
        for fact in make_days(90, wave(0.1), end=shift_day(SUNDAY, -2))
        if find_week_end(fact.day) != fact.day
        and find_week_end(shift_day(fact.day, 1)) != shift_day(fact.day, 1)
    ]
    seen = look(facts, day=shift_day(SUNDAY, empty - 2))
    assert pick(seen, "silence").state == state


def test_missing_cells_and_new_levels_are_by_column() -> None:
    """The column is named."""
    facts = list(make_days(60, wave(0.1), rows=1000))
    for at in range(60):
        day = shift_day(SUNDAY, -at)
        for column, missing in (("temp", 900 if at < 3 else 2), ("visib", 3)):
            facts.append(make_fact(day, "missing", missing, 1000, of=f"column={column}"))
        facts.append(make_fact(day, "new_level", 80 * (at < 3), 1000, of="column=carrier"))
    seen = look(facts)
    assert {(it.name, it.of) for it in seen.alerts()} == {
        ("missing", "temp"),
        ("new_level", "carrier"),
    }


def test_drift_and_estimates_are_shown_and_never_alerted() -> None:
    """Inputs that are all others raise no alert; they stand beside their own noise."""
    facts = list(make_days(90, wave(0.1)))
    for at in range(90):
        day = shift_day(SUNDAY, -at)
        for bin_, share in ((0, 90 if at > 40 else 5), (1, 10 if at > 40 else 95)):
            facts.append(make_fact(day, "histogram", share, 100, of=f"column=temp&bin={bin_}"))
        facts.append(make_fact(day, f"estimated.{BRIER}", 100 * 0.9, 100))
    seen = look(facts)
    assert seen.open_kinds == ()
    index = pick(seen, "psi", "temp")
    assert index.figure is not None
    assert index.figure > 1
    assert "among themselves: up to 0" in str(index.reason)
    assert "assumes unchanged" in str(pick(seen, f"estimated.{BRIER}").reason)


def test_without_facts_nothing_is_said() -> None:
    """And nothing is green."""
    seen = look([])
    assert (seen.model, seen.findings) == (None, ())
    assert "no row was ever answered" in seen.notices[0]


def test_days_to_come_do_not_count() -> None:
    """A clock that ran ahead, or a forged day, changes nothing."""
    facts = list(make_days(60, wave(0.1)))
    ahead = list(make_days(5, wave(0.9), end="2027-01-05", model=OTHER))
    assert look([*facts, *ahead]) == look(facts)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 3), st.floats(0, 1)), max_size=80))
def test_any_facts_give_a_look(entries: list[tuple[int, int, float]]) -> None:
    """Constant columns, gaps, one row a day, nothing: never an error."""
    names = ("rows", BRIER, "refused.contract", "calibration")
    facts = {
        (at, name): make_fact(shift_day(SUNDAY, -at), names[name], value, 1, rows=1)
        for at, name, value in entries
    }
    seen = look(list(facts.values()))
    assert seen.alerts(AlertKind.MODEL) == []


def keep_labels(facts: list[DayFact], name: str, keep: Callable[[int], bool]) -> list[DayFact]:
    """Leave out a figure on the days that ``keep`` does not want: days before the last."""
    kept = {shift_day(SUNDAY, -at) for at in range(400) if keep(at)}
    return [fact for fact in facts if fact.name != name or fact.day in kept]


@pytest.mark.parametrize("silent", [40, 200])
def test_an_alert_that_nobody_can_measure_any_more_is_not_over(silent: int) -> None:
    """Another figure of the kind holds all along; that says nothing of the one that did not."""
    policy = Policy(
        metrics={
            BRIER: Rule(greater_is_better=False, max_value=0.2),
            "test.accuracy": Rule(min_value=0.5),
        },
    )
    end = shift_day(SUNDAY, -silent)
    facts = list(make_days(60 + silent, wave(0.1), end=SUNDAY))
    facts = [fact for fact in facts if fact.name == "rows"]
    new = shift_day(SUNDAY, 1 - silent)
    facts = [replace(it, model=OTHER) if it.day < new else it for it in facts]
    facts += [it for it in make_days(60, wave(0.4), end=end, model=OTHER) if it.name == BRIER]
    for at in range(60 + silent):
        day = shift_day(SUNDAY, -at)
        model = OTHER if at >= silent else MODEL
        facts.append(make_fact(day, "test.accuracy", 90, 100, model=model))
    seen = look(facts, policy)
    assert seen.model == MODEL
    assert pick(seen, "test.accuracy").state is FindingState.HOLDS
    assert pick(seen, BRIER).state is FindingState.NOT_ENOUGH
    assert pick(seen, BRIER).lingers
    assert seen.open_kinds == (AlertKind.MODEL,)


def test_one_model_s_alert_is_over_when_the_next_one_holds_twice() -> None:
    """The figure is the same whoever answers; the release's value is of each model."""
    margin = Policy(metrics={BRIER: Rule(greater_is_better=False, max_worsening=0.01)})
    states = []
    for weeks in (3, 4, 5):
        old = make_days(60, wave(0.4), end=shift_day(SUNDAY, -7 * weeks), model=OTHER)
        facts = [*old, *make_days(7 * weeks, wave(0.1, spread=0.005))]
        demands = Demands(
            policy=margin,
            settings=AlertSettings(),
            released={OTHER: {BRIER: 0.2}, MODEL: {BRIER: 0.12}},
        )
        seen = take_look(facts, demands, day=SUNDAY, project="", environment="production")
        states.append((pick(seen, BRIER).state.value, seen.open_kinds))
    open_ = (AlertKind.MODEL,)
    assert states == [("not enough", open_), ("holds", open_), ("holds", ())]


def test_a_column_that_is_no_longer_asked_for_holds_no_issue_open() -> None:
    """A later model does not read it: after five weeks nothing is said of it."""
    facts = list(make_days(120, wave(0.1), rows=1000))
    for at in range(40, 120):
        missing = 900 if at < 47 else 2
        facts.append(make_fact(shift_day(SUNDAY, -at), "missing", missing, 1000, of="column=temp"))
    seen = look(facts)
    assert "missing" not in {it.name for it in seen.findings}
    assert seen.open_kinds == ()
    assert look(facts, day=shift_day(SUNDAY, -20)).open_kinds == (AlertKind.DATA,)


@pytest.mark.parametrize("weeks", [1, 4, 5, 20, 40])
def test_a_fault_that_lasts_never_becomes_usual(weeks: int) -> None:
    """Half of the cells missing is news after half a year, too, and since when is said."""
    facts = list(make_days(365, wave(0.1), rows=1000))
    for at in range(365):
        missing = 500 if at < 7 * weeks else 20 + at % 5
        facts.append(make_fact(shift_day(SUNDAY, -at), "missing", missing, 1000, of="column=temp"))
    finding = pick(look(facts), "missing")
    assert finding.state is FindingState.ALERT
    assert finding.since == shift_day(SUNDAY, 7 - 7 * min(weeks, 27))
    since = shift_day(SUNDAY, -7 * weeks + 1)
    assert look(facts, usual_since=since).open_kinds == ((AlertKind.DATA,) if weeks < 3 else ())


def test_a_level_that_creeps_is_held_to_the_first_weeks() -> None:
    """Each day is hardly worse than those before it."""
    facts = list(make_days(300, wave(0.1), rows=2000))
    for at in range(300):
        share = 0.03 + 0.0008 * (299 - at)
        noise = 0.004 * ((at * 7) % 5 - 2)
        day = shift_day(SUNDAY, -at)
        facts.append(make_fact(day, "missing", 2000 * (share + noise), 2000, of="column=temp"))
    assert pick(look(facts), "missing").state is FindingState.ALERT


@pytest.mark.parametrize("bad", [(30,), (55,), (57, 58), (54, 55, 56)])
def test_some_very_bad_days_do_not_excuse_later_ones(bad: tuple[int, ...]) -> None:
    """Whether the rule had learned what is usual by then or not."""
    days = {at: 10 + at % 3 for at in range(60)} | dict.fromkeys(bad, 9000) | {2: 150}
    finding = pick(look(refuse(days)), "refused.contract")
    assert finding.state is FindingState.ALERT
    assert finding.limit is not None
    assert finding.limit < 0.1


def test_a_very_bad_day_of_the_first_week_does_not_excuse_the_third() -> None:
    """The days that say what is usual are all there are, and it is among them."""
    days = {at: 10 + at % 3 for at in range(20)} | {17: 9000, 2: 150}
    assert pick(look(refuse(days, count=20)), "refused.contract").state is FindingState.ALERT


def test_a_fault_that_began_after_ten_days_never_becomes_usual() -> None:
    """Neither the first weeks nor the last ones take its days for what is usual."""
    days = {at: 500 if at < 50 else 10 + at % 3 for at in range(60)}
    assert pick(look(refuse(days)), "refused.contract").state is FindingState.ALERT


def test_what_is_so_on_one_day_of_a_week_is_usual() -> None:
    """A batch without its columns comes each Sunday."""
    days = {at: 400 if at % 7 == 0 else 5 for at in range(60)}
    assert pick(look(refuse(days)), "refused.contract").state is FindingState.HOLDS


def test_days_that_say_nothing_of_what_is_usual_hold_nothing() -> None:
    """Where one day is all refused and the next none, no day can be too much: that is no yes."""
    days = {at: 100_000 if at % 2 else 0 for at in range(60)}
    finding = pick(look(refuse(days)), "refused.contract")
    assert finding.state is FindingState.NOT_ENOUGH
    assert "usual_since" in str(finding.reason)


def lose(day: str, name: str, lost: float, lines: float) -> DayFact:
    """Make the fact of what a day's files held that nobody can use."""
    return make_fact(day, name, lost, lines, model=NO_MODEL)


@pytest.mark.parametrize(
    ("rows", "lost", "lines", "state"),
    [
        (100, 1, 101, "holds"),  # a server that was killed
        (3, 1, 4, "holds"),
        (0, 1, 1, "holds"),
        (100, 8, 108, "alert"),
        (0, 40, 40, "alert"),
        (0, 3, 3, "alert"),
    ],
)
def test_a_log_that_nobody_can_read_is_an_alert_on_data(
    rows: int, lost: int, lines: int, state: str
) -> None:
    """One line of a day is chance, all of a day is not."""
    facts = list(make_days(60, wave(0.1), end=shift_day(SUNDAY, -1)))
    facts += make_days(1, wave(0.1), rows=rows) if rows else []
    facts.append(lose(SUNDAY, "unreadable", lost, lines))
    seen = look(facts)
    assert pick(seen, "unreadable").state == state
    assert seen.open_kinds == ((AlertKind.DATA,) if state == "alert" else ())
    assert look(facts, unreadable=1.0).open_kinds == ()
    assert look(facts, unreadable=0.0).open_kinds == (AlertKind.DATA,)


@pytest.mark.parametrize(
    ("lost", "of", "every", "state"),
    [
        (1, 2, 1, "alert"),  # two requests of many rows a day
        (1, 1, 2, "alert"),  # one, that is lost every other day
        (2, 8, 1, "alert"),
        (0.4, 1, 1, "alert"),  # rows of one line
        (1, 100, 1, "holds"),  # a server whose power is cut each night
        (1, 4, 28, "holds"),  # one mischance
    ],
)
@pytest.mark.parametrize("name", ["unreadable", "unreadable_labels"])
def test_a_few_lines_a_day_are_held_to_what_is_allowed_together(
    name: str, lost: float, of: int, every: int, state: str
) -> None:
    """None of the days is beyond chance, and a log of which half is lost is."""
    facts = list(make_days(60, wave(0.1), end=shift_day(SUNDAY, -60)))
    for at in range(60):
        day = shift_day(SUNDAY, -at)
        facts += [make_fact(day, "rows", of, 1), make_fact(day, "labels", of, of)]
        facts += [lose(day, name, lost, of)] if at % every == 0 else []
    finding = pick(look(facts), name)
    assert finding.state == state
    if state == "alert":
        days = 28 if name == "unreadable_labels" else 7
        assert finding.figure == pytest.approx(lost / of / every, rel=0.2)
        assert (finding.limit, finding.days) == (0.01, days)
        assert str(finding.reason).startswith(f"on {days} days up to {SUNDAY}: ")
    assert pick(look(facts, unreadable=0.6), name).state == "holds"


@pytest.mark.parametrize(
    ("lost", "of"), [(200, 100), (0.5, 0.1), (1e308, 1e-300), (1e300, 1e300), (1e308, 1e308)]
)
@pytest.mark.parametrize("name", ["missing", "new_level", "refused.contract", "unreadable"])
def test_a_share_that_nobody_counted_ends_no_look(name: str, lost: float, of: float) -> None:
    """Whoever may write the facts can write any number."""
    part = "column=carrier" if name in {"missing", "new_level"} else None
    facts = [*make_days(60, wave(0.1)), make_fact(SUNDAY, name, lost, of, of=part)]
    assert pick(look(facts), name).state in {"alert", "holds"}


@pytest.mark.parametrize("name", ["unreadable", "unreadable_labels"])
def test_no_share_of_a_log_that_nobody_can_read_is_usual(name: str) -> None:
    """However long it has been so."""
    facts = list(make_days(200, wave(0.1)))
    facts += [make_fact(shift_day(SUNDAY, -at), "labels", 100, 100) for at in range(200)]
    facts += [lose(shift_day(SUNDAY, -at), name, 50, 100) for at in range(200)]
    finding = pick(look(facts), name)
    assert (finding.state, finding.limit) == (FindingState.ALERT, 0.01)
    assert finding.source == "monitor.yaml"


def test_a_log_of_which_nothing_was_ever_readable_is_an_alert() -> None:
    """No model is known, and much was asked."""
    seen = look([lose(shift_day(SUNDAY, -at), "unreadable", 50, 50) for at in range(3)])
    assert seen.model is None
    assert [it.name for it in seen.alerts()] == ["unreadable"]


@pytest.mark.parametrize(
    ("name", "period"), [("unreadable", 7), ("unreadable_labels", 28), ("damaged", 28)]
)
def test_an_alert_on_files_is_over_after_two_looks_without(name: str, period: int) -> None:
    """Labels come late, so theirs are looked at for longer; lines of each day are counted once."""
    facts = list(make_days(120, wave(0.1)))
    facts += [make_fact(shift_day(SUNDAY, -at), "labels", 100, 100) for at in range(120)]
    bad = shift_day(SUNDAY, -90)
    facts.append(lose(bad, name, 90, 190))

    def is_open(days: int) -> bool:
        return look(facts, day=shift_day(bad, days)).open_kinds == (AlertKind.DATA,)

    assert [is_open(-1), is_open(0), is_open(period - 1)] == [False, True, True]
    assert pick(look(facts, day=shift_day(bad, period - 1)), name).state is FindingState.ALERT
    assert pick(look(facts, day=shift_day(bad, period)), name).state is FindingState.HOLDS
    assert [is_open(period + 6), is_open(period + 7)] == [True, False]


def test_a_new_model_that_refuses_everything_is_seen() -> None:
    """It never answered a row, and is the one that is asked."""
    facts = list(make_days(60, wave(0.1), end=shift_day(SUNDAY, -1), model=OTHER))
    facts.append(make_fact(SUNDAY, "rows", 0, 1, rows=0))
    facts.append(make_fact(SUNDAY, "refused.scoring", 80, 80))
    seen = look(facts)
    assert seen.model == MODEL
    assert [it.name for it in seen.alerts()] == ["refused.scoring"]


def test_a_first_model_that_refuses_everything_is_seen() -> None:
    """Nothing was ever answered, and much was asked."""
    facts = [make_fact(SUNDAY, "rows", 0, 1, rows=0)]
    facts.append(make_fact(SUNDAY, "refused.contract", 80, 80))
    seen = look(facts)
    assert [it.name for it in seen.alerts()] == ["refused.contract"]
    assert pick(seen, "silence").state is FindingState.NOT_ENOUGH


def test_counts_are_of_all_models_together() -> None:
    """What one refuses is not lost among what another one answers on the same day."""
    facts = list(make_days(60, wave(0.1), rows=1000, model=OTHER))
    facts.append(make_fact(SUNDAY, "refused.contract", 60, 60))
    finding = pick(look(facts), "refused.contract")
    assert finding.figure == pytest.approx(60 / 1060)
    assert finding.state is FindingState.ALERT


def test_a_calibration_of_exactly_zero_is_drawn_with_its_limit() -> None:
    """What is best has a limit, too."""
    facts = list(make_days(56, wave(0.1)))
    for at in range(56):
        gap = 3 if at % 2 else -3
        facts.append(make_fact(shift_day(SUNDAY, -at), "calibration", gap, 100))
    seen = look(facts, calibration=0.05)
    assert pick(seen, "calibration").figure == 0
    assert [trace.limit for trace in seen.traces if trace.name == "calibration"] == [0.05]
