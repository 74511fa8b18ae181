"""Tests of a metric whose file moved: it is compared, and no way around its margin."""

from __future__ import annotations

import msgspec
import pytest
from builders import make_change, make_report

from mlgitops.judgement.judge import judge_report
from mlgitops.judgement.moved import Joined, describe_moves
from mlgitops.model import Interval, Kind, MetricChange, Policy, Rescoring, Rule, TestData, Verdict
from mlgitops.model.facts import Evidence
from mlgitops.render.facts import noise_notices
from mlgitops.render.rows import judged_rows, other_rows
from mlgitops.verification.consistency import find_contradictions

MARGIN = Rule(greater_is_better=True, max_worsening=0.05)
SPELLINGS = ["acc", "old.json:acc", "new.json:acc"]


def move(head: float, base: float = 0.9) -> list[MetricChange]:
    """Return what a report lists of a metric that moved from old.json to new.json."""
    gone = make_change("acc", base, None, path="old.json")
    new = make_change("acc", None, head, path="new.json")
    reason = "base has it in `old.json`, which this change takes away"
    return [msgspec.structs.replace(new, base_missing=reason), gone]


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize(
    ("head", "kind", "verdict"),
    [
        (0.95, Kind.IMPROVED, Verdict.PASS),
        (0.9, Kind.UNCHANGED, Verdict.PASS),
        (0.87, Kind.WORSENED, Verdict.PASS),
        (0.4, Kind.WORSENED, Verdict.FAIL),
    ],
)
def test_a_metric_that_moved_is_held_to_its_margin(
    name: str, head: float, kind: Kind, verdict: Verdict
) -> None:
    """By the plain name and by either path; what is shown has both values, and says the move."""
    policy = Policy(metrics={name: MARGIN})
    report = judge_report(make_report(*move(head), policy=None), policy)
    assert report.judgement is not None
    (judged,) = report.judgement.metrics
    assert (judged.kind, judged.verdict, judged.path) == (kind, verdict, "new.json")
    (row,) = judged_rows(report)
    assert (row.base, row.delta == "") == ("0.9000", False)
    assert other_rows(report) == []
    told = "`acc` moved: base's value is in `old.json`, and head's in `new.json`."
    assert describe_moves(report.metrics) == [told]
    assert told in noise_notices(report)


OTHERS = [
    make_change("acc", 0.8, None, path="older.json"),
    make_change("acc", None, 0.95, path="newer.json"),
]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", SPELLINGS)
def test_with_two_files_on_a_side_nothing_moved(name: str, other: MetricChange) -> None:
    """It is not known which went where, so head chooses none that it is compared with."""
    policy = Policy(metrics={name: MARGIN})
    report = judge_report(make_report(*move(0.95), other, policy=None), policy)
    assert report.judgement is not None
    assert report.judgement.verdict is Verdict.FAIL


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_file_that_is_there_without_a_value_did_not_move(name: str) -> None:
    """What is NaN in the old file is not replaced by a number in another one."""
    new, gone = move(0.95)
    broken = msgspec.structs.replace(gone, reason="head is NaN")
    policy = Policy(metrics={name: MARGIN})
    report = judge_report(make_report(new, broken, policy=None), policy)
    assert report.judgement is not None
    assert report.judgement.verdict is Verdict.FAIL


@pytest.mark.parametrize("name", SPELLINGS)
def test_what_predictions_deny_of_a_metric_that_moved_fails(name: str) -> None:
    """The reason that stands at head's file is the metric's."""
    new, gone = move(0.95)
    denied = msgspec.structs.replace(new, reason="head's predictions give 0.4")
    policy = Policy(metrics={name: MARGIN})
    report = judge_report(make_report(denied, gone, policy=None), policy)
    assert report.judgement is not None
    assert report.judgement.metrics[0].kind is Kind.INCOMPARABLE
    assert report.judgement.verdict is Verdict.FAIL


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize(
    ("rescored", "verdict"), [("old.json", Verdict.PASS), ("new.json", Verdict.FAIL)]
)
def test_base_was_measured_anew_where_base_has_the_metric(
    name: str, rescored: str, verdict: Verdict
) -> None:
    """On other test data, base's value counts if its own file was measured anew, not head's."""
    report = msgspec.structs.replace(
        make_report(*move(0.9), policy=None),
        test_data=TestData.CHANGED,
        rescoring=Rescoring(paths=(rescored,)),
    )
    judged = judge_report(report, Policy(metrics={name: MARGIN}))
    assert judged.judgement is not None
    assert judged.judgement.verdict is verdict


def test_an_interval_of_a_metric_that_moved_holds_its_change() -> None:
    """Evidence stands at head's file, and is held against the change from base's."""
    new, gone = move(0.4)
    policy = Policy(metrics={"acc": MARGIN})
    for low, high, lies in ((-0.6, -0.4, False), (-0.01, 0.01, True)):
        interval = Interval(low=low, high=high, confidence=0.95, method="score")
        with_interval = msgspec.structs.replace(
            new, evidence=Evidence(rows=1000, interval=interval)
        )
        report = make_report(with_interval, gone, policy=None)
        contradictions = " ".join(find_contradictions(report, policy))
        assert ("leaves out its own change" in contradictions) is lies
        assert ("an interval, and no change" in contradictions) is False


def test_metrics_that_stay_are_as_they_are() -> None:
    """Without a move the changes are those of the report."""
    changes = (make_change("acc", 0.9, 0.8), make_change("loss", 0.1, None))
    assert Joined(changes).changes == changes
    assert Joined(changes).moved == {}
