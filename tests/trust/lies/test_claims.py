"""Runs that tell other numbers than base's code measures, and runs of which nobody measured any.

Each is told to `mlgitops report` with real commits, after a successful job that measures.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from trust.lie import check_lie
from trust.recorded import POLICY, Recorded, write_results

if TYPE_CHECKING:
    from collections.abc import Callable

    Record = Callable[[str, object], None]

_MEASURED = {"paths": ["metrics.json"], "model": f"md5:{'0' * 32}", "rows": 1, "seconds": 2.0}
_HOLD = "the pull request's numbers do not hold: `score` is"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Make the repository once: a test adds commits of results and changes none."""
    return Recorded(tmp_path_factory.mktemp("claims") / "model")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Make one whose policy asks for independent evidence."""
    policy = f"{POLICY}evidence: independent\n"
    return Recorded(tmp_path_factory.mktemp("independent") / "model", policy=policy)


def measure(
    report: dict[str, Any], measured: float | None, claimed: float, **facts: object
) -> dict[str, Any]:
    """Return the report as the job that measures writes it; base's score is 0.5."""
    score, loss = (dict(change) for change in report["metrics"])
    delta = None if measured is None else measured - 0.5
    score.update(head=measured, delta=delta, head_claimed=claimed)
    if measured is None:
        score["reason"] = "head has no value for it by base's code"
    loss.update(head_claimed=loss["head"])
    return {**report, "metrics": [score, loss], "measurement": {**_MEASURED, **facts}}


_LIES: list[tuple[str, float | None, float, str]] = [
    ("a perfect score", 0.5625, 1.0, f"{_HOLD} 1 by its own run and 0.56 by base's code"),
    ("a good score for a bad model", 0.25, 0.75, f"{_HOLD} 0.75 by its own run and 0.25 by"),
    ("a loss within the margin", 0.484375, 0.495, f"{_HOLD} 0.49 by its own run and 0.48 by"),
    ("a better score, rounded", 0.5625, 0.6, f"{_HOLD} 0.6 by its own run and 0.56 by"),
    ("a whole number of a high score", 0.96875, 1.0, f"{_HOLD} 1 by its own run and 0.97 by"),
    ("two of the last digit more", 0.5629, 0.5631, f"{_HOLD} 0.5631 by its own run and 0.5629 by"),
    ("a percentage of a fraction", 0.625, 62.5, f"{_HOLD} 62 by its own run and 0.62 by"),
    ("another sign", 0.625, -0.625, f"{_HOLD} -0.62 by its own run and 0.62 by"),
    ("a worse score, for whatever reason", 0.75, 0.5, f"{_HOLD} 0.5 by its own run and 0.75 by"),
    ("a score that its model does not have", None, 0.875, f"{_HOLD} 0.875 by its own run, and"),
]


@pytest.mark.parametrize(
    ("measured", "claimed", "reason"), [row[1:] for row in _LIES], ids=[row[0] for row in _LIES]
)
def test_a_run_that_tells_another_number(
    recorded: Recorded,
    record_property: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    measured: float | None,
    claimed: float,
    reason: str,
) -> None:
    """It fails, whatever base's code measured, and that is told first."""
    results = recorded.record(write_results(60, claimed))
    report = measure(recorded.write_report(), measured, claimed)
    code, text = recorded.judge(
        report, monkeypatch, capsys, "--evaluate-result", "success", published=results
    )
    assert code == 1, text
    assert "Must not merge, its numbers do not hold" in text
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


def test_a_run_that_edits_the_ruler(
    recorded: Recorded,
    record_property: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its own measuring code gives a good number: base's is judged, and both are told."""
    results = recorded.record(write_results(60, 0.9375))
    report = measure(recorded.write_report(), 0.4375, 0.9375, edited=["train.py"])
    code, text = recorded.judge(
        report, monkeypatch, capsys, "--evaluate-result", "success", published=results
    )
    assert code == 1, text
    reason = "`score` is 0.94 by its own run and 0.44 by base's code"
    assert "This change edits the code that measures (`train.py`): base's was used." in text
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"reason": "the type `Blend` is not trusted"}, "the type `Blend` is not trusted"),
        ({"paths": ["other.json"], "rows": 1}, "base's code does not write `metrics.json`"),
    ],
)
def test_a_run_of_which_nobody_measured_what_is_judged(
    strict: Recorded,
    record_property: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    facts: dict[str, object],
    why: str,
) -> None:
    """Where the policy asks for independent evidence, good numbers of its own are none."""
    report = {**strict.write_report(), "measurement": facts}
    code, text = strict.judge(
        report, monkeypatch, capsys, "--evaluate-result", "success", published=strict.results
    )
    assert code == 1, text
    reason = f"asks for `evidence: independent`, and there is none for `score`: {why}"
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


def test_a_run_whose_workflow_has_no_job_that_measures(
    strict: Recorded,
    record_property: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Taking the job out of the workflow takes the evidence away, and so the pass."""
    report = strict.write_report()
    code, text = strict.judge(report, monkeypatch, capsys, published=strict.results)
    assert code == 1, text
    reason = "there is none for `score`: no job of this workflow measures with base's code"
    check_lie(record_property, json.dumps(report).encode(), reason=reason, text=text)


def test_honest_numbers_pass_both_policies(
    recorded: Recorded,
    strict: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same number by both is a plain pass; without a measurement it is self-reported."""
    for repository in (recorded, strict):
        report = measure(repository.write_report(), 0.625, 0.625)
        code, text = repository.judge(
            report,
            monkeypatch,
            capsys,
            "--evaluate-result",
            "success",
            published=repository.results,
        )
        assert (code, "**✅ May merge**" in text) == (0, True), text
    code, text = recorded.judge(
        recorded.write_report(), monkeypatch, capsys, published=recorded.results
    )
    assert (code, "**⚠️ May merge, on self-reported numbers**" in text) == (0, True), text
