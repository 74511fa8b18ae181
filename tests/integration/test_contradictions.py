"""Metrics files that predictions do not bear out: of other rows, of another run, or made up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from dvc_project import make_predictions
from integration.compared import kinds

if TYPE_CHECKING:
    from dvc_project import DvcProject

POLICY = """\
version: 1
files: {{predictions: reports/predictions.csv}}
metrics:
  {name}: {{greater_is_better: true, max_worsening: {margin}}}
"""
BASE = make_predictions(rows=1_000, errors=200)


def put_both(
    project: DvcProject,
    base: tuple[float, bytes],
    head: tuple[float, bytes],
    name: str,
    margin: float = 0.02,
) -> None:
    """Leave runs at base and head: the value of ``name`` in the metrics file, predictions."""
    project.put("policy.yaml", POLICY.format(name=name, margin=margin))
    group, _, metric = name.partition(".")
    for at, (value, predictions) in enumerate((base, head)):
        project.train(accuracy=value, predictions=predictions)
        project.put("reports/metrics.json", json.dumps({group: {metric: value}}))
        if not at:
            project.fill(project.root / ".dvc" / "cache")
            project.commit()


def drop_rows(table: bytes, *, begin: int, end: int) -> bytes:
    """Leave rows out, counted from 1: the header stays."""
    lines = table.splitlines(keepends=True)
    return b"".join([*lines[:begin], *lines[end:]])


@pytest.mark.parametrize(
    ("value", "head", "reason"),
    [
        (0.9, make_predictions(rows=1_000, errors=300), "head's predictions give 0.7 and its"),
        (0.9, BASE, "head's predictions give 0.8 and its metrics file says 0.9"),
        (1.0, drop_rows(BASE, begin=1, end=201), "do not hold 200 of base's 1,000 test rows"),
        (0.8, drop_rows(BASE, begin=500, end=501), "do not hold 1 of base's 1,000 test rows"),
        (0.9, BASE.replace(b",0,1,0.9", b",1,1,0.9"), "do not hold 100 of base's 1,000"),
        (0.8, BASE.replace(b"r1,", b"r2,"), "do not hold 2 of base's 1,000 test rows"),
        (
            0.9,
            make_predictions(rows=2_000, errors=200),
            "give 0.8 on base's test rows and its metrics file says 0.9",
        ),
    ],
)
def test_a_metric_that_only_heads_predictions_contradict_fails(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    value: float,
    head: bytes,
    reason: str,
) -> None:
    """A better number that head's predictions do not give, or give on other rows, is no pass."""
    put_both(project, (0.8, BASE), (value, head), "test.accuracy")
    found = compare(project, "--json")
    assert (found.code, kinds(found.report)) == (1, {"test.accuracy": "incomparable"})
    assert reason in found.report["judgement"]["failures"][0]


def make_classes(wrong: tuple[int, int]) -> bytes:
    """Return predictions of 200 rows a class, so many of which are wrong."""
    rows = [
        f"{label * 200 + at},{label},{label ^ (at < wrong[label])}"
        for label in (0, 1)
        for at in range(200)
    ]
    return "\n".join(["id,target,prediction", *rows, ""]).encode()


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("0.recall", (0.9, 0.91), 0),
        ("1.recall", (0.9, 0.89), 0),
        ("macro avg.recall", (0.9, 0.9), 0),
        ("0.recall", (0.9, 0.92), 1),
        ("1.recall", (0.9, 0.91), 1),
        ("macro avg.recall", (0.9, 0.91), 1),
    ],
)
def test_a_line_of_a_classification_report_is_held_against_its_class(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    name: str,
    values: tuple[float, float],
    code: int,
) -> None:
    """Class 0 gains what class 1 loses: what each line says is true of its own class alone."""
    base, head = make_classes((20, 20)), make_classes((18, 22))
    put_both(project, (values[0], base), (values[1], head), name, 0.05)
    found = compare(project, "--json")
    assert found.code == code
    evidence = found.report["metrics"][0]["evidence"]
    assert bool(evidence and evidence["interval"]) is (code == 0)


@pytest.mark.parametrize(
    ("base", "head", "reason"),
    [
        # One digit, or none, as base's value stands there too: no rounding explains as much.
        ((1.0, 0), (1.0, 125), "head's predictions give 0.875 and its metrics file says 1"),
        ((0.8, 200), (0.8, 225), "head's predictions give 0.775 and its metrics file says 0.8"),
        # What is false at base already is no licence.
        ((1.0, 100), (1.0, 125), "and head's disagree too"),
        ((0.85, 200), (0.86, 250), "base's predictions give 0.8 and its metrics file says 0.85"),
    ],
)
def test_a_round_number_or_a_false_base_hides_no_loss(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    base: tuple[float, int],
    head: tuple[float, int],
    reason: str,
) -> None:
    """A judged metric of the test rows is what head's predictions give, whatever base's says."""
    (before, old), (after, new) = base, head
    put_both(
        project,
        (before, make_predictions(rows=1_000, errors=old)),
        (after, make_predictions(rows=1_000, errors=new)),
        "test.accuracy",
    )
    found = compare(project, "--json")
    assert (found.code, kinds(found.report)) == (1, {"test.accuracy": "incomparable"})
    assert reason in found.report["judgement"]["failures"][0]


