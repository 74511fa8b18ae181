"""Predictions and reports with which noise, or too little to count, would decide wrongly.

Each file is well formed. What it would have decided is a loss that is not seen because a group
was made too small, too even or endless, or a certainty that the rows do not give.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from trust.lie import check_lie
from trust.lies.test_evidence import EVENT, HONEST

from mlgitops.github.decision import Undecided, decide
from mlgitops.judgement.slices import judge_slices
from mlgitops.model import OnInconclusive, Rule, SliceRule
from mlgitops.statistics import compare_predictions
from mlgitops.statistics.matching import match_predictions
from mlgitops.statistics.slices import measure_slices
from mlgitops.tables.predictions import read_predictions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Table = dict[str, list[Any]]


def _encode(table: Table) -> bytes:
    """Return a predictions file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = len(table["target"])
    writer.writerow(["id", *table])
    writer.writerows([at, *(column[at] for column in table.values())] for at in range(rows))
    return text.getvalue().encode()


def _read(folder: Path, base: Table, head: Table) -> tuple[bytes, Any]:
    """Write and read both sides as `compare` does; return head's bytes, and the pair."""
    sides = []
    for name, table in (("base.csv", base), ("head.csv", head)):
        (folder / name).write_bytes(_encode(table))
        sides.append(read_predictions(folder / name))
    return _encode(head), match_predictions(*sides)


def _judge(pair: Any, metric: str, *, cluster: str | None, strict: bool) -> str:  # noqa: ANN401
    rule = SliceRule(by=("group",), metric=metric, max_worsening=0.02)
    facts = measure_slices(pair, [rule], confidence=0.95, cluster=cluster)
    mode = OnInconclusive.FAIL if strict else OnInconclusive.PASS
    (verdict,) = judge_slices([rule], facts, mode)
    return "; ".join(verdict.reasons)


_CLASSES = [1, 0] * 60
_GROUPS = ["a"] * 60 + ["b"] * 60
_WRONG = _CLASSES[:60] + [1 - answer for answer in _CLASSES[60:]]
_HALF_WRONG = _CLASSES[:60] + [0] * 60
_SCORES = [0.9 if answer else 0.1 for answer in _CLASSES]


def _of_classes(prediction: list[int], **columns: list[Any]) -> Table:
    return {"target": _CLASSES, "prediction": prediction, "group": _GROUPS, **columns}


def _of_numbers(prediction: list[float]) -> Table:
    return {"target": [float(at) for at in range(120)], "prediction": prediction, "group": _GROUPS}


_NEAR = [at + 1.0 for at in range(120)]
_ENDLESS = [*_NEAR[:119], 1e200]
_LOST = "`b` lost more than the 0.02 that a group may lose"
_DAYS = [f"day {at % 12}" for at in range(120)]
_ONE_DAY = _DAYS[:60] + ["day 0"] * 60

#: What head's file claims: base's and head's table, metric, cluster, why it fails.
HIDDEN: dict[str, tuple[Table, Table, str, str | None, str]] = {
    "no positive answer where base has thirty": (
        *(_of_classes(_CLASSES), _of_classes(_HALF_WRONG), "precision", None),
        f"`precision` by `group`: {_LOST}",
    ),
    "an endless error takes its group out": (
        *(_of_numbers(_NEAR), _of_numbers(_ENDLESS), "mse", None),
        "cannot be judged: head's `mse` is not a finite number in the group 'b'",
    ),
    "the same, where the root is taken": (
        *(_of_numbers(_NEAR), _of_numbers(_ENDLESS), "rmse", None),
        "cannot be judged: head's `rmse` is not a finite number in the group 'b'",
    ),
    "groups of its own, in which the loss is spread": (
        *(_of_classes(_CLASSES), _of_classes(_WRONG) | {"group": ["a", "b"] * 60}),
        *("accuracy", None, f"`accuracy` by `group`: {_LOST}"),
    ),
    "clusters of its own, one for the group that lost": (
        *(_of_classes(_CLASSES, day=_DAYS), _of_classes(_WRONG, day=_ONE_DAY)),
        *("recall", "day", f"`recall` by `group`: {_LOST}"),
    ),
    "one score for every row of a group": (
        _of_classes(_CLASSES, score=_SCORES),
        _of_classes(_CLASSES, score=_SCORES[:60] + [0.5] * 60),
        *("roc_auc", None, f"`roc_auc` by `group`: {_LOST}"),
    ),
    "an error that grew by the same on every row": (
        _of_numbers(_NEAR),
        _of_numbers(_NEAR[:60] + [at + 2.0 for at in range(60, 120)]),
        *("mae", None, f"`mae` by `group`: {_LOST}"),
    ),
    "every positive row missed, every other right": (
        *(_of_classes(_CLASSES), _of_classes(_HALF_WRONG), "f1", None),
        f"`f1` by `group`: {_LOST}",
    ),
}


