"""Reports that are consistent and do not say what git holds of base, of head, or of the results."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from trust.lie import check_lie
from trust.recorded import TEST_DATA, Recorded, write_results

from mlgitops.dvc.metrics import MetricSet
from mlgitops.model import Evidence, MetricChange, Policy, Report, Rule, Side, TestData
from mlgitops.verification.claims import list_claims
from mlgitops.verification.contradictions import contradict_base
from mlgitops.verification.record import Record, SideRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OTHER = "md5:" + "7" * 32


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Make the repository once: no test changes its commits."""
    return Recorded(tmp_path_factory.mktemp("recorded") / "model")


def _set_value(report: dict[str, Any], at: int, **values: float | None) -> dict[str, Any]:
    """Return the report with other values of one metric, and the change that they give."""
    changed = copy.deepcopy(report)
    metric = changed["metrics"][at]
    metric.update(values)
    both = metric["base"] is not None and metric["head"] is not None
    metric["delta"] = metric["head"] - metric["base"] if both else None
    return changed


def _set_cost(report: dict[str, Any], base: float | None, head: float) -> dict[str, Any]:
    changed = copy.deepcopy(report)
    delta = None if base is None else head - base
    changed["cost"][0].update(base=base, head=head, delta=delta)
    return changed


def _rescore(report: dict[str, Any], base: float, *, stored: float) -> dict[str, Any]:
    """Return the report as if the test data had changed, with base measured anew."""
    changed = _set_value(report, 0, base=base)
    for metric, value in zip(changed["metrics"], (stored, 0.5), strict=True):
        metric["base_stored"] = value
    changed["head"]["test_data"] = _OTHER
    changed["test_data"] = "changed"
    changed["rescoring"] = {"paths": ["metrics.json"], "seconds": 1.0}
    return changed


def _slice(report: dict[str, Any]) -> dict[str, Any]:
    group = {"group": ["north"], "rows": 600, "head": 0.5}
    facts = {"by": ["region"], "metric": "accuracy", "slices": [group]}
    return {**copy.deepcopy(report), "slices": [facts]}