@pytest.mark.parametrize(("margin", "code"), [(0.002, 1), (0.02, 0)])
def test_digits_that_are_cut_off_hide_no_loss_above_the_margin(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    margin: float,
    code: int,
) -> None:
    """Two files may state one rounded value where the predictions are sure of a loss."""
    old, new = (make_predictions(rows=10_000, errors=errors) for errors in (1_960, 2_040))
    put_both(project, (0.8, old), (0.8, new), "test.accuracy", margin)
    found = compare(project, "--json")
    assert found.code == code
    hidden = "the predictions show a loss of at least"
    assert (hidden in str(found.report["judgement"]["failures"])) is (code == 1)


def test_a_metric_of_other_rows_gets_no_interval(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Predictions of the test rows say nothing of a judged metric that is of others."""
    head = make_predictions(rows=1_000, errors=240, rotate=500)
    put_both(project, (0.85, BASE), (0.81, head), "val.accuracy")
    found = compare(project, "--json")
    (metric,) = found.report["metrics"]
    assert (found.code, kinds(found.report)) == (1, {"val.accuracy": "worsened"})
    assert metric["evidence"]["interval"] is None
    assert (
        "give 0.8 and its metrics file says 0.85: the two are of other rows"
        in (metric["evidence"]["reason"])
    )


@pytest.mark.parametrize(("value", "stored"), [(0.815, 0.81), (0.8049, 0.805)])
def test_rounded_metrics_are_no_contradiction(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    value: float,
    stored: float,
) -> None:
    """What is left of a value after rounding in its file is still that of the predictions."""
    rows = 10_000
    head = make_predictions(rows=rows, errors=round(rows * (1 - value)), rotate=7)
    put_both(
        project, (0.8, make_predictions(rows=rows, errors=2_000)), (stored, head), "test.accuracy"
    )
    found = compare(project, "--json")
    assert (found.code, kinds(found.report)) == (0, {"test.accuracy": "improved"})


@pytest.mark.parametrize(("value", "code"), [(0.81, 0), (0.9, 1)])
def test_a_metric_that_moved_is_held_against_predictions(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    value: float,
    code: int,
) -> None:
    """Another file for a metric is no way around what head's predictions give."""
    head = make_predictions(rows=1_000, errors=190)
    put_both(project, (0.8, BASE), (value, head), "test.accuracy")
    for name in ("dvc.yaml", "dvc.lock"):
        text = (project.root / name).read_text(encoding="utf-8")
        project.put(name, text.replace("reports/metrics.json", "reports/moved.json"))
    (project.root / "reports/metrics.json").rename(project.root / "reports/moved.json")
    found = compare(project, "--json")
    assert found.code == code, found.report["judgement"]
    kind = "incomparable" if code else "improved"
    assert kinds(found.report) == {"test.accuracy": kind}
    intervals = [(metric["evidence"] or {}).get("interval") for metric in found.report["metrics"]]
    assert any(intervals) is (code == 0)
    if code:
        reason = "head's predictions give 0.81 and its metrics file says 0.9"
        assert reason in found.report["judgement"]["failures"][0]


def test_predictions_of_an_older_run_contradict(project: DvcProject, compare: Any) -> None:  # noqa: ANN401
    """Predictions that a stage has not made anew are no ground for a new metric."""
    dvc_yaml = (project.root / "dvc.yaml").read_text(encoding="utf-8")
    lines = dvc_yaml.replace("    outs: [reports/predictions.csv]\n", "")
    stage = "  score:\n    cmd: python score.py\n    deps: [score.py]\n"
    project.put("dvc.yaml", f"{lines}{stage}    outs: [reports/predictions.csv]\n")
    project.put("score.py", "print('score')\n")
    put_both(project, (0.8, BASE), (0.9, make_predictions(rows=1_000, errors=100)), "test.accuracy")
    found = compare(project, "--json")
    assert (found.code, kinds(found.report)) == (1, {"test.accuracy": "incomparable"})
    assert "`reports/predictions.csv` is stale" in found.report["judgement"]["failures"][0]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("test.accuracy", 0.8, 0),
        ("test.accuracy", 0.9, 1),
        ("val.accuracy", 0.9, 0),  # of other rows
        ("test.f1", 0.9, 0),  # of no known class
        ("test.top_5", 0.9, 0),  # of no known method
    ],
)
@pytest.mark.parametrize("rule", ["min_value: 0.5", "max_worsening: 0.1"])
def test_a_new_metric_is_held_against_heads_own_predictions(
    project: DvcProject,
    compare: Any,  # noqa: ANN401
    name: str,
    value: float,
    *,
    code: int,
    rule: str,
) -> None:
    """Base has no value to lose, and head's number is no more self-reported for that."""
    policy = POLICY.format(name=name, margin=0.1)
    project.put("policy.yaml", policy.replace("max_worsening: 0.1", rule))
    dvc_yaml = (project.root / "dvc.yaml").read_text(encoding="utf-8")
    project.put("dvc.yaml", "stages: {}\n")
    for path in ("reports/metrics.json", "dvc.lock"):
        (project.root / path).unlink(missing_ok=True)
    project.commit()
    project.put("dvc.yaml", dvc_yaml)
    project.train(accuracy=value, predictions=BASE)
    group, _, metric = name.partition(".")
    project.put("reports/metrics.json", json.dumps({group: {metric: value}}))
    found = compare(project, "--json")
    assert (found.code, kinds(found.report)) == (code, {name: "incomparable" if code else "added"})
    if code:
        reason = "head's predictions give 0.8 and its metrics file says 0.9"
        assert reason in found.report["judgement"]["failures"][0]
