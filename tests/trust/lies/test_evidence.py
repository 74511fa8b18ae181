"""Reports that are valid in form and false in content: each is refused before it is judged."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from posting import BASE, HEAD
from trust.lie import check_lie

from mlgitops.github.decision import Decision, Undecided, decide
from mlgitops.github.event import Event, Run

if TYPE_CHECKING:
    from collections.abc import Callable

POLICY = b"""\
version: 1
files: {test_data: data/test.csv, predictions: predictions.csv}
metrics:
  test.accuracy: {greater_is_better: true, max_worsening: 0.01}
  test.roc_auc: {greater_is_better: true, max_worsening: 0.01}
budgets:
  cost.model_size_mb: {max_value: 50}
  size: {max_value: 10}
slices:
  - {by: [region], metric: accuracy, max_worsening: 0.05}
  - {by: [region], metric: accuracy, statistic: difference, max_value: 0.2}
"""
RUN = Run(
    repository="octo/model",
    server_url="https://github.example",
    api_url="https://github.example/api/v3",
    graphql_url=None,
    run_id=1,
    run_number=1,
    run_attempt=1,
)
EVENT = Event(run=RUN, number=1, base_sha=BASE, head_sha=HEAD, head_repository="octo/model")
_OLD, _NEW = "md5:" + "0" * 32, "md5:" + "1" * 32


def _interval(low: float, high: float, confidence: float = 0.975) -> dict[str, Any]:
    return {"low": low, "high": high, "confidence": confidence, "method": "paired DeLong"}


def _metric(name: str, base: float, head: float) -> dict[str, Any]:
    return {
        "name": name,
        "path": "metrics.json",
        "base": base,
        "head": head,
        "delta": head - base,
        "relative_delta": (head - base) / base,
    }


def _judged(name: str, base: float, head: float) -> dict[str, Any]:
    delta = head - base
    interval = _interval(delta - 0.02, delta + 0.02)
    return {**_metric(name, base, head), "evidence": {"rows": 1_000, "interval": interval}}


def _group(name: str, rows: int, base: float, head: float) -> dict[str, Any]:
    delta = head - base
    interval = _interval(delta - 0.03, delta + 0.03, 0.9875)
    return {
        "group": [name],
        "rows": rows,
        "base": base,
        "head": head,
        "delta": delta,
        "interval": interval,
    }


def _slices(statistic: str | None) -> dict[str, Any]:
    groups = [_group("north", 600, 0.75, 0.75), _group("south", 400, 0.875, 0.875)]
    facts = {"by": ["region"], "metric": "accuracy", "slices": groups}
    if statistic is None:
        return facts
    interval = _interval(0.0625, 0.1875, 0.95)
    return {**facts, "statistic": statistic, "base": 0.125, "head": 0.125, "interval": interval}


#: What an honest comparison writes, with a bit of everything; the policy passes it.
HONEST: dict[str, Any] = {
    "schema": 1,
    "key": "model",
    "base": {"sha": BASE, "test_data": _OLD},
    "head": {"sha": HEAD, "test_data": _OLD},
    "test_data": "same",
    "metrics": [
        _metric("size", 1.0, 2.0),
        _judged("test.accuracy", 0.75, 0.8125),
        _judged("test.roc_auc", 0.875, 0.890625),
    ],
    "cost": [{**_metric("cost.model_size_mb", 1.5, 2.0), "path": "reports/cost.json"}],
    "slices": [_slices(None), _slices("difference")],
}
#: The same after the test data changed, with base measured on the new rows.
RESCORED: dict[str, Any] = {
    **HONEST,
    "head": {"sha": HEAD, "test_data": _NEW},
    "test_data": "changed",
    "metrics": [{**metric, "base_stored": 0.5} for metric in HONEST["metrics"]],
    "rescoring": {"paths": ["metrics.json"], "rows": 1_000, "seen": 12, "seconds": 1.5},
}


def _judge(report: dict[str, Any], policy: bytes = POLICY) -> Decision:
    return decide(json.dumps(report).encode(), policy, EVENT, key="model", where="policy.yaml")


def _change(report: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy with ``value`` at a dotted ``path``; "-" as a value removes it."""
    changed = copy.deepcopy(report)
    *parents, last = path.split(".")
    node: Any = changed
    for part in parents:
        node = node[int(part)] if part.isdigit() else node[part]
    if value == "-":
        del node[last]
    else:
        node[int(last) if last.isdigit() else last] = value
    return changed


def _exceed(report: dict[str, Any]) -> dict[str, Any]:
    """Put a metric of the old test data among the costs, which no test data concerns."""
    changed = _change(report, "cost", [*report["cost"], report["metrics"][1]])
    return _change(changed, "metrics", [report["metrics"][0], report["metrics"][2]])