@pytest.mark.parametrize("claim", HIDDEN)
def test_a_loss_cannot_be_hidden_in_a_group(
    record_property: Callable[[str, object], None], tmp_path: Path, claim: str
) -> None:
    """What head's predictions do to a group's rows, values or columns does not hide its loss."""
    base, head, metric, cluster, reason = HIDDEN[claim]
    payload, pair = _read(tmp_path, base, head)
    text = _judge(pair, metric, cluster=cluster, strict=False)
    check_lie(record_property, payload, reason=reason, text=text)


def _join(*parts: tuple[int, int, int, int]) -> tuple[list[int], list[int], list[int]]:
    """Return target, base and head of runs of rows: how many, and what each says."""
    columns = zip(*(row for count, *row in parts for row in [row] * count), strict=True)
    target, base, head = (list(column) for column in columns)
    return target, base, head


#: Rows of the group `b` (count, target, base, head), metric, cluster, why a strict policy fails.
UNPROVEN: dict[str, tuple[tuple[tuple[int, int, int, int], ...], str, str | None, str]] = {
    "one row": (((1, 1, 1, 0),), "accuracy", None, "it has only 1 row"),
    "three positive rows": (
        *(((3, 1, 1, 0), (60, 0, 0, 0)), "recall", None),
        "it has only 3 positive rows; 5 are needed",
    ),
    "four negative rows": (
        *(((60, 1, 1, 1), (4, 0, 0, 1)), "true_negative_rate", None),
        "it has only 4 negative rows; 5 are needed",
    ),
    "two positive answers": (
        *(((2, 1, 1, 0), (60, 0, 0, 0), (2, 0, 0, 1)), "precision", None),
        "it has only 2 rows that base predicts as positive; 10 are needed",
    ),
    "one cluster": (*(((60, 1, 1, 0),), "recall", "day", "all its rows belong to one cluster"),),
}


@pytest.mark.parametrize("claim", UNPROVEN)
def test_too_little_to_count_proves_nothing(
    record_property: Callable[[str, object], None], tmp_path: Path, claim: str
) -> None:
    """A group in which noise has no measure passes as not judged, and never proves a margin."""
    parts, metric, cluster, reason = UNPROVEN[claim]
    target, base, head = _join(*parts, (40, 1, 1, 1), (40, 0, 0, 0))
    own = len(target) - 80
    days = ["day 0"] * own + [f"day {at}" for at in range(80)]
    columns: Table = {"target": target, "group": ["b"] * own + ["a"] * 80}
    columns["day"] = list(days)
    sides = [columns | {"prediction": side} for side in (base, head)]
    payload, pair = _read(tmp_path, sides[0], sides[1])
    assert _judge(pair, metric, cluster=cluster, strict=False) == ""
    text = _judge(pair, metric, cluster=cluster, strict=True)
    check_lie(record_property, payload, reason=f"may have lost more than 0.02: {reason}", text=text)


def _draw(rows: int, positives: int, sizes: list[int] | None) -> tuple[Table, Table]:
    """Draw two models of which head is slightly better; the first rows are the positive ones."""
    rng = np.random.default_rng(8)
    target = (np.arange(rows) < positives).astype(int)
    columns: Table = {"target": target.tolist()}
    if sizes:
        columns["day"] = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)).tolist()
    sides = []
    for distance in (0.45, 0.5):
        score = np.clip(0.25 + distance * target + 0.12 * rng.standard_normal(rows), 0.01, 0.99)
        answers = (score > 0.5).astype(int)
        sides.append({**columns, "prediction": answers.tolist(), "score": score.tolist()})
    return sides[0], sides[1]