def _replace_test_data(report: dict[str, Any], sides: tuple[str, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(report)
    for side in sides:
        changed[side]["test_data"] = _OTHER
    changed["test_data"] = "same" if len(sides) > 1 else "changed"
    return changed


def _drop(report: dict[str, Any], at: int) -> dict[str, Any]:
    return {**report, "metrics": [m for place, m in enumerate(report["metrics"]) if place != at]}


LIES: list[tuple[str, Callable[[dict[str, Any]], dict[str, Any]], str]] = [
    (
        "base was worse than it is",
        lambda report: _set_value(report, 0, base=0.25),
        "`score` at base is 0.25 by the report and 0.5 in git",
    ),
    (
        "base had no such metric, so nothing can be lost",
        lambda report: _set_value(report, 0, base=None),
        "`score` at base is absent by the report and 0.5 in git",
    ),
    (
        "base's other metric, which nobody judges, is another one",
        lambda report: _set_value(report, 1, base=0.125, head=0.5),
        "`loss` at base is 0.125 by the report and 0.5 in git",
    ),
    (
        "head is better than what was trained",
        lambda report: _set_value(report, 0, head=0.875),
        "`score` at head is 0.875 by the report and 0.625 in git",
    ),
    (
        "head has a metric that nothing wrote",
        lambda report: {
            **report,
            "metrics": [
                *report["metrics"],
                {
                    "name": "made_up",
                    "path": "metrics.json",
                    "head": 0.5,
                    "base_missing": "base's `metrics.json` does not have it",
                },
            ],
        },
        "`made_up` at head is 0.5 by the report and absent in git",
    ),
    (
        "a judged metric of a second file is left out",
        lambda report: _drop(report, 0),
        "`score` is in `metrics.json` at base, and the report leaves it out",
    ),
    (
        "base's model was larger than it is",
        lambda report: _set_cost(report, 5.0, 2.0),
        "`cost.model_size_mb` at base is 5.0 by the report and 1.0 in git",
    ),
    (
        "base's model has no size, so it cannot have grown",
        lambda report: _set_cost(report, None, 2.0),
        "`cost.model_size_mb` at base is absent by the report and 1.0 in git",
    ),
    (
        "head's model is smaller than what was trained",
        lambda report: _set_cost(report, 1.0, 0.5),
        "`cost.model_size_mb` at head is 0.5 by the report and 2.0 in git",
    ),
    (
        "base was measured on other test data, as was head",
        lambda report: _replace_test_data(report, ("base", "head")),
        f"the test data at base is {_OTHER} by the report and git:",
    ),
    (
        "base measured anew on test data that did not change",
        lambda report: _rescore(report, 0.25, stored=0.5),
        f"the test data at head is {_OTHER} by the report and git:",
    ),
    (
        "base measured anew, from a value that it never had",
        lambda report: _rescore(report, 0.25, stored=0.125),
        "`score` at base is 0.125 by the report and 0.5 in git",
    ),
    (
        "groups as if base had no predictions to lose against",
        _slice,
        "`accuracy` by `region` has no values at base, which has predictions",
    ),
]


def test_what_git_holds_passes_without_a_claim(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The honest report, held against the commit with its results: nothing is left unsaid."""
    report = recorded.write_report()
    code, text = recorded.judge(report, monkeypatch, capsys, published=recorded.results)
    assert code == 0, text
    assert "May merge" in text
    assert "only claimed" not in text


@pytest.mark.parametrize("lie", [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_a_report_that_git_contradicts_is_not_judged(
    recorded: Recorded,
    lie: tuple[Callable[[dict[str, Any]], dict[str, Any]], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Consistent in itself, false by git: exit code 2, with what git holds."""
    change, reason = lie
    report = change(recorded.write_report())
    code, text = recorded.judge(report, monkeypatch, capsys, published=recorded.results)
    assert code == 2, text
    assert "the report is not what git holds, so nothing of it was judged:" in text
    check_lie(
        record_property, json.dumps(report, sort_keys=True).encode(), reason=reason, text=text
    )


def test_results_of_an_older_run_are_told(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """The lock beside the results names other parameters, and no metric is called stale."""
    report = recorded.write_report()
    results = recorded.record(write_results(10, 0.625))
    code, text = recorded.judge(report, monkeypatch, capsys, published=results)
    assert code == 2, text
    reason = "`score` is stale where the results stand, and not by the report"
    check_lie(record_property, f"{results}{report}".encode(), reason=reason, text=text)


def test_test_data_that_only_moved_into_git_is_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Hashes of two kinds: the content in git says whether the test data changed."""
    import hashlib

    recorded = Recorded(tmp_path / "model")
    data = TEST_DATA
    digest = hashlib.md5(data.encode(), usedforsecurity=False).hexdigest()
    pointer = f"outs:\n- {{md5: {digest}, size: {len(data)}, hash: md5, path: test.csv}}\n"
    recorded.move_test_data(pointer)
    report = recorded.write_report()
    report["head"]["test_data"] = f"md5:{digest}"
    assert recorded.judge(report, monkeypatch, capsys, published=recorded.results)[0] == 0
    recorded.move_test_data(pointer.replace(digest, "7" * 32))
    report = recorded.write_report()
    report["head"]["test_data"] = _OTHER
    code, text = recorded.judge(report, monkeypatch, capsys, published=recorded.results)
    assert code == 2, text
    reason = "the test data is same by the report and changed in git"
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


def test_without_a_commit_of_results_a_head_that_git_does_not_hold_is_a_claim(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A merge group, a folder as storage: the run's numbers are in no commit. It is said."""
    report = recorded.write_report()
    code, text = recorded.judge(report, monkeypatch, capsys)
    assert code == 0, text
    expected = "Not verified, only claimed by the run that compared: `score` at head"
    assert expected in text
    report = _set_value(report, 0, head=0.5)
    code, text = recorded.judge(report, monkeypatch, capsys)
    assert code == 0, text
    assert "only claimed" not in text


def test_test_data_of_the_head_is_gits_where_no_run_makes_it(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Nothing was published, and the test data is a file of the commit all the same."""
    report = _replace_test_data(recorded.write_report(), ("head",))
    code, text = recorded.judge(report, monkeypatch, capsys)
    assert code == 2, text
    reason = f"the test data at head is {_OTHER} by the report and git:"
    check_lie(record_property, b"head" + json.dumps(report).encode(), reason=reason, text=text)


def test_a_fail_is_never_undecided_for_want_of_results(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What fails publishes nothing, and another project's commit holds other values: it fails."""
    report = _set_value(recorded.write_report(), 0, head=0.25)
    code, text = recorded.judge(report, monkeypatch, capsys, published=recorded.results)
    assert code == 1, text
    assert "Must not merge" in text


def test_a_base_that_git_lacks_is_said(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its values are then a claim: the comment says so in one line, and why."""
    report = recorded.write_report(base={**recorded.write_report()["base"], "sha": "b" * 40})
    code, text = recorded.judge(report, monkeypatch, capsys)
    assert code == 0, text
    assert "values at base (the commit bbbbbbbbbbbb is not in this clone)" in text


@pytest.mark.parametrize("evidence", [None, Evidence(rows=100, reason="too few")])
def test_a_change_without_an_interval_is_said_where_base_has_predictions(
    evidence: Evidence | None, record_property: Callable[[str, object], None]
) -> None:
    """Left out, an interval says nothing of noise: *not proven safe* would look like plain."""
    change = MetricChange(
        name="test.accuracy",
        path="metrics.json",
        base=0.75,
        head=0.625,
        delta=-0.125,
        evidence=evidence,
    )
    report = Report(
        schema=1,
        key="model",
        base=Side(sha="a" * 40),
        head=Side(sha="b" * 40),
        test_data=TestData.UNKNOWN,
        metrics=(change,),
    )
    policy = Policy(metrics={"test.accuracy": Rule(max_worsening=0.25)})
    base, results = (
        SideRecord(
            sha="c" * 40,
            metrics={"metrics.json": MetricSet(values={"test.accuracy": value})},
            has_predictions=True,
        )
        for value in (0.75, 0.625)
    )
    record = Record(base=base, results=results)
    claims = list_claims(report, policy, record)
    if evidence is not None:
        assert claims == []
        return
    reason = "that noise could not be estimated for `test.accuracy`"
    check_lie(record_property, b"no interval", reason=reason, text=" ".join(claims))


def _write_cost(base_missing: str | None) -> Report:
    change = MetricChange(
        name="cost.training_seconds", path="reports/cost.json", head=9.0, base_missing=base_missing
    )
    return Report(
        schema=1,
        key="model",
        base=Side(sha="a" * 40),
        head=Side(sha="b" * 40),
        test_data=TestData.UNKNOWN,
        cost=(change,),
    )


def test_a_cost_that_base_has_is_not_new(record_property: Callable[[str, object], None]) -> None:
    """Base's may be of another kind of machine, which must be said: its margin is then open."""
    base = SideRecord(sha="c" * 40, cost={"cost.training_seconds": (3.0, "Linux, 4 CPUs")})
    policy = Policy(budgets={"cost.training_seconds": Rule(max_relative_worsening=0.5)})
    reason = "`cost.training_seconds` is new by the report, and base has it"
    found = contradict_base(_write_cost(None), policy, base)
    check_lie(record_property, b"a new cost", reason=reason, text=" ".join(found))
    honest = _write_cost("base's was measured on another kind of machine")
    assert contradict_base(honest, policy, base) == []
    claims = list_claims(honest, policy, Record(base=base, results=base))
    assert claims == ["`cost.training_seconds` at head, as the run measured them"]
