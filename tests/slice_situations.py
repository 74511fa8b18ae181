"""The situations of the golden comments in which slices are judged."""

from __future__ import annotations

import msgspec
from builders import make_change, make_report

from mlgitops.model import (
    Interval,
    Policy,
    Report,
    Rule,
    SliceFacts,
    SliceResult,
    SliceRule,
    Statistic,
)

_AUC = "test.roc_auc"
_GAP = SliceRule(
    by=("carrier",),
    metric="accuracy",
    statistic=Statistic.DIFFERENCE,
    max_value=0.2,
    max_worsening=0.02,
    min_rows=100,
)
_SELECTED = SliceRule(
    by=("race", "sex"),
    metric="selection_rate",
    statistic=Statistic.RATIO,
    min_value=0.8,
    min_rows=100,
)


def make_slices(
    rule: SliceRule, *rows: tuple[tuple[str, ...], int, float, float], **facts: object
) -> SliceFacts:
    """Make the facts of a rule: name, rows, base and head of each group; extremes first."""
    groups = [
        SliceResult(
            group=name,
            rows=count,
            base=base,
            head=head,
            delta=head - base,
            interval=Interval(
                low=head - base - 0.021,
                high=head - base + 0.021,
                confidence=0.9875,
                method="linearised",
            )
            if count >= rule.min_rows
            else None,
        )
        for name, count, base, head in rows
    ]
    return SliceFacts(
        by=rule.by,
        metric=rule.metric,
        statistic=rule.statistic,
        min_rows=rule.min_rows,
        slices=tuple(groups),
        small=sum(one.rows < rule.min_rows for one in groups),
        **facts,  # type: ignore[arg-type]
    )


_HELD = make_slices(
    _GAP,
    (("F9",), 310, 0.71, 0.74),
    (("AA",), 1_436, 0.82, 0.83),
    (("UA",), 2_627, 0.8, 0.81),
    (("OO",), 12, 0.7, 0.5),
    base=0.82 - 0.71,
    head=0.83 - 0.74,
    interval=Interval(low=0.031, high=0.152, confidence=0.95, method="all pairs, linearised"),
)
_WIDER = make_slices(
    _GAP,
    (("F9",), 310, 0.71, 0.58),
    (("AA",), 1_436, 0.82, 0.83),
    (("UA",), 2_627, 0.8, 0.81),
    (("OO",), 12, 0.7, 0.5),
    base=0.82 - 0.71,
    head=0.83 - 0.58,
    interval=Interval(low=0.171, high=0.334, confidence=0.95, method="all pairs, linearised"),
)
_LOST = make_slices(
    SliceRule(by=("carrier",), metric="accuracy", min_rows=100),
    (("F9",), 310, 0.71, 0.66),
    (("AA",), 1_436, 0.82, 0.83),
)
_OPEN = make_slices(
    SliceRule(by=("carrier",), metric="accuracy", min_rows=100),
    (("F9",), 310, 0.71, 0.705),
    (("AA",), 1_436, 0.82, 0.79),  # surely worse; how much, noise hides
    (("UA",), 2_627, 0.8, 0.83),
)
_UNFAIR = make_slices(
    _SELECTED,
    (("Black", "F"), 140, 0.2, 0.15),
    (("White", "M"), 1_900, 0.24, 0.25),
    (("a|b `c` <b>@octocat</b>", "\u202eM"), 3, 0.2, 0.1),
    (("", ""), 2, 0.2, 0.1),
    base=0.2 / 0.24,
    head=0.15 / 0.25,
    interval=Interval(low=0.41, high=0.83, confidence=0.95, method="all pairs, linearised"),
    omitted=9_996,
)


def slice_situations() -> dict[str, Report]:
    """Make the situations in which slices are judged."""
    better = make_change(_AUC, 0.70123, 0.73112, interval=(0.0213, 0.0391))
    metrics = {_AUC: Rule(max_worsening=0.005)}

    def judged(*pairs: tuple[SliceRule, SliceFacts]) -> Report:
        rules, facts = zip(*pairs, strict=True)
        return make_report(better, policy=Policy(metrics=metrics, slices=rules), slices=facts)

    lost = SliceRule(by=("carrier",), metric="accuracy", max_worsening=0.02, min_rows=100)
    gone = SliceFacts(
        by=("race", "sex"),
        metric="selection_rate",
        statistic=Statistic.RATIO,
        min_rows=100,
        reason="head's predictions have no column `race`",
    )
    recall = SliceRule(by=("carrier",), metric="recall", max_worsening=0.02, min_rows=100)
    few = make_slices(recall, (("AA",), 1_436, 0.82, 0.83), (("F9",), 310, 1.0, 0.5))
    thin = msgspec.structs.replace(
        few.slices[1], interval=None, reason="it has only 2 positive rows; 5 are needed"
    )
    few = msgspec.structs.replace(few, slices=(few.slices[0], thin))
    return {
        "slices_not_judged": judged((recall, few)),
        "slices_held": judged((_GAP, _HELD)),
        "slice_decides": judged((_GAP, _WIDER), (_SELECTED, _UNFAIR)),
        "slice_lost": judged((lost, _LOST)),
        "slices_not_proven": judged((msgspec.structs.replace(lost, max_worsening=0.04), _OPEN)),
        "slice_crossings": judged((_SELECTED, _UNFAIR)),
        "slice_column_gone": judged((_GAP, _HELD), (_SELECTED, gone)),
    }