#: Rows, positive rows, rows of each cluster, metric, why its interval is rough.
ROUGH: dict[str, tuple[int, int, list[int] | None, str, str]] = {
    "twelve positive rows": (1_000, 12, None, "mcc", "a class has only 12 rows; 30 or more"),
    "fourteen, by their squared errors": (
        *(1_000, 14, None, "brier", "a class has only 14 rows; 30 or more"),
    ),
    "a ranking that misplaces hardly a row": (
        *(1_000, 40, None, "roc_auc"),
        "the rarer class has 40 rows and nearly all are ranked right",
    ),
    "fifteen positive rows, by their order": (
        *(1_000, 15, None, "average_precision", "a class has only 15 rows; 20 or more"),
    ),
    "one cluster of nine tenths": (
        *(1_000, 300, [900, *[2] * 50], "accuracy"),
        "the 51 clusters are so unequal that they amount to 1; 20 or more",
    ),
    "twelve clusters": (
        *(1_000, 300, [84] * 8 + [82] * 4, "brier"),
        "only 12 clusters; 20 or more",
    ),
}


@pytest.mark.parametrize("claim", ROUGH)
def test_what_rests_on_few_rows_is_called_rough(
    record_property: Callable[[str, object], None], tmp_path: Path, claim: str
) -> None:
    """Thousands of rows are no ground where a few of them, or of their clusters, decide."""
    rows, positives, sizes, metric, reason = ROUGH[claim]
    base, head = _draw(rows, positives, sizes)
    payload, pair = _read(tmp_path, base, head)
    cluster = "day" if sizes else None
    found = compare_predictions(pair, metrics={f"test.{metric}": Rule()}, cluster=cluster)
    evidence = found[f"test.{metric}"]
    assert evidence.interval is not None
    assert evidence.interval.method.endswith("rough")
    check_lie(record_property, payload, reason=reason, text=evidence.reason or "")


_POLICY = b"""\
version: 1
files: {test_data: data/test.csv, predictions: predictions.csv}
metrics:
  test.accuracy: {greater_is_better: true, max_worsening: 0.01}
  test.roc_auc: {greater_is_better: true, max_worsening: 0.01}
slices:
  - {by: [region], metric: %s, max_worsening: 0.05}
%s"""
_FEW = "it has only 3 positive rows; 5 are needed"


def _report(metric: str, **group: object) -> dict[str, Any]:
    """Return a report whose second group is ``group``."""
    first, second = (
        {"group": [name], "rows": 400, "base": 0.875, "head": 0.25, "delta": -0.625, **more}
        for name, more in (("north", {"rows": 600, "head": 0.875, "delta": 0.0}), ("south", group))
    )
    first["interval"] = {"low": 0, "high": 0, "confidence": 0.975, "method": "identical"}
    kept = {key: value for key, value in second.items() if value is not None}
    facts = {"by": ["region"], "metric": metric, "slices": [first, kept]}
    return {**HONEST, "slices": [facts]}


#: The report, the mode, why it does not pass.
REPORTS: dict[str, tuple[dict[str, Any], str, bytes, str]] = {
    "400 rows are too few to tell their accuracy": (
        *(_report("accuracy", reason="it has only 1 row"), "accuracy", b""),
        "`south` has 400 rows that count, and is said to have too few to judge",
    ),
    "a loss without an interval, and without a reason": (
        *(_report("recall"), "recall", b""),
        "`recall` by `region`: `south` lost more than the 0.05 that a group may lose",
    ),
    "a value at base alone": (
        *(_report("recall", head=None, delta=None, reason="no positive rows"), "recall", b""),
        "`south` has a value at base and none at head: no positive rows",
    ),
    "too few to prove what a strict policy asks to be proven": (
        *(_report("recall", reason=_FEW), "recall", b"inconclusive: fail\n"),
        f"`south` may have lost more than 0.05: {_FEW}",
    ),
}


@pytest.mark.parametrize("claim", REPORTS)
def test_a_report_cannot_take_a_group_out_of_its_rule(
    record_property: Callable[[str, object], None], claim: str
) -> None:
    """A group that is said to have no value or no measure of noise does not pass for it."""
    report, metric, mode, reason = REPORTS[claim]
    payload = json.dumps(report).encode()
    policy = _POLICY % (metric.encode(), mode)
    decision = decide(payload, policy, EVENT, key="model", where="policy.yaml")
    assert decision.exit_code != 0
    if isinstance(decision, Undecided):
        text = decision.problem
    else:
        assert decision.report.judgement is not None
        text = "; ".join(decision.report.judgement.failures)
    check_lie(record_property, payload, reason=reason, text=text)