LIES: list[tuple[str, dict[str, Any], str]] = [
    (
        "an interval that leaves out its own change",
        _change(HONEST, "metrics.1.evidence.interval", _interval(0.0, 0.01)),
        "the interval of `test.accuracy`, 0 to 0.01, leaves out its own change of 0.0625",
    ),
    (
        "one row with an interval",
        _change(HONEST, "metrics.1.evidence.rows", 1),
        "`test.accuracy` has an interval of 1 test row(s), and noise needs 2",
    ),
    (
        "no row at all, and no doubt",
        _change(
            HONEST,
            "metrics.1",
            {
                **_metric("test.accuracy", 0.75, 0.75),
                "evidence": {"rows": 0, "interval": _interval(0, 0)},
            },
        ),
        "`test.accuracy` has an interval of 0 test row(s), and noise needs 2",
    ),
    (
        "a confidence of one half, which is guessing",
        _change(HONEST, "metrics.2.evidence.interval.confidence", 0.5),
        "`test.roc_auc` is read at a confidence of 0.5, and the policy's gives 0.95 to 0.975",
    ),
    (
        "a confidence so high that nothing is ever a loss",
        _change(
            HONEST, "metrics.2.evidence.interval", _interval(-0.9, 0.9, confidence=0.999999999)
        ),
        "the interval of `test.roc_auc` is read at a confidence of 1, and the policy's gives",
    ),
    (
        "an interval without width at a gain",
        _change(HONEST, "metrics.1.evidence.interval", _interval(0.0625, 0.0625)),
        "the interval of `test.accuracy` has no width, as if nothing were uncertain",
    ),
    (
        "two numbers of test rows",
        _change(HONEST, "metrics.1.evidence.rows", 999),
        "its intervals are of 999 and 1,000 test rows, and there is one set of predictions",
    ),
    (
        "a loss whose change was left out",
        _change(
            _change(HONEST, "metrics.1", _metric("test.accuracy", 0.75, 0.25)),
            "metrics.1.delta",
            None,
        ),
        "`test.accuracy` has a value at base and at head, and no change",
    ),
    (
        "an interval without a change",
        _change(
            _change(_change(HONEST, "metrics.1.delta", None), "metrics.1.base", None),
            "metrics.1.relative_delta",
            None,
        ),
        "`test.accuracy` has an interval, and no change",
    ),
    (
        "a change beside the reason why there is none",
        _change(HONEST, "metrics.1.reason", "base is NaN"),
        "`test.accuracy` has a change, and a reason why it cannot be compared",
    ),
    (
        "a relative change of other values",
        _change(HONEST, "metrics.1.relative_delta", 0.5),
        "`test.accuracy` has a relative change that its values do not give",
    ),
    (
        "an interval around a budget",
        _change(
            HONEST, "metrics.0.evidence", {"rows": 1_000, "interval": _interval(0.5, 1.5, 0.95)}
        ),
        "`size` is a budget, which has no interval",
    ),
    (
        "an interval around a cost",
        _change(HONEST, "cost.0.evidence", {"rows": 1_000, "interval": _interval(0, 1, 0.95)}),
        "`cost.model_size_mb` has an interval, and no method measures a cost's noise",
    ),
    (
        "a metric among the costs",
        _exceed(HONEST),
        "`test.accuracy` stands among the costs and is none",
    ),
    (
        "a cost among the metrics",
        _change(_change(HONEST, "metrics.0", HONEST["cost"][0]), "cost", []),
        "`cost.model_size_mb` is a cost and stands among the metrics",
    ),
    (
        "the same test data by two hashes",
        _change(HONEST, "head.test_data", _NEW),
        "it calls the test data same, and its hashes differ",
    ),
    (
        "other test data by one hash",
        _change(HONEST, "test_data", "changed"),
        "it calls the test data changed, and its hashes are equal",
    ),
    (
        "test data that is not known, by two hashes",
        _change(_change(HONEST, "head.test_data", _NEW), "test_data", "unknown"),
        "it calls the test data unknown, and its hashes differ",
    ),
    (
        "the same test data, which head has not",
        _change(HONEST, "head.test_data", None),
        "it calls the test data same, and names none at head",
    ),
    (
        "the same test data, which base has not",
        _change(_change(HONEST, "base.test_data", None), "head.test_data", None),
        "it calls the test data same, and names none at base",
    ),
    (
        "base measured anew on the same test data",
        _change(HONEST, "rescoring", RESCORED["rescoring"]),
        "base was measured anew, and the test data is same",
    ),
    (
        "base measured anew, which was not possible",
        _change(RESCORED, "rescoring.reason", "base has no model"),
        "base was measured anew, and the report says why that was not possible",
    ),
    (
        "more rows seen in training than there are",
        _change(RESCORED, "rescoring.seen", 1_001),
        "base's model was trained on 1,001 of 1,000 test rows",
    ),
    (
        "a stored value at base of what was not measured anew",
        _change(HONEST, "metrics.1.base_stored", 0.9),
        "`test.accuracy` has a stored value at base, and was not measured anew",
    ),
    (
        "intervals although base has no predictions on these rows",
        _change(RESCORED, "rescoring.rows", None),
        "it has intervals, and base has no predictions on head's test data",
    ),
    (
        "groups at base although it has no predictions on these rows",
        _change(RESCORED, "rescoring.rows", None),
        "`accuracy` by `region` has values at base, which has no predictions on head's test data",
    ),
    (
        "a group's loss whose change was left out",
        _change(
            _change(HONEST, "slices.0.slices.0", _group("north", 600, 0.75, 0.25)),
            "slices.0.slices.0.delta",
            None,
        ),
        "`accuracy` by `region`: `north` has a value at base and at head, and no change",
    ),
    (
        "a group's interval that leaves out its own change",
        _change(HONEST, "slices.0.slices.1.interval", _interval(0.01, 0.02, 0.9875)),
        "the interval of `accuracy` by `region`: `south`, 0.01 to 0.02, leaves out its own change",
    ),
    (
        "a group of one row with an interval",
        _change(HONEST, "slices.0.slices.1.rows", 1),
        "`accuracy` by `region`: `south` has an interval of 1 test row(s), and noise needs 2",
    ),
    (
        "a group at a confidence of one half",
        _change(HONEST, "slices.0.slices.1.interval.confidence", 0.5),
        "the interval of `accuracy` by `region`: `south` is read at a confidence of 0.5",
    ),
    (
        "a gap at a confidence of one half",
        _change(HONEST, "slices.1.interval.confidence", 0.5),
        "`region` is read at a confidence of 0.5, and the policy's gives 0.95",
    ),
    (
        "a group twice",
        _change(HONEST, "slices.0.slices.1", HONEST["slices"][0]["slices"][0]),
        "`accuracy` by `region`: `north` stands there twice",
    ),
    (
        "a rule twice, of which the second is judged",
        _change(HONEST, "slices", [*HONEST["slices"], HONEST["slices"][0]]),
        "`accuracy` by `region` stands there twice",
    ),
    (
        "groups without the one that lost",
        _change(HONEST, "slices.0.slices", HONEST["slices"][0]["slices"][:1]),
        "`accuracy` by `region` has 600 rows in all its groups, and there are 1,000 test rows",
    ),
    (
        "a group that is left out of two",
        _change(
            _change(HONEST, "slices.0.slices", HONEST["slices"][0]["slices"][:1]),
            "slices.0.omitted",
            1,
        ),
        "`accuracy` by `region` lists 1 groups, and leaves out 1 others",
    ),
    (
        "more rows in the groups than in the test data",
        _change(HONEST, "slices.0.slices.1.rows", 401),
        "`accuracy` by `region` has 1,001 rows in its groups, and there are 1,000 test rows",
    ),
]


