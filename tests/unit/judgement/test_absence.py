"""Tests of what a metric that is in head alone may be: new, or called otherwise at base."""

from __future__ import annotations

import pytest
from builders import make_change, make_report

from mlgitops.dvc.metrics import MetricSet
from mlgitops.dvc.pipeline import LockEntry, Pipeline, Stage
from mlgitops.judgement.absence import Absences
from mlgitops.judgement.judge import judge_report
from mlgitops.model import DataVersion, Kind, MetricChange, Policy, Rule, Verdict

NEW = make_change("acc", None, 0.4, path="m.json")
LOCK = LockEntry(command="x", deps={}, params={}, outs={})
KEPT = DataVersion(hash="md5:" + "0" * 32 + ".dir")
STAGE = Stage(name="s", file="dvc.yaml", folder="", command="x", deps=(), outs=("out",), metrics=())


def explain(
    *others: MetricChange,
    pipeline: Pipeline | None = None,
    metrics: dict[str, MetricSet] | None = None,
    change: MetricChange = NEW,
) -> str | None:
    """Explain one change among others."""
    return Absences([change, *others], pipeline or Pipeline(), metrics or {}).explain(change)


@pytest.mark.parametrize(
    ("others", "pipeline", "metrics", "reason"),
    [
        # First run of a repository that had no pipeline, or one that measured something else.
        ([], Pipeline(), {}, None),
        ([], Pipeline(metrics={"b.json"}, locks={"s": LOCK}), {"b.json": MetricSet()}, None),
        ([make_change("loss", 0.1, 0.1, path="b.json")], Pipeline(metrics={"b.json"}), {}, None),
        # Declared and not there: never committed, or the pipeline was never run.
        (
            [],
            Pipeline(metrics={"m.json"}, locks={"s": LOCK}),
            {"m.json": MetricSet()},
            "base declares `m.json` and does not hold it",
        ),
        (
            [],
            Pipeline(metrics={"m.json"}),
            {},
            "base declares `m.json` and does not hold it, perhaps as its pipeline never ran",
        ),
        ([], Pipeline(pointers={"m.json": KEPT}), {}, "base declares `m.json` and does not"),
        # There, and without the name.
        (
            [],
            Pipeline(metrics={"m.json"}),
            {"m.json": MetricSet(values={"loss": 0.1})},
            "base's `m.json` does not have it",
        ),
        ([], Pipeline(), {"m.json": MetricSet(unusable={"x": "is NaN"})}, "base's `m.json` does"),
        ([], Pipeline(), {"m.json": MetricSet(problem="is damaged")}, "base's `m.json` does"),
        # By another name, or in another file.
        (
            [make_change("accuracy", 0.9, None, path="m.json")],
            Pipeline(metrics={"m.json"}),
            {"m.json": MetricSet(values={"accuracy": 0.9})},
            "`accuracy` is gone, which may be what base calls it",
        ),
        (
            [make_change("acc", 0.9, None, path="old.json")],
            Pipeline(metrics={"old.json"}),
            {},
            "base has it in `old.json`, which this change takes away",
        ),
        # Not read, or not in full.
        (
            [],
            Pipeline(),
            {"b.json": MetricSet(problem="is damaged")},
            "`b.json` could not be read at base, and may have had it",
        ),
        (
            [make_change("a", 1, 1, path="b.json")],
            Pipeline(),
            {"b.json": MetricSet(problem="is not here")},
            None,
        ),
        ([], Pipeline(unread=["stage `a` of `dvc.yaml`"]), {}, "stage `a` of `dvc.yaml` could not"),
    ],
)
def test_only_what_base_cannot_have_is_new(
    others: list[MetricChange],
    pipeline: Pipeline,
    metrics: dict[str, MetricSet],
    reason: str | None,
) -> None:
    """Each way in which base's value may be missing is told, and a new metric is none of them."""
    found = explain(*others, pipeline=pipeline, metrics=metrics)
    assert (found or "").startswith(reason or "")
    assert (found is None) == (reason is None)


def test_files_in_folders_that_base_makes_are_declared() -> None:
    """A folder that a stage writes, or that DVC keeps, declares what is in it."""
    inside = make_change("acc", None, 0.4, path="out/deep/m.json")
    for pipeline in (Pipeline(stages={"s": STAGE}), Pipeline(pointers={"out": KEPT})):
        text = explain(change=inside, pipeline=pipeline)
        assert (text or "").startswith("base declares `out/deep/m.json`")
        assert explain(change=NEW, pipeline=pipeline) is None


@pytest.mark.parametrize("change", [make_change("a", 0.5, 0.6), make_change("a", 0.5, None)])
def test_what_base_has_is_not_missing(change: MetricChange) -> None:
    """A metric with a value at base needs no explanation, nor does one that head lost."""
    assert explain(change=change, pipeline=Pipeline(metrics={change.path})) is None


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        (Rule(max_worsening=0.05), Verdict.FAIL),
        (Rule(max_relative_worsening=0.05), Verdict.FAIL),
        (Rule(max_worsening=0.05, min_value=0.1), Verdict.FAIL),
        (Rule(min_value=0.1), Verdict.PASS),  # head's value alone is judged
        (Rule(min_value=0.5), Verdict.FAIL),
    ],
)
def test_a_margin_needs_the_value_at_base(rule: Rule, verdict: Verdict) -> None:
    """A loss that is not known fails; where none is limited, nothing is missed."""
    (change,) = Absences([NEW], Pipeline(metrics={"m.json"}), {}).mark([NEW])
    policy = Policy(metrics={"acc": rule})
    judgement = judge_report(make_report(change, policy=None), policy).judgement
    assert judgement is not None
    assert (judgement.verdict, judgement.metrics[0].kind) == (verdict, Kind.ADDED)
    if rule.max_worsening is not None:
        text = "`acc` is new, and base declares `m.json` and does not hold it"
        assert judgement.failures[0].startswith(text)
        assert judgement.failures[0].endswith("what it lost is not known")
    passed = judge_report(make_report(NEW, policy=None), policy).judgement
    assert passed is not None
    assert (passed.verdict is Verdict.PASS) == (rule.min_value != 0.5)