def test_what_an_honest_comparison_writes_is_judged() -> None:
    """Both reports that the lies start from pass: no check refuses what is true."""
    assert _judge(HONEST).verdict == "pass"
    assert _judge(RESCORED).verdict == "pass"


def test_holms_levels_are_the_policys() -> None:
    """Either level of two judged metrics is one that its correction gives, to the last digit."""
    for level in (0.95, 1 - (1 - 0.95) / 2, 1 - (1 - 0.95)):
        report = _change(HONEST, "metrics.1.evidence.interval.confidence", level)
        assert _judge(report).verdict == "pass"


@pytest.mark.parametrize(("report", "reason"), [lie[1:] for lie in LIES], ids=[x[0] for x in LIES])
def test_a_report_that_contradicts_itself_is_not_judged(
    report: dict[str, Any], reason: str, record_property: Callable[[str, object], None]
) -> None:
    """No verdict, exit code 2, and the reason to the letter."""
    decision = _judge(report)
    assert (decision.verdict, decision.exit_code, decision.conclusion) == (
        "undecided",
        2,
        "failure",
    )
    assert isinstance(decision, Undecided)
    text = decision.problem
    assert text.startswith("the report contradicts itself, so nothing of it was judged:")
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


def test_test_data_that_the_policy_does_not_name(
    record_property: Callable[[str, object], None],
) -> None:
    """Without `files.test_data` nothing was hashed."""
    policy = POLICY.replace(b"test_data: data/test.csv, ", b"")
    decision = _judge(HONEST, policy)
    assert isinstance(decision, Undecided)
    reason = "it names the test data's content, and the policy names no test data"
    check_lie(record_property, json.dumps(HONEST).encode(), reason=reason, text=decision.problem)


def test_many_contradictions_are_counted() -> None:
    """The comment names ten, and how many more there are."""
    report = _change(
        HONEST, "metrics", [_metric(f"m{at}", 1.0, 2.0) | {"delta": None} for at in range(13)]
    )
    report = _change(report, "metrics", [m | {"relative_delta": None} for m in report["metrics"]])
    decision = _judge(report)
    assert isinstance(decision, Undecided)
    assert "`m9` has a value" in decision.problem
    assert "`m10`" not in decision.problem
    assert "and 3 more" in decision.problem
